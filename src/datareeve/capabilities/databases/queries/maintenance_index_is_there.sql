-- Whether there is an index of that name on that table.
SELECT EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = to_regclass(%(index)s) AND i.indrelid = to_regclass(%(table)s))
