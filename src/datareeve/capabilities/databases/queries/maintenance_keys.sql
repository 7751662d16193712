-- Whether a table has a primary key, or a unique index over columns that are never null: what pg_repack tells rows by.
SELECT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = to_regclass(%(table)s) AND i.indisvalid AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL
                  AND (i.indisprimary OR NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey) AND NOT a.attnotnull)))
