-- Of a column's first values, how many read as whole numbers, moments or booleans. DuckDB.
SELECT {number} AS number, COUNT(v) AS value_count,
       COUNT(*) FILTER (WHERE regexp_full_match(v, '-?(0|[1-9][0-9]{{0,17}})([.]0+)?')) AS whole,
       COUNT(*) FILTER (WHERE regexp_full_match(v, '[0-9]{{4}}-[01][0-9]-[0-3][0-9]([ T][0-2][0-9]:[0-5][0-9].*)?')) AS moments,
       COUNT(*) FILTER (WHERE lower(v) IN ('t', 'f', 'true', 'false', 'yes', 'no', 'y', 'n')) AS booleans
  FROM (SELECT CAST({column} AS VARCHAR) AS v FROM {table} LIMIT {limit}) AS head
