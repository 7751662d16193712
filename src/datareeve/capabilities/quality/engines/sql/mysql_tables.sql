-- Tables and views outside the server's own schemas, with what the engine estimates of them.
SELECT table_schema AS table_schema, table_name AS table_name, table_type AS table_type, table_rows AS estimated_rows, data_length AS bytes
FROM information_schema.tables WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
