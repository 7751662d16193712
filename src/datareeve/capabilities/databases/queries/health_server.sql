-- What decides which questions can be asked: rights over others' sessions, and where pg_stat_statements can be read (NULL: nowhere).
SELECT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_sessions,
       current_user AS role,
       (SELECT n.nspname
          FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
         WHERE e.extname = 'pg_stat_statements'
           AND string_to_array(e.extversion, '.')::int[] >= '{1,8}'
           AND EXISTS (SELECT FROM pg_settings WHERE name = 'pg_stat_statements.max')) AS statements_schema
