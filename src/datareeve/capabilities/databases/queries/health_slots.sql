-- Replication slots, and the bytes of WAL that each makes the server keep.
SELECT slot_name AS name,
       active,
       coalesce(wal_status, 'reserved') AS wal_status,
       coalesce(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn), 0)
         AS retained_bytes
  FROM pg_replication_slots
 WHERE NOT temporary
 ORDER BY retained_bytes DESC
 LIMIT 100
