-- The extensions that are installed in this database.
SELECT extname FROM pg_extension ORDER BY 1
