-- The storage parameters of a table that are asked for, as JSON text with sorted keys; a missing one is not in it.
SELECT coalesce(jsonb_object_agg(o.option_name, o.option_value), '{}')::text
  FROM pg_class c, pg_options_to_table(c.reloptions) AS o
 WHERE c.oid = to_regclass(%(table)s) AND o.option_name = ANY (%(names)s)
