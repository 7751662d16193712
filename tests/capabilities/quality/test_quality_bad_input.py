"""Tables as they are found: empty, all NULL, NaN, a thousand columns, odd names, views, no rights, gone, down. Not run is never failed."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest

import quality_rig as rig
import servers
from datareeve.capabilities.quality import engines, running
from datareeve.capabilities.quality.compiling import compile_contract
from datareeve.capabilities.quality.rule import Bounds, Rule, Table
from datareeve.core.estate_data import QualitySettings

ODD = 'Odd "name".with; --é\U0001f600'
ODD_SQL = ODD.replace('"', '""')


def rule(kind, *columns, table="t", id_=None, bounds=None, unit="rows", where="", **arguments):  # noqa: PLR0913 - a rule's own fields
    given = {"bounds": bounds} if bounds else {}
    return Rule(
        id=id_ or kind,
        kind=kind,
        table=table,
        columns=columns,
        arguments=arguments,
        unit=unit,
        where=where,
        **given,
    )


@pytest.fixture
def on(pg18, tmp_path):
    """Checks some rules on a new PostgreSQL database, made by some statements; `role`: who reads."""

    def check(statements, *rules, role=None, tables=(), **options):
        with pg18.database(*statements) as url:
            entry = {"read_role": role} if role else {}
            registry = servers.registry(tmp_path, url, **entry)
            try:
                return rig.check(registry["app"], rig.of_rules(*rules, tables=tables), **options)
            finally:
                registry.close()
                if role:
                    with psycopg.connect(url, autocommit=True) as admin:
                        admin.execute(f"DROP OWNED BY {role}")
                        admin.execute(f"DROP ROLE {role}")

    return check


EVERY = (
    rule("not-null", "n"), rule("range", "n", at_least=0), rule("unique", "n"), rule("gaps", "n"), rule("set", "w", values=["a"]),
    rule("pattern", "w", regex="^a"), rule("length", "w", at_most=3), rule("continuity", "at", every="1 hour"), rule("near-duplicates", "w"),
    rule("aggregate", "n", function="mean", bounds=Bounds(at_least=0), unit="value"), rule("freshness", "at", bounds=Bounds(at_most=60), unit="seconds"),
    rule("row-count", bounds=Bounds(at_least=1)),
)  # fmt: skip
TYPES = "n int, w text, at timestamptz"


def test_an_empty_table_breaks_what_is_about_its_rows_together_only(on):
    checked = on([f"CREATE TABLE t ({TYPES})"], *EVERY)
    said = {name: verdict.says.value for name, verdict in checked.verdicts.items() if verdict.says != "pass"}
    assert said == {"aggregate": "not run", "freshness": "fail", "row-count": "fail"}


def test_nulls_break_not_null_and_nothing_else(on):
    checked = on([f"CREATE TABLE t ({TYPES})", "INSERT INTO t SELECT FROM generate_series(1, 5)"], *EVERY)
    said = {name: verdict.says.value for name, verdict in checked.verdicts.items() if verdict.says != "pass"}
    assert said == {"not-null": "fail", "aggregate": "not run", "freshness": "fail"}
    assert checked["not-null"].failing == 5


def test_nan_and_infinity_are_in_no_range(on):
    made = [
        "CREATE TABLE t (n float8, m numeric)",
        "INSERT INTO t VALUES ('NaN', 'NaN'), ('Infinity', 1), ('-Infinity', 1), (1, 1)",
    ]
    checked = on(
        made,
        rule("range", "n", at_least=0),
        rule("range", "n", id_="both", at_least=0, at_most=10),
        rule("range", "m", id_="m", at_least=0),
    )
    assert (checked["range"].failing, checked["both"].failing, checked["m"].failing) == (2, 3, 1)


def test_a_thousand_columns_are_checked_in_a_few_statements(on):
    names = [f"c{n}" for n in range(1000)]
    made = [
        f"CREATE TABLE t ({', '.join(f'{name} int' for name in names)})",
        f"INSERT INTO t VALUES ({', '.join('1' for _ in names)})",
    ]
    rules = [rule("not-null", name, id_=name) for name in names] + [
        rule("range", name, id_=f"r{name}", at_most=1) for name in names
    ]
    checked = on(made, *rules)
    assert checked.bad() == {}
    assert len(checked.verdicts) == 2000


def test_names_of_any_sign_are_quoted(on):
    made = [
        f'CREATE SCHEMA "{ODD_SQL}"',
        f'CREATE TABLE "{ODD_SQL}"."{ODD_SQL}" ("{ODD_SQL}" int)',
        f'INSERT INTO "{ODD_SQL}"."{ODD_SQL}" VALUES (1), (NULL)',
    ]
    checked = on(made, rule("not-null", ODD, table=ODD), rule("range", ODD, table=ODD, at_least=1))
    assert (checked["not-null"].failing, checked["range"].says) == (1, "pass")


@pytest.mark.parametrize(
    "made",
    [
        ["CREATE TABLE base AS SELECT 1 AS n", "CREATE VIEW t AS SELECT n FROM base UNION ALL SELECT NULL"],
        ["CREATE MATERIALIZED VIEW t AS SELECT 1 AS n UNION ALL SELECT NULL"],
        ["CREATE TABLE t (n int) PARTITION BY RANGE (n)", "CREATE TABLE p1 PARTITION OF t DEFAULT", "INSERT INTO t VALUES (1), (NULL)"],
        ["CREATE TABLE t (n int)", "CREATE TABLE heir () INHERITS (t)", "INSERT INTO t VALUES (1)", "INSERT INTO heir VALUES (NULL)"],
        ["CREATE DOMAIN d AS int", "CREATE TABLE t (n d)", "INSERT INTO t VALUES (1), (NULL)"],
        ["CREATE TABLE t (m int, n int GENERATED ALWAYS AS (m + 1) STORED)", "INSERT INTO t VALUES (1), (NULL)"],
    ],
    ids=["view", "materialized", "partitions", "heirs", "domain", "generated"],
)  # fmt: skip
def test_what_is_read_like_a_table_is_checked_like_one(on, made):
    checked = on(made, rule("not-null", "n"), rule("range", "n", at_least=1))
    assert (checked["not-null"].failing, checked["not-null"].checked, checked["range"].says) == (1, 2, "pass")


def test_arrays_and_enumerations_are_read_as_text(on):
    made = [
        "CREATE TYPE mood AS ENUM ('ok', 'sad')",
        "CREATE TABLE t (m mood, a int[])",
        "INSERT INTO t VALUES ('sad', '{1,2}')",
    ]
    checked = on(made, rule("set", "m", values=["ok"]), rule("range", "a", at_least=1), rule("not-null", "a"))
    assert [checked[name].says.value for name in ("set", "range", "not-null")] == ["fail", "not run", "pass"]


@pytest.mark.parametrize("of", ["column", "table", "schema"])
def test_rights_that_are_missing_are_not_run_by_name(on, of, database):
    role = f"few_{database[-8:]}"
    grants = {"column": [f"GRANT SELECT (n) ON t TO {role}"], "table": [], "schema": []}[of]
    place = "s.t" if of == "schema" else "t"
    made = [
        "CREATE SCHEMA s",
        f"CREATE TABLE {place} (n int, secret text)",
        f"INSERT INTO {place} VALUES (1, 'canary7f3a')",
        f"CREATE ROLE {role}",
        *grants,
    ]
    checked = on(made, rule("range", "n", at_least=0), rule("pattern", "secret", regex="^x"), role=role)
    assert checked["pattern"].says == "not run"
    assert checked["range"].says == ("pass" if of == "column" else "not run")
    assert "may not read" in checked["pattern"].reason or "no right" in checked["pattern"].reason
    assert "canary7f3a" not in checked.results.model_dump_json()


def compiled_for(reader, contract):
    catalog = engines.catalog_of(reader, ["t"])
    return compile_contract(contract, catalog, engines.dialect_of(catalog.kind), {})


def later(reader, contract, between, settings=rig.SETTINGS):
    """Plan, then something happens, then run."""
    compiled = compiled_for(reader, contract)
    between()
    return {v.rule: v for v in running.run(reader, compiled, contract.rules, settings, lambda _: []).verdicts}


def test_a_table_that_vanishes_between_plan_and_run_is_not_run(database, systems):
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("CREATE TABLE t (n int)")
        contract = rig.of_rules(rule("range", "n", at_least=0), rule("unique", "n"))
        found = later(systems["app"], contract, lambda: db.execute("DROP TABLE t"))
    assert {verdict.says.value for verdict in found.values()} == {"not run"}


def test_a_column_that_vanishes_takes_no_other_rule_with_it(database, systems):
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("CREATE TABLE t (n int, m int)")
        contract = rig.of_rules(rule("range", "n", at_least=0), rule("range", "m", id_="m", at_least=0))
        found = later(systems["app"], contract, lambda: db.execute("ALTER TABLE t DROP COLUMN m"))
    assert (found["range"].says, found["m"].says) == ("pass", "not run")


def test_a_server_that_is_down_is_not_run_and_says_why(tmp_path):
    registry = servers.registry(tmp_path, "postgresql://nobody@127.0.0.1:1/none")
    checked = rig.check(registry["app"], rig.of_rules(*EVERY))
    registry.close()
    assert {verdict.says.value for verdict in checked.verdicts.values()} == {"not run"}
    assert all("does not answer" in verdict.reason for verdict in checked.verdicts.values())


def test_a_session_that_is_ended_in_the_middle_is_not_run(database, systems):
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("CREATE TABLE t (n int)")
        db.execute(
            "CREATE FUNCTION ends() RETURNS int LANGUAGE sql AS 'SELECT pg_terminate_backend(pg_backend_pid())::int'"
        )
        contract = rig.of_rules(
            rule("sql", query="SELECT ends()", bounds=Bounds(at_most=1)), rule("range", "n", at_least=0)
        )
        found = later(systems["app"], contract, lambda: None)
    assert {verdict.says.value for verdict in found.values()} == {"not run"}


def test_a_statement_that_takes_too_long_is_not_run_and_the_others_are(database, systems):
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("CREATE TABLE t (n int)")
        slow = rule(
            "sql",
            query="SELECT count(*) FROM generate_series(1, 100000000) a, generate_series(1, 1000) b",
            bounds=Bounds(at_most=1),
        )
        contract = rig.of_rules(slow, rule("range", "n", at_least=0))
        found = later(systems["app"], contract, lambda: None, QualitySettings(statement_seconds=0.5))
    assert (found["sql"].says, found["range"].says) == ("not run", "pass")
    assert "timeout" in found["sql"].reason


def test_a_time_zone_of_the_server_changes_no_verdict(on):
    made = [
        "CREATE TABLE t (at timestamptz, d timestamp)",
        "INSERT INTO t VALUES ('2025-03-30T00:30:00Z', '2025-03-30 00:30'), ('2025-03-30T01:30:00Z', '2025-03-30 01:30')",
    ]
    rules = (
        rule("range", "at", at_least="2025-03-30T00:30:00+00:00", below="2025-03-30T01:30:00+00:00"),
        rule("continuity", "d", every="1 hour"),
    )
    zoned = [
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET TimeZone = ''Asia/Kathmandu''', current_database()); END $$",
        *made,
    ]
    here, there = on(made, *rules), on(zoned, *rules)
    assert rig.figures(here) == rig.figures(there)
    assert here["range"].failing == 1


@pytest.mark.system
def test_what_mariadb_folds_is_not_the_same_here(mariadb, tmp_path):
    made = [
        "CREATE TABLE t (w varchar(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci)",
        "INSERT INTO t VALUES ('a'), ('A'), ('a '), ('é'), ('ä')",
    ]
    with mariadb.database(*made) as url:
        registry = servers.elsewhere(tmp_path, x={"kind": "mysql", "url": url})
        checked = rig.check(
            registry["x"],
            rig.of_rules(rule("set", "w", values=["a", "é"]), rule("pattern", "w", regex="^[a-z]$")),
        )
        registry.close()
    assert (checked["set"].failing, checked["pattern"].failing) == (3, 4)


@pytest.mark.system
def test_zero_dates_of_mariadb_are_in_no_range(mariadb, tmp_path):
    made = [
        "SET sql_mode = ''",
        "CREATE TABLE t (d date)",
        "INSERT INTO t VALUES ('0000-00-00'), ('2025-01-01')",
    ]
    with mariadb.database(*made) as url:
        registry = servers.elsewhere(tmp_path, x={"kind": "mysql", "url": url})
        checked = rig.check(registry["x"], rig.of_rules(rule("range", "d", at_least="1900-01-01")))
        registry.close()
    assert (checked["range"].says, checked["range"].failing) == ("fail", 1)


def test_sqlite_holds_anything_in_any_column(tmp_path):
    with sqlite3.connect(tmp_path / "x.sqlite") as db:
        db.execute("CREATE TABLE t (n integer, at timestamp)")
        db.executemany(
            "INSERT INTO t VALUES (?, ?)",
            [(1, "2025-01-01"), ("many", "soon"), (None, None), (b"x", 1735689600)],
        )
    db.close()
    registry = servers.elsewhere(tmp_path, x={"kind": "sqlite", "path": "x.sqlite"})
    checked = rig.check(
        registry["x"],
        rig.of_rules(rule("range", "n", at_least=0), rule("range", "at", id_="at", at_least="2025-01-01")),
    )
    registry.close()
    assert (checked["range"].failing, checked["at"].failing) == (2, 1)


def test_the_contract_s_own_key_names_rows_where_the_table_has_none(on):
    table = Table(name="t", physical_name="t", key=("n",))
    checked = on(
        ["CREATE TABLE t (n int, m int)", "INSERT INTO t VALUES (7, -1), (8, 1)"],
        rule("range", "m", at_least=0),
        tables=[table],
    )
    assert checked["range"].keys == ({"n": 7},)
