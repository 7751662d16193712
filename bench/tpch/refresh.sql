-- What RF1 inserts and RF2 deletes (specification, section 2.5), made beforehand in a schema of its own so that making it is not measured.
-- As dbgen does, the new orders take the free keys between the existing ones (8 of each 32 are taken), each set a stretch of them; their
-- other columns are those of orders drawn evenly over all dates. A set has 0.1 % of the orders, with their lineitems; there are 20 sets.
CREATE SCHEMA refresh;
CREATE TABLE refresh.keys AS
  SELECT o_orderkey AS old, ((n / 8) * 32 + 8 + n % 8)::integer AS new, (n / (total / 1000))::integer AS set
  FROM (SELECT o_orderkey, row_number() OVER (ORDER BY md5(o_orderkey::text)) AS n, count(*) OVER () AS total FROM orders) AS shuffled
  WHERE n < (total / 1000) * 20;
CREATE TABLE refresh.orders AS
  SELECT set, new AS o_orderkey, o_custkey, o_orderstatus, o_totalprice, o_orderdate, o_orderpriority, o_clerk, o_shippriority, o_comment
  FROM refresh.keys JOIN orders ON o_orderkey = old ORDER BY new;
CREATE TABLE refresh.lineitem AS
  SELECT set, new AS l_orderkey, l_partkey, l_suppkey, l_linenumber, l_quantity, l_extendedprice, l_discount, l_tax, l_returnflag,
    l_linestatus, l_shipdate, l_commitdate, l_receiptdate, l_shipinstruct, l_shipmode, l_comment
  FROM refresh.keys JOIN lineitem ON l_orderkey = old ORDER BY new, l_linenumber;
CREATE INDEX ON refresh.orders (set);
CREATE INDEX ON refresh.lineitem (set);
DROP TABLE refresh.keys;
