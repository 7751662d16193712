-- Columns. A column that the account may not read is not told of at all.
SELECT table_schema AS table_schema, table_name AS table_name, column_name AS column_name, data_type AS data_type, column_type AS column_type,
       is_nullable AS is_nullable, column_comment AS column_comment, character_maximum_length AS max_length, collation_name AS collation_name
FROM information_schema.columns WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
ORDER BY table_schema, table_name, ordinal_position
