-- Whether an index is valid and in another file than it was.
SELECT i.indisvalid AND i.indisready AND pg_relation_filenode(i.indexrelid) <> %(filenode)s FROM pg_index i WHERE i.indexrelid = to_regclass(%(index)s)
