-- One part of a UNION ALL: the exact count of values and rows whose reference has no target, and the most frequent 20 such keys.
SELECT {number} AS number, count(*) AS values, coalesce(sum(d.n), 0)::bigint AS rows,
       count(*) FILTER (WHERE k.{key} IS NULL) AS orphan_values,
       coalesce(sum(d.n) FILTER (WHERE k.{key} IS NULL), 0)::bigint AS orphan_rows,
       coalesce((array_agg({shown} ORDER BY d.n DESC, {shown}) FILTER (WHERE k.{key} IS NULL))[1:20], '{{}}') AS orphan_keys
  FROM (SELECT {columns}, count(*) AS n FROM {table} WHERE {present} GROUP BY {columns}) AS d
  LEFT JOIN {target} k ON {match}
