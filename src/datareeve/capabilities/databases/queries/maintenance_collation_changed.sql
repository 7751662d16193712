-- Whether the version that a collation was recorded with is not the one the system library has now.
SELECT coalesce(collversion <> pg_collation_actual_version(oid), false) FROM pg_collation WHERE oid = to_regcollation(%(collation)s)
