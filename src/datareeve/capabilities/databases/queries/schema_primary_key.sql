-- The columns of a table's primary key in order; no row where there is none.
SELECT jsonb_agg(a.attname ORDER BY u.place) AS columns
  FROM pg_constraint k
  JOIN pg_class c ON c.oid = k.conrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 CROSS JOIN LATERAL unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.attnum
 WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND k.contype = 'p'
 GROUP BY k.oid
