-- The names of functions of the database's own that are declared VOLATILE, and under which name there is no other.
SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE p.prokind = 'f' AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
 GROUP BY p.proname HAVING bool_and(p.provolatile = 'v')
 ORDER BY 1 LIMIT 5000
