-- Every key column of every index in order; name is NULL for an expression, origin c is CREATE INDEX, u and pk are constraints. SQLite.
SELECT l.name AS "table", i.name, i."unique", i.origin, i.partial, x.name AS column, m.sql AS definition
  FROM pragma_table_list AS l, pragma_index_list(l.name) AS i, pragma_index_xinfo(i.name) AS x
  LEFT JOIN sqlite_master AS m ON m.type = 'index' AND m.name = i.name
 WHERE l.schema = 'main' AND l.type = 'table' AND x.key = 1
 ORDER BY l.name, i.name, x.seqno
