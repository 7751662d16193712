-- The server's own thresholds of wraparound, and its defaults of cost-based vacuum.
SELECT current_setting('autovacuum_freeze_max_age')::bigint AS freeze_max_age,
       current_setting('vacuum_failsafe_age', true)::bigint AS failsafe_age,
       current_setting('max_parallel_maintenance_workers')::int AS parallel_workers
