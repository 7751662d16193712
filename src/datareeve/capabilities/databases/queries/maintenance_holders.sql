-- Who keeps dead rows of this database alive: transactions, prepared transactions, standbys with feedback and slots, the oldest first.
SELECT who, age, since
  FROM (SELECT format('pid %%s (%%s)', a.pid, concat_ws(', ', coalesce(nullif(a.application_name, ''), a.backend_type), a.state)) AS who,
               greatest(age(a.backend_xmin), age(a.backend_xid)) AS age, a.xact_start AS since
          FROM pg_stat_activity a
         WHERE (a.datname = current_database() OR a.datname IS NULL) AND a.pid <> pg_backend_pid()
           AND a.backend_type NOT IN ('autovacuum worker', 'walsender') AND a.xact_start IS NOT NULL
           AND (a.backend_xmin IS NOT NULL OR a.backend_xid IS NOT NULL)
        UNION ALL
        SELECT 'the prepared transaction ' || coalesce(p.owner::text, ''), age(p.transaction), p.prepared
          FROM pg_prepared_xacts p WHERE p.database = current_database()
        UNION ALL
        SELECT format('the standby %%s, by its feedback', r.application_name), age(r.backend_xmin), NULL
          FROM pg_stat_replication r WHERE r.backend_xmin IS NOT NULL
        UNION ALL
        SELECT format('the replication slot %%s', s.slot_name), age(s.xmin), NULL
          FROM pg_replication_slots s WHERE s.xmin IS NOT NULL) AS one
 WHERE age >= %(transactions)s
 ORDER BY age DESC, who
 LIMIT 20
