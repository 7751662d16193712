-- Which of the settings named a session may choose here; those of compilation (JIT) only where there is a compiler.
SELECT name
  FROM pg_settings
 WHERE name = ANY (%(names)s)
   AND context IN ('user', 'superuser')
   AND (name NOT LIKE 'jit%%' OR pg_jit_available())
