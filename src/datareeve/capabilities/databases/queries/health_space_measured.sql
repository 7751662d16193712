-- Free and dead space of a few tables, measured by pgstattuple_approx; {schema} is where the extension is. Pages known to be all visible are not read.
SELECT t.oid::bigint AS oid, a.approx_free_percent + a.dead_tuple_percent AS free_percent
  FROM unnest(%(tables)s::oid[]) AS t(oid), LATERAL {schema}.pgstattuple_approx(t.oid::regclass) AS a
UNION ALL
SELECT x.oid::bigint, CASE WHEN b.avg_leaf_density > 0 THEN 100 - b.avg_leaf_density ELSE 0 END
  FROM unnest(%(indexes)s::oid[]) AS x(oid), LATERAL {schema}.pgstatindex(x.oid::regclass) AS b
