-- Replication slots: the bytes of WAL that each makes the server keep, how many more it may, and the oldest rows it keeps vacuum from.
SELECT slot_name AS name,
       active,
       slot_type AS kind,
       coalesce(wal_status, 'reserved') AS wal_status,
       coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn), 0)
         AS retained_bytes,
       safe_wal_size AS safe_bytes,
       greatest(age(xmin), age(catalog_xmin)) AS xmin_age,
       extract(epoch FROM clock_timestamp() - (to_jsonb(s) ->> 'inactive_since')::timestamptz) AS inactive_seconds
  FROM pg_replication_slots s
 WHERE NOT temporary
 ORDER BY retained_bytes DESC
 LIMIT 100
