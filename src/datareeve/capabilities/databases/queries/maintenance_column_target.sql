-- The statistics target that is set for a column; NULL where the server's default holds.
SELECT nullif(attstattarget, -1) FROM pg_attribute WHERE attrelid = to_regclass(%(table)s) AND attname = %(column)s
