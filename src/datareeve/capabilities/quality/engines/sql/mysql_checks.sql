-- Conditions that the server keeps. MariaDB lets rows in while check_constraint_checks is off, so they are no proof there.
SELECT constraint_schema AS table_schema, table_name AS table_name, check_clause AS expression
FROM information_schema.check_constraints WHERE constraint_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
