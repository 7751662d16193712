-- The fullest sequences, against the smaller of their own limit and what the column they feed can hold.
SELECT schema_name, name, last_value, highest_value, round(100.0 * last_value / highest_value, 2) AS used_percent
  FROM (SELECT s.schemaname AS schema_name, s.sequencename AS name, s.last_value,
               least(s.max_value, CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 END) AS highest_value
          FROM pg_sequences s
          JOIN pg_namespace n ON n.nspname = s.schemaname
          JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = s.sequencename
          LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid
                               AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
          LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
         WHERE s.last_value > 0 AND s.increment_by > 0 AND NOT s.cycle) AS ascending
 ORDER BY used_percent DESC
 LIMIT 20
