-- How many roles with a login have their password stored as SCRAM and as md5, and whether this role's is SCRAM. No verifier is read out.
SELECT count(*) FILTER (WHERE rolpassword LIKE 'SCRAM-SHA-256$%') AS scram,
       count(*) FILTER (WHERE rolpassword LIKE 'md5%') AS md5,
       coalesce(bool_or(rolpassword LIKE 'SCRAM-SHA-256$%') FILTER (WHERE rolname = session_user), false) AS own
  FROM pg_authid
 WHERE rolcanlogin
