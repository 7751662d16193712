-- What the catalog guarantees: validated keys, references and conditions, and unique indexes that are whole and valid. `i`: any usable index.
SELECT k.conrelid::bigint AS oid, k.contype::text AS kind,
       (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
        JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.attnum) AS columns,
       (SELECT n.nspname || '.' || c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace WHERE c.oid = k.confrelid) AS references_table,
       (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, place)
        JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.attnum) AS references_columns,
       CASE WHEN k.contype = 'c' THEN pg_get_expr(k.conbin, k.conrelid) END AS expression, false AS nulls_equal
FROM pg_constraint AS k
WHERE k.conrelid = ANY (%(oids)s::oid[]) AND k.contype IN ('f', 'c') AND k.convalidated AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
      AND NOT (k.contype = 'c' AND k.connoinherit)
      AND coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false) IS FALSE
      -- Triggers that keep a reference can be switched off by hand, on one partition too; what a subscription applies fires none of them.
      AND (k.contype <> 'f' OR NOT EXISTS (
          WITH RECURSIVE below AS (SELECT k.oid UNION ALL SELECT c.oid FROM pg_constraint AS c JOIN below AS b ON c.conparentid = b.oid)
          SELECT 1 FROM below AS b JOIN pg_trigger AS g ON g.tgconstraint = b.oid WHERE g.tgenabled IN ('D', 'R')))
      AND (k.contype <> 'f' OR NOT EXISTS (
          SELECT 1 FROM pg_subscription_rel AS s WHERE s.srrelid = k.conrelid OR s.srrelid IN (SELECT t.relid FROM pg_partition_tree(k.conrelid) AS t)))
UNION ALL
SELECT i.indrelid::bigint, kind.kind,
       (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(i.indkey::smallint[]) WITH ORDINALITY AS u (attnum, place)
        JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = u.attnum WHERE u.place <= i.indnkeyatts),
       NULL, NULL, NULL, coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false)
FROM pg_index AS i CROSS JOIN LATERAL (SELECT CASE WHEN i.indisprimary THEN 'p' WHEN i.indisunique THEN 'u' ELSE 'i' END AS kind) AS kind
WHERE i.indrelid = ANY (%(oids)s::oid[]) AND i.indisvalid AND i.indisready AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
      AND 0 <> ALL (i.indkey::smallint[])
