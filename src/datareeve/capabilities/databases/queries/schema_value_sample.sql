-- One part of a UNION ALL: of the first rows' values of some columns, how many read as whole numbers, moments or booleans.
SELECT {number} AS number, l.place, count(l.v) AS values,
       count(*) FILTER (WHERE l.v ~ '^-?(0|[1-9][0-9]{{0,17}})(\.0+)?$') AS whole,
       count(*) FILTER (WHERE l.v ~ '^[0-9]{{4}}-[01][0-9]-[0-3][0-9]([ T][0-2][0-9]:[0-5][0-9].*)?$') AS moments,
       count(*) FILTER (WHERE lower(l.v) IN ('t', 'f', 'true', 'false', 'yes', 'no', 'y', 'n')) AS booleans
  FROM (SELECT {columns} FROM {table} LIMIT {limit}) AS head, LATERAL (VALUES {values}) AS l (place, v)
 GROUP BY l.place
