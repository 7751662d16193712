-- What must be known before a foreign key is added: both tables' kinds (NULL: not there), their columns by name with type, whether the referenced
-- columns are a key, and the foreign key that is there already on the same columns.
WITH child AS (SELECT c.oid, c.relkind, c.reltuples FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')),
     parent AS (SELECT c.oid, c.relkind FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                 WHERE n.nspname = %(references_schema)s AND c.relname = %(references_table)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')),
     present AS (SELECT k.conname, k.convalidated, pg_get_constraintdef(k.oid) AS definition
                   FROM pg_constraint k, child, parent
                  WHERE k.contype = 'f' AND k.conrelid = child.oid AND k.confrelid = parent.oid
                    AND %(columns)s::text[] = (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, place)
                                                 JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum)
                    AND %(references_columns)s::text[] = (SELECT array_agg(a.attname::text ORDER BY u.place) FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, place)
                                                            JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum)
                  ORDER BY k.convalidated DESC, k.conname LIMIT 1)
SELECT (SELECT relkind::text FROM child) AS table_kind,
       (SELECT relkind::text FROM parent) AS references_kind,
       coalesce((SELECT jsonb_object_agg(a.attname, format_type(a.atttypid, NULL)) FROM pg_attribute a, child
                  WHERE a.attrelid = child.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY (%(columns)s::text[])), '{}') AS types,
       coalesce((SELECT jsonb_object_agg(a.attname, format_type(a.atttypid, NULL)) FROM pg_attribute a, parent
                  WHERE a.attrelid = parent.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attname = ANY (%(references_columns)s::text[])), '{}') AS references_types,
       EXISTS (SELECT FROM pg_index i, parent
                WHERE i.indrelid = parent.oid AND i.indisunique AND i.indimmediate AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
                  AND i.indnkeyatts = cardinality(%(references_columns)s::text[])
                  AND (SELECT array_agg(a.attname::text ORDER BY a.attname) FROM pg_attribute a
                        WHERE a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
                    = (SELECT array_agg(name ORDER BY name) FROM unnest(%(references_columns)s::text[]) AS name)) AS is_key,
       (SELECT conname FROM present) AS present_name,
       (SELECT convalidated FROM present) AS present_valid,
       (SELECT definition FROM present) AS present_definition,
       EXISTS (SELECT FROM pg_constraint k, child WHERE k.conrelid = child.oid AND k.conname = %(constraint)s) AS name_taken
