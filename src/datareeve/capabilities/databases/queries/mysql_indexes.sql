-- Every column of every index of the wanted databases in order. `part` is the length of a prefix. MariaDB and MySQL.
SELECT s.table_schema AS `schema`, s.table_name AS `table`, s.index_name AS name, s.column_name AS `column`, s.sub_part AS part,
       s.non_unique AS repeats, s.index_type AS type, s.cardinality AS cardinality
  FROM information_schema.statistics s
 WHERE s.table_schema IN %(schemas)s
 ORDER BY s.table_schema, s.table_name, s.index_name, s.seq_in_index
