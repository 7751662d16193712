-- What the space that the largest B-trees should need is estimated from: rows, fill factor, and each column's length, alignment, average width
-- and number of distinct values. `merges`: equal keys are stored once (deduplication, which needs types whose equal values are identical).
WITH large AS MATERIALIZED (
       SELECT i.indexrelid, i.indrelid, i.indkey, i.indisunique, i.indnatts, i.indnkeyatts, c.relname, c.reloptions,
              c.reltuples * greatest(pg_stat_get_live_tuples(t.oid) / nullif(greatest(t.reltuples, 0), 0), 1) AS reltuples,
              n.nspname, t.relname AS tablename
         FROM pg_class c
         JOIN pg_am m ON m.oid = c.relam AND m.amname = 'btree'
         JOIN pg_index i ON i.indexrelid = c.oid AND i.indisvalid
         JOIN pg_class t ON t.oid = i.indrelid
         JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'i' AND c.relpersistence <> 't' AND c.relpages >= 1280 AND c.reltuples >= 0
          AND n.nspname !~ '^(pg_|information_schema$)'
          AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation IN (c.oid, t.oid) AND l.mode = 'AccessExclusiveLock')
        ORDER BY c.relpages DESC
        LIMIT 50)
SELECT x.indexrelid::bigint AS oid,
       x.nspname AS schema_name,
       x.relname AS name,
       x.tablename AS "table",
       pg_relation_size(x.indexrelid) AS bytes,
       x.reltuples AS live_rows,
       coalesce((SELECT option_value::int FROM pg_options_to_table(x.reloptions) WHERE option_name = 'fillfactor'), 90) AS fill_percent,
       NOT x.indisunique AND x.indnatts = x.indnkeyatts AND v.identical
         AND coalesce(x.reloptions::text !~ 'deduplicate_items=(off|false|no|0)', true) AS merges,
       v.columns
  FROM large x,
       LATERAL (SELECT jsonb_agg(jsonb_build_array(a.attlen, a.attalign, s.avg_width, s.null_frac, s.n_distinct) ORDER BY a.attnum) AS columns,
                       bool_and(y.typcategory NOT IN ('A', 'R', 'C') AND y.typname NOT IN ('numeric', 'float4', 'float8', 'jsonb')) AS identical
                  FROM pg_attribute a
                  JOIN pg_type y ON y.oid = a.atttypid
                  LEFT JOIN pg_attribute o ON o.attrelid = x.indrelid AND o.attnum = x.indkey[a.attnum - 1] AND o.attnum > 0
                  LEFT JOIN pg_stats s ON s.schemaname = x.nspname AND NOT s.inherited
                                      AND s.tablename = CASE WHEN o.attnum IS NULL THEN x.relname ELSE x.tablename END
                                      AND s.attname = coalesce(o.attname, a.attname)
                 WHERE a.attrelid = x.indexrelid AND a.attnum > 0) AS v
