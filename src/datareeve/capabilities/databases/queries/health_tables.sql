-- The tables with most dead or changed rows since vacuum and ANALYZE last came by; small ones are left out.
SELECT schemaname AS schema_name,
       relname AS name,
       n_live_tup AS live_rows,
       n_dead_tup AS dead_rows,
       n_mod_since_analyze AS changed_rows,
       extract(epoch FROM clock_timestamp() - greatest(last_vacuum, last_autovacuum)) AS vacuum_age_seconds,
       extract(epoch FROM clock_timestamp() - greatest(last_analyze, last_autoanalyze)) AS analyze_age_seconds
  FROM pg_stat_user_tables
 WHERE n_dead_tup >= 1000 OR n_mod_since_analyze >= 1000
 ORDER BY greatest(n_dead_tup, n_mod_since_analyze) DESC
 LIMIT 100
