-- Every column of the wanted databases in order. MariaDB and MySQL.
SELECT c.table_schema AS `schema`, c.table_name AS `table`, c.column_name AS name, c.column_type AS type, c.data_type AS base,
       c.is_nullable = 'NO' AS not_null, c.column_default AS `default`, c.extra AS extra, c.column_comment AS comment,
       c.generation_expression AS generation, c.character_set_name AS charset
  FROM information_schema.columns c
 WHERE c.table_schema IN %(schemas)s
 ORDER BY c.table_schema, c.table_name, c.ordinal_position
