-- Checkpoints, WAL written and the archive's failures; archive_failing is 1 when the newest attempt failed. Version 17 and newer.
SELECT c.num_timed AS checkpoints_timed_total,
       c.num_requested AS checkpoints_requested_total,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0') AS wal_bytes_total,
       a.failed_count AS archive_failures_total,
       (current_setting('archive_mode') <> 'off' AND a.failed_count > 0
        AND a.last_failed_time > coalesce(a.last_archived_time, '-infinity'))::int AS archive_failing
  FROM pg_stat_checkpointer c CROSS JOIN pg_stat_archiver a
