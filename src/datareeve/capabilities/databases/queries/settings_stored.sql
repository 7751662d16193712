-- What stands in the configuration files for the settings named, in effect or not: in all of them, and by ALTER SYSTEM. Needs pg_file_settings.
SELECT name,
       (array_agg(setting ORDER BY seqno DESC))[1] AS on_file,
       (array_agg(setting ORDER BY seqno DESC) FILTER (WHERE sourcefile LIKE '%%postgresql.auto.conf'))[1] AS stored
  FROM pg_file_settings
 WHERE name = ANY (%(names)s)
 GROUP BY name
 ORDER BY name
