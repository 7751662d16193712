"""One table on four real engines: equal where it is equal, and each change found on each pair."""

from __future__ import annotations

import datetime as dt
import itertools
import random
import struct
import uuid
from decimal import Decimal

import duckdb
import pytest

import reconcile_rig
import servers

COLUMNS = {
    "pg": "id bigint primary key, a int, n numeric(12,3), f float8, r real, b bool, d date, ts timestamp, tz timestamptz, t text, c varchar(40), u uuid, x bytea, tm time",
    "maria": "id bigint primary key, a int, n decimal(12,2), f double, r float, b tinyint(1), d date, ts datetime(6), tz timestamp(6) null, t text character set utf8mb4,"
    " c varchar(40) character set latin1, u char(36), x varbinary(20), tm time(6)",
    "lite": "id integer primary key, a int, n decimal(12,2), f double, r float, b bool, d date, ts timestamp, tz timestamptz, t text, c text, u uuid, x blob, tm time",
    "duck": "id bigint primary key, a int, n decimal(12,2), f double, r float, b bool, d date, ts timestamp, tz timestamptz, t text, c text, u uuid, x blob, tm time",
}
NAMES = "id a n f r b d ts tz t c u x tm".split()
FLOATS = (
    0.0,
    -0.0,
    1e16,
    1e16 + 2,
    1.5,
    -1 / 3,
    1e300,
    5e-324,
    2.2250738585072014e-308,
    1e-5,
    9007199254740993.0,
    1e22,
    2.0**62,
    2.0**61,
    2.0**-10,
    2.0**-11,
    1.7976931348623157e308,
)
TEXTS = ("", "it's", "é", "e\u0301", "😀|x", " x ", "A\\n", "NULL", "a|b", "日本", "x" * 300)


def rows(count: int = 700) -> list[tuple]:
    chosen = random.Random(7)  # noqa: S311 - the same rows each time
    made = []
    for id_ in range(-20, count - 20):
        odd = struct.unpack("d", struct.pack("Q", chosen.getrandbits(62)))[0]
        row = (
            chosen.randrange(-(2**31), 2**31), Decimal(chosen.randrange(-(10**6), 10**6)) / 100, chosen.choice((*FLOATS, odd, -odd)),
            struct.unpack("f", struct.pack("f", chosen.random() * 1e5))[0], chosen.random() < 0.5, dt.date(1900 + chosen.randrange(150), 1 + chosen.randrange(12), 3),
            dt.datetime(1950, 1, 1) + dt.timedelta(microseconds=chosen.randrange(10**16)),  # noqa: DTZ001 - that is what it is
            dt.datetime(1971, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=chosen.randrange(10**15)), chosen.choice(TEXTS), chosen.choice(("é", "ß", "")),
            uuid.UUID(int=chosen.getrandbits(128)), chosen.randbytes(5), dt.time(chosen.randrange(24), 5, 6, chosen.randrange(10**6)),
        )  # fmt: skip
        made.append((id_, *(None if chosen.random() < 0.1 else value for value in row)))
    return made


@pytest.fixture(scope="module")
def world(pg18, mariadb, tmp_path_factory):
    with reconcile_rig.world(pg18, mariadb, tmp_path_factory.mktemp("reconcile")) as made:
        data = rows()
        for kind, columns in COLUMNS.items():
            made.load(kind, "t", columns, data)
        made.load("duck2", "t", COLUMNS["duck"], data)
        yield made


PAIRS = [
    *itertools.combinations(reconcile_rig.KINDS, 2),
    ("pg", "pg2"),
    ("duck", "duck2"),
    ("duck", "same"),
    ("lite", "lite"),
]


@pytest.mark.parametrize(("left", "right"), PAIRS)
def test_equal_tables_are_equal_on_every_pair_of_engines(world, left, right):
    told = world.compare(left, right, "t")
    assert (told["equal"], told["exact"], told["rows_left"], told["rows_right"]) == (True, True, 700, 700)
    assert told["statements"] == 4  # the ends of the key and one scan, of each
    assert (told["only_left"], told["only_right"], told["differing"]) == (0, 0, 0)


CHANGES = {  # id: a column, and another value for it
    1: ("a", "a + 1"), 2: ("n", "n + 0.01"), 3: ("f", "1.0000000000000002e0"), 4: ("r", "0.5"), 5: ("d", "'2031-01-02'"), 6: ("ts", "'2001-02-03 04:05:06.000001'"),
    7: ("tz", "'2001-02-03 04:05:06.000001+00:00'"), 8: ("t", "'e\u0301 '"), 9: ("c", "'E'"), 10: ("u", "'00000000-0000-0000-0000-000000000001'"), 11: ("tm", "'01:02:03.000004'"),
}  # fmt: skip


@pytest.mark.parametrize("right", reconcile_rig.KINDS)
def test_one_changed_value_of_each_type_is_found_with_its_column(world, right):
    left = "duck" if right == "pg" else "pg"
    changed = dict(CHANGES)
    data = {row[0]: dict(zip(NAMES, row, strict=True)) for row in rows()}
    for id_, (column, _) in CHANGES.items():
        assert data[id_][column] is not None or column not in ("a", "n"), id_
    if right == "maria":
        changed[7] = ("tz", "'2001-02-03 04:05:06.000001'")
    updates = [
        f"UPDATE t2 SET {column} = {value} WHERE id = {id_}" for id_, (column, value) in changed.items()
    ]
    binary = {"pg": "'\\x00'::bytea", "maria": "x'00'", "lite": "x'00'", "duck": "'\\x00'::blob"}[right]
    world.load(right, "t2", COLUMNS[right], rows())
    world.execute(
        right,
        *updates,
        f"UPDATE t2 SET x = {binary} WHERE id = 12",
        "UPDATE t2 SET b = NOT COALESCE(b, true) WHERE id = 13",
    )
    told = world.compare(left, right, "t", "t2")
    assert sorted(key["id"] for key in told["keys"]["differing"]) == list(range(1, 14))
    assert (told["only_left"], told["only_right"], told["differing"], told["exact"]) == (0, 0, 13, True)
    assert told["columns"] == dict.fromkeys((*(column for column, _ in CHANGES.values()), "x", "b"), 1)


@pytest.mark.parametrize("right", reconcile_rig.KINDS)
def test_missing_added_and_empty_in_place_of_null_are_told_apart(world, right):
    left = "maria" if right == "lite" else "lite"
    base = [(n, f"name {n}", None if n % 2 else "") for n in range(1, 2001)]
    columns = "id bigint primary key, name varchar(40), note varchar(40)"
    world.load(left, "people", columns, base)
    world.load(right, "people", columns, base)
    world.execute(
        right,
        "DELETE FROM people WHERE id IN (7, 1500)",
        "INSERT INTO people VALUES (5000, 'new', '')",
        "UPDATE people SET note = '' WHERE id = 3",
        "UPDATE people SET note = NULL WHERE id = 4",
    )
    told = world.compare(left, right, "people")
    assert told["keys"] == {
        "only_left": [{"id": 7}, {"id": 1500}],
        "only_right": [{"id": 5000}],
        "differing": [{"id": 3}, {"id": 4}],
    }
    assert told["columns"] == {"note": 2}
    assert told["equal"] is False


@pytest.mark.parametrize(
    ("left", "right"), [("pg", "pg2"), ("duck", "duck2"), ("pg", "duck"), ("maria", "lite")]
)
def test_what_cancels_in_a_sum_of_columns_or_in_xor_is_found(world, left, right):
    columns = "id bigint primary key, a int, b int"
    base = [(n, n * 10, n * 100) for n in range(1, 501)]
    world.load(left, "plain", columns, base)
    swapped = [
        (1, 20, 100),
        (2, 10, 200),
        *base[2:],
    ]  # the columns' sums stay, and so do the sets of their values
    world.load("pg" if right == "pg2" else right, "swapped", columns, swapped)
    assert world.compare(left, right, "plain", "swapped")["keys"] == {"differing": [{"id": 1}, {"id": 2}]}
    world.load(left, "bag", "a int, b int", [(1, 1), (2, 2), (2, 2), (3, 3)])
    world.load("pg" if right == "pg2" else right, "bag2", "a int, b int", [(1, 1), (3, 3), (3, 3), (3, 3)])
    told = world.compare(left, right, "bag", "bag2")  # by xor the pairs would vanish
    assert (told["only_left"], told["only_right"], told["rows_left"], told["rows_right"], told["keys"]) == (
        2,
        2,
        4,
        4,
        {},
    )


def test_sessions_in_other_zones_and_date_styles_change_nothing(world):
    name = world.pg.rsplit("/", 1)[1]
    world.execute(
        "pg",
        f"ALTER DATABASE \"{name}\" SET timezone = 'Asia/Tokyo'",
        f"ALTER DATABASE \"{name}\" SET datestyle = 'German'",
        f'ALTER DATABASE "{name}" SET extra_float_digits = -5',
    )
    world.execute("maria", "SET GLOBAL time_zone = '-07:00'")
    try:
        assert world.compare("pg", "maria", "t")["equal"]
        assert world.compare(
            "duck",
            "pg",
            "t",
            until_column="tz",
            options={"until_column": "tz", "until": "1990-01-01T00:00:00+00:00"},
        )["equal"]
    finally:
        world.execute("pg", f'ALTER DATABASE "{name}" RESET ALL')
        world.execute("maria", "SET GLOBAL time_zone = 'SYSTEM'")


def test_infinities_and_nan_and_the_ends_of_time(world):
    columns = "id int primary key, f float8, d date, ts timestamp"
    base = [
        (1, float("nan"), None, None),
        (2, float("inf"), dt.date(1, 1, 1), None),
        (3, float("-inf"), dt.date(9999, 12, 31), dt.datetime(9999, 12, 31, 23, 59, 59, 999999)),  # noqa: DTZ001
    ]
    world.load("pg", "ends", columns, base)
    world.load("duck", "ends", columns, base)
    for kind in ("pg", "duck"):
        world.execute(kind, "INSERT INTO ends VALUES (4, 0, 'infinity', '-infinity')")
    assert world.compare("pg", "duck", "ends")["equal"]
    world.execute(
        "duck", "UPDATE ends SET f = 'inf' WHERE id = 1", "UPDATE ends SET d = '-infinity' WHERE id = 4"
    )
    assert world.compare("pg", "duck", "ends")["columns"] == {"f": 1, "d": 1}


def test_a_folder_of_files_is_a_side(world, tmp_path):
    world.load(
        "duck",
        "filed",
        "id bigint, name varchar, amount decimal(10,2)",
        [(n, f"é {n}", n / 4) for n in range(300)],
    )
    with duckdb.connect(str(world.folder / "duck.duckdb")) as connection:
        for end in ("parquet", "csv"):
            connection.execute(f"COPY filed TO '{tmp_path}/{end}_file.{end}'")
        connection.execute("DELETE FROM filed WHERE id = 7")
    world.load(
        "pg",
        "filed",
        "id bigint primary key, name text, amount numeric",
        [(n, f"é {n}", n / 4) for n in range(300)],
    )
    files = servers.elsewhere(tmp_path, folder={"kind": "folder", "path": "."})
    world.systems.add(files["folder"])
    try:
        for table in ("parquet_file", "csv_file"):
            assert world.compare("pg", "folder", "filed", table)["equal"]
            assert world.compare("folder", "duck", table, "filed", key=("id",))["keys"] == {
                "only_left": [{"id": 7}]
            }
    finally:
        files.close()
