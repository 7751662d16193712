-- Of the values in the first rows of a column, how many are found in a key. Refutes cheaply; proves nothing. MariaDB, MySQL, SQLite and DuckDB.
SELECT {number} AS number, COUNT(*) AS value_count, COUNT(k.{key}) AS found
  FROM (SELECT DISTINCT {columns} AS v FROM (SELECT {columns} FROM {table} WHERE {present} LIMIT {limit}) AS head) AS d
  LEFT JOIN {target} AS k ON k.{key} = d.v
