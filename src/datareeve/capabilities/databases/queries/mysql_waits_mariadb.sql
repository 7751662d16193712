-- Which transaction of InnoDB waits for which. MariaDB.
SELECT w.requesting_trx_id AS waiting, w.blocking_trx_id AS holding FROM information_schema.innodb_lock_waits w
