-- Client sessions with an open transaction, oldest first: since when, in what state, and which sessions each waits for. No query text.
-- pg_locks.waitstart is there from version 14; before that a wait is counted from the start of its statement.
SELECT a.pid,
       a.state,
       extract(epoch FROM clock_timestamp() - a.xact_start) AS transaction_seconds,
       extract(epoch FROM clock_timestamp() - a.state_change) AS state_seconds,
       w.blocked_by,
       extract(epoch FROM clock_timestamp() - w.since) AS blocked_seconds
  FROM pg_stat_activity a
  LEFT JOIN LATERAL (SELECT pg_blocking_pids(a.pid) AS blocked_by,
                            coalesce(min((to_jsonb(l) ->> 'waitstart')::timestamptz), a.state_change) AS since
                       FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted) AS w ON a.wait_event_type = 'Lock'
 WHERE a.backend_type = 'client backend' AND a.xact_start IS NOT NULL AND a.pid <> pg_backend_pid()
 ORDER BY a.xact_start
 LIMIT 1000
