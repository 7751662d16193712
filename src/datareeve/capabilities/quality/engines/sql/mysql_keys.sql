-- Indexes by column, in order; `partial`: on a prefix of the column.
SELECT table_schema AS table_schema, table_name AS table_name, index_name AS index_name, column_name AS column_name,
       non_unique = 0 AS is_unique, (sub_part IS NOT NULL OR column_name IS NULL) AS partial
FROM information_schema.statistics WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') AND index_type = 'BTREE'
ORDER BY table_schema, table_name, index_name, seq_in_index
