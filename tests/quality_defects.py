"""Defects that real feeds have had, each as statements on clean tables, with the rule that must name it and how many rows it must count."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from stdnum import iban

import quality_rig as rig

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = {
    "customers": "id int, email text, name text, phone text, country text, code text, iban text, born date, profile text",
    "products": "sku text, price numeric(10,2), weight_kg float8",
    "orders": "id int, customer_id int, status text, currency text, day text, day_key int, ordered timestamptz, shipped timestamptz, total numeric(12,2)",
    "items": "order_id int, line int, sku text, quantity int, amount numeric(12,2)",
    "readings": "sensor text, n int, taken timestamptz, celsius float8",
}
HOURS = 240
NEWEST = datetime.now(UTC).replace(
    minute=0, second=0, microsecond=0
)  # once: tables made later, when an hour has passed, are equal


def shop(folder: Path) -> rig.Tables:
    """200 customers, 50 products, 1,000 orders of 2,500 lines, three sensors that tell every hour of the last ten days."""
    items = [(order, line, f"SKU-{(order + line) % 50:03}", 1 + line, f"{(order % 7 + line) * 1.25:.2f}") for order in range(1, 1001) for line in range(1, 2 + order % 4)]  # fmt: skip
    totals: dict[int, float] = {}
    for order, *_, amount in items:
        totals[order] = totals.get(order, 0.0) + float(amount)
    made = {
        "customers": [_customer(n) for n in range(1, 201)],
        "products": [(f"SKU-{n:03}", f"{5.05 + n * 1.13:.2f}", 0.25 + n / 4) for n in range(50)],
        "orders": [_order(n, totals[n]) for n in range(1, 1001)],
        "items": items,
        "readings": [_reading(sensor, n) for sensor in "abc" for n in range(HOURS)],
    }
    for table, rows in made.items():
        with (folder / f"{table}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(rig.Tables(folder, COLUMNS).names(table))
            writer.writerows(rows)
    return rig.Tables(folder, COLUMNS)


def _customer(n: int) -> tuple[Any, ...]:
    account = f"{n * 7919:018}"
    checked = "DE" + iban.calc_check_digits(f"DE00{account}") + account
    name = f"René Kühn {n}" if n % 5 == 0 else f"Ada Lovelace {n}"
    born = f"{1950 + n % 50}-0{1 + n % 9}-1{n % 10}"
    return (n, f"customer{n}@example.org", name, f"+4366012{n:05}", ("AT", "CH", "DE", "FR")[n % 4], f"{n:05}", checked, born, json.dumps({"n": n, "tags": ["a"]}))  # fmt: skip


def _order(n: int, total: float) -> tuple[Any, ...]:
    day = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(days=n % 360)
    ordered, shipped = day + timedelta(hours=9), day + timedelta(hours=33)
    status = ("open", "paid", "shipped", "done")[n % 4]
    return (n, (n - 1) % 200 + 1, status, "EUR", day.date().isoformat(), day.strftime("%Y%m%d"), _moment(ordered), _moment(shipped), f"{total:.2f}")  # fmt: skip


def _reading(sensor: str, n: int) -> tuple[Any, ...]:
    at = NEWEST - timedelta(hours=HOURS - 1 - n)
    return (sensor, n, _moment(at), 20 + ((n * 37 + ord(sensor)) % 41 - 20) / 10)


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S+00")


@dataclass(frozen=True)
class Defect:
    """What befell the tables, and what must be said of it."""

    name: str
    sql: str | dict[str, str]  # by kind of system, where engines say it in their own words
    rule: str
    failing: int | None = None  # rows; None for a metric
    figure: float | None = None
    not_on: tuple[str, ...] = field(default=())

    def statements(self, kind: str) -> list[str]:
        """What is run on an engine of that kind."""
        text = self.sql if isinstance(self.sql, str) else self.sql.get(kind, self.sql.get("", ""))
        return [one for one in text.split("; ") if one]


EARLIER = {
    "postgresql": "UPDATE readings SET taken = taken - interval '5 hours' WHERE sensor = 'b'",
    "duckdb": "UPDATE readings SET taken = taken - interval '5 hours' WHERE sensor = 'b'",
    "mysql": "UPDATE readings SET taken = taken - interval 5 hour WHERE sensor = 'b'",
    "sqlite": "UPDATE readings SET taken = strftime('%Y-%m-%d %H:%M:%S+00:00', taken, '-5 hours') WHERE sensor = 'b'",
}
AS_TEXT = {
    "postgresql": "ALTER TABLE items ALTER COLUMN quantity TYPE text",
    "duckdb": "ALTER TABLE items ALTER COLUMN quantity TYPE VARCHAR",
    "mysql": "ALTER TABLE items MODIFY quantity varchar(20)",
    "sqlite": "ALTER TABLE items ADD COLUMN q text; UPDATE items SET q = quantity; ALTER TABLE items DROP COLUMN quantity; ALTER TABLE items RENAME COLUMN q TO quantity",
}  # fmt: skip
DEFECTS = (
    Defect("orphan keys", "UPDATE orders SET customer_id = 999999 WHERE id <= 7", "orders-customer", 7),
    Defect("deleted parent", "DELETE FROM customers WHERE id = 5", "orders-customer", 5),
    Defect("product renumbered", "UPDATE products SET sku = 'SKU-900' WHERE sku = 'SKU-003'", "items-product", 60),
    Defect("grams for kilograms", "UPDATE products SET weight_kg = weight_kg * 1000 WHERE sku < 'SKU-010'", "products-weight", 10),
    Defect("truncated load", "DELETE FROM items WHERE order_id > 500", "items-count", figure=1250),
    Defect("doubled batch", "INSERT INTO items SELECT * FROM items WHERE order_id BETWEEN 100 AND 119", "items-key", 50),
    Defect("stale feed", "DELETE FROM readings WHERE n >= 100", "readings-fresh"),
    Defect("UTF-8 read as Latin-1", "UPDATE customers SET name = replace(name, 'é', 'Ã©') WHERE id <= 20", "customers-name-encoding", 4),
    Defect("replacement characters", "UPDATE customers SET name = replace(name, 'ü', '\ufffd') WHERE id <= 30", "customers-name-encoding", 6),
    Defect("swapped columns", "UPDATE orders SET ordered = shipped, shipped = ordered WHERE id <= 12", "orders-shipped", 12, not_on=("mysql",)),
    Defect("columns in another order", "UPDATE customers SET code = country, country = code", "customers-code", 200, not_on=("mysql",)),
    Defect("new value of an enumeration", "UPDATE orders SET status = 'returned' WHERE id <= 9", "orders-status", 9),
    Defect("enumeration in another case", "UPDATE orders SET status = 'Paid' WHERE status = 'paid' AND id <= 40", "orders-status", 10),
    Defect("off-by-one date", "UPDATE orders SET day_key = day_key + 1 WHERE id <= 15", "orders-day-as-key", 15),
    Defect("time zone shifted", EARLIER, "readings-together", figure=1),
    Defect("NULL as NA", "UPDATE customers SET phone = 'NA' WHERE id <= 6", "customers-phone-missing", 6),
    Defect("NULL as empty text", "UPDATE customers SET phone = '' WHERE id <= 5", "customers-phone-missing", 5),
    Defect("NULL as the word", "UPDATE customers SET phone = 'null' WHERE id <= 3", "customers-phone-missing", 3),
    Defect("values gone", "UPDATE orders SET currency = NULL WHERE id <= 13", "orders-currency-not-null", 13),
    Defect("zero for NULL", "UPDATE products SET weight_kg = 0 WHERE sku < 'SKU-004'", "products-weight", 4),
    Defect("default date 1900", "UPDATE customers SET born = '1900-01-01' WHERE id <= 8", "customers-born", 8),
    Defect("default date 9999", "UPDATE customers SET born = '9999-12-31' WHERE id <= 2", "customers-born", 2),
    Defect("dates that are to come", "UPDATE customers SET born = '2150-01-01' WHERE id <= 3", "customers-born-past", 3),
    Defect("another unit for some", "UPDATE orders SET currency = 'USD' WHERE id <= 9", "orders-currency-of-status", 9),
    Defect("decimal comma as thousands", "UPDATE products SET price = price * 100 WHERE sku < 'SKU-005'", "products-price", 5),
    Defect("sign flipped", "UPDATE items SET quantity = -quantity WHERE order_id = 77", "items-quantity", 2),
    Defect("rounded to whole numbers", "UPDATE products SET price = round(price)", "products-price-cents", figure=100),
    Defect("padded with spaces", "UPDATE customers SET country = concat(country, ' ') WHERE id <= 11", "customers-country", 11),
    Defect("zero-width space", "UPDATE customers SET country = concat(country, '\u200b') WHERE id <= 2", "customers-country", 2),
    Defect("Cyrillic look-alike", "UPDATE customers SET country = '\u0410\u0422' WHERE id = 4", "customers-country", 1),
    Defect("leading zeros lost", "UPDATE customers SET code = substr(code, 2) WHERE id <= 30", "customers-code", 30),
    Defect("digits of another script", "UPDATE customers SET code = '\u0660\u0660\u0660\u0660\u0661' WHERE id = 1", "customers-code", 1),
    Defect("line break within", "UPDATE customers SET code = concat(code, '\n') WHERE id <= 3", "customers-code", 3),
    Defect("duplicates in another case", "INSERT INTO customers SELECT id + 1000, upper(email), name, phone, country, code, iban, born, profile FROM customers WHERE id <= 3", "customers-email-near", 3),
    Defect("cut to the column's width", "UPDATE customers SET iban = substr(iban, 1, 15) WHERE id <= 4", "customers-iban", 4),
    Defect("wrong check digits", "UPDATE customers SET iban = concat('DE00', substr(iban, 5)) WHERE id <= 5", "customers-iban", 5),
    Defect("malformed e-mail", "UPDATE customers SET email = replace(email, '@', ' at ') WHERE id <= 10", "customers-email", 10),
    Defect("broken JSON", "UPDATE customers SET profile = substr(profile, 1, 8) WHERE id <= 7", "customers-profile", 7),
    Defect("column dropped", "ALTER TABLE customers DROP COLUMN phone", "customers-schema", 1),
    Defect("column's type changed", AS_TEXT, "items-schema", 1),
    Defect("column added", "ALTER TABLE products ADD COLUMN note int", "products-schema", 1),
    Defect("one sensor silent", "DELETE FROM readings WHERE sensor = 'b'", "readings-sensors", figure=2),
    Defect("one day missing", "DELETE FROM readings WHERE n BETWEEN 48 AND 71", "readings-continuity", 72),
    Defect("rows of next year", "UPDATE orders SET day_key = day_key + 10000 WHERE id <= 3", "orders-day-key", 3),
    Defect("frozen sensor", "UPDATE readings SET celsius = 21.5 WHERE sensor = 'a'", "readings-frozen", figure=1),
    Defect("shifted distribution", "UPDATE readings SET celsius = celsius + 8", "readings-mean"),
    Defect("outliers", "UPDATE readings SET celsius = 999 WHERE n = 10", "readings-celsius", 3),
    Defect("gaps in a sequence", "DELETE FROM orders WHERE id IN (500, 501, 777)", "orders-gaps", 3),
    Defect("children without parents", "DELETE FROM orders WHERE id IN (500, 501, 777)", "items-order", 5),
    Defect("totals that differ", "UPDATE items SET amount = amount + 1 WHERE order_id = 10", "orders-total", figure=-3),
    Defect("day and month swapped", "UPDATE orders SET day = '2025-13-01' WHERE id <= 6", "orders-day-readable", 6),
    Defect("late rows from before", "UPDATE readings SET n = n - 1000 WHERE n < 2", "readings-n", 6),
)  # fmt: skip
