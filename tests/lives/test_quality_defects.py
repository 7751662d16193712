"""Fifty defects of real feeds, each found and named by the rule that is about it, with the exact number of rows; and none on clean data."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3

import duckdb
import pytest

import quality_defects
import quality_rig as rig
import servers
from quality_defects import DEFECTS

CONTRACT = "shop"
ELSEWHERE = ("mysql", "sqlite", "duckdb", "folder")  # each has every fourth; PostgreSQL has all


@pytest.fixture(scope="module")
def clean(tmp_path_factory, pg18):
    """The clean tables as CSV files, a template database, a DuckDB and an SQLite file."""
    folder = tmp_path_factory.mktemp("shop")
    tables = quality_defects.shop(folder)
    rig.into_postgresql(tables, pg18, "quality_shop")
    rig.into_duckdb(tables, folder / "clean.duckdb")
    rig.into_sqlite(tables, folder / "clean.sqlite")
    return tables


@contextlib.contextmanager
def place(kind, clean, folder, request, statements=()):
    """The shop on an engine, after those statements; gives the system."""
    with contextlib.ExitStack() as stack:
        entry = MAKERS[kind](clean, folder, request, statements, stack)
        registry = servers.elsewhere(folder, shop=entry)
        stack.callback(registry.close)
        yield registry["shop"]


def on_postgresql(clean, folder, request, statements, stack):
    url = stack.enter_context(request.getfixturevalue("pg18").database(*statements, template="quality_shop"))
    return {"kind": "postgresql", "url": url}


def on_mysql(clean, folder, request, statements, stack):
    server = request.getfixturevalue("mariadb")
    name = f"shop_{folder.name[-24:].replace('-', '_')}".lower()
    url = rig.into_mariadb(clean, server, name)
    with contextlib.closing(server.connect(name)) as db, db.cursor() as cursor:
        stack.callback(lambda: _drop(server, name))
        for statement in statements:
            cursor.execute(statement)
    return {"kind": "mysql", "url": url}


def _drop(server, name):
    with contextlib.closing(server.connect()) as db, db.cursor() as cursor:
        cursor.execute(f"DROP DATABASE {name}")


def on_sqlite(clean, folder, request, statements, stack):
    shutil.copy(clean.folder / "clean.sqlite", folder / "shop.sqlite")
    with contextlib.closing(sqlite3.connect(folder / "shop.sqlite")) as db:
        db.create_function("concat", 2, lambda a, b: a + b)
        for statement in statements:
            db.execute(statement)
        db.commit()
    return {"kind": "sqlite", "path": str(folder / "shop.sqlite")}


def on_duckdb(clean, folder, request, statements, stack):
    shutil.copy(clean.folder / "clean.duckdb", folder / "shop.duckdb")
    with duckdb.connect(str(folder / "shop.duckdb")) as db:
        for statement in statements:
            db.execute(statement)
    return {"kind": "duckdb", "path": str(folder / "shop.duckdb")}


def on_folder(clean, folder, request, statements, stack):
    on_duckdb(clean, folder, request, statements, stack)
    rig.into_folder(folder / "shop.duckdb", folder / "files", "parquet", clean.columns)
    return {"kind": "folder", "path": str(folder / "files")}


MAKERS = {
    "postgresql": on_postgresql,
    "mysql": on_mysql,
    "sqlite": on_sqlite,
    "duckdb": on_duckdb,
    "folder": on_folder,
}


def found(defect, kind, checked):
    """The rule names it, with the exact number of rows or the figure."""
    verdict = checked[defect.rule]
    assert verdict.says == "fail", (defect.name, kind, verdict, checked.bad())
    if defect.failing is not None:
        assert verdict.failing == defect.failing, (defect.name, kind, verdict)
    if defect.figure is not None:
        assert verdict.figure == pytest.approx(defect.figure, rel=1e-9), (defect.name, kind, verdict)


def test_there_are_many_and_each_has_its_rule():
    assert len(DEFECTS) >= 45
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS)
    rules = {rule.id for rule in rig.contract(CONTRACT).rules}
    assert {defect.rule for defect in DEFECTS} <= rules


@pytest.mark.parametrize("kind", MAKERS)
def test_no_rule_fails_on_clean_data(kind, clean, tmp_path, request):
    with place(kind, clean, tmp_path, request) as system:
        assert rig.check(system, rig.contract(CONTRACT)).bad() == {}


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda one: one.name.replace(" ", "-"))
def test_a_defect_is_found_and_named(defect, clean, tmp_path, request):
    with place("postgresql", clean, tmp_path, request, defect.statements("postgresql")) as system:
        found(defect, "postgresql", rig.check(system, rig.contract(CONTRACT)))


def shared_out():
    for number, defect in enumerate(DEFECTS):
        kind = ELSEWHERE[number % len(ELSEWHERE)]
        kind = "duckdb" if kind in defect.not_on else kind
        yield pytest.param(kind, defect, id=f"{kind}-{defect.name.replace(' ', '-')}")


@pytest.mark.parametrize(("kind", "defect"), list(shared_out()))
def test_a_defect_is_found_on_other_engines_too(kind, defect, clean, tmp_path, request):
    statements = defect.statements("duckdb" if kind == "folder" else kind)
    with place(kind, clean, tmp_path, request, statements) as system:
        found(defect, kind, rig.check(system, rig.contract(CONTRACT)))


def test_no_value_of_a_personal_column_is_in_a_verdict(clean, tmp_path, request):
    broken = [
        "UPDATE customers SET email = 'canary7f3a', iban = 'canary7f3a', phone = '', name = 'Ã canary7f3a', born = '1900-01-01'"
    ]
    with place("postgresql", clean, tmp_path, request, broken) as system:
        checked = rig.check(system, rig.contract(CONTRACT))
    assert checked["customers-email"].failing == 200
    assert checked["customers-born"].keys[0].keys() == {"id"}
    assert "canary7f3a" not in checked.results.model_dump_json()
    assert "1900" not in checked.results.model_dump_json()
