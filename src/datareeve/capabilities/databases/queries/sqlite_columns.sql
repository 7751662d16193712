-- Every column of every table and view in order; hidden: 0 ordinary, 2 and 3 generated. SQLite.
SELECT l.name AS "table", c.name, c.type, c."notnull" AS not_null, c.dflt_value AS "default", c.pk AS key_place, c.hidden
  FROM pragma_table_list AS l, pragma_table_xinfo(l.name) AS c
 WHERE l.schema = 'main' AND l.type IN ('table', 'view') AND c.hidden <> 1 AND l.name NOT LIKE 'sqlite\_%' ESCAPE '\'
 ORDER BY l.name, c.cid
