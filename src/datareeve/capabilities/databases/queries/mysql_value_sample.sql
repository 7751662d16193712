-- Of a column's first values, how many read as whole numbers, moments or booleans. MariaDB and MySQL.
SELECT {number} AS number, COUNT(v) AS value_count,
       COALESCE(SUM(v REGEXP '^-?(0|[1-9][0-9]{{0,17}})([.]0+)?$'), 0) AS whole,
       COALESCE(SUM(v REGEXP '^[0-9]{{4}}-[01][0-9]-[0-3][0-9]([ T][0-2][0-9]:[0-5][0-9].*)?$'), 0) AS moments,
       COALESCE(SUM(LOWER(v) IN ('t', 'f', 'true', 'false', 'yes', 'no', 'y', 'n')), 0) AS booleans
  FROM (SELECT CAST({column} AS CHAR) AS v FROM {table} LIMIT {limit}) AS head
