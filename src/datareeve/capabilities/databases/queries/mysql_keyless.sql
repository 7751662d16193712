-- Tables without a primary key. MariaDB and MySQL.
SELECT t.table_schema AS `schema`, t.table_name AS name
  FROM information_schema.tables t
  LEFT JOIN information_schema.table_constraints k
         ON k.table_schema = t.table_schema AND k.table_name = t.table_name AND k.constraint_type = 'PRIMARY KEY'
 WHERE t.table_schema IN %(schemas)s AND t.table_type = 'BASE TABLE' AND k.constraint_name IS NULL
 ORDER BY 1, 2
