-- The definition of an index that no constraint rests on; NULL where there is none such.
SELECT pg_get_indexdef(c.oid)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = %(schema)s AND c.relname = %(index)s AND c.relkind IN ('i', 'I')
   AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid)
