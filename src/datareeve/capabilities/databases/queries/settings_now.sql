-- The settings named, as this session sees them, and whether ALTER SYSTEM stored the value in effect (sourcefile needs pg_read_all_settings).
SELECT name, setting, unit, vartype, context, source, boot_val, enumvals, pending_restart,
       coalesce(sourcefile LIKE '%%postgresql.auto.conf', false) AS by_alter_system
  FROM pg_settings
 WHERE name = ANY (%(names)s)
 ORDER BY name
