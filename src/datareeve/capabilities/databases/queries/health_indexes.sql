-- Indexes that cost and give nothing: left invalid by a failed build (not those being built now), equal to another, or never used and large.
-- Those that begin with the same column and are as wide are compared in full, no others.
WITH alike AS MATERIALIZED (
       SELECT indrelid, indkey[0] AS first, indnatts FROM pg_index WHERE indisvalid AND indrelid >= 16384
        GROUP BY 1, 2, 3 HAVING count(*) > 1),
     troubled AS MATERIALIZED (
       SELECT indexrelid, 'invalid' AS trouble, NULL::oid AS same_as
         FROM pg_index i
        WHERE NOT indisvalid
          AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p
                           WHERE p.datname = current_database() AND coalesce(p.index_relid, 0) IN (0, i.indexrelid))
       UNION ALL
       (SELECT (array_agg(i.indexrelid ORDER BY indisprimary, indisunique, i.indexrelid DESC))[1], 'duplicate',
               (array_agg(i.indexrelid ORDER BY indisprimary, indisunique, i.indexrelid DESC))[2]
          FROM pg_index i
          JOIN alike a ON a.indrelid = i.indrelid AND a.first = i.indkey[0] AND a.indnatts = i.indnatts
          JOIN pg_class c ON c.oid = i.indexrelid AND c.relkind = 'i'
         WHERE indisvalid
         GROUP BY i.indrelid, c.relam, i.indkey::text, i.indclass::text, i.indcollation::text, i.indoption::text, i.indexprs::text, i.indpred::text,
                  i.indnkeyatts
        HAVING count(*) > 1 LIMIT 20)
       UNION ALL
       (SELECT c.oid, 'unused', NULL
          FROM pg_class c
         WHERE c.relkind = 'i' AND c.relpages >= 1280 AND c.oid >= 16384 AND pg_stat_get_numscans(c.oid) = 0
           AND (SELECT NOT i.indisunique AND i.indisvalid FROM pg_index i WHERE i.indexrelid = c.oid)
         ORDER BY c.relpages DESC LIMIT 20))
SELECT d.trouble, n.nspname AS schema_name, c.relname AS name, t.relname AS "table", 8192::bigint * c.relpages AS bytes, o.relname AS same_as
  FROM troubled d
  JOIN pg_index i ON i.indexrelid = d.indexrelid
  JOIN pg_class c ON c.oid = d.indexrelid AND c.relkind = 'i'
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname !~ '^(pg_|information_schema$)'
  LEFT JOIN pg_class o ON o.oid = d.same_as
 ORDER BY c.relpages DESC
 LIMIT 100
