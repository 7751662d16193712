-- Whether the table is there, which columns it lacks, the state of an index of that name, the table's size as the catalog estimates it, and its partitions.
SELECT t.oid IS NOT NULL AS table_exists,
       ARRAY(SELECT named FROM unnest(%(columns)s::text[]) AS named
              WHERE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attname = named AND NOT a.attisdropped)
              ORDER BY named) AS missing_columns,
       (SELECT CASE WHEN i.indisvalid AND i.indisready THEN 'valid' ELSE 'invalid' END
          FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = %(schema)s AND c.relname = %(index)s) AS index_state,
       greatest(coalesce(t.reltuples, 0), 0)::bigint AS estimated_rows,
       coalesce(pg_table_size(t.oid), 0) AS table_bytes, coalesce(t.relkind = 'p', false) AS is_partitioned,
       coalesce((SELECT json_agg(json_build_object('schema_name', n.nspname, 'name', c.relname, 'is_partitioned', c.relkind = 'p',
                                                   'is_foreign', c.relkind = 'f') ORDER BY n.nspname, c.relname)
                   FROM pg_inherits h JOIN pg_class c ON c.oid = h.inhrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE h.inhparent = t.oid AND t.relkind = 'p'), '[]') AS partitions
  FROM (SELECT 1) AS one
  LEFT JOIN (SELECT c.oid, c.reltuples, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND c.relkind IN ('r', 'p', 'm')) AS t ON true
