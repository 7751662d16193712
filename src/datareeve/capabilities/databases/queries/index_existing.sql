-- The indexes of our schemas: keys in order, what they guarantee, whether they are valid, their size and how often they were used.
SELECT n.nspname AS schema_name, t.relname AS table_name, c.relname AS name, m.amname AS method,
       (SELECT array_agg(pg_get_indexdef(i.indexrelid, k, false) ORDER BY k) FROM generate_series(1, i.indnkeyatts) AS k)::text[] AS keys,
       i.indnatts > i.indnkeyatts AS has_included, i.indpred IS NOT NULL AS is_partial,
       (0 < ANY (i.indoption::int2[])) AS has_direction,
       EXISTS (SELECT FROM pg_opclass o WHERE o.oid = ANY (i.indclass::oid[]) AND NOT o.opcdefault) AS has_operator_class,
       i.indisunique AS is_unique, i.indisvalid AND i.indisready AS is_valid,
       EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid) AS has_constraint,
       pg_relation_size(i.indexrelid) AS bytes, coalesce(s.idx_scan, 0) AS scans
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = t.relnamespace
  JOIN pg_am m ON m.oid = c.relam
  LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = i.indexrelid
 WHERE n.nspname NOT LIKE 'pg\_%%' AND n.nspname <> 'information_schema' AND c.relkind = 'i'
   AND (%(schemas)s::text[] = '{}' OR n.nspname = ANY(%(schemas)s))
 ORDER BY 1, 2, 3
