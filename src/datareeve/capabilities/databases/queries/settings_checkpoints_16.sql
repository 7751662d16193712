-- Checkpoints that came by the clock, and those asked for by WAL volume or by hand, since the statistics began. Versions 13 to 16.
SELECT checkpoints_timed AS timed, checkpoints_req AS requested FROM pg_stat_bgwriter
