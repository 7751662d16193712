-- Whether a session is still the one that was looked at, and does what it did then.
SELECT EXISTS (SELECT FROM pg_stat_activity a
                WHERE a.pid = %(pid)s AND a.backend_start = %(backend_start)s::timestamptz
                  AND a.xact_start IS NOT DISTINCT FROM %(xact_start)s::timestamptz
                  AND (%(query_start)s::timestamptz IS NULL OR a.query_start = %(query_start)s::timestamptz)
                  AND a.state IS NOT DISTINCT FROM %(state)s)
