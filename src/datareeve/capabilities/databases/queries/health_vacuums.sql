-- Vacuums at work in this database: on which table, for how long, how far, and whether one is against wraparound. The query text stays on the server.
SELECT n.nspname AS schema_name,
       c.relname AS name,
       a.backend_type = 'autovacuum worker' AS automatic,
       a.query LIKE '%to prevent wraparound%' AS against_wraparound,
       extract(epoch FROM clock_timestamp() - a.xact_start) AS seconds,
       p.phase,
       CASE WHEN p.heap_blks_total > 0 THEN round(100.0 * p.heap_blks_scanned / p.heap_blks_total, 1) ELSE 0 END AS scanned_percent
  FROM pg_stat_progress_vacuum p
  JOIN pg_stat_activity a ON a.pid = p.pid
  JOIN pg_class c ON c.oid = p.relid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE p.datname = current_database()
 ORDER BY seconds DESC
 LIMIT 20
