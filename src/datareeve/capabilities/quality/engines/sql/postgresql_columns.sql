-- Columns with their type below any domain, whether NULL is ruled out (validated), and whether they may be read.
WITH RECURSIVE base AS (
    SELECT t.oid AS type, t.oid AS base, t.typbasetype AS next, t.typtypmod AS mod, t.typnotnull AS not_null FROM pg_type AS t
    UNION ALL
    SELECT b.type, t.oid, t.typbasetype, CASE WHEN b.mod >= 0 THEN b.mod ELSE t.typtypmod END, b.not_null OR t.typnotnull
    FROM base AS b JOIN pg_type AS t ON t.oid = b.next WHERE b.next <> 0
)
SELECT a.attrelid::bigint AS oid, a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type, t.typname AS base,
       -- A domain's NOT NULL does not hold for what an outer join makes, but for what is stored; PostgreSQL 18 keeps NOT NULLs that were not validated.
       (a.attnotnull AND NOT EXISTS (
           SELECT 1 FROM pg_constraint AS k WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND a.attnum = ANY (k.conkey) AND (NOT k.convalidated OR k.connoinherit)
       )) AS not_null,
       CASE WHEN t.typname IN ('varchar', 'bpchar') AND greatest(a.atttypmod, b.mod) > 4 THEN greatest(a.atttypmod, b.mod) - 4 END AS max_length,
       has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS readable,
       col_description(a.attrelid, a.attnum) AS comment,
       (SELECT l.collname FROM pg_collation AS l WHERE l.oid = a.attcollation AND NOT l.collisdeterministic) AS collation,
       (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid) AS labels,
       (SELECT max(s.n_distinct) FILTER (WHERE s.n_distinct > 0)::int FROM pg_stats AS s JOIN pg_class AS c ON c.oid = a.attrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE s.schemaname = n.nspname AND s.tablename = c.relname AND s.attname = a.attname) AS distinct_values
FROM pg_attribute AS a JOIN base AS b ON b.type = a.atttypid AND b.next = 0 JOIN pg_type AS t ON t.oid = b.base
WHERE a.attrelid = ANY (%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
