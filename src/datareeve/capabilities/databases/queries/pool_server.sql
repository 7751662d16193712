-- What a pool is fitted to: the server's connection limits, session state that a shared connection would mix up, and what may be read.
-- A session's query shows only with pg_read_all_stats; an advisory lock held outside a transaction belongs to the session.
SELECT current_setting('max_connections')::int AS max_connections,
       current_setting('superuser_reserved_connections')::int + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
       (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend') AS connections,
       (SELECT count(*) FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type = 'client backend' AND query ~* '^\s*listen\s') AS listeners,
       (SELECT count(DISTINCT l.pid)
          FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
         WHERE l.locktype = 'advisory' AND l.granted AND a.datname = current_database() AND a.state = 'idle') AS session_locks,
       (SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND relkind = 'r') AS temporary_tables,
       pg_has_role('pg_read_all_stats', 'USAGE') AS sees_sessions,
       has_table_privilege('pg_catalog.pg_authid', 'SELECT') AS may_read_verifiers,
       has_table_privilege('pg_catalog.pg_hba_file_rules', 'SELECT')
       AND has_function_privilege('pg_catalog.pg_hba_file_rules()', 'EXECUTE') AS may_read_hba
