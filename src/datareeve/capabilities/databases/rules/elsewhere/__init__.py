"""What check-health notices of MariaDB/MySQL, SQLite and DuckDB alike, one rule a file. Each has `find(look)`."""
