-- How far standbys are behind: the slowest one as a primary sees it, or this server itself when it is a standby. NULL where there is none.
SELECT standbys,
       CASE WHEN NOT pg_is_in_recovery() THEN seconds
            WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())
       END AS replication_lag_seconds,
       bytes AS replication_lag_bytes
  FROM (SELECT count(*) AS standbys,
               CASE WHEN count(*) > 0 THEN coalesce(max(extract(epoch FROM replay_lag)), 0) END AS seconds,
               max(CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) END) AS bytes
          FROM pg_stat_replication WHERE replay_lsn IS NOT NULL) AS downstream
