"""A contract's own SQL reads tables and does nothing else, whatever it is dressed as; what does not fit its column says so."""

from __future__ import annotations

import contextlib
import sqlite3

import pytest

import quality_rig as rig
import servers
from datareeve.capabilities.quality.catalog import Catalog, CatalogColumn, CatalogTable
from datareeve.capabilities.quality.compiling import compile_contract
from datareeve.capabilities.quality.engines import dialect_of
from datareeve.capabilities.quality.rule import Bounds, Contract, Rule, Table
from datareeve.capabilities.quality.statement_sql import condition_sql, query_sql
from datareeve.core.errors import BadInput

KINDS = ("postgresql", "mysql", "sqlite", "duckdb", "spark")
CONDITIONS = (
    "1=1) UNION SELECT usename FROM pg_user --", "1=1; DROP TABLE t", "1=1)) OR ((1=1", "1=1) LIMIT (1", "1=1 ORDER BY 1", "", "   ", "1=1 -- \n) --",
    "1=1) INTO OUTFILE '/tmp/x' --", "a IN (SELECT lo_import('/etc/passwd'))", "EXISTS (WITH x AS (DELETE FROM t RETURNING 1) SELECT 1 FROM x)",
    "pg_sleep(10) IS NULL", "pg_catalog.pg_sleep(10) IS NULL", "sleep(10) = 0", "benchmark(1000000, md5('x')) = 0", "nextval('s') > 0",
    "set_config('statement_timeout', '0', false) = '0'", "pg_read_file('/etc/passwd') = ''", "load_file('/etc/passwd') = ''",
    "a = (SELECT count(*) FROM read_csv('/etc/passwd'))", "a = (SELECT count(*) FROM read_text('/etc/passwd'))",
    "a = (SELECT count(*) FROM read_parquet('x'))", "a = (SELECT count(*) FROM glob('/**'))", "a = (SELECT 1 FROM t FOR UPDATE)",
    "query_to_xml('DELETE FROM t', true, true, '') IS NULL", "pg_terminate_backend(1)", "pg_advisory_lock(1) IS NULL", "dblink('x', 'y') = 1",
    "load_extension('x') = 1", "getenv('HOME') = ''", "reflect('java.lang.System', 'exit', 1) = ''", "@@version = ''", "a := 1", "a = 1 x" * 4000,
    "(" * 3000 + "1=1" + ")" * 3000,
)  # fmt: skip
QUERIES = (
    "COPY t TO '/tmp/x'", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE t", "ATTACH 'x'", "SELECT * INTO x FROM t", "EXPLAIN ANALYZE DELETE FROM t",
    "CALL x()", "DO $$ BEGIN END $$", "SELECT 1 INTO OUTFILE '/tmp/x'", "PRAGMA x = 1", "SET x = 1", "WITH x AS (INSERT INTO t VALUES (1) RETURNING 1) SELECT 1 FROM x",
    "SELECT pg_read_file('x')", "SELECT * FROM dblink('x', 'y') AS t(a int)", "SELECT * FROM read_parquet('x')", "DELETE FROM t", "TRUNCATE t", "INSTALL x",
    "LOAD x", "SELECT * FROM sqlite_scan('x', 'y')", "SELECT lo_unlink(1)", "VACUUM", "LOCK TABLE t", "GRANT ALL ON t TO x", "SELECT 1 FOR UPDATE", "",
)  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", CONDITIONS, ids=lambda text: text[:40])
def test_a_condition_that_is_more_than_one_is_refused(text, kind):
    with pytest.raises(BadInput) as refused:
        condition_sql(text, "", dialect_of(kind))
    assert refused.value.code == "rule.sql"
    assert "passwd" not in refused.value.what


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", QUERIES, ids=lambda text: text[:40])
def test_a_query_that_does_more_than_read_is_refused(text, kind):
    with pytest.raises(BadInput) as refused:
        query_sql(text, "", dialect_of(kind))
    assert refused.value.code == "rule.sql"


def test_comments_and_quotes_stay_within_their_place():
    d = dialect_of("postgresql")
    assert condition_sql("a = 1 -- b", "", d) == "(a = 1)"
    assert condition_sql("a = 1 /* ) */", "", d) == "(a = 1)"
    assert condition_sql("a = 'it''s -- no comment'", "", d) == "(a = 'it''s -- no comment')"
    assert condition_sql('"odd "" name" = 1', "", d) == '("odd "" name" = 1)'


def test_plain_sql_means_the_same_on_every_engine():
    assert condition_sql("a / 2 = 1", "", dialect_of("postgresql")) == "(CAST(a AS DOUBLE PRECISION) / 2 = 1)"
    assert condition_sql("\"a\" = 'x'", "", dialect_of("mysql")) == "(`a` = 'x')"
    assert (
        condition_sql("`a` = 1", "", dialect_of("mysql")) == "(`a` = 1)"
    )  # no standard SQL: the engine's own
    assert condition_sql("a / 2 = 1", "postgres", dialect_of("postgresql")) == "(a / 2 = 1)"


TABLE = ("CREATE TABLE t (id int PRIMARY KEY, name text, born date, big bigint)", "INSERT INTO t SELECT n, 'x', '2020-01-01', 9223372036854775807 FROM generate_series(1, 10) n")  # fmt: skip
MISFITS = (
    ("range", ("name",), {"at_least": 1}, "A range does not fit"),
    ("range", ("id",), {"at_least": "many"}, "a value that is none"),
    ("range", ("id",), {"at_least": float("nan")}, "NaN"),
    ("range", ("born",), {"at_least": "soon"}, "a value that is none"),
    ("length", ("id",), {"at_most": 1}, "A length does not fit"),
    ("pattern", ("id",), {"regex": "x"}, "A pattern does not fit"),
    ("pattern", ("name",), {"regex": "("}, "is not a regular expression"),
    ("freshness", ("name",), {}, "Freshness does not fit"),
    ("gaps", ("name",), {}, "A sequence does not fit"),
    ("continuity", ("born",), {"every": "often"}, "is no interval"),
    ("aggregate", ("name",), {"function": "mean"}, "A mean does not fit"),
    ("aggregate", ("id",), {"function": "mode"}, "There is no metric mode"),
    ("foreign-key", ("id",), {"table": "nowhere", "columns": ["id"]}, "There is no table nowhere"),
    ("foreign-key", ("id",), {"table": "t", "columns": ["id", "name"]}, "pairs columns"),
    ("set", ("id",), {"values": []}, "without values"),
    ("set", ("name",), {"values": ["a\0b"]}, "NUL"),
    ("type", ("name",), {"type": "colour"}, "cannot be read as colour"),
    ("format", ("name",), {"format": "ibann"}, "format"),
    ("not-null", ("nobody",), {}, "has no column nobody"),
    ("distribution", ("id",), {}, "without a reference"),
    ("condition", (), {"sql": "id = 1; DROP TABLE t"}, "not SQL"),
)


@pytest.fixture(scope="module")
def table(pg18, tmp_path_factory):
    with pg18.database(*TABLE) as url:
        registry = servers.registry(tmp_path_factory.mktemp("asking"), url)
        yield registry["app"]
        registry.close()


@pytest.mark.parametrize(("kind", "columns", "arguments", "said"), MISFITS, ids=lambda one: str(one)[:30])
def test_a_rule_that_does_not_fit_is_not_run_and_takes_no_other_with_it(
    table, kind, columns, arguments, said
):
    odd = Rule(id="odd", kind=kind, table="t", columns=columns, arguments=arguments)
    good = Rule(id="good", kind="row-count", table="t", bounds=Bounds(equal_to=10))
    checked = rig.check(table, rig.of_rules(odd, good))
    assert checked["odd"].says == "not run"
    assert said in checked["odd"].reason
    assert checked["good"].says == "pass"


def test_a_sum_beyond_the_integers_is_exact_enough(table):
    rule = Rule(
        id="sum", kind="aggregate", table="t", columns=("big",), arguments={"function": "sum"},
        bounds=Bounds(at_least=9.2e19), unit="value",
    )  # fmt: skip
    assert rig.check(table, rig.of_rules(rule))["sum"].says == "pass"


# -- what is personal, however it is spelled ------------------------------------------------------------------------------------------


def personal_keys(table, declared, classified=(), rule=None):
    """What is shown of rows that break a rule of a table whose key is its `email`."""
    contract = Contract(
        name="c", id="c", version="1", rules=(rule or Rule(id="r", kind="not-null", table="customers", columns=("age",)),),
        tables=(Table(name="customers", physical_name="customers", key=("email",), personal=dict.fromkeys(classified, "email")),),
    )  # fmt: skip
    (asked,) = compile_contract(
        contract,
        Catalog(system="app", kind="postgresql", tables={"customers": table}),
        dialect_of("postgresql"),
        declared,
    ).asked
    return asked.keys, asked.keys_left_out


def keyed(key):
    return CatalogTable(
        name="public.customers",
        place=("public", "customers"),
        kind="table",
        columns=(
            CatalogColumn(name=key, type="text", family="text"),
            CatalogColumn(name="age", type="integer", family="integer"),
        ),
        keys=((key,),),
        primary_key=(key,),
    )


@pytest.mark.parametrize(
    "declared",
    [
        {"customers": {"shelf": "username"}},
        {"public.customers": {"shelf": "username"}},
        {"PUBLIC.Customers": {"SHELF": "username"}},
        {'"customers"': {"Shelf": "username"}},
    ],
)
def test_a_personal_key_is_not_shown_however_it_is_declared(declared):
    assert personal_keys(keyed("shelf"), declared) == ("", "its key is personal data")


def test_a_key_that_the_contract_classifies_in_another_case_is_not_shown():
    assert personal_keys(keyed("shelf"), {}, classified=("Shelf",)) == ("", "its key is personal data")


def test_another_tables_column_of_that_name_is_shown():
    keys, left_out = personal_keys(keyed("shelf"), {"orders": {"shelf": "username"}})
    assert ('"shelf"' in keys, left_out) == (True, "")


@pytest.mark.parametrize("key", ["email", "phone_number", "iban", "Kunden_Email", "national_id", "ssn"])
def test_a_key_whose_name_is_that_of_personal_data_is_not_shown_until_somebody_says_that_it_is_none(key):
    assert personal_keys(keyed(key), {}) == ("", "its key is personal data")
    keys, left_out = personal_keys(keyed(key), {"customers": {key: "no"}})
    assert (key in keys, left_out) == (True, "")


GAPS = {
    "a number between two steps fills no gap": ([(10, "a"), (15, "a"), (30, "a")], {"step": 10}, (1, 3)),
    "two are missing": ([(1, "a"), (2, "a"), (5, "a")], {}, (2, 3)),
    "each group has its own ends": ([(1, "a"), (3, "a"), (1, "b"), (2, "b")], {"by": ["g"]}, (1, 4)),
    "even numbers": ([(2, "a"), (4, "a"), (8, "a")], {"step": 2}, (1, 3)),
    "an empty table has none": ([], {"step": 2}, (0, 0)),
}


@pytest.mark.parametrize(("rows", "arguments", "expected"), GAPS.values(), ids=GAPS)
def test_numbers_that_are_missing_are_counted(rows, arguments, expected):
    table = CatalogTable(
        name="t", place=("t",), kind="table",
        columns=(CatalogColumn(name="n", type="INTEGER", family="integer"), CatalogColumn(name="g", type="TEXT", family="text")),
    )  # fmt: skip
    rule = Rule(id="r", kind="gaps", table="t", columns=("n",), arguments=arguments)
    contract = Contract(
        name="c", id="c", version="1", rules=(rule,), tables=(Table(name="t", physical_name="t"),)
    )
    (statement,) = compile_contract(
        contract, Catalog(system="s", kind="sqlite", tables={"t": table}), dialect_of("sqlite"), {}
    ).statements
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (n integer, g text)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", rows)
        assert connection.execute(statement.sql).fetchone() == expected
