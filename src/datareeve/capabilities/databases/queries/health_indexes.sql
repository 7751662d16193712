-- Indexes that a failed or cancelled build left invalid; those being built at this moment are not among them.
SELECT n.nspname AS schema_name, c.relname AS name, t.relname AS "table", pg_relation_size(c.oid) AS bytes
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_'
   AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p
                    WHERE p.datname = current_database() AND coalesce(p.index_relid, 0) IN (0, c.oid))
 ORDER BY bytes DESC
 LIMIT 100
