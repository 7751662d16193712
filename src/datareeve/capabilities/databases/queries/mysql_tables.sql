-- Every table and view of the wanted databases, with estimated rows and sizes. MariaDB and MySQL.
SELECT t.table_schema AS `schema`, t.table_name AS name, t.table_type AS type, t.engine AS engine, t.table_rows AS estimated_rows,
       COALESCE(t.data_length, 0) + COALESCE(t.index_length, 0) AS bytes, COALESCE(t.data_free, 0) AS free_bytes,
       t.table_comment AS comment, t.auto_increment AS next_number, t.table_collation AS collation
  FROM information_schema.tables t
 WHERE t.table_schema IN %(schemas)s AND t.table_type IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')
 ORDER BY t.table_schema, t.table_name
