"""`measure` keeps one contract on every engine: the same statements answer the same, of one snapshot, and only what reads is run."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

import servers
import spark_rig
from datareeve.core.errors import BadInput
from datareeve.systems import measure as measure_module

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "canary7f3a"
PEOPLE = 'CREATE TABLE people (id INTEGER PRIMARY KEY, email {text}, age INTEGER, "odd ""name" {text})'
ROWS = [
    (n, f"p{n}@{CANARY}.org" if n % 10 else f"no address {CANARY}", n if n % 7 else None, "ä")
    for n in range(1, 101)
]
ENDLESS = {
    "postgresql": "SELECT count(*) AS n FROM generate_series(1, 100000000) a, generate_series(1, 100000) b",
    "mysql": "SELECT count(*) AS n FROM people a, people b, people c, people d, people e, people f",
    "sqlite": "SELECT count(*) AS n FROM people a, people b, people c, people d, people e, people f",
    "duckdb": "SELECT count(*) AS n FROM range(100000000) a, range(100000000) b WHERE a.range * b.range % 7 = 3",
    "folder": "SELECT count(*) AS n FROM range(100000000) a, range(100000000) b WHERE a.range * b.range % 7 = 3",
}  # fmt: skip


@dataclass
class Rig:
    """An engine with the table `people`: its system, and another session that writes."""

    kind: str
    system: Any
    write: Callable[..., None] = lambda *_: None
    snapshots: bool = True
    quote: Callable[[str], str] = field(default=lambda name: '"' + name.replace('"', '""') + '"')

    def measure(self, *statements, **limits):
        asked = [
            {"id": one[0], "sql": one[1], **({"check": one[2]} if len(one) > 2 else {})} for one in statements
        ]
        return self.system.read("measure", statements=asked, **limits)


def _postgresql(request, tmp_path):
    url = request.getfixturevalue("database")
    server = request.getfixturevalue("pg18")
    registry = servers.registry(tmp_path, url)
    admin = request.getfixturevalue("stack").enter_context(server.connect(url.rsplit("/", 1)[1]))
    admin.execute(PEOPLE.format(text="text"))
    admin.cursor().executemany("INSERT INTO people VALUES (%s, %s, %s, %s)", ROWS)
    return Rig("postgresql", registry["app"], lambda sql: admin.execute(sql.encode()))


def _mysql(request, tmp_path):
    server, stack = request.getfixturevalue("mariadb"), request.getfixturevalue("stack")
    url = stack.enter_context(server.database())
    admin = stack.enter_context(contextlib.closing(server.connect(url.rsplit("/", 1)[1])))
    cursor = admin.cursor()
    cursor.execute(PEOPLE.format(text="varchar(200)").replace('"odd ""name"', '`odd "name`'))
    cursor.executemany("INSERT INTO people VALUES (%s, %s, %s, %s)", ROWS)
    registry = servers.elsewhere(tmp_path, shop={"kind": "mysql", "url": url})
    stack.callback(registry.close)
    return Rig("mysql", registry["shop"], cursor.execute, quote=lambda name: f"`{name}`")


def _sqlite(request, tmp_path):
    path, stack = tmp_path / "shop.db", request.getfixturevalue("stack")
    admin = stack.enter_context(contextlib.closing(sqlite3.connect(path, isolation_level=None)))
    admin.execute("PRAGMA journal_mode = WAL")
    admin.execute(PEOPLE.format(text="TEXT"))
    admin.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", ROWS)
    system = servers.elsewhere(tmp_path, shop={"kind": "sqlite", "path": path.name})["shop"]
    return Rig("sqlite", system, admin.execute)


def _duckdb(request, tmp_path):
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute(PEOPLE.format(text="VARCHAR"))
        connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", ROWS)
    system = servers.elsewhere(tmp_path, shop={"kind": "duckdb", "path": path.name})["shop"]
    return Rig("duckdb", system)


def _folder(request, tmp_path):
    (tmp_path / "lake").mkdir()
    with duckdb.connect() as connection:
        connection.execute(PEOPLE.format(text="VARCHAR"))
        connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", ROWS)
        connection.execute(f"COPY people TO '{tmp_path / 'lake' / 'people.parquet'}'")
    system = servers.elsewhere(tmp_path, lake={"kind": "folder", "path": "lake"})["lake"]
    return Rig("folder", system, snapshots=False)


def _spark(request, tmp_path):
    with duckdb.connect() as connection:
        connection.execute(PEOPLE.format(text="VARCHAR"))
        connection.executemany("INSERT INTO people VALUES (?, ?, ?, ?)", ROWS)
        connection.execute(f"COPY people TO '{tmp_path / 'people.parquet'}'")
    entry = {
        "kind": "spark",
        "url": request.getfixturevalue("spark_cluster").url,
        "settings": spark_rig.SETTINGS,
        "tables": {"people": str(tmp_path / "people.parquet")},
    }
    system = servers.elsewhere(tmp_path, spark=entry)["spark"]
    return Rig("spark", system, snapshots=False, quote=lambda name: f"`{name}`")


MAKE = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "sqlite": _sqlite,
    "duckdb": _duckdb,
    "folder": _folder,
    "spark": _spark,
}


@pytest.fixture
def stack():
    with contextlib.ExitStack() as held:
        yield held


MARKS = {"mysql": pytest.mark.system, "spark": pytest.mark.spark}
NOBODY_WRITES = {"duckdb", "folder", "spark"}


@pytest.fixture(params=[pytest.param(kind, marks=MARKS.get(kind, ())) for kind in MAKE])
def rig(request, tmp_path, stack):
    return MAKE[request.param](request, tmp_path)


@pytest.fixture
def between(monkeypatch):
    """What happens between two statements: the clock of the rests is ours."""
    todo: list[Callable[[], Any]] = []
    pauses: list[float] = []

    def sleep(seconds):
        pauses.append(seconds)
        if todo:
            todo.pop(0)()

    monkeypatch.setattr(measure_module, "sleep", sleep)
    return (todo, pauses)


def test_the_same_statements_answer_the_same(rig):
    told = rig.measure(
        ("count", "SELECT count(*) AS n FROM people"),
        ("nulls", "SELECT sum(CASE WHEN age IS NULL THEN 1 ELSE 0 END) AS n FROM people"),
        ("range", "SELECT min(age) AS low, max(age) AS high, sum(age) AS total FROM people"),
        ("wrong", "SELECT nothing_there FROM people"),
        ("odd", f"SELECT count({rig.quote('odd ' + chr(34) + 'name')}) AS n FROM people"),
        ("none", "SELECT max(age) AS high FROM people WHERE id < 0"),
        ("keys", "SELECT id FROM people WHERE age IS NULL ORDER BY id LIMIT 3"),
    )
    rows = {name: answer.get("rows") for name, answer in told["statements"].items()}
    assert rows == {
        "count": [{"n": 100}],
        "nulls": [{"n": 14}],
        "range": [{"low": 1, "high": 100, "total": 4315}],
        "wrong": None,
        "odd": [{"n": 100}],
        "none": [{"high": None}],
        "keys": [{"id": 7}, {"id": 14}, {"id": 21}],
    }
    assert told["statements"]["wrong"]["error"]["cause"] == "vanished"
    assert all(answer["seconds"] >= 0 for answer in told["statements"].values())
    assert told["began"].endswith("+00:00")
    assert told["snapshots"] == (1 if rig.snapshots else 0)
    assert (told["snapshot"] is not None) == rig.snapshots


def test_a_check_answers_counts_and_no_value(rig):
    told = rig.measure(
        ("mail", "SELECT email, count(*) FROM people GROUP BY email", {"format": "email"}),
        ("post", "SELECT email, count(*) FROM people GROUP BY email", {"format": "postcode", "arguments": {"country": "GB"}}),
        ("nulls", "SELECT age, count(*) FROM people GROUP BY age", {"format": "latitude"}),
        ("unknown", "SELECT email, count(*) FROM people GROUP BY email", {"format": "e-mail"}),
        ("one", "SELECT email FROM people", {"format": "email"}),
    )  # fmt: skip
    found = {name: answer.get("rows", answer.get("error")) for name, answer in told["statements"].items()}
    assert found["mail"] == [{"failing": 10, "checked": 100, "distinct": 91}]
    assert found["post"] == [{"failing": 100, "checked": 100, "distinct": 91}]
    assert found["nulls"] == [{"failing": 8, "checked": 86, "distinct": 86}]
    assert found["unknown"]["cause"] == "unknown format"
    assert found["one"]["code"] == "measure.check"
    assert CANARY not in str(told)


def test_a_statement_without_end_is_ended_and_the_next_is_answered(rig):
    if rig.kind == "spark":
        pytest.skip("a statement takes seconds there: see test_spark_system")
    start = time.monotonic()
    told = rig.measure(
        ("endless", ENDLESS[rig.kind]), ("next", "SELECT count(*) AS n FROM people"), timeout_seconds=0.3
    )
    assert time.monotonic() - start < 5
    assert told["statements"]["endless"]["error"]["cause"] == "timeout"
    assert told["statements"]["next"]["rows"] == [{"n": 100}]


def test_more_rows_than_are_kept_are_an_error_and_not_a_cut(rig):
    told = rig.measure(
        ("many", "SELECT a.id FROM people a, people b"), ("next", "SELECT count(*) AS n FROM people")
    )
    assert told["statements"]["many"]["error"]["code"].endswith(".too-many-rows")
    assert told["statements"]["next"]["rows"] == [{"n": 100}]


WRITES = [
    "DELETE FROM people",
    "INSERT INTO people (id) VALUES (1000)",
    "UPDATE people SET age = 1",
    "DROP TABLE people",
    "CREATE TABLE more (id INTEGER)",
    "CREATE TEMPORARY TABLE more (id INTEGER)",
    "COMMIT",
    "ROLLBACK",
    "BEGIN",
    "SAVEPOINT mine",
    "SELECT 1; DELETE FROM people",
    "SELECT 1; COMMIT",
    "WITH x AS (SELECT 1) DELETE FROM people",
    "SET search_path = public",
    "",
    ";",
    "-- nothing",
]


def test_what_is_not_only_reading_is_not_run(rig):
    told = rig.measure(
        *((str(n), sql) for n, sql in enumerate(WRITES)),
        ("rows", "SELECT count(*) AS n, sum(age) AS total FROM people"),
    )
    assert [sql for n, sql in enumerate(WRITES) if "error" not in told["statements"][str(n)]] == []
    assert told["statements"]["rows"]["rows"] == [{"n": 100, "total": 4315}]
    again = rig.measure(("rows", "SELECT count(*) AS n FROM people"))
    assert again["statements"]["rows"]["rows"] == [{"n": 100}]


def test_no_error_repeats_a_value(rig):
    cast = {"mysql": "SELECT exp(id * 1000) FROM people", "sqlite": "SELECT stddev(email) FROM people"}
    told = rig.measure(
        ("cast", cast.get(rig.kind, "SELECT CAST(email AS INTEGER) FROM people")),
        ("words", f"SELECT * FROM people WHERE email = '{CANARY}' AND"),
        ("next", "SELECT count(*) AS n FROM people"),
    )
    assert told["statements"]["cast"]["error"]["cause"] == "bad cast"
    assert CANARY not in str(told)
    assert told["statements"]["next"]["rows"] == [{"n": 100}]


REGEX = {
    "postgresql": "SELECT count(*) AS n FROM people WHERE email ~ '{}'", "mysql": "SELECT count(*) AS n FROM people WHERE email REGEXP '{}'",
    "sqlite": "SELECT count(*) AS n FROM people WHERE email REGEXP '{}'", "duckdb": "SELECT count(*) AS n FROM people WHERE regexp_matches(email, '{}')",
    "folder": "SELECT count(*) AS n FROM people WHERE regexp_matches(email, '{}')", "spark": "SELECT count(*) AS n FROM people WHERE email RLIKE '{}'",
}  # fmt: skip


def test_a_regex_that_is_none_is_told_as_that(rig):
    told = rig.measure(
        ("bad", REGEX[rig.kind].format(f"({CANARY}")),
        ("good", REGEX[rig.kind].format("^p[0-9]+@")),
    )
    assert told["statements"]["bad"]["error"]["cause"] == "bad regex"
    assert told["statements"]["good"]["rows"] == [{"n": 90}]
    assert CANARY not in str(told)


def test_statements_that_cannot_be_told_apart_are_refused(rig):
    with pytest.raises(BadInput, match="called 'a'"):
        rig.measure(("a", "SELECT 1"), ("a", "SELECT 2"))
    with pytest.raises(BadInput, match="busy_share"):
        rig.measure(("a", "SELECT 1"), busy_share=0)


def test_two_statements_see_one_snapshot_while_another_session_commits(rig, between):
    if rig.kind in NOBODY_WRITES:
        pytest.skip("no other session can write while the file is read")
    between[0].append(lambda: rig.write("DELETE FROM people WHERE id <= 50"))
    count = "SELECT count(*) AS n FROM people"
    told = rig.measure(("before", count), ("after", count))
    assert [told["statements"][name]["rows"] for name in ("before", "after")] == [[{"n": 100}]] * 2
    assert told["snapshots"] == 1
    assert rig.measure(("later", count))["statements"]["later"]["rows"] == [{"n": 50}]


def test_a_snapshot_that_is_too_old_is_renewed_and_this_is_told(rig, between):
    if rig.kind in NOBODY_WRITES:
        pytest.skip("no other session can write while the file is read")
    between[0].append(lambda: rig.write("DELETE FROM people WHERE id <= 50"))
    count = "SELECT count(*) AS n FROM people"
    told = rig.measure(("before", count), ("after", count), snapshot_seconds=1e-9)
    assert [told["statements"][name]["rows"][0]["n"] for name in ("before", "after")] == [100, 50]
    assert told["snapshots"] == 2


def test_a_share_of_the_time_is_left_to_others(rig, between):
    told = rig.measure(("a", "SELECT count(*) AS n FROM people"), ("b", "SELECT 1 AS n"), busy_share=0.25)
    assert between[1] == [pytest.approx(3 * told["statements"]["a"]["seconds"])]


def test_a_table_that_is_dropped_between_is_told_and_waits_for_nobody(rig, between):
    if rig.kind in NOBODY_WRITES:
        pytest.skip("no other session can write while the file is read")
    between[0].append(lambda: rig.write("DROP TABLE people"))
    count = "SELECT count(*) AS n FROM people"
    told = rig.measure(("before", count), ("after", count), ("more", "SELECT 1 AS n"))
    assert told["statements"]["before"]["rows"] == [{"n": 100}]
    after = told["statements"]["after"]
    # SQLite's snapshot holds the table too; the others' catalogs tell what is there now.
    assert (
        after.get("rows") == [{"n": 100}] if rig.kind == "sqlite" else after["error"]["cause"] == "vanished"
    )
    assert told["statements"]["more"]["rows"] == [{"n": 1}]
