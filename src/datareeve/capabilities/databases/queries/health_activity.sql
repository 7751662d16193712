-- Connections as figures: how many of those an ordinary role may use are taken, by state and by what they wait for; who holds idle ones;
-- and for how long the server has been up.
SELECT used AS connections_used,
       usable AS connections_usable,
       round(100.0 * used / usable, 1) AS connections_used_percent,
       reserved AS connections_reserved,
       active AS connections_active,
       idle AS connections_idle,
       idle_long AS connections_idle_long,
       idle_in_transaction AS connections_idle_in_transaction,
       waiting_lock AS connections_waiting_lock,
       waiting_io AS connections_waiting_io,
       waiting_lwlock AS connections_waiting_lwlock,
       waiting_other AS connections_waiting_other,
       running AS connections_running,
       idle_holder,
       extract(epoch FROM clock_timestamp() - pg_postmaster_start_time()) AS uptime_seconds
  FROM (SELECT count(*) AS used,
               count(*) FILTER (WHERE busy) AS active,
               count(*) FILTER (WHERE state = 'idle') AS idle,
               count(*) FILTER (WHERE long_idle) AS idle_long,
               count(*) FILTER (WHERE state LIKE 'idle in transaction%') AS idle_in_transaction,
               count(*) FILTER (WHERE busy AND wait_event_type = 'Lock') AS waiting_lock,
               count(*) FILTER (WHERE busy AND wait_event_type IN ('IO', 'BufferPin')) AS waiting_io,
               count(*) FILTER (WHERE busy AND wait_event_type = 'LWLock') AS waiting_lwlock,
               count(*) FILTER (WHERE busy AND wait_event_type NOT IN ('Lock', 'IO', 'BufferPin', 'LWLock')) AS waiting_other,
               count(*) FILTER (WHERE busy AND wait_event_type IS NULL) AS running,
               mode() WITHIN GROUP (ORDER BY coalesce(nullif(application_name, ''), usename)) FILTER (WHERE long_idle) AS idle_holder
          FROM (SELECT state, wait_event_type, application_name, usename::text,
                       state = 'active' AND pid <> pg_backend_pid() AS busy,
                       state = 'idle' AND state_change < clock_timestamp() - interval '30 min' AS long_idle
                  FROM pg_stat_activity WHERE backend_type = 'client backend') AS clients) AS sessions,
       (SELECT kept AS reserved, greatest(current_setting('max_connections')::int - kept, 1) AS usable
          FROM (SELECT current_setting('superuser_reserved_connections')::int
                       + coalesce(current_setting('reserved_connections', true)::int, 0) AS kept) AS reserve) AS limits
