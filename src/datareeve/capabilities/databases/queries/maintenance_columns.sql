-- The columns of a table with the statistics target that is set for each (NULL: the server's default), and its extended statistics.
SELECT a.attname AS name, nullif(a.attstattarget, -1) AS target,
       coalesce((SELECT json_agg(DISTINCT s.stxname::text) FROM pg_statistic_ext s WHERE s.stxrelid = a.attrelid AND a.attnum = ANY (s.stxkeys)), '[]') AS extended
  FROM pg_attribute a
 WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
 ORDER BY a.attnum
