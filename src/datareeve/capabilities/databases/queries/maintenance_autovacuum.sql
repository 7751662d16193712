-- The server's own autovacuum settings, and for how many hours at least it has counted what tables are written.
SELECT round((extract(epoch FROM now() - coalesce(d.stats_reset, pg_postmaster_start_time())) / 3600)::numeric, 3)::float8 AS counted_hours,
       current_setting('autovacuum')::bool AS is_on,
       current_setting('autovacuum_vacuum_threshold')::bigint AS vacuum_threshold, current_setting('autovacuum_vacuum_scale_factor')::float8 AS vacuum_scale_factor,
       current_setting('autovacuum_vacuum_insert_threshold')::bigint AS insert_threshold, current_setting('autovacuum_vacuum_insert_scale_factor')::float8 AS insert_scale_factor,
       current_setting('autovacuum_analyze_threshold')::bigint AS analyze_threshold, current_setting('autovacuum_analyze_scale_factor')::float8 AS analyze_scale_factor,
       current_setting('autovacuum_vacuum_max_threshold', true)::bigint AS max_threshold,
       (SELECT CASE WHEN setting = '-1' THEN current_setting('vacuum_cost_limit') ELSE setting END FROM pg_settings WHERE name = 'autovacuum_vacuum_cost_limit')::int AS cost_limit,
       (SELECT CASE WHEN setting = '-1' THEN (SELECT setting FROM pg_settings WHERE name = 'vacuum_cost_delay') ELSE setting END
          FROM pg_settings WHERE name = 'autovacuum_vacuum_cost_delay')::float8 AS cost_delay_ms,
       current_setting('vacuum_cost_page_miss')::int AS page_miss, current_setting('vacuum_cost_page_dirty')::int AS page_dirty
  FROM pg_stat_database d WHERE d.datname = current_database()
