-- The exact count of values and rows whose reference has no target; no value of them. MariaDB, MySQL, SQLite and DuckDB.
SELECT {number} AS number, COUNT(*) AS value_count, COALESCE(SUM(d.n), 0) AS row_count,
       COALESCE(SUM(CASE WHEN k.{key} IS NULL THEN 1 ELSE 0 END), 0) AS orphan_values,
       COALESCE(SUM(CASE WHEN k.{key} IS NULL THEN d.n ELSE 0 END), 0) AS orphan_rows
  FROM (SELECT {columns}, COUNT(*) AS n FROM {table} WHERE {present} GROUP BY {columns}) AS d
  LEFT JOIN {target} AS k ON {match}
