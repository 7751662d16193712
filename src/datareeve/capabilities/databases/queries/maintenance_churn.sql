-- Tables with what was written in them since the server began to count, how, and the storage parameters that are set for them.
SELECT n.nspname AS schema_name, c.relname AS name, greatest(c.reltuples, 0)::bigint AS rows, c.relpages AS pages,
       s.n_tup_ins AS inserted, s.n_tup_upd AS updated, s.n_tup_del AS deleted, s.n_tup_hot_upd AS hot_updated,
       (to_jsonb(s) ->> 'n_tup_newpage_upd')::bigint AS moved_updated, s.n_live_tup AS live_rows, s.n_dead_tup AS dead_rows,
       age(c.relfrozenxid) AS xid_age,
       coalesce((SELECT json_object_agg(option_name, option_value) FROM pg_options_to_table(c.reloptions)), '{}') AS options,
       pg_has_role(session_user, c.relowner, 'USAGE') AS is_owner
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_stat_all_tables s ON s.relid = c.oid
 WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND (%(schemas)s::text[] = '{}' OR n.nspname = ANY(%(schemas)s))
   AND (%(table)s::text IS NULL OR c.relname = %(table)s)
 ORDER BY 1, 2
