"""Findings on statements that need no proof: where they speak, and where they keep silent."""

import pytest

from datareeve.capabilities.databases.rules.queries import review
from datareeve.capabilities.databases.workload import Family


def family(sql, **known):
    base = {
        "fingerprint": "f1", "sql": sql, "calls": 100, "total_ms": 1000.0, "mean_ms": 10.0, "p50_ms": 9.0, "p95_ms": 20.0, "p99_ms": 30.0, "rows": 10,
        "is_write": False, "parsed": True, "tables": ("t",), "leading_wildcard": False, "examples": 1, "example_ref": "f1",
    }  # fmt: skip
    return Family(**{**base, **known})


EXTREME = "SELECT t.id FROM t JOIN (SELECT k, MAX(x) AS m FROM t GROUP BY k) AS g ON g.k = t.k AND g.m = t.x"


@pytest.mark.parametrize(
    ("sql", "known", "rules"),
    [
        ("SELECT a FROM t ORDER BY RANDOM() LIMIT $1", {}, ["random-order"]),
        ("SELECT RANDOM() FROM t WHERE a = $1 ORDER BY a", {}, []),
        ("SELECT COUNT(*) FROM t", {}, ["count-of-all"]),
        ("SELECT COUNT(*) FROM t", {"calls": 2}, []),
        ("SELECT COUNT(*) FROM t", {"mean_ms": 0.1}, []),
        ("SELECT COUNT(*) FROM t WHERE a = $1", {}, []),
        ("SELECT COUNT(*) FROM t GROUP BY a", {}, []),
        ("SELECT t.a FROM t JOIN u ON LOWER(t.name) = u.name", {}, ["join-on-expression"]),
        ("SELECT t.a FROM t JOIN u ON t.name = u.name", {}, []),
        ("SELECT t.a FROM t JOIN u ON t.id = u.id WHERE u.b = u.c + $1", {}, []),
        (EXTREME, {}, ["self-join-for-extreme"]),
        ("SELECT t.id FROM t JOIN (SELECT k, MAX(x) AS m FROM u GROUP BY k) AS g ON g.k = t.k", {}, []),
    ],
)
def test_a_rule_speaks_where_its_condition_holds_and_nowhere_else(sql, known, rules):
    assert [finding.rule for finding in review(family(sql, **known))] == rules


@pytest.mark.parametrize(
    ("sql", "instead"),
    [
        (
            "SELECT a FROM t WHERE b = $1 ORDER BY a, id LIMIT $2 OFFSET $3",
            "SELECT a FROM t WHERE (b = $1) AND (a, id) > (:last_a, :last_id) ORDER BY a, id LIMIT $2",
        ),
        (
            "SELECT a FROM t ORDER BY a DESC LIMIT $1 OFFSET $2",
            "SELECT a FROM t WHERE a < :last_a ORDER BY a DESC LIMIT $1",
        ),
        (
            "SELECT a FROM t ORDER BY a DESC, b LIMIT $1 OFFSET $2",
            "WHERE (order columns) > (last row's values)",
        ),
    ],
)
def test_paging_by_key_is_written_out(sql, instead):
    [finding] = review(family(sql))
    assert instead in finding.instead
