-- How far standbys are behind: the slowest one as a primary sees it, or this server itself when it is a standby. NULL where there is none.
-- Of a standby also whether it receives WAL at this moment, and whether someone paused its replay.
SELECT standbys,
       CASE WHEN NOT pg_is_in_recovery() THEN seconds
            WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0
            ELSE extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp())
       END AS replication_lag_seconds,
       CASE WHEN NOT pg_is_in_recovery() THEN bytes
            ELSE pg_wal_lsn_diff(pg_last_wal_receive_lsn(), pg_last_wal_replay_lsn())
       END AS replication_lag_bytes,
       CASE WHEN pg_is_in_recovery() AND nullif(current_setting('primary_conninfo', true), '') IS NOT NULL
            THEN (SELECT count(*) FROM pg_stat_wal_receiver WHERE pid IS NOT NULL) END AS receivers,
       CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused()::int END AS replay_paused
  FROM (SELECT count(*) AS standbys,
               CASE WHEN count(*) > 0 THEN coalesce(max(extract(epoch FROM replay_lag)), 0) END AS seconds,
               max(CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn) END) AS bytes
          FROM pg_stat_replication WHERE replay_lsn IS NOT NULL) AS downstream
