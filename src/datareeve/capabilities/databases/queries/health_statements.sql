-- Calls and their time in this database, from pg_stat_statements; {schema} is where the extension is.
SELECT coalesce(sum(calls), 0) AS queries_total, coalesce(sum(total_exec_time), 0) AS query_ms_total
  FROM {schema}.pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
