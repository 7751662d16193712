-- Indexes that may be rebuilt, with what tells how full they are: entries, their width by the statistics, pages; and collations that have changed.
SELECT n.nspname AS schema_name, c.relname AS name, t.relname AS table_name, tn.nspname AS table_schema, m.amname AS method,
       i.indisvalid AND i.indisready AS is_valid, i.indisexclusion AS is_exclusion,
       pg_relation_size(c.oid) AS bytes, greatest(c.reltuples, 0)::bigint AS entries, c.relpages AS pages,
       pg_relation_filenode(c.oid) AS filenode,
       coalesce((SELECT option_value::int FROM pg_options_to_table(c.reloptions) WHERE option_name = 'fillfactor'), 90) AS fillfactor,
       w.width, w.columns_known,
       c.relname ~ '_cc(new|old)[0-9]*$' AND NOT i.indisvalid AS is_leftover,
       EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.datname = current_database() AND coalesce(p.index_relid, 0) IN (0, c.oid) AND p.relid = t.oid) AS is_building,
       ARRAY(SELECT DISTINCT format('%%I.%%I', cn.nspname, l.collname)
               FROM unnest(i.indcollation::oid[]) AS u (oid) JOIN pg_collation l ON l.oid = u.oid JOIN pg_namespace cn ON cn.oid = l.collnamespace
              WHERE l.collversion IS NOT NULL AND l.collversion <> pg_collation_actual_version(l.oid) ORDER BY 1) AS changed_collations,
       pg_has_role(session_user, t.relowner, 'USAGE')
         OR EXISTS (SELECT FROM pg_database d WHERE d.datname = current_database() AND pg_has_role(session_user, d.datdba, 'USAGE'))
         OR CASE WHEN current_setting('server_version_num')::int >= 170000 THEN has_table_privilege(session_user, t.oid, 'MAINTAIN') ELSE false END AS may_maintain
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_namespace tn ON tn.oid = t.relnamespace
  JOIN pg_am m ON m.oid = c.relam
  LEFT JOIN LATERAL (SELECT sum((1 - s.null_frac) * s.avg_width)::float8 AS width, count(s.attname) = i.indnatts AS columns_known
                       FROM pg_attribute a
                       LEFT JOIN pg_attribute ta ON ta.attrelid = t.oid AND ta.attnum = i.indkey[a.attnum - 1]
                       LEFT JOIN pg_stats s ON s.schemaname = tn.nspname AND NOT s.inherited
                                           AND ((i.indkey[a.attnum - 1] <> 0 AND s.tablename = t.relname AND s.attname = ta.attname)
                                             OR (i.indkey[a.attnum - 1] = 0 AND s.tablename = c.relname AND s.attname = a.attname))
                      WHERE a.attrelid = c.oid) AS w ON true
 WHERE c.relkind = 'i' AND t.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND (%(schemas)s::text[] = '{}' OR n.nspname = ANY(%(schemas)s))
   AND (%(index)s::text IS NULL OR c.relname = %(index)s)
   AND (%(table)s::text IS NULL OR t.relname = %(table)s)
 ORDER BY 1, 2
