-- What must be known of a table before a primary key is added: NULL table_kind where there is no such table.
SELECT t.relkind::text AS table_kind,
       (SELECT jsonb_agg(a.attname ORDER BY u.place)
          FROM pg_constraint k, unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
          JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = u.attnum
         WHERE k.conrelid = t.oid AND k.contype = 'p') AS primary_key,
       coalesce((SELECT jsonb_object_agg(a.attname, NOT a.attnotnull) FROM pg_attribute a
                  WHERE a.attrelid = t.oid AND a.attname = ANY (%(columns)s::text[]) AND a.attnum > 0 AND NOT a.attisdropped), '{}') AS nullable,
       EXISTS (SELECT FROM pg_class x JOIN pg_namespace xn ON xn.oid = x.relnamespace
                WHERE xn.nspname = %(schema)s AND x.relname = %(constraint)s) AS name_taken
  FROM (SELECT 1) AS one
  LEFT JOIN (SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')) AS t ON true
