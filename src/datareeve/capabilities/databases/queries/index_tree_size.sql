-- The size of an index, its partitions included.
SELECT coalesce((SELECT sum(pg_relation_size(t.relid)) FROM pg_partition_tree(%(name)s::regclass) AS t), pg_relation_size(%(name)s::regclass))::bigint
