-- Transactions of this database and the time connections spent on them since the statistics began. Version 14 and newer.
SELECT d.xact_commit + d.xact_rollback AS transactions,
       d.active_time + d.idle_in_transaction_time AS busy_ms,
       extract(epoch FROM clock_timestamp() - coalesce(d.stats_reset, b.stats_reset, pg_postmaster_start_time())) AS seconds
  FROM pg_stat_database d CROSS JOIN pg_stat_bgwriter b
 WHERE d.datname = current_database()
