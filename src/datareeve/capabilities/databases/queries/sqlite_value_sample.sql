-- Of a column's first values, how many read as whole numbers or booleans. SQLite has no type for moments: they are text there.
SELECT {number} AS number, COUNT(v) AS value_count,
       COALESCE(SUM(typeof(v) = 'text' AND v = CAST(CAST(v AS INTEGER) AS TEXT)), 0) AS whole, 0 AS moments,
       COALESCE(SUM(lower(v) IN ('t', 'f', 'true', 'false', 'yes', 'no', 'y', 'n')), 0) AS booleans
  FROM (SELECT {column} AS v FROM {table} LIMIT {limit}) AS head
