-- Every table and view of the file. `ncol` includes hidden columns; virtual tables' own storage (shadow) is left out. SQLite.
SELECT l.name, l.type, l.wr AS without_rowid, l.strict, m.sql AS definition
  FROM pragma_table_list AS l LEFT JOIN sqlite_master AS m ON m.type IN ('table', 'view') AND m.name = l.name
 WHERE l.schema = 'main' AND l.type IN ('table', 'view', 'virtual') AND l.name NOT LIKE 'sqlite\_%' ESCAPE '\'
 ORDER BY l.name
