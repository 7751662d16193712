-- The tables of our schemas as the planner knows them: rows and pages (from its size, at 100 bytes a row, where it was never analysed), rows written since statistics began, and each column with its type and statistics (no value).
SELECT n.nspname AS schema_name, c.relname AS name, c.relkind = 'p' AS is_partitioned,
       (SELECT rn.nspname FROM pg_class r JOIN pg_namespace rn ON rn.oid = r.relnamespace WHERE r.oid = p.root) AS root_schema,
       (SELECT r.relname FROM pg_class r WHERE r.oid = p.root) AS root_name,
       CASE WHEN c.reltuples < 0 AND c.relkind <> 'p' THEN pg_relation_size(c.oid) / 100 ELSE greatest(c.reltuples, 0) END::bigint AS rows,
       CASE WHEN c.reltuples < 0 AND c.relkind <> 'p' THEN pg_relation_size(c.oid) / current_setting('block_size')::int ELSE c.relpages END AS pages,
       pg_table_size(c.oid) AS bytes,
       coalesce(w.n_tup_ins, 0) AS inserted, coalesce(w.n_tup_upd, 0) AS updated, coalesce(w.n_tup_hot_upd, 0) AS hot_updated,
       coalesce(w.n_tup_del, 0) AS deleted,
       (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(coalesce(nullif(y.typbasetype, 0), y.oid), NULL),
                                          'category', y.typcategory, 'collation_is_c', coalesce(l.collcollate, d.datcollate) IN ('C', 'POSIX'),
                                          'distinct_values', coalesce(s.n_distinct, 0), 'null_share', coalesce(s.null_frac, 0),
                                          'correlation', s.correlation, 'width', coalesce(s.avg_width, 8)) ORDER BY a.attnum)
          FROM pg_attribute a
          JOIN pg_type y ON y.oid = a.atttypid
          LEFT JOIN pg_collation l ON l.oid = a.attcollation AND l.collname <> 'default'
          LEFT JOIN LATERAL (SELECT DISTINCT ON (s.attname) s.* FROM pg_stats s
                              WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname
                              ORDER BY s.attname, s.inherited = (c.relkind = 'p') DESC) AS s ON true
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_database d ON d.datname = current_database()
  LEFT JOIN pg_stat_all_tables w ON w.relid = c.oid
  LEFT JOIN LATERAL (SELECT pg_partition_root(c.oid) AS root WHERE c.relispartition) AS p ON true
 WHERE c.relkind IN ('r', 'm', 'p') AND n.nspname NOT LIKE 'pg\_%%' AND n.nspname <> 'information_schema'
   AND (%(schemas)s::text[] = '{}' OR n.nspname = ANY(%(schemas)s))
   AND (%(tables)s::text[] IS NULL OR c.relname = ANY(%(tables)s) OR c.oid = ANY (SELECT pg_partition_root(q.oid) FROM pg_class q WHERE q.relispartition AND q.relname = ANY(%(tables)s)))
   AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
 ORDER BY 1, 2
