-- Which of the settings named the login role may store with ALTER SYSTEM without being superuser (version 15 and newer).
SELECT name FROM unnest(%(names)s::text[]) AS name
 WHERE has_parameter_privilege(session_user, name, 'ALTER SYSTEM')
 ORDER BY name
