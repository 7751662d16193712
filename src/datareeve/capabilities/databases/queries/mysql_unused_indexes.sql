-- Indexes that no statement used since the server started; unique ones keep rows apart and are left out. MariaDB and MySQL.
SELECT u.object_schema AS `schema`, u.object_name AS `table`, u.index_name AS name
  FROM performance_schema.table_io_waits_summary_by_index_usage u
  JOIN information_schema.statistics s
    ON s.table_schema = u.object_schema AND s.table_name = u.object_name AND s.index_name = u.index_name AND s.seq_in_index = 1
 WHERE u.object_schema IN %(schemas)s AND u.index_name IS NOT NULL AND u.count_star = 0 AND s.non_unique = 1
 ORDER BY 1, 2, 3
