-- The tables that some statements name: columns in order with type and NOT NULL, keys (unique, all columns NOT NULL, no expression, no predicate), rough rows.
SELECT n.nspname AS schema_name, c.relname AS name, greatest(c.reltuples, 0)::float8 AS rows,
       (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, NULL), 'not_null', a.attnotnull) ORDER BY a.attnum)
          FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
       coalesce((SELECT json_agg((SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
                                   WHERE a.attrelid = c.oid AND a.attnum = ANY((x.indkey::int2[])[0:x.indnkeyatts - 1])))
                   FROM pg_index x
                  WHERE x.indrelid = c.oid AND x.indisunique AND x.indisvalid AND x.indimmediate AND x.indpred IS NULL AND x.indexprs IS NULL
                    AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = ANY((x.indkey::int2[])[0:x.indnkeyatts - 1])
                                                                 AND NOT a.attnotnull)), '[]') AS keys
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relname = ANY(%(names)s) AND c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%%'
 ORDER BY pg_table_is_visible(c.oid), n.nspname DESC
