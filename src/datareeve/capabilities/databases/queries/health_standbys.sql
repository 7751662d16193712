-- Each standby as this server sees it: how far behind in bytes and in time, whether commits wait for it, and the oldest snapshot it holds.
SELECT coalesce(nullif(application_name, ''), 'pid ' || pid) AS name,
       coalesce(state, '') AS state,
       coalesce(sync_state, '') AS sync_state,
       CASE WHEN pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_last_wal_replay_lsn(), replay_lsn)
            ELSE pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) END AS lag_bytes,
       extract(epoch FROM replay_lag) AS lag_seconds,
       age(backend_xmin) AS xmin_age
  FROM pg_stat_replication
 WHERE state IS DISTINCT FROM 'backup'
 ORDER BY lag_bytes DESC NULLS LAST
 LIMIT 50
