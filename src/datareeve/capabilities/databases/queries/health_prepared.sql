-- Prepared transactions of every database of the server, oldest first: they hold their locks and the horizon of vacuum until someone ends them.
SELECT gid AS name,
       database,
       extract(epoch FROM clock_timestamp() - prepared) AS seconds,
       age(transaction) AS xmin_age
  FROM pg_prepared_xacts
 ORDER BY prepared
 LIMIT 50
