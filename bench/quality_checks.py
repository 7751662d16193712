"""The 40 checks of `script/bench quality`, each once: what it asks, how many rows break it by how the data was made, and the ODCS contract of them all."""

from __future__ import annotations

from typing import Any, NamedTuple

import quality_data as data
import yaml


class Check(NamedTuple):
    """One check, in words that every side turns into its own."""

    id: str
    kind: str  # as `capabilities/quality/rule.py` has them
    columns: tuple[str, ...] = ()
    arguments: dict[str, Any] = {}  # noqa: RUF012 - never changed
    failing: int = 0  # rows that break it
    groups: int = 0  # of `unique`: keys that are there more than once (some peers count these)
    bounds: dict[str, float] = {}  # noqa: RUF012 - of a metric


def _failing(*names: str) -> int:
    return sum(data.DEFECTS[name][1] for name in names)


def checks(rows: int) -> tuple[Check, ...]:
    """All forty, of a table of so many rows."""
    twice, references, same_day = _failing("order_id twice"), _failing("reference twice"), data.SAME_DAY[1]
    no_at, spaced = _failing("email without @"), _failing("email with a space")
    small, long, renamed = (
        _failing("reference in small letters"),
        _failing("reference too long"),
        _failing("status renamed"),
    )
    xx = _failing("country in small letters")
    missing = {"email": _failing("email missing")}
    return (
        *(Check(f"not-null-{name}", "not-null", (name,), failing=missing.get(name, 0))
          for name in "order_id reference customer_id ordered_on updated_at price status email".split()),
        Check("unique-order_id", "unique", ("order_id",), failing=twice, groups=twice),
        Check("unique-reference", "unique", ("reference",), failing=references, groups=references),
        Check("unique-customer-day", "unique", ("customer_id", "ordered_on"), failing=same_day, groups=same_day),
        Check("range-order_id", "range", ("order_id",), {"at_least": 1}),
        Check("range-customer_id", "range", ("customer_id",), {"at_least": 1}),
        Check("range-product_id", "range", ("product_id",), {"at_least": 1, "at_most": 1_000_000}),
        Check("range-ordered_on", "range", ("ordered_on",), {"at_least": "2025-12-31", "at_most": "2026-12-31"}),
        Check("range-updated_at", "range", ("updated_at",), {"at_least": "2025-12-01T00:00:00", "at_most": "2026-12-31T23:59:59"}),
        Check("range-price", "range", ("price",), {"at_least": 0, "at_most": 10_000}, failing=_failing("price of another unit")),
        Check("range-weight", "range", ("weight",), {"at_least": 0, "at_most": 100}, failing=_failing("weight negative")),
        Check("set-status", "set", ("status",), {"values": data.STATUSES}, failing=renamed),
        Check("set-country", "set", ("country",), {"values": data.COUNTRIES}, failing=xx),
        Check("set-no-test-status", "set", ("status",), {"values": ["test", "unknown", "n/a"], "negated": True}),
        Check("set-no-placeholder-country", "set", ("country",), {"values": ["XX", "ZZ", "AA"], "negated": True}),
        Check("pattern-reference", "pattern", ("reference",), {"regex": "^[A-Z]{2}-[0-9]{8}$"}, failing=small + long),
        Check("pattern-country", "pattern", ("country",), {"regex": "^[A-Z]{2}$"}, failing=xx),
        Check("pattern-status", "pattern", ("status",), {"regex": "^(new|paid|sent|returned|cancelled)$"}, failing=renamed),
        Check("pattern-email", "pattern", ("email",), {"regex": r"^[a-z0-9._]+@[a-z0-9-]+(\.[a-z0-9-]+)*\.[a-z]{2,}$"}, failing=no_at + spaced),
        Check("pattern-email-at", "pattern", ("email",), {"regex": "@"}, failing=no_at),
        Check("pattern-no-card", "pattern", ("note",), {"regex": "[0-9]{13,16}", "negated": True}, failing=_failing("card number in the note")),
        Check("length-reference", "length", ("reference",), {"at_least": 11, "at_most": 11}, failing=long),
        Check("length-email", "length", ("email",), {"at_least": 6, "at_most": 254}),
        Check("length-note", "length", ("note",), {"at_most": 200}),
        Check("foreign-key-customer", "foreign-key", ("customer_id",), {"table": "customers", "columns": ["customer_id"]}, failing=_failing("customer unknown")),
        Check("foreign-key-product", "foreign-key", ("product_id",), {"table": "products", "columns": ["product_id"]}, failing=_failing("product unknown")),
        Check("updated-after-ordered", "condition", arguments={"sql": "ordered_on <= CAST(updated_at AS DATE)"}, failing=_failing("updated before it was ordered")),
        Check("cancelled-with-note", "condition", arguments={"sql": "status <> 'cancelled' OR note IS NOT NULL"}, failing=_failing("cancelled without a note")),
        Check("price-of-weight", "condition", arguments={"sql": "price >= weight * 0.01"}, failing=_failing("price of nothing")),
        Check("mean-price", "aggregate", ("price",), {"function": "mean"}, bounds={"mustBeGreaterOrEqualTo": 400, "mustBeLessOrEqualTo": 600}),
        Check("weight-missing", "aggregate", ("weight",), {"function": "null-percent"}, bounds={"mustBeLessOrEqualTo": 5}),
        Check("row-count", "row-count", bounds={"mustBeGreaterOrEqualTo": rows, "mustBeLessOrEqualTo": rows}),
        Check("fresh", "freshness", ("updated_at",), bounds={"mustBeLessOrEqualTo": 3650 * 86_400}),
    )  # fmt: skip


BY_KEY = ("not-null-order_id", "unique-order_id")  # what a primary key asks by itself
LOGICAL = {
    "order_id": "integer", "reference": "string", "customer_id": "integer", "product_id": "integer", "ordered_on": "date", "updated_at": "timestamp",
    "price": "number", "weight": "number", "status": "string", "country": "string", "email": "string", "note": "string",
}  # fmt: skip


def contract(rows: int, system: str, *, key: bool = True) -> str:
    """The ODCS contract of all forty on one system; with `key`, `order_id` is the table's primary key."""
    properties: list[dict[str, Any]] = [
        {"name": name, "logicalType": type_} for name, type_ in LOGICAL.items()
    ]
    if key:
        properties[0] |= {"primaryKey": True, "primaryKeyPosition": 1}
    others = [
        {
            "name": name,
            "physicalName": name,
            "logicalType": "object",
            "properties": [{"name": f"{name[:-1]}_id", "logicalType": "integer"}],
        }
        for name in ("customers", "products")
    ]
    told = {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": "shop-orders", "name": "orders", "version": "1.0.0", "status": "active",
        "servers": [{"server": system, "type": "custom"}],
        "schema": [{"name": "orders", "physicalName": "orders", "logicalType": "object", "properties": properties,
                    "quality": [_entry(check) for check in checks(rows) if not (key and check.id in BY_KEY)]}, *others],
    }  # fmt: skip
    return str(yaml.safe_dump(told, sort_keys=False, width=1000))


def _entry(check: Check) -> dict[str, Any]:
    own: dict[str, Any] = {"kind": check.kind, **({"columns": list(check.columns)} if check.columns else {})}
    if check.arguments:
        own["arguments"] = check.arguments
    return {"id": check.id, "type": "custom", "engine": "datareeve", "implementation": own, **check.bounds}
