"""The way down to the rows: keys of every shape, tables without one, bounds, late copies, statements that take too long."""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import reconcile_rig
from datareeve.capabilities.quality.reconcile import planning, tables
from datareeve.capabilities.quality.reconcile.reconciling import reconcile
from datareeve.core.errors import BadInput, Failed, Unreachable

NUMBERS = "id bigint primary key, a int, b varchar(20)"


@pytest.fixture(scope="module")
def world(pg18, mariadb, tmp_path_factory):
    with reconcile_rig.world(pg18, mariadb, tmp_path_factory.mktemp("reconcile")) as made:
        yield made


def numbers(count: int, step: int = 1) -> list[tuple]:
    return [(n * step, n % 97, f"name {n}") for n in range(1, count + 1)]


def test_a_key_of_text_and_one_of_two_columns(world):
    words = [(f"key {n}", "x" if n % 3 else "é", n) for n in range(1500)]
    for kind in ("maria", "duck"):
        world.load(
            kind,
            "words",
            "word varchar(40) not null, part varchar(10) not null, n int, primary key (word, part)",
            words,
        )
    told = world.compare("maria", "duck", "words")
    assert (told["equal"], told["statements"]) == (True, 2)  # one scan of each, and nothing else
    world.execute(
        "duck",
        "DELETE FROM words WHERE word = 'key 7'",
        "UPDATE words SET n = -1 WHERE word = 'key 9'",
        "INSERT INTO words VALUES ('KEY 9', 'é', 9)",
    )
    told = world.compare("maria", "duck", "words")
    assert told["keys"] == {
        "only_left": [{"word": "key 7", "part": "x"}],
        "only_right": [{"word": "KEY 9", "part": "é"}],
        "differing": [{"word": "key 9", "part": "é"}],
    }
    assert told["columns"] == {"n": 1}


def test_sparse_keys_and_keys_at_both_ends_of_64_bits(world):
    far = [(-(2**62) + 1, 1, "a"), *[(n * 10**12 + n % 7, n, "b") for n in range(3000)], (2**62 - 1, 2, "c")]
    farther = [(-(2**63), 1, "a"), (0, 2, "b"), (2**63 - 1, 3, "c")]
    for table, data in (("far", far), ("farther", farther)):
        for kind in ("pg", "maria", "lite", "duck"):
            world.load(kind, table, NUMBERS, data)
        world.execute(
            "lite",
            f"UPDATE {table} SET a = -5 WHERE id = (SELECT max(id) FROM {table})",
            f"DELETE FROM {table} WHERE id = (SELECT min(id) FROM {table})",
        )
        for left in ("pg", "maria", "duck"):
            told = world.compare(left, "lite", table)
            assert told["keys"] == {"only_left": [{"id": data[0][0]}], "differing": [{"id": data[-1][0]}]}
            assert told["rows_left"] == len(data)


@pytest.mark.parametrize("kind", reconcile_rig.KINDS)
def test_a_table_without_key_is_compared_as_a_multiset(world, kind):
    other = "pg" if kind == "lite" else "lite"
    data = [(n % 50, "twice" if n % 2 else None) for n in range(3000)]
    for each in (kind, other):
        world.load(each, "bag", "a int, b varchar(20)", data)
    assert world.compare(kind, other, "bag")["equal"]
    world.execute(
        other, "INSERT INTO bag VALUES (1, 'twice'), (1, 'twice'), (77, NULL)", "DELETE FROM bag WHERE a = 3"
    )
    told = world.compare(kind, other, "bag")
    assert (told["only_left"], told["only_right"], told["differing"], told["exact"], told["keys"]) == (
        60,
        3,
        0,
        True,
        {},
    )


def test_keys_with_several_rows_and_without_any_value_are_named(world):
    base = [(n, n) for n in range(1, 400)]
    world.load("pg", "loose", "id bigint, a int", [*base, (None, 1), (None, 2), (5, 5)])
    world.load("lite", "loose", "id bigint, a int", [*base, (None, 2), (None, 2), ("none", 3)])
    told = world.compare("pg", "lite", "loose", key=("id",))
    assert (told["only_left"], told["only_right"], told["differing"], told["repeated_keys"]) == (1, 1, 1, 2)
    assert sorted(told["keys"]["repeated"], key=str) == [{"id": 5}, {"id": None}]


def test_a_personal_key_is_counted_and_never_told(world):
    secret = [(f"person{n}@example.com", n) for n in range(600)]
    for kind in ("pg", "duck"):
        world.load(kind, "people", "email varchar(60) primary key, n int", secret)
    world.execute("duck", "UPDATE people SET n = -1 WHERE n = 44", "DELETE FROM people WHERE n = 45")
    heard = Listening(world.systems["pg"])
    told = against(heard, world.systems["duck"], "people", personal=frozenset({"email"}))
    assert (told["only_left"], told["differing"], told["columns"], told["keys"]) == (1, 1, {"n": 1}, {})
    assert "example.com" not in str(told)
    assert "example.com" not in str(heard.answers)
    assert len(heard.answers) > 2


def test_a_personal_number_stands_in_no_statement_and_no_answer(world):
    secret = [(900_000_000 + n * 7, n) for n in range(600)]
    for kind in ("pg", "duck"):
        world.load(kind, "insured", "ssn bigint primary key, n int", secret)
    world.execute("duck", "UPDATE insured SET n = -1 WHERE n = 44", "DELETE FROM insured WHERE n = 45")
    heard = Listening(world.systems["pg"])
    told = against(heard, world.systems["duck"], "insured", personal=frozenset({"ssn"}))
    assert (told["only_left"], told["differing"], told["columns"], told["keys"]) == (1, 1, {"n": 1}, {})
    numbers_said = set(re.findall(r"\b9000\d{5}\b", f"{told} {heard.answers} {heard.asked}"))
    assert numbers_said == set()


class Listening:
    """A reader that keeps what it answered to `measure`, and can be made to fail."""

    def __init__(self, reader, fails=lambda _sql, _count: None):
        self.name, self.kind, self.reader, self.fails = reader.name, reader.kind, reader, fails
        self.answers, self.asked = [], []

    def read(self, action, /, **arguments):
        if action != "measure":
            return self.reader.read(action, **arguments)
        self.asked.append(arguments["statements"][0]["sql"])
        error = self.fails(self.asked[-1], len(self.asked))
        if isinstance(error, Exception):
            raise error
        if error:
            return {
                "statements": {"reconcile": {"error": error, "seconds": 0.0}},
                "snapshot": None,
                "began": "2026-01-01",
            }
        self.answers.append(self.reader.read(action, **arguments))
        return self.answers[-1]


def against(left, right, table="wide", **asked):
    """As `World.compare`, with readers of the test's own."""
    first, second = tables.read(left, table), tables.read(right, table)
    prepared = planning.prepare(first, second, planning.Wanted(**asked))
    return reconcile(left, right, planning.compared(first, second, prepared).model_dump(mode="json"))


@pytest.fixture
def wide(world):
    for kind in ("duck", "duck2"):
        world.execute(
            kind,
            "DROP TABLE IF EXISTS wide",
            "CREATE TABLE wide (id bigint primary key, a int, b varchar)",
            "INSERT INTO wide SELECT i * 3, i % 97, 'name ' || i FROM range(200000) t(i)",
        )
    return world


def test_a_difference_in_many_rows_is_found_in_few_statements(wide):
    wide.execute("duck2", "UPDATE wide SET a = -1 WHERE id = 300000", "DELETE FROM wide WHERE id = 299997")
    told = wide.compare("duck", "duck2", "wide")
    assert told["keys"] == {"only_left": [{"id": 299997}], "differing": [{"id": 300000}]}
    assert told["statements"] <= 12
    assert told["bytes_fetched"] < 200_000
    assert told["segments_differing"] == 1


def test_a_table_that_differs_everywhere_gives_bounds(wide):
    wide.execute("duck2", "UPDATE wide SET a = -1", "DELETE FROM wide WHERE id > 450000")
    told = wide.compare("duck", "duck2", "wide", options={"most_differing": 500})
    assert (told["equal"], told["exact"]) == (False, False)
    assert 500 <= told["differing"] < 3000
    rest = told["not_looked_into"]
    assert told["rows_left"] - told["rows_right"] == 49_999
    assert 190_000 < rest["rows_left"] + told["only_left"] + told["differing"] <= 200_000
    assert told["columns"] == {"a": told["columns_of_rows"]}
    assert len(told["keys"]["differing"]) == 20


def test_a_load_that_was_cut_short_is_counted_without_fetching_it(wide):
    wide.execute("duck2", "DELETE FROM wide WHERE id >= 300000")
    told = wide.compare("duck", "duck2", "wide")
    assert (told["only_left"], told["only_right"], told["differing"], told["exact"]) == (100_000, 0, 0, True)
    assert told["keys"]["only_left"]
    assert told["bytes_fetched"] < 300_000


def test_an_empty_table_beside_a_full_one_and_two_empty_ones(wide):
    wide.execute("duck2", "DELETE FROM wide")
    told = wide.compare("duck", "duck2", "wide")
    assert (told["only_left"], told["exact"], told["rows_right"]) == (200_000, True, 0)
    wide.execute("duck", "DELETE FROM wide")
    assert wide.compare("duck", "duck2", "wide")["equal"]


def test_a_copy_that_arrives_before_the_second_look_is_late_and_not_different(wide):
    wide.execute("duck2", "DELETE FROM wide WHERE id IN (3, 6)", "UPDATE wide SET a = -1 WHERE id = 9")

    def arrives(seconds):
        assert seconds == 7
        wide.execute("duck2", "INSERT INTO wide VALUES (3, 1, 'name 1'), (6, 2, 'name 2')")

    told = wide.compare("duck", "duck2", "wide", options={"pause_seconds": 7}, given={"pause": arrives})
    assert (told["lagging"], told["only_left"], told["differing"]) == (2, 0, 1)
    assert told["keys"] == {"differing": [{"id": 9}]}


def test_both_are_compared_up_to_the_moment_that_both_have_reached(world):
    begin = dt.datetime(2026, 1, 1)  # noqa: DTZ001 - a moment without a zone
    data = [(n, begin + timedelta(seconds=n), n) for n in range(1000)]
    columns = {
        "pg": "id int primary key, moved timestamptz, n int",
        "duck": "id int primary key, moved timestamp, n int",
        "maria": "id int primary key, moved datetime(6), n int",
        "lite": "id int primary key, moved timestamp, n int",
    }
    for kind, said in columns.items():
        world.load(kind, "moving", said, data if kind != "lite" else data[:950])
    world.execute(
        "pg", "UPDATE moving SET moved = timestamptz '2026-01-01 00:00:00+00' + id * interval '1 second'"
    )
    for left in ("pg", "duck", "maria"):
        assert world.compare(left, "lite", "moving")["only_left"] == 50
        told = world.compare(left, "lite", "moving", until_column="moved", options={"until_column": "moved"})
        assert (told["equal"], told["until"], told["rows_left"]) == (True, "2026-01-01T00:15:49+00:00", 950)
        told = world.compare(
            left,
            "lite",
            "moving",
            until_column="moved",
            options={"until_column": "moved", "until": "2026-01-01T01:00:10+01:00"},
        )
        assert (told["equal"], told["rows_right"]) == (True, 11)


def test_what_takes_too_long_is_asked_in_smaller_pieces(wide):
    wide.execute("duck2", "UPDATE wide SET a = -1 WHERE id = 300000")

    def slow(sql, _count):
        lengths = [int(high) - int(low) for low, high in ranges_of(sql)]
        too_long = "sum(h)" in sql and "NOT (" not in sql and (not lengths or sum(lengths) > 80_000)
        return {"code": "duckdb.timeout", "what": "too long", "cause": "timeout"} if too_long else None

    reader = Listening(wide.systems["duck"], slow)
    told = against(reader, wide.systems["duck2"])
    assert told["keys"] == {"differing": [{"id": 300000}]}
    assert (told["rows_left"], told["exact"]) == (200_000, True)
    assert len(reader.asked) > 12


def ranges_of(sql):
    return re.findall(r"BETWEEN (-?\d+) AND (-?\d+)", sql)


def test_a_lost_connection_is_tried_once_more_and_then_told(wide):
    once = Listening(
        wide.systems["duck"], lambda _sql, count: Unreachable("duckdb.lost", "gone") if count == 2 else None
    )
    assert against(once, wide.systems["duck2"])["equal"]
    for_good = Listening(
        wide.systems["duck"], lambda _sql, count: Unreachable("duckdb.lost", "gone") if count >= 2 else None
    )
    with pytest.raises(Unreachable):
        against(for_good, wide.systems["duck2"])
    vanished = Listening(
        wide.systems["duck"],
        lambda _sql, count: (
            {"code": "duckdb.catalog", "what": "no such table", "cause": "vanished"} if count == 2 else None
        ),
    )
    with pytest.raises(Failed, match="no such table"):
        against(vanished, wide.systems["duck2"])


def test_columns_are_found_by_name_whatever_the_case_or_as_told(world):
    world.execute(
        "pg",
        'DROP TABLE IF EXISTS "O\'dd ""t"',
        'CREATE TABLE "O\'dd ""t" ("ID" int primary key, "wert ü" int, extra int, js json, arr int[])',
        "INSERT INTO \"O'dd \"\"t\" VALUES (1, 2, 3, '{}', '{1}')",
    )
    world.load("duck", "plain", "id int primary key, value int, js json, arr int[]", [(1, 2, "{}", [1])])
    left, right = tables.read(world.systems["pg"], "O'dd \"t"), tables.read(world.systems["duck"], "plain")
    prepared = planning.prepare(left, right, planning.Wanted(columns={"wert ü": "value"}))
    assert prepared.key == ("ID",)
    assert {pair.left.name: pair.right.name for pair in prepared.pairing.pairs} == {
        "ID": "id",
        "wert ü": "value",
    }
    assert set(prepared.pairing.left_out) == {"extra", "js", "arr"}
    assert "json_as_text" in prepared.pairing.left_out["js"]
    told = world.compare("pg", "duck", "O'dd \"t", "plain", columns={"wert ü": "value"})
    assert told["equal"]
    with pytest.raises(BadInput, match="no column 'nope'"):
        planning.prepare(left, right, planning.Wanted(leave_out=("nope",)))


def test_a_table_of_three_hundred_columns(world):
    names = [f"c{n}" for n in range(300)]
    for kind in ("pg", "duck", "lite"):
        columns = ", ".join(f"{name} {'varchar(20)' if n % 2 else 'int'}" for n, name in enumerate(names))
        world.load(
            kind,
            "broad",
            f"id int primary key, {columns}",
            [(i, *(f"t{n}" if n % 2 else n for n in range(300))) for i in range(20)],
        )
    assert world.compare("pg", "lite", "broad")["equal"]
    world.execute("lite", "UPDATE broad SET c255 = 'u' WHERE id = 4")
    for left in ("pg", "duck"):
        assert world.compare(left, "lite", "broad")["columns"] == {"c255": 1}


ROW = st.tuples(
    st.integers(-5, 60), st.none() | st.integers(-3, 3), st.none() | st.sampled_from(["", "a", "b|", "é"])
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(ROW, max_size=40, unique_by=lambda row: row[0]),
    st.lists(ROW, max_size=40, unique_by=lambda row: row[0]),
    st.booleans(),
)
def test_exactly_the_keys_that_differ_are_found(world, ours, theirs, keyed):
    world.load("lite", "some", "id int, a int, b varchar(5)", ours)
    world.load("duck", "some", "id int, a int, b varchar(5)", theirs)
    told = world.compare("lite", "duck", "some", key=("id",) if keyed else ())
    left, right = {row[0]: row for row in ours}, {row[0]: row for row in theirs}
    if not keyed:
        first, second = Counter(ours), Counter(theirs)
        assert (told["only_left"], told["only_right"]) == ((first - second).total(), (second - first).total())
        return
    assert told["only_left"] == len(left.keys() - right.keys())
    assert told["only_right"] == len(right.keys() - left.keys())
    differing = sorted(key for key in left.keys() & right.keys() if left[key] != right[key])
    assert [key["id"] for key in told["keys"].get("differing", [])] == differing[:20]
    assert told["equal"] == (left == right)


def test_what_is_finer_than_a_microsecond_is_said_to_be_cut_off(world):
    world.load("duck", "fine", "id int primary key, m timestamp_ns", [])
    world.load("pg", "fine", "id int primary key, m timestamp", [])
    left, right = (tables.read(world.systems[name], "fine") for name in ("duck", "pg"))
    notes = {
        one.left.name: one.note for one in planning.prepare(left, right, planning.Wanted()).pairing.pairs
    }
    assert notes == {"id": "", "m": "to microseconds: what is finer is cut off"}
    assert world.compare("duck", "pg", "fine")["equal"]
