-- The size of this database, for which the server looks at every file of it.
SELECT pg_database_size(current_database()) AS database_bytes
