"""Every rule that writes a statement anew: what it writes, and where it keeps silent."""

import pytest
import sqlglot

from datareeve.capabilities.databases.rules.queries import REWRITES
from datareeve.capabilities.databases.rules.queries.rewriting import Catalog, Column, Constant, Table

TS = "timestamp with time zone"
CATALOG = Catalog(
    tables={
        "t": Table(
            schema_name="public",
            name="t",
            columns={
                "id": Column(type="integer", not_null=True), "a": Column(type="integer"), "b": Column(type="integer"), "ts": Column(type=TS),
                "name": Column(type="text"), "code": Column(type="character"), "n": Column(type="integer", not_null=True),
            },
            keys=(("id",),),
        ),
        "u": Table(
            schema_name="public",
            name="u",
            columns={
                "uid": Column(type="integer", not_null=True), "t_id": Column(type="integer", not_null=True), "v": Column(type="numeric"),
                "maybe": Column(type="integer"),
            },
            keys=(("uid",),),
        ),
    },
    volatile=frozenset({"lookup"}),
)  # fmt: skip


def rewritten(rule, sql, **constants):
    module = next(one for one in REWRITES if rule == one.RULE)
    catalog = CATALOG.model_copy(update={"constants": {key[1:]: value for key, value in constants.items()}})
    return module.rewrite(sqlglot.parse_one(sql, read="postgres"), catalog)


def text(found):
    return found.tree.sql(dialect="postgres", comments=False) if found else None


UNIT = Constant(literal=True, unit="day", kind="text")
PLAIN = Constant(literal=True, pattern="plain", kind="text")
ZERO, ONE = Constant(literal=True, zero=True, kind="number"), Constant(literal=True, one=True, kind="number")
MANY = Constant(items=1000)
WRITTEN = [
    ("moment-to-range", "SELECT a FROM t WHERE CAST(ts AS DATE) = $1", {},
     "SELECT a FROM t WHERE (ts >= CAST($1 AS DATE) AND ts < CAST($1 AS DATE) + 1)"),
    ("moment-to-range", "SELECT a FROM t WHERE DATE(ts) BETWEEN $1 AND $2", {},
     "SELECT a FROM t WHERE (ts >= CAST($1 AS DATE) AND ts < CAST($2 AS DATE) + 1)"),
    ("moment-to-range", "SELECT a FROM t WHERE CAST(ts AS DATE) <= $1", {}, "SELECT a FROM t WHERE ts < CAST($1 AS DATE) + 1"),
    ("moment-to-range", "SELECT a FROM t WHERE DATE_TRUNC($1, ts) = $2", {"p1": UNIT},
     ("SELECT a FROM t WHERE (ts >= CAST($2 AS TIMESTAMPTZ) AND ts < CAST($2 AS TIMESTAMPTZ) + CAST('1 day' AS INTERVAL) AND "
     "DATE_TRUNC('DAY', CAST($2 AS TIMESTAMPTZ)) = CAST($2 AS TIMESTAMPTZ))")),
    ("moment-to-range", "SELECT a FROM t WHERE EXTRACT(YEAR FROM ts) = $1", {},
     "SELECT a FROM t WHERE (ts >= MAKE_DATE(CAST($1 AS INT), 1, 1) AND ts < MAKE_DATE(CAST($1 AS INT) + 1, 1, 1))"),
    ("arithmetic-on-column", "SELECT a FROM t WHERE n + $1 = $2", {}, "SELECT a FROM t WHERE n = CAST($2 AS INT) - $1"),
    ("arithmetic-on-column", "SELECT a FROM t WHERE ts + $1::interval > NOW()", {}, "SELECT a FROM t WHERE ts > CURRENT_TIMESTAMP - CAST($1 AS INTERVAL)"),
    ("coalesce-on-column", "SELECT a FROM t WHERE COALESCE(n, $1) = $2", {}, "SELECT a FROM t WHERE n = $2"),
    ("coalesce-on-column", "SELECT a FROM t WHERE COALESCE(a, $1) = $2", {},
     "SELECT a FROM t WHERE (a = $2 OR (a IS NULL AND CAST($1 AS INT) = CAST($2 AS INT)))"),
    ("concatenated-column", "SELECT a FROM t WHERE name || $1 = $2", {"p1": Constant(literal=True, empty=True)}, "SELECT a FROM t WHERE name = $2"),
    ("implicit-cast", "SELECT a FROM t WHERE n = $1", {"p1": Constant(kind="fraction", whole=True)}, "SELECT a FROM t WHERE n = CAST($1 AS INT)"),
    ("implicit-cast", "SELECT a FROM t WHERE CAST(n AS TEXT) = $1", {"p1": Constant(kind="text", whole=True)}, "SELECT a FROM t WHERE n = CAST($1 AS INT)"),
    ("like-without-wildcard", "SELECT a FROM t WHERE name LIKE $1", {"p1": PLAIN}, "SELECT a FROM t WHERE name = $1"),
    ("substring-prefix", "SELECT a FROM t WHERE LEFT(name, $1) = $2", {"p2": PLAIN}, "SELECT a FROM t WHERE (LEFT(name, $1) = $2 AND name LIKE $2 || '%')"),
    ("substring-prefix", "SELECT a FROM t WHERE SUBSTRING(name FROM $1 FOR $2) = $3", {"p1": ONE, "p3": PLAIN},
     "SELECT a FROM t WHERE (SUBSTRING(name FROM $1 FOR $2) = $3 AND name LIKE $3 || '%')"),
    ("long-in-list", "SELECT a FROM t WHERE n IN ($1)", {"p1": MANY}, "SELECT a FROM t WHERE n IN (SELECT UNNEST(CAST(ARRAY[$1] AS INT[])))"),
    ("not-in-to-exists", "SELECT a FROM t WHERE NOT id IN (SELECT t_id FROM u WHERE v > $1)", {},
     "SELECT a FROM t WHERE NOT EXISTS(SELECT 1 FROM u WHERE v > $1 AND u.t_id = t.id)"),
    ("count-for-existence", "SELECT a FROM t WHERE (SELECT COUNT(*) FROM u WHERE u.t_id = t.id) > $1", {"p1": ZERO},
     "SELECT a FROM t WHERE EXISTS(SELECT 1 FROM u WHERE u.t_id = t.id)"),
    ("count-for-existence", "SELECT a FROM t WHERE (SELECT COUNT(*) FROM u WHERE u.t_id = t.id) = $1", {"p1": ZERO},
     "SELECT a FROM t WHERE NOT EXISTS(SELECT 1 FROM u WHERE u.t_id = t.id)"),
    ("count-for-existence", "SELECT COUNT(*) > $1 FROM t WHERE a = $2", {"p1": ZERO}, 'SELECT EXISTS(SELECT 1 FROM t WHERE a = $2) AS "?column?"'),
    ("union-to-union-all", "SELECT $1 AS kind, id FROM t UNION SELECT $2, uid FROM u", {"p1": Constant(literal=True, like=1), "p2": Constant(literal=True, like=2)},
     "SELECT $1 AS kind, id FROM t UNION ALL SELECT $2, uid FROM u"),
    ("distinct-over-key", "SELECT DISTINCT id, name FROM t WHERE a = $1", {}, "SELECT id, name FROM t WHERE a = $1"),
    ("or-to-union-all", "SELECT id FROM t WHERE n > $1 AND (a = $2 OR b = $3)", {},
     "SELECT id FROM t WHERE n > $1 AND a = $2 UNION ALL SELECT id FROM t WHERE n > $1 AND b = $3 AND NOT (a = $2) IS TRUE"),
    ("having-to-where", "SELECT a, COUNT(*) FROM t GROUP BY a HAVING a = $1 AND COUNT(*) > $2", {},
     "SELECT a, COUNT(*) FROM t WHERE a = $1 GROUP BY a HAVING COUNT(*) > $2"),
    ("order-in-subquery", "SELECT a FROM (SELECT a, b FROM t ORDER BY b) AS s ORDER BY a", {}, "SELECT a FROM (SELECT a, b FROM t) AS s ORDER BY a"),
    ("repeated-cte", "WITH c AS (SELECT a, b FROM t) SELECT x.a FROM c AS x, c AS y WHERE x.a = y.b", {},
     "WITH c AS NOT MATERIALIZED (SELECT a, b FROM t) SELECT x.a FROM c AS x, c AS y WHERE x.a = y.b"),
    ("volatile-function", "SELECT a FROM t WHERE n = LOOKUP($1)", {}, "SELECT a FROM t WHERE n = (SELECT LOOKUP($1))"),
    ("correlated-subquery", "SELECT u.uid FROM u, t WHERE t.id = u.t_id AND u.v < (SELECT $1 * AVG(w.v) FROM u AS w WHERE w.t_id = t.id)", {},
     ("SELECT u.uid FROM u CROSS JOIN t LEFT JOIN (SELECT w.t_id AS key_1, $1 * AVG(w.v) AS value FROM u AS w GROUP BY w.t_id) AS grouped_1 ON "
     "grouped_1.key_1 = t.id WHERE t.id = u.t_id AND u.v < grouped_1.value")),
    ("correlated-subquery", "SELECT t.id, (SELECT COUNT(*) FROM u WHERE u.t_id = t.id) AS many FROM t", {},
     ("SELECT t.id, COALESCE(grouped_1.value, 0) AS many FROM t LEFT JOIN (SELECT u.t_id AS key_1, COUNT(*) AS value FROM u GROUP BY u.t_id) AS "
     "grouped_1 ON grouped_1.key_1 = t.id")),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "sql", "constants", "expected"), WRITTEN)
def test_a_rule_writes_a_statement_anew(rule, sql, constants, expected):
    assert text(rewritten(rule, sql, **constants)) == expected


SILENT = [
    ("moment-to-range", "SELECT a FROM t WHERE ts = $1"),
    ("moment-to-range", "SELECT a FROM t WHERE CAST(name AS DATE) = $1"),  # text, not a moment
    ("moment-to-range", "SELECT CAST(ts AS DATE) = $1 FROM t"),  # no condition
    ("moment-to-range", "SELECT a FROM t WHERE DATE_TRUNC($1, ts) = $2"),  # the unit is not known
    ("moment-to-range", "SELECT a FROM t WHERE EXTRACT(MONTH FROM ts) = $1"),  # every year has one
    ("moment-to-range", "SELECT a FROM t WHERE CAST(ts AS DATE) = CAST(name AS DATE)"),
    ("arithmetic-on-column", "SELECT a FROM t WHERE n = $1 + $2"),
    ("arithmetic-on-column", "SELECT a FROM t WHERE n * $1 = $2"),
    ("arithmetic-on-column", "SELECT a FROM t WHERE n + b = $1"),
    ("coalesce-on-column", "SELECT a FROM t WHERE COALESCE(a, b) = $1"),
    ("coalesce-on-column", "SELECT COALESCE(a, $1) FROM t"),
    ("concatenated-column", "SELECT a FROM t WHERE name || $1 = $2"),  # not known to be empty
    ("implicit-cast", "SELECT a FROM t WHERE n = $1"),
    ("implicit-cast", "SELECT a FROM t WHERE CAST(name AS TEXT) = $1"),
    ("like-without-wildcard", "SELECT a FROM t WHERE name LIKE $1"),
    ("substring-prefix", "SELECT a FROM t WHERE LEFT(name, $1) = $2"),
    ("long-in-list", "SELECT a FROM t WHERE n IN ($1)"),
    ("not-in-to-exists", "SELECT a FROM t WHERE id IN (SELECT t_id FROM u)"),
    ("not-in-to-exists", "SELECT a FROM t WHERE NOT id IN ($1)"),
    ("not-in-to-exists", "SELECT a FROM t WHERE NOT id IN (SELECT MAX(t_id) FROM u)"),
    ("not-in-to-exists", "SELECT a FROM t WHERE NOT id IN (SELECT t_id FROM u LIMIT 3)"),
    ("count-for-existence", "SELECT a FROM t WHERE (SELECT COUNT(*) FROM u WHERE u.t_id = t.id) > $1"),  # perhaps three
    ("count-for-existence", "SELECT a FROM t WHERE (SELECT COUNT(maybe) FROM u) > 0"),  # counts what is not NULL
    ("count-for-existence", "SELECT a FROM t GROUP BY a HAVING COUNT(*) > 0"),
    ("union-to-union-all", "SELECT id FROM t UNION SELECT uid FROM u"),  # may be equal
    ("union-to-union-all", "SELECT 1, a FROM t UNION SELECT 2, uid FROM u"),  # a is no key
    ("union-to-union-all", "SELECT 1, id FROM t UNION ALL SELECT 2, uid FROM u"),
    ("distinct-over-key", "SELECT DISTINCT a FROM t"),
    ("distinct-over-key", "SELECT DISTINCT t.id FROM t JOIN u ON u.t_id = t.id"),  # a join multiplies
    ("distinct-over-key", "SELECT DISTINCT ON (a) id FROM t"),
    ("or-to-union-all", "SELECT id FROM t WHERE a = $1 OR a = $2"),
    ("or-to-union-all", "SELECT COUNT(*) FROM t WHERE a = $1 OR b = $2"),
    ("or-to-union-all", "SELECT id FROM t WHERE a = $1 OR b = $2 ORDER BY id"),
    ("having-to-where", "SELECT a FROM t GROUP BY a HAVING COUNT(*) > $1"),
    ("having-to-where", "SELECT COUNT(*) FROM t HAVING $1 = $2"),
    ("order-in-subquery", "SELECT ARRAY_AGG(a) FROM (SELECT a FROM t ORDER BY a) AS s"),
    ("order-in-subquery", "SELECT a FROM (SELECT a FROM t ORDER BY a LIMIT $1) AS s ORDER BY a"),
    ("order-in-subquery", "SELECT a FROM (SELECT a FROM t ORDER BY a) AS s"),
    ("repeated-cte", "WITH c AS (SELECT a FROM t) SELECT a FROM c"),
    ("repeated-cte", "WITH c AS (SELECT RANDOM() AS r FROM t) SELECT x.r FROM c AS x, c AS y"),
    ("repeated-cte", "WITH RECURSIVE c AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM c) SELECT x.n FROM c AS x, c AS y"),
    ("volatile-function", "SELECT a FROM t WHERE n = LOOKUP(a)"),
    ("volatile-function", "SELECT a FROM t WHERE n = OTHER($1)"),
    ("correlated-subquery", "SELECT id FROM t WHERE n = (SELECT MAX(v) FROM u)"),  # not correlated
    ("correlated-subquery", "SELECT id FROM t WHERE n = (SELECT v FROM u WHERE u.t_id = t.id)"),  # no aggregate
    ("correlated-subquery", "SELECT id FROM t WHERE n = (SELECT MAX(v) FROM u WHERE u.t_id > t.id)"),
    ("correlated-subquery", "SELECT id FROM t WHERE n = (SELECT MAX(v + t.a) FROM u WHERE u.t_id = t.id)"),
    ("correlated-subquery", "SELECT * FROM t WHERE n = (SELECT MAX(v) FROM u WHERE u.t_id = t.id)"),  # * would give its columns too
]  # fmt: skip


@pytest.mark.parametrize(("rule", "sql"), SILENT)
def test_a_rule_keeps_silent_where_it_cannot_know(rule, sql):
    assert text(rewritten(rule, sql)) is None


def test_every_rule_has_an_example_of_both_kinds():
    names = {module.RULE for module in REWRITES}
    assert names == {example[0] for example in WRITTEN} == {example[0] for example in SILENT}


@pytest.mark.parametrize(
    ("rule", "sql", "constants", "rests_on", "differs"),
    [
        ("not-in-to-exists", "SELECT a FROM t WHERE NOT id IN (SELECT t_id FROM u)", {}, ("u.t_id is NOT NULL", "t.id is NOT NULL"), ""),
        ("not-in-to-exists", "SELECT a FROM t WHERE NOT id IN (SELECT maybe FROM u)", {}, ("t.id is NOT NULL",), "u.maybe may be NULL"),
        ("coalesce-on-column", "SELECT a FROM t WHERE COALESCE(n, $1) = $2", {}, ("t.n is NOT NULL",), ""),
        ("like-without-wildcard", "SELECT a FROM t WHERE name LIKE $1", {"p1": Constant(pattern="plain")}, (), "No recorded pattern"),
        ("distinct-over-key", "SELECT DISTINCT id FROM t", {}, ("t (id) is a key",), ""),
        ("arithmetic-on-column", "SELECT a FROM t WHERE ts + $1::interval > NOW()", {}, (), "An interval of months"),
    ],
)  # fmt: skip
def test_what_the_equality_rests_on_is_told(rule, sql, constants, rests_on, differs):
    found = rewritten(rule, sql, **constants)
    assert found.rests_on == rests_on
    assert found.differs.startswith(differs)
    assert bool(found.differs) == bool(differs)
