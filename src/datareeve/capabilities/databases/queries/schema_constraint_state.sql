-- 'valid' or 'not valid' for a table's constraint of that name, NULL where there is none.
SELECT CASE WHEN k.convalidated THEN 'valid' ELSE 'not valid' END
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND k.conname = %(constraint)s
