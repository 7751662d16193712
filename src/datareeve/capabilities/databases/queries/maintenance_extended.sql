-- Whether there are extended statistics of that name.
SELECT EXISTS (SELECT FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace WHERE n.nspname = %(schema)s AND s.stxname = %(name)s)
