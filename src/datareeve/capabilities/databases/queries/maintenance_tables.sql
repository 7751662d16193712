-- Tables of our schemas with what VACUUM and ANALYZE go by. Partitioned parents too: they hold no rows, but have statistics of their own.
SELECT n.nspname AS schema_name, c.relname AS name, c.oid::bigint AS oid,
       CASE WHEN c.relispartition THEN pg_partition_root(c.oid)::oid::bigint END AS root, c.relkind = 'p' AS is_partitioned,
       greatest(c.reltuples, 0)::bigint AS rows, c.reltuples < 0 AS rows_unknown,
       CASE WHEN c.relkind = 'p' THEN 0 ELSE pg_table_size(c.oid) END AS bytes,
       CASE WHEN c.relkind = 'p' THEN 0 ELSE pg_total_relation_size(c.oid) END AS total_bytes,
       c.relpages AS pages, c.relallvisible AS visible_pages,
       coalesce(pg_stat_get_live_tuples(c.oid), 0) AS live_rows, coalesce(pg_stat_get_dead_tuples(c.oid), 0) AS dead_rows,
       coalesce(pg_stat_get_mod_since_analyze(c.oid), 0) AS changed_rows, coalesce(pg_stat_get_ins_since_vacuum(c.oid), 0) AS inserted_rows,
       CASE WHEN c.relfrozenxid = '0' THEN 0 ELSE age(c.relfrozenxid) END AS xid_age,
       CASE WHEN c.relminmxid = '0' THEN 0 ELSE mxid_age(c.relminmxid) END AS multixact_age,
       pg_stat_get_last_vacuum_time(c.oid) AS last_vacuum,
       greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)) AS vacuumed_at,
       pg_stat_get_last_analyze_time(c.oid) AS last_analyze,
       greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) AS analyzed_at,
       CASE WHEN c.relkind = 'p' THEN (SELECT max(pg_stat_get_last_autoanalyze_time(t.relid)) FROM pg_partition_tree(c.oid) t WHERE t.isleaf) END AS parts_analyzed_at,
       EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.inherited = (c.relkind = 'p')) AS has_statistics,
       pg_relation_filenode(c.oid) AS filenode,
       (SELECT sum((1 - s.null_frac) * s.avg_width) FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND NOT s.inherited)::float8 AS row_width,
       coalesce((SELECT option_value::int FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor'), 100) AS fillfactor,
       (SELECT p.phase FROM pg_stat_progress_vacuum p WHERE p.relid = c.oid AND p.datname = current_database() LIMIT 1) AS vacuum_phase,
       (SELECT round(100.0 * p.heap_blks_scanned / nullif(p.heap_blks_total, 0)) FROM pg_stat_progress_vacuum p
         WHERE p.relid = c.oid AND p.datname = current_database() LIMIT 1) AS vacuum_percent,
       pg_has_role(session_user, c.relowner, 'USAGE')
         OR EXISTS (SELECT FROM pg_database d WHERE d.datname = current_database() AND pg_has_role(session_user, d.datdba, 'USAGE'))
         OR CASE WHEN current_setting('server_version_num')::int >= 170000 THEN has_table_privilege(session_user, c.oid, 'MAINTAIN') ELSE false END AS may_maintain
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm', 'p') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND (%(schemas)s::text[] = '{}' OR n.nspname = ANY(%(schemas)s))
   AND (%(table)s::text IS NULL OR c.relname = %(table)s)
 ORDER BY 1, 2
