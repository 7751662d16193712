-- What the server has been doing, over all its databases, since its statistics began: sessions now, temporary files, sizes.
SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
       current_setting('max_connections')::int AS max_connections,
       sum(temp_files) AS temp_files,
       sum(temp_bytes) AS temp_bytes,
       (SELECT coalesce(sum(CASE WHEN has_database_privilege(oid, 'CONNECT') THEN pg_database_size(oid) END), 0) FROM pg_database) AS database_bytes,
       (SELECT greatest(coalesce(max(reltuples), 0), 0)::bigint FROM pg_class WHERE relkind IN ('r', 'm')) AS largest_table_rows
  FROM pg_stat_database
