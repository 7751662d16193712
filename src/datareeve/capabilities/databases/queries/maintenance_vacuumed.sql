-- Whether a table was vacuumed by hand since a moment (NULL: ever).
SELECT coalesce(pg_stat_get_last_vacuum_time(c.oid) > coalesce(%(since)s::timestamptz, '-infinity'), false)
  FROM pg_class c WHERE c.oid = to_regclass(%(table)s)
