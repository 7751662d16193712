-- One part of a UNION ALL: of the values in the first rows of a column, how many are found in a key. Refutes cheaply; proves nothing.
SELECT {number} AS number, count(*) AS values, count(k.{key}) AS found
  FROM (SELECT DISTINCT {columns} AS v FROM (SELECT {columns} FROM {table} WHERE {present} LIMIT {limit}) AS head) AS d
  LEFT JOIN {target} k ON k.{key} = d.v
