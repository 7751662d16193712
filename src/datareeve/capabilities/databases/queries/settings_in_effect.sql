-- The values in effect for the settings named, in the server's own units, and whether a stored change still waits for a restart.
SELECT name, setting, pending_restart
  FROM pg_settings
 WHERE name = ANY (%(names)s)
 ORDER BY name
