"""TPC-H: made (`make`) and measured (`measure`) on a PostgreSQL of its own."""
