-- Whether an extension is created in this database.
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = %(name)s)
