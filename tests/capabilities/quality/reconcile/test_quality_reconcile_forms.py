"""The form of a value is one text on all engines, and two values never share one."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reconcile_rig
from datareeve.systems.sqlite_forms import exact_float, form_of, rounded_float

MANY = {"max_examples": 8, "deadline": None, "suppress_health_check": [HealthCheck.function_scoped_fixture]}
FINITE = st.floats(allow_nan=False, allow_infinity=False)
TEXT = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12)
COLUMNS = {
    "pg": "id int primary key, i bigint, n numeric(30,6), f float8, t text, d date, m timestamp, u uuid, x bytea",
    "maria": "id int primary key, i bigint, n decimal(30,4), f double, t text character set utf8mb4, d date, m datetime(6), u uuid, x varbinary(20)",
    "lite": "id integer primary key, i bigint, n text, f double, t text, d date, m timestamp, u uuid, x blob",
    "duck": "id int primary key, i bigint, n decimal(30,8), f double, t text, d date, m timestamp, u uuid, x blob",
}
VALUES = (
    st.integers(-(2**63), 2**63 - 1), st.decimals(-(10**12), 10**12, places=4), FINITE, TEXT, st.dates(dt.date(1000, 1, 1)),
    st.datetimes(dt.datetime(1000, 1, 1)), st.uuids(version=4), st.binary(max_size=12),  # noqa: DTZ001
)  # fmt: skip
ROW = st.tuples(*(st.none() | values for values in VALUES))


@pytest.fixture(scope="module")
def world(pg18, mariadb, tmp_path_factory):
    with reconcile_rig.world(pg18, mariadb, tmp_path_factory.mktemp("reconcile")) as made:
        yield made


@settings(**MANY)
@given(st.lists(ROW, min_size=20, max_size=60))
def test_any_rows_are_equal_on_four_engines(world, rows):
    data = [(n, *row) for n, row in enumerate(rows)]
    for kind, columns in COLUMNS.items():
        given_ = [
            (id_, i, str(n) if kind == "lite" and n is not None else n, *rest) for id_, i, n, *rest in data
        ]
        world.load(kind, "any", columns, given_)
    for left, right in (("pg", "maria"), ("maria", "duck"), ("duck", "lite")):
        told = world.compare(left, right, "any")
        assert (told["equal"], told["columns"], told["keys"]) == (True, {}, {})


@settings(max_examples=300)
@given(FINITE, FINITE)
def test_two_floats_have_one_form_only_where_they_are_equal(one, other):
    assert (exact_float(one) == exact_float(other)) == (one == other)
    next_one = math.nextafter(one, 0.0 if one else 1.0)
    assert exact_float(one) != exact_float(next_one)


@given(FINITE)
def test_a_rounded_float_is_within_half_a_place_of_itself(value):
    if abs(value) < 1e9:
        assert abs(int(rounded_float(value, 3)) / 1000 - value) <= 0.00051


@pytest.mark.parametrize(
    ("form", "value", "places", "expected"),
    [
        ("decimal", "1.50", -1, "1.5"), ("decimal", 100, 2, "100"), ("decimal", 0.1 + 0.2, 2, "0.3"), ("decimal", "-0.00", -1, "0"), ("decimal", "1e3", -1, "1000"),
        ("float", -0.0, -1, "0"), ("float", float("inf"), -1, "inf"), ("float", 1e16, -1, "10000000000000000.0"), ("float", 2, -1, "2.0"),
        ("float", 2.5, 0, "3"), ("float", -0.2, 0, "0"), ("moment", "1970-01-01T01:00:00+01:00", 6, "0"), ("moment", "1969-12-31 23:59:59.999999", 3, "-1000"),
        ("date", "1970-01-02", 6, "1"), ("boolean", "true", -1, "1"), ("boolean", 0, -1, "0"), ("uuid", str(UUID(int=255)).upper(), -1, str(UUID(int=255))),
        ("time", "00:00:01.5", 0, "1000000"), ("integer", 3.0, -1, "3"), ("bytes", b"\x00\xff", -1, "00ff"), ("text", "", -1, ""), ("text", None, -1, None),
    ],
)  # fmt: skip
def test_the_form_of(form, value, places, expected):
    assert form_of(form, value, places) == expected


@pytest.mark.parametrize(("form", "value"), [("integer", "twelve"), ("integer", 1.5), ("date", "yesterday"), ("moment", 12), ("text", b"raw"), ("float", "1.5"), ("decimal", "x"), ("time", "25:00"), ("uuid", 7)])  # fmt: skip
def test_a_value_that_does_not_fit_its_column_is_marked_and_equals_none_that_does(form, value):
    assert str(form_of(form, value, 6)).startswith("?")


def test_a_decimal_keeps_every_digit():
    assert form_of("decimal", "12345678901234567890.12345678", -1) == "12345678901234567890.12345678"
    assert form_of("decimal", str(Decimal(10) ** 30), -1) == "1" + "0" * 30
