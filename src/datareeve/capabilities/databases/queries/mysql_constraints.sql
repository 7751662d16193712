-- Every column of every primary, unique and foreign key of the wanted databases, in order. MariaDB and MySQL.
SELECT k.table_schema AS `schema`, k.table_name AS `table`, k.constraint_name AS name, k.column_name AS `column`,
       k.referenced_table_schema AS references_schema, k.referenced_table_name AS references_table,
       k.referenced_column_name AS references_column, r.delete_rule AS on_delete, r.update_rule AS on_update
  FROM information_schema.key_column_usage k
  LEFT JOIN information_schema.referential_constraints r
         ON r.constraint_schema = k.table_schema AND r.table_name = k.table_name AND r.constraint_name = k.constraint_name
        AND k.referenced_table_name IS NOT NULL
 WHERE k.table_schema IN %(schemas)s
 ORDER BY k.table_schema, k.table_name, k.constraint_name, k.ordinal_position
