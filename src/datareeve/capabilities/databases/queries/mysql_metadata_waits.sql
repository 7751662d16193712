-- Sessions that wait for the definition of a table (ALTER, DROP, LOCK TABLES against an open transaction). MariaDB and MySQL.
SELECT p.id AS thread, p.time AS seconds FROM information_schema.processlist p WHERE p.state = 'Waiting for table metadata lock'
