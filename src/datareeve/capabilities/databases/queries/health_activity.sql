-- Connections as figures: how many of those an ordinary role may use are taken, by state; and for how long the server has been up.
SELECT used AS connections_used,
       usable AS connections_usable,
       round(100.0 * used / usable, 1) AS connections_used_percent,
       active AS connections_active,
       idle_in_transaction AS connections_idle_in_transaction,
       extract(epoch FROM clock_timestamp() - pg_postmaster_start_time()) AS uptime_seconds
  FROM (SELECT count(*) AS used,
               count(*) FILTER (WHERE state = 'active' AND pid <> pg_backend_pid()) AS active,
               count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction
          FROM pg_stat_activity WHERE backend_type = 'client backend') AS sessions,
       (SELECT greatest(current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
                        - coalesce(current_setting('reserved_connections', true)::int, 0), 1) AS usable) AS limits
