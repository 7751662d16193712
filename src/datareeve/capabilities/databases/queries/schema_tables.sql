-- Every table and view of the wanted schemas (an empty list: all but the system's) with its columns, constraints and indexes, as JSON.
-- Partitions and what extensions brought are left out. `distinct` is pg_stats.n_distinct: negative means a share of the rows.
SELECT n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
       nullif(c.reltuples, -1)::bigint AS estimated_rows,
       CASE WHEN c.relkind IN ('r', 'p', 'm') THEN pg_total_relation_size(c.oid) ELSE 0 END AS bytes,
       obj_description(c.oid, 'pg_class') AS comment,
       has_table_privilege(c.oid, 'SELECT') AS readable,
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
                  'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
                  'default', CASE WHEN a.attgenerated = '' THEN pg_get_expr(d.adbin, d.adrelid) END,
                  'identity', a.attidentity <> '', 'generated', a.attgenerated <> '',
                  'comment', col_description(c.oid, a.attnum),
                  'distinct', s.n_distinct, 'null_share', s.null_frac,
                  'sequence_value', pg_sequence_last_value(q.oid)) ORDER BY a.attnum), '[]')
          FROM pg_attribute a
          LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
          LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname AND NOT s.inherited
          LEFT JOIN LATERAL (SELECT o.objid AS oid FROM pg_depend o JOIN pg_class k ON k.oid = o.objid
                              WHERE o.classid = 'pg_class'::regclass AND o.refclassid = 'pg_class'::regclass AND o.refobjid = a.attrelid
                                AND o.refobjsubid = a.attnum AND o.deptype IN ('a', 'i')
                                AND CASE WHEN k.relkind = 'S' THEN has_sequence_privilege(o.objid, 'SELECT') ELSE false END LIMIT 1) AS q ON true
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
                  'name', k.conname, 'kind', k.contype, 'validated', k.convalidated, 'definition', pg_get_constraintdef(k.oid),
                  'columns', (SELECT jsonb_agg(a.attname ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
                                JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum),
                  'references_schema', fn.nspname, 'references_table', f.relname,
                  'references_columns', (SELECT jsonb_agg(a.attname ORDER BY u.place) FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, place)
                                           JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum))
                ORDER BY k.contype, k.conname), '[]')
          FROM pg_constraint k LEFT JOIN pg_class f ON f.oid = k.confrelid LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
         WHERE k.conrelid = c.oid AND k.contype IN ('p', 'u', 'f', 'c', 'x') AND k.conparentid = 0) AS constraints,
       (SELECT coalesce(jsonb_agg(jsonb_build_object(
                  'name', x.relname, 'unique', i.indisunique, 'valid', i.indisvalid AND i.indisready, 'whole', i.indpred IS NULL,
                  'columns', (SELECT jsonb_agg(coalesce(a.attname, pg_get_indexdef(i.indexrelid, u.place::int, true)) ORDER BY u.place)
                                FROM generate_series(1, i.indnkeyatts) AS u (place)
                                LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[u.place - 1] AND a.attnum <> 0),
                  'definition', pg_get_indexdef(i.indexrelid)) ORDER BY x.relname), '[]')
          FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
         WHERE i.indrelid = c.oid) AS indexes
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm') AND NOT c.relispartition
   AND CASE WHEN cardinality(%(schemas)s::text[]) > 0 THEN n.nspname = ANY (%(schemas)s::text[])
            ELSE n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' END
   AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
 ORDER BY n.nspname, c.relname
