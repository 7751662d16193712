"""The data of `script/bench quality`: 12 columns of seeded orders, made by DuckDB itself, with defects whose number is known by how they are made.

Row i (from 0) of defect k is every (rows / 20)-th one from k on: the rows of two defects never meet, and how many there are stands in `DEFECTS`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import duckdb
import peers

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = peers.FOLDER / "quality"
VERSION = "1"  # of what is made here: raise it with every change
PRODUCTS = 5_000
DAYS = 50  # each customer orders once a day
COUNTRIES = "AT BE CH DE DK ES FR GB IT NL PL SE".split()
STATUSES = "new paid sent returned cancelled".split()
DEFECTS = {  # by name: which rows of a run of (rows / 20), and how many
    "order_id twice": (1, 7),
    "email missing": (2, 12),
    "reference in small letters": (3, 11),
    "reference too long": (4, 5),
    "status renamed": (5, 9),
    "country in small letters": (6, 8),
    "customer unknown": (7, 6),
    "product unknown": (8, 4),
    "price of another unit": (9, 3),
    "weight negative": (10, 10),
    "updated before it was ordered": (11, 6),
    "cancelled without a note": (12, 13),
    "email without @": (13, 14),
    "email with a space": (14, 5),
    "card number in the note": (15, 17),
    "price of nothing": (17, 3),
    "reference twice": (18, 4),
}
SAME_DAY = (16, 2)  # a customer's order dated as the one before: from the second run of rows on


def customers(rows: int) -> int:
    """How many customers there are: each orders once a day for `DAYS` days."""
    return rows // DAYS


def _is(name: str, rows: int) -> str:
    place, count = DEFECTS[name]
    return f"(i % {rows // 20} = {place} AND i // {rows // 20} < {count})"


def _listed(words: list[str]) -> str:
    return "[" + ", ".join(f"'{word}'" for word in words) + "]"


def select(rows: int) -> str:
    """The query of all rows."""

    def h(k: int, of: int) -> str:
        return f"(hash(i * 16 + {k}) % {of})::BIGINT"

    def when(name: str, then: str, otherwise: str) -> str:
        return f"CASE WHEN {_is(name, rows)} THEN {then} ELSE {otherwise} END"

    many = customers(rows)
    letters = f"chr((65 + {h(1, 26)})::INT) || chr((65 + {h(2, 26)})::INT)"
    place, count = SAME_DAY
    same = (
        f"CASE WHEN i % {rows // 20} = {place} AND i // {rows // 20} BETWEEN 1 AND {count} THEN 1 ELSE 0 END"
    )
    twice = _is("reference twice", rows)
    # A reference is made of its own number's letters: `j` is the row that it is taken from.
    base = f"SELECT CASE WHEN {twice} THEN i - 1 ELSE i END AS j, i FROM range({rows}) AS r(i)"
    own = letters.replace("i *", "j *")
    return f"""
SELECT
  {when("order_id twice", "i", "i + 1")}::BIGINT AS order_id,
  CASE WHEN {_is("reference in small letters", rows)} THEN lower({own}) || '-' || lpad(j::VARCHAR, 8, '0')
       WHEN {_is("reference too long", rows)} THEN {own} || '-' || lpad(j::VARCHAR, 10, '0')
       ELSE {own} || '-' || lpad(j::VARCHAR, 8, '0') END AS reference,
  {when("customer unknown", f"{many} + 12345", f"(i * 7919) % {many} + 1")}::INTEGER AS customer_id,
  {when("product unknown", "999999", f"{h(3, PRODUCTS)} + 1")}::INTEGER AS product_id,
  (DATE '2026-01-01' + (i // {many})::INTEGER - ({same})) AS ordered_on,
  (TIMESTAMP '2026-01-01' + to_days((i // {many})::INTEGER - CASE WHEN {_is("updated before it was ordered", rows)} THEN 3 ELSE 0 END)
     + to_microseconds(CASE WHEN {_is("updated before it was ordered", rows)} THEN 0 ELSE {h(4, 86_400_000)} * 1000 END)) AS updated_at,
  CASE WHEN {_is("price of another unit", rows)} THEN 123456 WHEN {_is("price of nothing", rows)} THEN 0 ELSE 5 + {h(5, 99_500)} / 100.0 END::DECIMAL(12, 2) AS price,
  CASE WHEN {_is("weight negative", rows)} THEN -5 WHEN {_is("price of nothing", rows)} THEN 42 WHEN {h(6, 50)} = 0 THEN NULL ELSE 0.1 + {h(7, 49_000)} / 1000.0 END::DOUBLE AS weight,
  CASE WHEN {_is("status renamed", rows)} THEN 'Paid' WHEN {_is("cancelled without a note", rows)} THEN 'cancelled' ELSE {_listed(STATUSES)}[{h(8, 5)} + 1] END AS status,
  {when("country in small letters", "'xx'", f"{_listed(COUNTRIES)}[{h(9, 12)} + 1]")} AS country,
  CASE WHEN {_is("email missing", rows)} THEN NULL WHEN {_is("email without @", rows)} THEN 'someone.example.com' WHEN {_is("email with a space", rows)} THEN 'some one@example.com'
       ELSE ['anna', 'ben', 'chiara', 'dan', 'eva.maria', 'f_keller'][{h(10, 6)} + 1] || ({h(11, 900_000)})::VARCHAR || '@' || ['example.com', 'mail.example.org', 'post-box.net'][{h(12, 3)} + 1] END AS email,
  CASE WHEN {_is("cancelled without a note", rows)} THEN NULL WHEN {_is("card number in the note", rows)} THEN 'paid by 4111111111111111 at the desk'
       WHEN {h(13, 5)} = 0 AND {h(8, 5)} <> 4 THEN NULL
       ELSE ['please ring twice and leave it with the neighbour', 'call before delivery: 555 0199', 'gift, no invoice in the parcel', 'second try, first was on floor 3'][{h(14, 4)} + 1] || ' #' || (i % 1000)::VARCHAR END AS note
FROM ({base}) AS numbered ORDER BY i
"""


def file(rows: int) -> Path:
    """The DuckDB file with `orders`, `customers`, `products`, and the same as Parquet beside it; made when it is not there."""
    home = FOLDER / f"{rows}-{VERSION}"
    path = home / "shop.duckdb"
    if path.exists():
        return path
    home.mkdir(parents=True, exist_ok=True)
    made = home / f"making-{os.getpid()}.duckdb"
    connection = duckdb.connect(str(made))
    connection.execute("SET preserve_insertion_order = true")
    connection.execute(f"CREATE TABLE orders AS {select(rows)}")
    connection.execute(
        f"CREATE TABLE customers AS SELECT (i + 1)::INTEGER AS customer_id, 'Customer ' || i AS name FROM range({customers(rows)}) AS r(i)"
    )
    connection.execute(
        f"CREATE TABLE products AS SELECT (i + 1)::INTEGER AS product_id, 'Product ' || i AS name FROM range({PRODUCTS}) AS r(i)"
    )
    for name in ("orders", "customers", "products"):
        connection.execute(f"COPY {name} TO '{home / name}.parquet' (FORMAT parquet)")
    connection.close()
    made.rename(path)
    return path


def little() -> Path:
    """A DuckDB file with the first hundred orders, for what a look costs however little there is to look at."""
    path = FOLDER / f"little-{VERSION}" / "shop.duckdb"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute(f"ATTACH '{file(1_000)}' AS source (READ_ONLY)")
            connection.execute(f"ATTACH '{path}' AS shop")
            connection.execute("CREATE TABLE shop.orders AS FROM source.orders LIMIT 100")
            for name in ("customers", "products"):
                connection.execute(f"CREATE TABLE shop.{name} AS FROM source.{name}")
    return path


POSTGRES = """
CREATE TABLE orders (order_id bigint, reference text, customer_id integer, product_id integer, ordered_on date, updated_at timestamp, price numeric(12, 2),
  weight double precision, status text, country text, email text, note text);
CREATE TABLE customers (customer_id integer PRIMARY KEY, name text);
CREATE TABLE products (product_id integer PRIMARY KEY, name text)
"""
