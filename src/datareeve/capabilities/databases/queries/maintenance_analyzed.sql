-- Whether a table was analysed by hand since a moment (NULL: ever); before version 14 a partitioned parent by having statistics.
SELECT CASE WHEN c.relkind = 'p' AND current_setting('server_version_num')::int < 140000
            THEN EXISTS (SELECT FROM pg_stats s JOIN pg_namespace n ON n.nspname = s.schemaname
                          WHERE n.oid = c.relnamespace AND s.tablename = c.relname AND s.inherited)
            ELSE coalesce(pg_stat_get_last_analyze_time(c.oid) > coalesce(%(since)s::timestamptz, '-infinity'), false) END
  FROM pg_class c WHERE c.oid = to_regclass(%(table)s)
