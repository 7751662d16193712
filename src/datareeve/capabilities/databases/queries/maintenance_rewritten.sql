-- Whether a table's or an index's file is another one than it was.
SELECT pg_relation_filenode(c.oid) <> %(filenode)s FROM pg_class c WHERE c.oid = to_regclass(%(relation)s)
