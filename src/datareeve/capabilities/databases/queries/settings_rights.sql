-- What tuning needs: reading what is stored (as the reading role), reloading and ALTER SYSTEM (as the login role; without superuser only from 15).
SELECT has_table_privilege('pg_catalog.pg_file_settings', 'SELECT')
       AND has_function_privilege('pg_catalog.pg_show_all_file_settings()', 'EXECUTE')
       AND pg_has_role('pg_read_all_settings', 'USAGE') AS may_look,
       has_function_privilege(session_user, 'pg_catalog.pg_reload_conf()', 'EXECUTE') AS may_reload,
       current_user AS reader, session_user AS actor
