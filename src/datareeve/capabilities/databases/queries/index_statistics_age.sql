-- For how many days at least the server has counted the use of this database's indexes.
SELECT round((extract(epoch FROM now() - coalesce(stats_reset, pg_postmaster_start_time())) / 86400)::numeric, 2)
  FROM pg_stat_database WHERE datname = current_database()
