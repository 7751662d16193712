"""A proof is given only where no row that the table lets in breaks the rule: tried with rows, on PostgreSQL."""

from __future__ import annotations

import itertools

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import quality_rig as rig
import servers
from datareeve.capabilities.quality.rule import Rule

NUMBERS = st.integers(-3, 3)
WORDS = ("a", "A", "b", "10", "9", "")
COLUMNS = "n int, x numeric, w text, v varchar(3), c char(2)"
COMPARED = st.builds(lambda left, op, right: f"{left} {op} {right}", st.sampled_from(["n", "x", "n::numeric", "round(x)", "abs(n)"]), st.sampled_from([">", ">=", "<", "<=", "="]), NUMBERS)  # fmt: skip
LISTED = st.builds(
    lambda column, some: f"{column} IN ({', '.join(map(repr, some))})",
    st.sampled_from(["w", "v", "v::text", "upper(w)", "c::text"]),
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
)
ODD = st.sampled_from(
    [
        "n IS NOT NULL",
        "length(w) < 3",
        "n / 2 = 1",
        "n::text < '2'",
        "w < 'b'",
        "x BETWEEN 0 AND 2",
        "n + x > 0",
        "NOT n > 1",
        "w = v",
    ]
)
PART = COMPARED | LISTED | ODD
CHECKS = st.one_of(PART, st.tuples(PART, st.sampled_from([" AND ", " OR "]), PART).map("".join))


def _rule(draw):
    kind = draw(st.sampled_from(["range", "set", "condition", "not-null", "length"]))
    if kind == "range":
        words = draw(
            st.dictionaries(
                st.sampled_from(["at_least", "above", "at_most", "below"]), NUMBERS, min_size=1, max_size=2
            )
        )
        return Rule(
            id="r", kind=kind, table="t", columns=(draw(st.sampled_from(["n", "x"])),), arguments=words
        )
    if kind == "set":
        values = draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=4))
        return Rule(
            id="r",
            kind=kind,
            table="t",
            columns=(draw(st.sampled_from(["w", "v", "c"])),),
            arguments={"values": values},
        )
    if kind == "condition":
        return Rule(id="r", kind=kind, table="t", arguments={"sql": draw(CHECKS)})
    if kind == "length":
        return Rule(
            id="r",
            kind=kind,
            table="t",
            columns=(draw(st.sampled_from(["w", "v", "c"])),),
            arguments={"at_most": draw(st.integers(1, 4))},
        )
    return Rule(id="r", kind=kind, table="t", columns=(draw(st.sampled_from(["n", "w"])),))


RULES = st.composite(_rule)()
ROWS = list(itertools.product((None, -1, 0, 1, 2, 3), (None, "0", "1.4", "2.5", "NaN"), (None, *WORDS), (None, "a", "10"), (None, "a")))  # fmt: skip


@pytest.fixture(scope="module")
def world(pg18, tmp_path_factory):
    """Every row that is tried, and the systems of that database."""
    columns = [f"CREATE TABLE rows_tried ({COLUMNS})"]
    with pg18.database(*columns) as url, pg18.connect(url.rsplit("/", 1)[1]) as db:
        with db.cursor().copy("COPY rows_tried FROM STDIN") as copy:
            for row in ROWS:
                copy.write_row(row)
        registry = servers.registry(tmp_path_factory.mktemp("proofs"), url)
        yield db, registry["app"]
        registry.close()


@given(checks=st.lists(CHECKS, min_size=1, max_size=2), rules=st.lists(RULES, min_size=6, max_size=10))
@settings(max_examples=25, deadline=None)
def test_what_is_proved_no_row_breaks(world, checks, rules):
    db, system = world
    db.execute("DROP TABLE IF EXISTS t")
    try:
        db.execute(f"CREATE TABLE t ({COLUMNS}, {', '.join(f'CHECK ({check})' for check in checks)})")
    except psycopg.Error:
        return  # no condition of PostgreSQL
    same = [
        Rule(id=f"same{n}", kind="condition", table="t", arguments={"sql": check})
        for n, check in enumerate(checks)
    ]
    asked = [*(rule.model_copy(update={"id": f"r{n}"}) for n, rule in enumerate(rules)), *same]
    proofs = rig.check(system, rig.of_rules(*asked)).proofs
    # The same rows in a table without any condition: those that the conditions let in.
    db.execute("DROP TABLE IF EXISTS free")
    db.execute(
        f"CREATE TABLE free AS SELECT * FROM rows_tried WHERE {' AND '.join(f'({check}) IS NOT FALSE' for check in checks)}"
    )
    proved = [rule.model_copy(update={"table": "free"}) for rule in asked if rule.id in proofs]
    if proved:
        found = rig.check(system, rig.of_rules(*proved))
        assert {
            name: verdict.failing for name, verdict in found.verdicts.items() if verdict.says == "fail"
        } == {}, proofs


SETS = Rule(id="r", kind="set", table="t", columns=("w",), arguments={"values": ["a", "b"]})
UNIQUE = Rule(id="r", kind="unique", table="t", columns=("n",))
REQUIRED = Rule(id="r", kind="not-null", table="t", columns=("n",))
REFERS = Rule(
    id="r", kind="foreign-key", table="t", columns=("n",), arguments={"table": "p", "columns": ["n"]}
)
BOUNDED = Rule(id="r", kind="range", table="t", columns=("n",), arguments={"at_least": 0})


def says(sql):
    return Rule(id="r", kind="condition", table="t", arguments={"sql": sql})


PARENT = "CREATE TABLE p (n int PRIMARY KEY)"
PROVED = (
    (REQUIRED, "CREATE TABLE t (n int NOT NULL)"),
    (REQUIRED, "CREATE TABLE t (n int PRIMARY KEY)"),
    (UNIQUE, "CREATE TABLE t (n int UNIQUE)"),
    (UNIQUE, "CREATE TABLE t (n int UNIQUE) PARTITION BY LIST (n)"),
    (REFERS, f"{PARENT}; CREATE TABLE t (n int REFERENCES p)"),
    (SETS, "CREATE TABLE t (n int, w text CHECK (w IN ('a', 'b')))"),
    (SETS, "CREATE TYPE mood AS ENUM ('a', 'b'); CREATE TABLE t (n int, w mood)"),
    (SETS, "CREATE TABLE t (n int, w varchar(5) CHECK (w = 'a'))"),
    (BOUNDED, "CREATE TABLE t (n int CHECK (n >= 1))"),
    (BOUNDED, "CREATE TABLE t (n int CHECK ((n::bigint) > -1))"),
    (says("w <> ''"), "CREATE TABLE t (n int, w varchar(5) CHECK (w <> ''))"),
    (says("n > 0 AND m > 0"), "CREATE TABLE t (n int, m int, CHECK (((n > 0)) AND (m > 0)))"),
)
NOT_PROVED = (
    (REQUIRED, "CREATE TABLE t (n int); ALTER TABLE t ADD CONSTRAINT c CHECK (n IS NOT NULL) NOT VALID"),
    (REQUIRED, "CREATE TABLE t (n int); ALTER TABLE t ADD CONSTRAINT c NOT NULL n NOT VALID"),
    (UNIQUE, "CREATE TABLE t (n int UNIQUE DEFERRABLE)"),
    (UNIQUE, "CREATE TABLE t (n int); CREATE UNIQUE INDEX ON t (n) WHERE n > 1"),
    (UNIQUE, "CREATE TABLE t (n int); CREATE UNIQUE INDEX ON t (abs(n))"),
    (UNIQUE, "CREATE TABLE t (n int, m int, UNIQUE (n, m))"),
    (UNIQUE, "CREATE TABLE t (n int UNIQUE); CREATE TABLE heir () INHERITS (t)"),
    (REFERS, f"{PARENT}; CREATE TABLE t (n int); ALTER TABLE t ADD FOREIGN KEY (n) REFERENCES p NOT VALID"),
    (REFERS, f"{PARENT}; CREATE TABLE t (n int REFERENCES p); ALTER TABLE t DISABLE TRIGGER ALL"),
    (REFERS, f"{PARENT}; CREATE TABLE t (n int REFERENCES p); CREATE TABLE heir () INHERITS (t)"),
    (SETS, "CREATE TABLE t (n int, w text CHECK (w IN ('a', 'b', 'c')))"),
    (SETS, "CREATE TABLE t (n int, w text CHECK (w IN ('a', 'b') OR n = 1))"),
    (SETS, "CREATE TABLE t (n int, w text CHECK (lower(w) IN ('a', 'b')))"),
    (SETS, "CREATE TABLE t (n int, w text, CHECK (w = 'a') NO INHERIT)"),
    (SETS, "CREATE COLLATION ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE t (n int, w text COLLATE ci CHECK (w IN ('a', 'b')))"),
    (SETS, "CREATE TYPE mood AS ENUM ('a', 'b', 'c'); CREATE TABLE t (n int, w mood)"),
    (REQUIRED, "CREATE TABLE t (n int NOT NULL); CREATE TABLE heir () INHERITS (t)"),
    (REFERS, f"{PARENT}; CREATE TABLE t (n int REFERENCES p) PARTITION BY LIST (n); CREATE TABLE t1 PARTITION OF t DEFAULT; ALTER TABLE t1 DISABLE TRIGGER ALL"),
    (BOUNDED, "CREATE TABLE t (n int CHECK (n::boolean::int >= 0))"),
    (BOUNDED, "CREATE TABLE t (n int CHECK (n::float8 / 2 >= 0))"),
    (says("n - (m - 1) > 0"), "CREATE TABLE t (n int, m int, CHECK ((n - m) - 1 > 0))"),
    (says("(NOT n > 0) AND m > 0"), "CREATE TABLE t (n int, m int, CHECK (NOT (n > 0 AND m > 0)))"),
    (Rule(id="r", kind="set", table="t", columns=("w",), arguments={"values": ["ab"]}), "CREATE TABLE t (n int, w text CHECK (w = 'ab'::varchar(1)))"),
    (REQUIRED, "CREATE VIEW t AS SELECT 1 AS n"),
    (REQUIRED, "CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw; CREATE FOREIGN TABLE t (n int NOT NULL) SERVER s OPTIONS (filename '/dev/null')"),
)  # fmt: skip


def _proofs(pg18, tmp_path, rule, sql):
    try:
        with pg18.database(*sql.split("; ")) as url:
            registry = servers.registry(tmp_path, url)
            found = rig.check(registry["app"], rig.of_rules(rule)).proofs
            registry.close()
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as missing:
        pytest.skip(str(missing))
    return found


@pytest.mark.parametrize(("rule", "sql"), PROVED, ids=lambda one: str(getattr(one, "kind", one))[:60])
def test_what_the_catalog_guarantees_is_proved(pg18, tmp_path, rule, sql):
    assert _proofs(pg18, tmp_path, rule, sql)


@pytest.mark.parametrize(("rule", "sql"), NOT_PROVED, ids=lambda one: str(getattr(one, "kind", one))[:60])
def test_what_only_looks_like_a_guarantee_is_none(pg18, tmp_path, rule, sql):
    assert not _proofs(pg18, tmp_path, rule, sql)
