-- How the server checks a login of this role to this database from 127.0.0.1 without TLS: the first rule of pg_hba.conf that matches.
SELECT auth_method
  FROM pg_hba_file_rules
 WHERE error IS NULL
   AND type IN ('host', 'hostnossl')
   AND database && ARRAY['all', current_database()::text]
   AND user_name && ARRAY['all', session_user::text]
   AND CASE WHEN address IN ('all', 'localhost', 'samehost', 'samenet') THEN true
            WHEN address ~ '^[0-9.]+$' THEN address::inet & netmask::inet = '127.0.0.1'::inet & netmask::inet
            ELSE false END
 ORDER BY line_number
 LIMIT 1
