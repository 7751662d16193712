-- The fullest sequences, against the smaller of their own limit and what the column they feed can hold. Those that can count to the end of
-- bigint are passed over unread; only of a sequence of bigint is the column looked at, for others are made as wide as theirs. Of very many, those
-- whose table took most rows are read. Names are looked up last, for the few that are told.
WITH feeds AS (
       SELECT s.seqrelid, d.refobjid, d.refobjsubid, s.seqmax,
              CASE WHEN s.seqmax > 2147483647 THEN (SELECT CASE a.atttypid WHEN 'int2'::regtype THEN 32767 WHEN 'int4'::regtype THEN 2147483647 END
                                                 FROM pg_attribute a WHERE a.attrelid = d.refobjid AND a.attnum = d.refobjsubid) END AS column_max
         FROM pg_sequence s
         LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid
                              AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
        WHERE s.seqincrement > 0 AND NOT s.seqcycle
        ORDER BY pg_stat_get_tuples_inserted(d.refobjid) DESC NULLS LAST
        LIMIT 3000),
     fullest AS (
       SELECT seqrelid, refobjid, last_value, highest_value, round(100.0 * last_value / highest_value, 2) AS used_percent
         FROM (SELECT seqrelid, refobjid, least(seqmax, column_max) AS highest_value,
                      CASE WHEN has_sequence_privilege(seqrelid, 'SELECT,USAGE')
                                AND (SELECT c.relpersistence = 'p' OR c.relpersistence = 'u' AND NOT pg_is_in_recovery() FROM pg_class c WHERE c.oid = seqrelid)
                           THEN pg_sequence_last_value(seqrelid) END AS last_value
                 FROM feeds WHERE least(seqmax, column_max) < 9223372036854775807) AS ascending
        WHERE last_value > 0
        ORDER BY 5 DESC
        LIMIT 20)
SELECT n.nspname AS schema_name, c.relname AS name, t.relname AS "table", f.last_value, f.highest_value, f.used_percent
  FROM fullest f
  JOIN pg_class c ON c.oid = f.seqrelid
  JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class t ON t.oid = f.refobjid
 ORDER BY f.used_percent DESC
