"""A draft that nobody has reviewed: the same on every engine, true of the data it was made from, and most defects of real feeds break it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from test_quality_defects import clean, place  # noqa: F401 - the fixture

import quality_rig as rig
from datareeve.capabilities.quality import engines, profile
from datareeve.capabilities.quality.contracts import proposing
from datareeve.capabilities.quality.contracts.read import read
from quality_defects import DEFECTS, NEWEST

# What a table by itself does not tell: that two columns are one day, that a number should not stay the same, that cents are usual ...
MISSED = {"off-by-one date", "time zone shifted", "rounded to whole numbers", "rows of next year", "frozen sensor"}  # fmt: skip


def drafted(reader):
    names = [".".join(one) for one in engines.tables_of(reader)]
    found = profile.profile(reader, engines.catalog_of(reader, names), engines.dialect_of(reader.kind))
    text = proposing.propose("shop", found, system="shop", now=NEWEST + timedelta(minutes=6))
    assert "René" not in text
    return read(text, "shop")


def said(contract):
    """The rules, without what each engine calls its types."""
    return {
        rule.id: (rule.columns, rule.arguments, rule.bounds, rule.text)
        for rule in contract.rules
        if rule.kind != "schema"
    }


@pytest.fixture(scope="module")
def of_duckdb(clean, tmp_path_factory):  # noqa: F811
    with place("duckdb", clean, tmp_path_factory.mktemp("drafted"), None) as system:
        return drafted(system)


def test_it_says_how_columns_and_rows_hang_together(of_duckdb):
    told = {(rule.kind, rule.columns): rule.arguments for rule in of_duckdb.rules}
    assert told["continuity", ("taken",)] == {"every": "1 hour", "by": ["sensor"]}
    assert told["agreement", ("total",)] == {
        "function": "sum",
        "with": {"table": "items", "column": "amount"},
    }
    assert told["type", ("day",)] == {"type": "date"}
    assert told["type", ("profile",)] == {"type": "json"}
    assert told["range", ("born",)]["at_most"] == "now"
    assert ("gaps", ("id",)) in told


@pytest.mark.parametrize("kind", ["postgresql", "mysql", "sqlite", "duckdb", "folder"])
def test_each_engine_gives_the_same_and_keeps_it(kind, clean, of_duckdb, tmp_path, request):  # noqa: F811
    with place(kind, clean, tmp_path, request) as system:
        contract = drafted(system) if kind != "folder" else of_duckdb
        assert said(contract) == said(of_duckdb)
        checked = rig.check(system, contract)
    assert checked.bad() == {}
    assert {verdict.says for verdict in checked.verdicts.values()} == {"pass"}


def test_most_defects_break_it(clean, of_duckdb, tmp_path, request):  # noqa: F811
    missed = set()
    for defect in DEFECTS:
        folder = tmp_path / defect.name.replace(" ", "-")
        folder.mkdir()
        with place("duckdb", clean, folder, request, defect.statements("duckdb")) as system:
            checked = rig.check(system, of_duckdb)
        if not {"fail", "warn"} & {verdict.says for verdict in checked.verdicts.values()}:
            missed.add(defect.name)
    assert missed == MISSED
