-- How many seconds a WAL segment may stay open, and so unarchived, while work is committed; NULL where there is no limit.
SELECT nullif(extract(epoch FROM current_setting('archive_timeout')::interval)::int, 0)
