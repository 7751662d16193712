-- How many standbys stream from this server now, or have a slot to.
SELECT greatest((SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND application_name NOT LIKE 'datareeve%%'),
                (SELECT count(*) FROM pg_replication_slots WHERE slot_type = 'physical'))
