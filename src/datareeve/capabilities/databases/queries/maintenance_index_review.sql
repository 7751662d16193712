-- An index as it has served since it was made: scans, rows read, size; and how its table is written.
SELECT format('%%I.%%I', tn.nspname, t.relname) AS "table", t.relname AS table_name, i.indisvalid AND i.indisready AS is_valid, pg_relation_size(c.oid) AS bytes,
       coalesce(s.idx_scan, 0) AS scans, coalesce(s.idx_tup_read, 0) AS rows_read, to_jsonb(s) ->> 'last_idx_scan' AS last_scan,
       coalesce(u.n_tup_upd, 0) AS updates, coalesce(u.n_tup_hot_upd, 0) AS hot_updates, coalesce(u.n_tup_ins, 0) AS inserts,
       i.indisunique AS is_unique, EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid) AS has_constraint,
       coalesce((SELECT to_char(d.stats_reset, 'YYYY-MM-DD"T"HH24:MI:SS.USTZH:TZM') FROM pg_stat_database d WHERE d.datname = current_database()), '-infinity') AS counted_since
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_namespace tn ON tn.oid = t.relnamespace
  LEFT JOIN pg_stat_all_indexes s ON s.indexrelid = c.oid
  LEFT JOIN pg_stat_all_tables u ON u.relid = t.oid
 WHERE n.nspname = %(schema)s AND c.relname = %(index)s
