-- Every column of every foreign key in order; the referred column is NULL where it is the other table's primary key. SQLite.
SELECT l.name AS "table", f.id, f."table" AS references_table, f."from" AS column, f."to" AS references_column, f.on_delete, f.on_update
  FROM pragma_table_list AS l, pragma_foreign_key_list(l.name) AS f
 WHERE l.schema = 'main' AND l.type = 'table'
 ORDER BY l.name, f.id, f.seq
