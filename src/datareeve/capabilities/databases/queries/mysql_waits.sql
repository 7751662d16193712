-- Which transaction of InnoDB waits for which. MySQL 8.
SELECT DISTINCT w.requesting_engine_transaction_id AS waiting, w.blocking_engine_transaction_id AS holding FROM performance_schema.data_lock_waits w
