-- The foreign keys of our schemas, with the columns that refer, in the constraint's order.
SELECT n.nspname AS schema_name, t.relname AS table_name, k.conname AS name, r.relname AS referred,
       (SELECT array_agg(a.attname ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
          JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum)::text[] AS columns
  FROM pg_constraint k
  JOIN pg_class t ON t.oid = k.conrelid
  JOIN pg_class r ON r.oid = k.confrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
 WHERE k.contype = 'f' AND k.conparentid = 0
   AND (%(schemas)s::text[] = '{}' OR n.nspname = ANY(%(schemas)s))
 ORDER BY 1, 2, 3
