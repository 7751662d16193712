"""A small shop with the shapes of TPC-H (orders, their lines, products), made by the server itself: the same rows every time."""

SCHEMA = (
    "CREATE TABLE customer (id int PRIMARY KEY, name varchar(25) NOT NULL, phone char(15), segment char(10), boss int REFERENCES customer)",
    "CREATE TABLE product (id int PRIMARY KEY, brand char(10), kind varchar(25), size int, tags text[])",
    "CREATE TABLE stock (product int REFERENCES product, place int, held int, PRIMARY KEY (product, place))",
    (
        "CREATE TABLE orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES customer, day date, total numeric(15,2), priority char(15),"
        " comment varchar(79))"
    ),
    (
        "CREATE TABLE line (orders int NOT NULL REFERENCES orders, number int, product int, place int, quantity numeric(15,2), price numeric(15,2),"
        " shipped date, mode char(10), note text, FOREIGN KEY (product, place) REFERENCES stock, PRIMARY KEY (orders, number))"
    ),
)


def rows(scale: int) -> tuple[str, ...]:
    """Statements that fill it: `scale` orders, and four lines each on average."""
    customers, products = scale // 10, scale // 8
    return (
        "SELECT setseed(0.5)",
        (
            "INSERT INTO customer SELECT n, 'Customer#' || lpad(n::text, 9, '0'), '10-' || lpad((n * 7919 % 1000000)::text, 7, '0'), 'SEG' || n % 5,"
            f" CASE WHEN n > 20 THEN n / 20 END FROM generate_series(1, {customers}) n"
        ),
        (
            "INSERT INTO product SELECT n, 'Brand#' || abs(hashint4(n)) % 25, (ARRAY['STANDARD','SMALL','LARGE'])[n % 3 + 1] || ' ' || n % 50, n % 50,"
            f" ARRAY['t' || n % 7, 't' || n % 11] FROM generate_series(1, {products}) n"
        ),
        f"INSERT INTO stock SELECT n, p, n * p % 1000 FROM generate_series(1, {products}) n, generate_series(1, 4) p",
        (
            f"INSERT INTO orders SELECT n, 1 + floor(random() * {customers}), date '1992-01-01' + floor(random() * 2400)::int,"
            " (random() * 400000)::numeric(15,2), n % 5 || '-URGENT', md5(n::text) || CASE WHEN n % 2 = 0 THEN md5((n + 1)::text) ELSE '' END"
            f" FROM generate_series(1, {scale}) n"
        ),
        (
            f"INSERT INTO line SELECT n, k, 1 + floor(random() * {products}), 1 + floor(random() * 4), 1 + floor(random() * 50),"
            " (random() * 100000)::numeric(15,2), date '1992-01-01' + floor(random() * 2500)::int, (ARRAY['AIR','RAIL','SHIP','TRUCK'])[1 + n % 4],"
            " CASE WHEN k = 1 THEN md5(random()::text) END"
            f" FROM generate_series(1, {scale}) n, LATERAL generate_series(1, 1 + n % 7) k"
        ),
        "VACUUM ANALYZE",
    )


WORKLOAD = """SELECT sum(price) FROM line WHERE shipped >= date '1996-01-01' AND shipped < date '1996-01-08';
SELECT o.id, count(*) FROM orders o JOIN line l ON l.orders = o.id WHERE o.customer = 77 GROUP BY o.id;
SELECT c.name, sum(o.total) FROM customer c JOIN orders o ON o.customer = c.id WHERE o.day = date '1995-03-04' GROUP BY c.name;
SELECT p.kind, sum(l.quantity) FROM line l JOIN product p ON p.id = l.product WHERE p.brand = 'Brand#12' GROUP BY p.kind ORDER BY p.kind;
SELECT * FROM orders WHERE id = 4711;
SELECT * FROM line WHERE orders = 99 AND number = 1;
UPDATE stock SET held = held - 1 WHERE product = 5 AND place = 2;
SELECT max(day) FROM orders WHERE comment LIKE 'ab%';
"""

# What makes it larger than the smallest copy may be.
BULK = (
    "CREATE TABLE bulk (id int PRIMARY KEY, filler text)",
    "INSERT INTO bulk SELECT n, repeat('x', 1000) FROM generate_series(1, 65000) n",
    "ANALYZE bulk",
)
