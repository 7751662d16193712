-- Checkpoints that came by the clock, and those asked for by WAL volume or by hand, since the statistics began. Version 17 and newer.
SELECT num_timed AS timed, num_requested AS requested FROM pg_stat_checkpointer
