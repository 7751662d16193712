-- Which of some columns of a table may hold nulls, by name; NULL where none may.
SELECT jsonb_agg(a.attname ORDER BY a.attname) AS columns
  FROM pg_attribute a
  JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND a.attname = ANY (%(columns)s::text[]) AND NOT a.attnotnull
