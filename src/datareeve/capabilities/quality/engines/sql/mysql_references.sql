-- Foreign keys by column. The server cannot say whether one was made with foreign_key_checks off: see `engines/mysql.py`.
SELECT k.table_schema AS table_schema, k.table_name AS table_name, k.constraint_name AS constraint_name, k.column_name AS column_name,
       k.referenced_table_schema AS referenced_schema, k.referenced_table_name AS referenced_table, k.referenced_column_name AS referenced_column
FROM information_schema.key_column_usage AS k WHERE k.referenced_table_name IS NOT NULL
ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position
