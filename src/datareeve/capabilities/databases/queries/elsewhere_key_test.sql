-- How many rows a would-be key has, how many of them repeat another row's key, how many hold a null in it. MariaDB, MySQL, SQLite and DuckDB.
SELECT {number} AS number, COALESCE(SUM(n), 0) AS row_count,
       COALESCE(SUM(CASE WHEN nulls = 0 THEN n - 1 ELSE 0 END), 0) AS repeated,
       COALESCE(SUM(CASE WHEN nulls > 0 THEN n ELSE 0 END), 0) AS nulls
  FROM (SELECT COUNT(*) AS n, {null_count} AS nulls FROM {source} GROUP BY {columns}) AS g
