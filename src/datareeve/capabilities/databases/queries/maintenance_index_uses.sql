-- Every index of our schemas with its definition in comparable parts, how it is used, and what depends on it.
SELECT n.nspname AS schema_name, c.relname AS name, format('%%I.%%I', tn.nspname, t.relname) AS "table", m.amname AS method,
       pg_get_indexdef(c.oid) AS definition, i.indisvalid AND i.indisready AS is_valid, i.indisunique AS is_unique,
       ARRAY(SELECT pg_get_indexdef(c.oid, k, true) || ' ' || coalesce(i.indclass[k - 1]::text, '') || ' ' || coalesce(i.indcollation[k - 1]::text, '') || ' ' || coalesce(i.indoption[k - 1]::text, '')
               FROM generate_series(1, i.indnkeyatts) AS k ORDER BY k) AS keys,
       ARRAY(SELECT pg_get_indexdef(c.oid, k, true) FROM generate_series(i.indnkeyatts + 1, i.indnatts) AS k ORDER BY 1) AS included,
       ARRAY(SELECT a.attname::text FROM generate_series(1, i.indnkeyatts) AS k LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = i.indkey[k - 1] ORDER BY k) AS columns,
       coalesce(pg_get_expr(i.indpred, i.indrelid), '') AS predicate, coalesce(c.reloptions::text, '') AS options,
       coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) AS nulls_not_distinct,
       pg_relation_size(c.oid) AS bytes, coalesce(s.idx_scan, 0) AS scans, to_jsonb(s) ->> 'last_idx_scan' AS last_scan,
       obj_description(c.oid, 'pg_class') AS comment, (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace) AS tablespace,
       i.indisclustered AS is_clustered, i.indisreplident AS is_replica_identity, c.relispartition AS is_partition,
       coalesce((SELECT array_agg(format('%%s %%s on %%s',
                          CASE k.contype WHEN 'p' THEN 'the primary key' WHEN 'u' THEN 'the unique constraint'
                                         WHEN 'f' THEN 'the target of the foreign key' ELSE 'the constraint' END,
                          k.conname, k.conrelid::regclass) ORDER BY k.contype, k.conname)
                   FROM pg_constraint k WHERE k.conindid = c.oid), '{}')::text[] AS constraints,
       ARRAY(SELECT k.conname::text FROM pg_constraint k
              WHERE k.contype = 'f' AND k.conrelid = t.oid
                AND (SELECT array_agg(x ORDER BY x) FROM unnest(k.conkey) AS x)
                  = (SELECT array_agg(x ORDER BY x) FROM unnest((i.indkey::int2[])[0:cardinality(k.conkey) - 1]) AS x)
              ORDER BY 1) AS serves_foreign_keys,
       EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.datname = current_database() AND coalesce(p.index_relid, 0) IN (0, c.oid) AND p.relid = t.oid) AS is_building
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_namespace tn ON tn.oid = t.relnamespace
  JOIN pg_am m ON m.oid = c.relam
  LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = c.oid
 WHERE c.relkind = 'i' AND t.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND (%(schemas)s::text[] = '{}' OR n.nspname = ANY(%(schemas)s))
 ORDER BY 1, 2
