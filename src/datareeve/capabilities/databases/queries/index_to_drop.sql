-- An index with its definition, use and size, and what rests on it.
SELECT format('%%I.%%I', n.nspname, t.relname) AS "table", pg_get_indexdef(c.oid) AS definition, i.indisvalid AS is_valid,
       pg_relation_size(c.oid) AS bytes, coalesce(s.idx_scan, 0) AS scans, obj_description(c.oid, 'pg_class') AS comment,
       (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace) AS tablespace,
       i.indisclustered AS is_clustered, i.indisreplident AS is_replica_identity, c.relispartition OR c.relkind = 'I' AS is_partition,
       coalesce((SELECT array_agg(format('%%s %%s on %%s',
                          CASE k.contype WHEN 'p' THEN 'the primary key' WHEN 'u' THEN 'the unique constraint'
                                         WHEN 'f' THEN 'the target of the foreign key' ELSE 'the constraint' END,
                          k.conname, k.conrelid::regclass) ORDER BY k.contype, k.conname)
                   FROM pg_constraint k WHERE k.conindid = c.oid), '{}')::text[] AS constraints
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = c.oid
 WHERE n.nspname = %(schema)s AND c.relname = %(index)s
