-- This database's counters since its statistics began, and how much of the transaction ids is used up anywhere on the server.
-- active_time is there from version 14; stats_reset is NULL from 15 until someone resets, so the server's own statistics stand in for it.
SELECT d.xact_commit + d.xact_rollback AS transactions_total,
       d.xact_rollback AS rollbacks_total,
       d.blks_hit AS blocks_hit_total,
       d.blks_read AS blocks_read_total,
       d.temp_files AS temp_files_total,
       d.temp_bytes AS temp_bytes_total,
       d.deadlocks AS deadlocks_total,
       d.conflicts AS conflicts_total,
       coalesce(d.checksum_failures, 0) AS checksum_failures_total,
       (to_jsonb(d) ->> 'active_time')::float8 AS active_ms_total,
       extract(epoch FROM clock_timestamp() - coalesce(d.stats_reset, b.stats_reset, pg_postmaster_start_time())) AS statistics_seconds,
       (SELECT round(100.0 * max(greatest(age(datfrozenxid), mxid_age(datminmxid))) / 2147483648, 2) FROM pg_database) AS wraparound_percent
  FROM pg_stat_database d CROSS JOIN pg_stat_bgwriter b
 WHERE d.datname = current_database()
