-- Tables with text in utf8mb3, which holds no character beyond the first 65,536. MariaDB and MySQL.
SELECT c.table_schema AS `schema`, c.table_name AS name, COUNT(*) AS columns
  FROM information_schema.columns c JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
 WHERE c.table_schema IN %(schemas)s AND t.table_type = 'BASE TABLE' AND c.character_set_name IN ('utf8', 'utf8mb3')
 GROUP BY c.table_schema, c.table_name ORDER BY 1, 2
