-- What the space that the largest tables should need is estimated from: rows, fill factor, and each column's length, alignment and average width.
-- Rows are those counted last or those known to have come since, whichever is more: rather too little told than too much.
-- Widths are NULL where a column was never analysed or may not be read. Below 10 MiB a table cannot waste what is worth a word.
WITH large AS MATERIALIZED (
       SELECT c.oid, c.relname, n.nspname, c.relnatts, c.reloptions,
              greatest(c.reltuples, pg_stat_get_live_tuples(c.oid)) AS live
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'm') AND c.relpersistence <> 't' AND c.relpages >= 1280 AND c.reltuples >= 0
          AND n.nspname !~ '^(pg_|information_schema$)'
          AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.mode = 'AccessExclusiveLock')
        ORDER BY c.relpages DESC
        LIMIT 50)
SELECT t.oid::bigint AS oid,
       t.nspname AS schema_name,
       t.relname AS name,
       pg_relation_size(t.oid) AS bytes,
       t.live AS live_rows,
       t.relnatts AS attributes,
       coalesce((SELECT option_value::int FROM pg_options_to_table(t.reloptions) WHERE option_name = 'fillfactor'), 100) AS fill_percent,
       (SELECT jsonb_agg(jsonb_build_array(a.attlen, a.attalign, s.avg_width, s.null_frac) ORDER BY a.attnum)
          FROM pg_attribute a
          LEFT JOIN pg_stats s ON s.schemaname = t.nspname AND s.tablename = t.relname AND s.attname = a.attname AND NOT s.inherited
         WHERE a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
           AND coalesce(to_jsonb(a) ->> 'attgenerated', '') <> 'v') AS columns
  FROM large t
