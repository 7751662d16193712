-- Sessions with an open transaction, and those that block another, oldest first: since when, in what state, and which sessions each waits for,
-- with the lock and its relation. No query text. The lock table is read once.
-- pg_locks.waitstart is there from version 14; before that a wait is counted from the start of its statement. Who waits for a row waits for
-- its writer's transaction, and holds (or waits for) a tuple lock, which tells the relation.
WITH locks AS MATERIALIZED (
       SELECT l.pid, l.granted, l.locktype, l.mode,
              CASE WHEN l.database = d.oid THEN l.relation END AS relation,
              CASE WHEN NOT l.granted THEN (to_jsonb(l) ->> 'waitstart')::timestamptz END AS waitstart
         FROM pg_locks l, (SELECT oid FROM pg_database WHERE datname = current_database()) AS d
        WHERE l.pid IS DISTINCT FROM pg_backend_pid()),
     waits AS MATERIALIZED (
       SELECT DISTINCT ON (w.pid) w.pid, w.mode, w.locktype, w.waitstart,
              coalesce(w.relation, t.relation) AS relation,
              pg_blocking_pids(w.pid) AS blocked_by
         FROM locks w
         LEFT JOIN locks t ON t.pid = w.pid AND t.granted AND t.locktype = 'tuple'
        WHERE NOT w.granted
        ORDER BY w.pid),
     heads AS MATERIALIZED (SELECT DISTINCT unnest(blocked_by) AS pid FROM waits)
SELECT a.pid,
       a.state,
       a.backend_type AS kind,
       a.usename::text AS role,
       a.application_name AS application,
       coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0) AS transaction_seconds,
       coalesce(extract(epoch FROM clock_timestamp() - a.state_change), 0) AS state_seconds,
       age(a.backend_xmin) AS xmin_age,
       w.blocked_by,
       extract(epoch FROM clock_timestamp() - coalesce(w.waitstart, a.state_change)) AS blocked_seconds,
       w.mode AS waits_for,
       w.locktype AS waits_on,
       (SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = w.relation) AS relation,
       (SELECT array_agg(DISTINCT h.mode) FROM locks h
         WHERE h.pid = a.pid AND h.granted AND h.locktype = 'relation' AND h.relation IN (SELECT relation FROM waits)) AS holds
  FROM pg_stat_activity a
  LEFT JOIN waits w ON w.pid = a.pid
 WHERE a.pid <> pg_backend_pid()
   AND ((a.xact_start IS NOT NULL AND a.backend_type NOT IN ('walsender', 'parallel worker')) OR a.pid IN (SELECT pid FROM heads))
 ORDER BY a.xact_start
 LIMIT 1000
