-- What alert thresholds rest on: connections an ordinary role may use, whether there is replication, and the best measure of latency here.
-- Active time, for the mean of a transaction, is counted from version 14; before that only pg_stat_statements tells of time.
SELECT greatest(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                - coalesce(current_setting('reserved_connections', true)::int, 0), 1) AS usable_connections,
       pg_is_in_recovery() OR EXISTS (SELECT FROM pg_replication_slots) OR EXISTS (SELECT FROM pg_stat_replication) AS replicates,
       CASE WHEN EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements')
                 AND EXISTS (SELECT FROM pg_settings WHERE name = 'pg_stat_statements.max')
            THEN 'query_ms_mean' ELSE 'transaction_ms_mean' END AS latency_sample
