-- Checkpoints and their time, who writes changed blocks, WAL written, and the archive: archive_failing is 1 when the newest attempt failed.
-- Versions 13 to 16. What is put into the braces is how often the WAL buffers were full, NULL on 13.
SELECT c.checkpoints_timed AS checkpoints_timed_total,
       c.checkpoints_req AS checkpoints_requested_total,
       c.checkpoint_write_time AS checkpoint_write_ms_total,
       c.checkpoint_sync_time AS checkpoint_sync_ms_total,
       c.buffers_checkpoint AS checkpoint_blocks_total,
       c.buffers_clean AS bgwriter_blocks_total,
       c.maxwritten_clean AS bgwriter_stops_total,
       c.buffers_backend AS backend_blocks_total,
       c.buffers_backend_fsync AS backend_fsyncs_total,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0') AS wal_bytes_total,
       {wal_buffers_full} AS wal_buffers_full_total,
       a.failed_count AS archive_failures_total,
       (current_setting('archive_mode') <> 'off' AND a.failed_count > 0
        AND a.last_failed_time > coalesce(a.last_archived_time, '-infinity'))::int AS archive_failing,
       CASE WHEN current_setting('archive_mode') <> 'off' AND NOT pg_is_in_recovery() AND a.last_archived_wal ~ '^[0-9A-F]{24}$'
            THEN greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') - 4294967296 * ('x' || substr(a.last_archived_wal, 9, 8))::bit(32)::bigint
                          - (('x' || substr(a.last_archived_wal, 17, 8))::bit(32)::bigint + 1) * pg_size_bytes(current_setting('wal_segment_size')), 0)
       END AS archive_behind_bytes
  FROM pg_stat_bgwriter c CROSS JOIN pg_stat_archiver a
