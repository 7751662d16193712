-- Whether there is a table of that name.
SELECT to_regclass(%(table)s) IS NOT NULL
