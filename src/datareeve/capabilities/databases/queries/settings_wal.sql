-- WAL written for each second since its statistics began. Version 14 and newer.
SELECT wal_bytes / greatest(extract(epoch FROM clock_timestamp() - coalesce(stats_reset, pg_postmaster_start_time())), 1) FROM pg_stat_wal
