-- Open transactions of InnoDB with what their session does now; no statement's text. MariaDB and MySQL.
SELECT t.trx_mysql_thread_id AS thread, t.trx_id AS id, TIMESTAMPDIFF(SECOND, t.trx_started, NOW()) AS seconds,
       p.command = 'Sleep' AS idle, p.time AS state_seconds, t.trx_rows_modified AS rows_changed,
       TIMESTAMPDIFF(SECOND, t.trx_wait_started, NOW()) AS blocked_seconds
  FROM information_schema.innodb_trx t JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id
 WHERE p.id <> CONNECTION_ID()
