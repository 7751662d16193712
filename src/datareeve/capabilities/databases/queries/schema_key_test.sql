-- One part of a UNION ALL: how many rows a would-be key has, how many of them repeat another row's key, how many hold a null in it.
SELECT {number} AS number, coalesce(sum(n), 0)::bigint AS rows,
       coalesce(sum(n - 1) FILTER (WHERE nulls = 0), 0)::bigint AS repeated,
       coalesce(sum(n) FILTER (WHERE nulls > 0), 0)::bigint AS nulls
  FROM (SELECT count(*) AS n, num_nulls({columns}) AS nulls FROM {source} GROUP BY {columns}) AS g
