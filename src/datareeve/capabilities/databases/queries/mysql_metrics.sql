-- Counters that MySQL shows among the metrics of InnoDB, and MariaDB as status. MySQL 8.
SELECT name, count AS value FROM information_schema.innodb_metrics
 WHERE name IN ('trx_rseg_history_len', 'lock_deadlocks', 'log_lsn_checkpoint_age', 'log_max_modified_age_async')
