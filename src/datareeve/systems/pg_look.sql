-- What `init` tells of a database: its size and schemas, what the role may not do there, where statements are counted, and our server process.
WITH ours AS (
    SELECT c.oid, c.relowner, n.oid AS schema_oid, n.nspname AS schema
      FROM pg_class AS c
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'm')
       AND n.nspname <> 'information_schema'
       AND n.nspname NOT LIKE 'pg\_%'
       AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT pg_database_size(current_database()) AS size_bytes,
       (SELECT coalesce(json_object_agg(schema, tables ORDER BY schema), '{}')
          FROM (SELECT schema, count(*) AS tables FROM ours GROUP BY schema) AS counted) AS schemas,
       (SELECT coalesce(array_agg(DISTINCT schema::text), '{}')
          FROM ours WHERE NOT (has_schema_privilege(schema_oid, 'USAGE') AND has_table_privilege(oid, 'SELECT'))) AS unreadable,
       (SELECT coalesce(array_agg(DISTINCT pg_get_userbyid(relowner)::text), '{}')
          FROM ours WHERE NOT pg_has_role(relowner, 'USAGE')) AS other_owners,
       pg_has_role('pg_monitor', 'USAGE') AS monitor,
       EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_stat_statements') AS statements_created,
       CASE WHEN pg_has_role('pg_read_all_settings', 'USAGE')
            THEN current_setting('shared_preload_libraries') LIKE '%pg_stat_statements%' END AS statements_loaded,
       (SELECT pg_has_role(oid, 'MEMBER') FROM pg_roles WHERE rolname = 'datareeve_read') AS read_role,
       pg_backend_pid() AS backend_pid
