-- What decides which questions can be asked (rights, version, where extensions are), and the settings and versions that put data at risk.
-- What is put into the braces is the database's own recorded and actual collation version, which servers know from version 15.
SELECT pg_is_in_recovery() AS in_recovery,
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_sessions,
       current_user AS role,
       (SELECT n.nspname
          FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
         WHERE e.extname = 'pg_stat_statements'
           AND string_to_array(e.extversion, '.')::int[] >= '{1,8}'
           AND EXISTS (SELECT FROM pg_settings WHERE name = 'pg_stat_statements.max')) AS statements_schema,
       (SELECT n.nspname
          FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
         WHERE e.extname = 'pgstattuple' AND pg_has_role(current_user, 'pg_stat_scan_tables', 'USAGE')) AS tuples_schema,
       (SELECT coalesce(jsonb_object_agg(name, current_setting(name)), '{}')
          FROM unnest('{fsync,full_page_writes,autovacuum,track_counts,zero_damaged_pages,ignore_checksum_failure}'::text[]) AS name)
         AS settings,
       current_setting('autovacuum_freeze_max_age')::bigint AS freeze_transactions,
       current_setting('autovacuum_multixact_freeze_max_age')::bigint AS freeze_multixacts,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(e.extname, e.extversion, a.default_version)), '[]')
          FROM pg_extension e JOIN pg_available_extensions a ON a.name = e.extname
         WHERE e.extversion <> a.default_version) AS extensions_behind,
       (SELECT coalesce(jsonb_agg(jsonb_build_array(name, recorded, actual)), '[]')
          FROM (SELECT c.collname AS name, c.collversion AS recorded, pg_collation_actual_version(c.oid) AS actual
                  FROM (SELECT DISTINCT unnest(indcollation) AS oid FROM pg_index) AS used
                  JOIN pg_collation c ON c.oid = used.oid AND c.collversion IS NOT NULL
                UNION ALL {database_collation}) AS collations
         WHERE recorded <> actual) AS collations_changed
