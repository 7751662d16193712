-- Checkpoints and their time, who writes changed blocks, WAL written, and the archive: archive_failing is 1 when the newest attempt failed.
-- Version 17 and newer. What is put into the braces is how often the WAL buffers were full.
SELECT c.num_timed AS checkpoints_timed_total,
       c.num_requested AS checkpoints_requested_total,
       c.write_time AS checkpoint_write_ms_total,
       c.sync_time AS checkpoint_sync_ms_total,
       c.buffers_written AS checkpoint_blocks_total,
       b.buffers_clean AS bgwriter_blocks_total,
       b.maxwritten_clean AS bgwriter_stops_total,
       io.writes AS backend_blocks_total,
       io.fsyncs AS backend_fsyncs_total,
       pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, '0/0') AS wal_bytes_total,
       {wal_buffers_full} AS wal_buffers_full_total,
       a.failed_count AS archive_failures_total,
       (current_setting('archive_mode') <> 'off' AND a.failed_count > 0
        AND a.last_failed_time > coalesce(a.last_archived_time, '-infinity'))::int AS archive_failing,
       CASE WHEN current_setting('archive_mode') <> 'off' AND NOT pg_is_in_recovery() AND a.last_archived_wal ~ '^[0-9A-F]{24}$'
            THEN greatest(pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0') - 4294967296 * ('x' || substr(a.last_archived_wal, 9, 8))::bit(32)::bigint
                          - (('x' || substr(a.last_archived_wal, 17, 8))::bit(32)::bigint + 1) * pg_size_bytes(current_setting('wal_segment_size')), 0)
       END AS archive_behind_bytes
  FROM pg_stat_checkpointer c CROSS JOIN pg_stat_bgwriter b CROSS JOIN pg_stat_archiver a
 CROSS JOIN (SELECT coalesce(sum(writes), 0) AS writes, coalesce(sum(fsyncs), 0) AS fsyncs
               FROM pg_stat_io WHERE backend_type = 'client backend' AND object = 'relation' AND context = 'normal') AS io
