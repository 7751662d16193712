-- The tables worth a word, in one pass over the catalog: most dead, changed or never analysed rows, oldest ids, largest; and with what
-- autovacuum does about them. Only the chosen few are looked at closely. No size is asked of a table that someone holds locked: it would wait.
-- A TOAST table stands here by the name of the table whose values it holds.
WITH schemas AS MATERIALIZED (SELECT oid, nspname, nspname !~ '^(pg_|information_schema$)' AS ours FROM pg_namespace),
     seen AS MATERIALIZED (
       SELECT c.oid, c.relpages, c.relpersistence, n.ours AND c.relkind <> 't' AS ours,
              CASE WHEN n.ours THEN pg_stat_get_live_tuples(c.oid) ELSE 0 END AS live,
              CASE WHEN n.ours THEN pg_stat_get_dead_tuples(c.oid) ELSE 0 END AS dead,
              CASE WHEN n.ours THEN pg_stat_get_mod_since_analyze(c.oid) ELSE 0 END AS changed,
              age(c.relfrozenxid) AS xid_age,
              mxid_age(c.relminmxid) AS multixact_age,
              c.reloptions IS NOT NULL AND c.reloptions::text ~ 'autovacuum_enabled=(off|false|no|0)' AS autovacuum_off
         FROM pg_class c
         JOIN schemas n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'm', 't') AND c.relpersistence <> 't'),
     chosen AS MATERIALIZED (
       (SELECT oid FROM seen WHERE ours AND dead >= 1000 ORDER BY dead DESC LIMIT 40)
       UNION (SELECT oid FROM seen WHERE ours AND changed >= 1000 ORDER BY changed DESC LIMIT 40)
       UNION (SELECT oid FROM seen WHERE ours AND autovacuum_off ORDER BY live DESC LIMIT 20)
       UNION (SELECT oid FROM seen WHERE ours AND relpersistence = 'u' ORDER BY live DESC LIMIT 20)
       UNION (SELECT oid FROM seen ORDER BY greatest(xid_age, multixact_age) DESC LIMIT 5)
       UNION (SELECT oid FROM seen WHERE ours ORDER BY relpages DESC LIMIT 10)),
     locked AS MATERIALIZED (
       SELECT DISTINCT coalesce((SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = l.relation), l.relation) AS oid
         FROM pg_locks l
        WHERE l.mode = 'AccessExclusiveLock' AND l.relation IS NOT NULL)
SELECT coalesce(owner.nspname, n.nspname) AS schema_name,
       coalesce(owner.relname || ' (its TOAST table)', c.relname) AS name,
       s.ours,
       s.live AS live_rows,
       s.dead AS dead_rows,
       s.changed AS changed_rows,
       extract(epoch FROM clock_timestamp() - greatest(pg_stat_get_last_vacuum_time(c.oid), pg_stat_get_last_autovacuum_time(c.oid)))
         AS vacuum_age_seconds,
       extract(epoch FROM clock_timestamp() - greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)))
         AS analyze_age_seconds,
       CASE WHEN coalesce(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) IS NOT NULL THEN false
            WHEN has_table_privilege(c.oid, 'SELECT') AND NOT c.relrowsecurity
            THEN (SELECT count(*) FROM (SELECT FROM pg_stats p WHERE p.schemaname = n.nspname AND p.tablename = c.relname LIMIT 1) AS one) = 0
            ELSE c.reltuples < 0 END AS never_analyzed,
       s.autovacuum_off,
       c.relpersistence = 'u' AS unlogged,
       coalesce(o.threshold, current_setting('autovacuum_vacuum_threshold'))::float8
         + coalesce(o.scale, current_setting('autovacuum_vacuum_scale_factor'))::float8 * greatest(c.reltuples, 0) AS vacuum_at_rows,
       s.xid_age,
       s.multixact_age,
       CASE WHEN NOT EXISTS (SELECT FROM locked k WHERE k.oid = c.oid) THEN pg_total_relation_size(c.oid) END AS bytes,
       pg_stat_get_blocks_fetched(c.oid) AS blocks_fetched,
       pg_stat_get_blocks_hit(c.oid) AS blocks_hit
  FROM chosen
  JOIN seen s USING (oid)
  JOIN pg_class c USING (oid)
  JOIN schemas n ON n.oid = c.relnamespace
  LEFT JOIN LATERAL (SELECT max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_threshold') AS threshold,
                            max(option_value) FILTER (WHERE option_name = 'autovacuum_vacuum_scale_factor') AS scale
                       FROM pg_options_to_table(c.reloptions)) AS o ON c.reloptions IS NOT NULL
  LEFT JOIN LATERAL (SELECT t.relname, m.nspname FROM pg_class t JOIN schemas m ON m.oid = t.relnamespace
                      WHERE t.oid = nullif(regexp_replace(c.relname, '^pg_toast_(\d+)$', '\1'), c.relname)::oid) AS owner ON c.relkind = 't'
 ORDER BY greatest(s.dead, s.changed) DESC
