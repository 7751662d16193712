"""What breaks a rule about rows together is counted exactly and named, few or many of them, on every engine."""

from __future__ import annotations

import contextlib
from collections import Counter

import duckdb
import pytest

import quality_rig as rig
import servers
from datareeve.capabilities.quality.rule import Rule, Table

KINDS = ("postgresql", "mysql", "sqlite", "duckdb", "folder")
COLUMNS = {
    "few": "id int, whole int, day date, word text, parent int",
    "many": "id int, whole int, day date, word text, parent int",
    "parents": "id int",
}
WORDS = ("a", "A", "á", "b", "a ")  # of which no two are the same, whatever the collation


def rows_of(table):
    """Few: some keys twice and thrice, NULLs, numbers below zero, days before 2000. Many: 1,500 keys twice."""
    if table == "parents":
        return [(n,) for n in range(50)]
    if table == "many":
        return [(n, n % 1500, f"2026-01-{1 + n % 1500 % 28:02}", f"w{n % 1500}", n % 1500) for n in range(3000)]  # fmt: skip
    rows = [(n, n * 3 - 300, f"19{60 + n % 40}-0{1 + n % 9}-11", f"word {n}", n % 50) for n in range(300)]
    rows += [(300 + n, -300, "1960-01-11", word, None) for n, word in enumerate(WORDS)]
    rows += [(310, 0, None, "b", 50), (311, 0, None, None, 50), (312, None, "1961-02-11", "b", -1)]
    return rows


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listing")
    for table, declared in COLUMNS.items():
        with (folder / f"{table}.csv").open("w", newline="") as file:
            names = [part.split()[0] for part in declared.split(", ")]
            file.write(f"{','.join(names)}\n")
            file.writelines(f"{','.join(map(_field, row))}\n" for row in rows_of(table))
    return rig.Tables(folder, COLUMNS)


def _field(value):
    return "" if value is None else f'"{value}"' if isinstance(value, str) else str(value)


@pytest.fixture(scope="module", params=KINDS)
def reader(request, tables, tmp_path_factory):
    kind, folder = request.param, tmp_path_factory.mktemp(f"listing-{request.param}")
    with contextlib.ExitStack() as stack:
        if kind == "postgresql":
            server = request.getfixturevalue("pg18")
            rig.into_postgresql(tables, server, "quality_listing")
            entry = {"url": stack.enter_context(server.database(template="quality_listing"))}
        elif kind == "mysql":
            entry = {"url": rig.into_mariadb(tables, request.getfixturevalue("mariadb"), "quality_listing")}
        elif kind == "sqlite":
            entry = {"path": str(rig.into_sqlite(tables, folder / "app.sqlite"))}
        else:
            file = rig.into_duckdb(tables, folder / "app.duckdb")
            entry = {"path": str(file)}
            if kind == "folder":
                entry = {"path": str(rig.into_folder(file, folder / "files", "parquet", COLUMNS))}
        registry = servers.elsewhere(folder, app={"kind": kind, **entry})
        stack.callback(registry.close)
        yield registry["app"]


def rule(kind, table, *columns, **arguments):
    return Rule(
        id=f"{table}-{'-'.join(columns)}", kind=kind, table=table, columns=columns, arguments=arguments
    )


PLACES = {"id": 0, "whole": 1, "day": 2, "word": 3, "parent": 4}
TOGETHER = (("whole",), ("word",), ("day",), ("whole", "day"), ("word", "whole"), ("day", "parent", "word"))


@pytest.mark.parametrize("table", ["few", "many"])
@pytest.mark.parametrize("columns", TOGETHER, ids="-".join)
@pytest.mark.parametrize("nulls", ["distinct", "equal"])
def test_keys_that_are_there_more_than_once_are_counted_and_named(reader, table, columns, nulls):
    keys = Counter(tuple(row[PLACES[name]] for name in columns) for row in rows_of(table))
    twice = {key: times for key, times in keys.items() if times > 1 and (nulls == "equal" or None not in key)}
    wanted = rule("unique", table, *columns, nulls=nulls)
    verdict = rig.check(reader, rig.of_rules(wanted))[wanted.id]
    assert verdict.failing == sum(twice.values()) - len(twice)
    assert verdict.checked == sum(n for key, n in keys.items() if nulls == "equal" or None not in key)
    assert len(verdict.keys) == min(20, len(twice))
    named = [tuple(row.values()) for row in verdict.keys]
    for *key, times in named:
        assert twice[tuple(key)] == int(times)
    assert [row[-1] for row in named] == sorted((row[-1] for row in named), reverse=True)


@pytest.mark.parametrize(("table", "failing"), [("few", 3), ("many", 2900)])
def test_rows_that_lead_nowhere_are_counted_and_named_by_their_key(reader, table, failing):
    wanted = rule("foreign-key", table, "parent").model_copy(
        update={"arguments": {"table": "parents", "columns": ["id"]}}
    )
    contract = rig.of_rules(wanted, tables=[Table(name=table, physical_name=table, key=("id",))])
    verdict = rig.check(reader, contract)[wanted.id]
    assert (verdict.says, verdict.failing) == ("fail", failing)
    assert len(verdict.keys) == min(20, failing)
    by_id = {row[0]: row[4] for row in rows_of(table)}
    assert all(by_id[row["id"]] == row["parent"] for row in verdict.keys)


def test_keys_that_are_personal_are_counted_and_never_read(reader, monkeypatch):
    asked = []
    read = type(reader).read
    monkeypatch.setattr(type(reader), "read", lambda self, name, **inputs: asked.append(inputs) or read(self, name, **inputs))  # fmt: skip
    unique, other = rule("unique", "few", "word"), rule("unique", "few", "whole")
    checked = rig.check(reader, rig.of_rules(unique, other), personal={"few": ["word"]})
    assert (checked[unique.id].failing, checked[unique.id].keys) == (2, ())
    assert checked[other.id].keys
    told = [one["sql"] for inputs in asked for one in inputs.get("statements", ()) if isinstance(one, dict)]
    assert not any(sql.startswith(("SELECT `word`", 'SELECT "word"', 'SELECT ("word"')) for sql in told)


def test_what_is_personal_by_its_shape_is_not_told_whatever_its_column_is_called(tmp_path):
    file = tmp_path / "app.duckdb"
    with duckdb.connect(str(file)) as db:
        db.execute(
            "CREATE TABLE t AS SELECT 'anna.lee' || n % 2 || '@example.com' AS reference, n % 2 AS shelf FROM range(4) AS r (n)"
        )
    registry = servers.elsewhere(tmp_path, app={"kind": "duckdb", "path": str(file)})
    unique, other = rule("unique", "t", "reference"), rule("unique", "t", "shelf")
    checked = rig.check(registry["app"], rig.of_rules(unique, other))
    registry.close()
    assert (checked[unique.id].failing, checked[unique.id].keys) == (2, ())
    assert checked[unique.id].keys_left_out == "its key looks like personal data"
    assert checked[other.id].keys
    assert "example.com" not in repr(checked)
