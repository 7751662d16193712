-- What a backup and its archive depend on: settings as they act, the role's rights, and the bytes that a base backup copies.
SELECT current_setting('archive_mode') AS archive_mode,
       current_setting('archive_command') AS archive_command,
       coalesce(current_setting('archive_library', true), '') AS archive_library,
       extract(epoch FROM current_setting('archive_timeout')::interval)::int AS archive_timeout_seconds,
       current_setting('wal_level') AS wal_level,
       current_setting('max_wal_senders')::int AS max_wal_senders,
       has_function_privilege('pg_switch_wal()', 'EXECUTE') AS may_switch_wal,
       (SELECT sum(pg_tablespace_size(oid))::bigint FROM pg_tablespace
         WHERE spcname = 'pg_default' OR has_tablespace_privilege(oid, 'CREATE') OR pg_has_role('pg_read_all_stats', 'USAGE')) AS bytes
