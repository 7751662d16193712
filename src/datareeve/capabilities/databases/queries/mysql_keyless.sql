-- Tables without a primary key, by their indexes: constraints are hidden from an account that may only SELECT. MariaDB and MySQL.
SELECT t.table_schema AS `schema`, t.table_name AS name
  FROM information_schema.tables t
  LEFT JOIN information_schema.statistics k
         ON k.table_schema = t.table_schema AND k.table_name = t.table_name AND k.index_name = 'PRIMARY' AND k.seq_in_index = 1
 WHERE t.table_schema IN %(schemas)s AND t.table_type = 'BASE TABLE' AND k.index_name IS NULL
 ORDER BY 1, 2
