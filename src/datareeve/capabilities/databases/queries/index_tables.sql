-- The tables of our schemas with rows and pages as the planner knows them, and each column's number of distinct values (negative: a share of the rows).
SELECT n.nspname AS schema_name, c.relname AS name, greatest(c.reltuples, 0)::bigint AS rows, c.relpages AS pages,
       pg_table_size(c.oid) AS bytes,
       (SELECT json_object_agg(a.attname, coalesce(s.n_distinct, 0))
          FROM pg_attribute a
          LEFT JOIN pg_stats s ON s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname AND NOT s.inherited
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS distinct_values
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND n.nspname NOT LIKE 'pg\_%%' AND n.nspname <> 'information_schema'
   AND (%(schemas)s::text[] = '{}' OR n.nspname = ANY(%(schemas)s))
   AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
 ORDER BY 1, 2
