-- Tables with an AUTO_INCREMENT column: its type and the next number. MariaDB and MySQL.
SELECT t.table_schema AS `schema`, t.table_name AS name, c.column_name AS `column`, c.column_type AS type, c.data_type AS base,
       t.auto_increment AS next_number
  FROM information_schema.tables t
  JOIN information_schema.columns c ON c.table_schema = t.table_schema AND c.table_name = t.table_name AND c.extra LIKE '%%auto_increment%%'
 WHERE t.table_schema IN %(schemas)s AND t.auto_increment IS NOT NULL
