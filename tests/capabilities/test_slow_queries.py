import pytest

from datareeve.capabilities.databases.operations.find_slow_queries import (
    Before,
    FindSlowQueries,
    RecordedPlan,
    SlowQueries,
)
from datareeve.capabilities.databases.rules.queries import review
from datareeve.capabilities.databases.workload import Family


def family(sql="SELECT a FROM t WHERE b = $1", **known):
    base = {
        "fingerprint": "f1", "sql": sql, "calls": 10, "total_ms": 100.0, "mean_ms": 10.0, "p50_ms": 9.0, "p95_ms": 20.0, "p99_ms": 30.0, "rows": 10,
        "is_write": False, "parsed": True, "tables": ("t",), "leading_wildcard": False, "examples": 1, "example_ref": "f1",
    }  # fmt: skip
    return Family(**{**base, **known})


@pytest.mark.parametrize(
    ("sql", "known", "rules"),
    [
        ("SELECT a FROM t WHERE b = $1", {}, []),
        ("SELECT a FROM t ORDER BY a LIMIT $1 OFFSET $2", {}, ["offset-paging"]),
        ("SELECT * FROM t WHERE a = $1", {}, ["select-star"]),
        ("SELECT t.* FROM t WHERE a = $1", {}, ["select-star"]),
        ("SELECT COUNT(*) FROM t WHERE a = $1", {}, []),
        ("SELECT a FROM t WHERE a LIKE $1", {"leading_wildcard": True}, ["leading-wildcard"]),
        ("SELECT a FROM t WHERE DATE(b) = $1", {}, ["function-on-column"]),
        ("SELECT a FROM t WHERE CAST(b AS TEXT) = $1", {}, ["function-on-column"]),
        ("SELECT a FROM t WHERE LOWER(b) = $1", {}, ["function-on-column"]),
        ("SELECT a FROM t WHERE b = LOWER($1)", {}, []),
        ("SELECT a FROM t WHERE a NOT IN (SELECT b FROM u)", {}, ["not-in-subquery"]),
        ("SELECT a FROM t WHERE NOT a IN ($1)", {}, []),
        ("SELECT a FROM t", {"rows": 50_000}, ["missing-limit"]),
        ("SELECT a FROM t LIMIT $1", {"rows": 50_000}, []),
        ("UPDATE t SET a = $1", {"is_write": True}, ["write-without-where"]),
        ("SELECT ((( FROM", {"parsed": False}, []),
        ("SELECT (ARRAY[$1])[$2] FROM t", {}, []),  # a spelling that sqlglot writes and cannot read
    ],
)
def test_a_rule_speaks_where_its_condition_holds_and_nowhere_else(sql, known, rules):
    assert [finding.rule for finding in review(family(sql, **known))] == rules


SOURCE = {"kind": "trace", "place": "trace.jsonl", "sessions": 1, "statements": 60}


def test_families_above_the_target_are_named_with_their_share():
    slow = family(fingerprint="slow", p95_ms=250.0, total_ms=300.0)
    facts = SlowQueries.model_validate({"source": SOURCE, "families": [slow, family()], "loops": []})
    plan = FindSlowQueries(system="app").plan(facts)
    assert plan.nothing_to_do == (
        "1 of 2 families are above 100 ms at the 95th percentile. The workload is 60 statements from trace.jsonl (trace)."
    )
    assert [(finding.rule, finding.subject, finding.why) for finding in plan.findings] == [
        ("slow-query", "slow (t)", "It takes 75.0 % of the workload's time.")
    ]


def test_without_percentiles_the_families_that_take_most_time_are_named():
    unknown = {"p50_ms": None, "p95_ms": None, "p99_ms": None}
    families = [
        family(fingerprint="most", total_ms=950.0, mean_ms=95.0, **unknown),
        family(total_ms=50.0, **unknown),
    ]
    facts = SlowQueries.model_validate({"source": SOURCE, "families": families, "loops": []})
    [finding] = FindSlowQueries(system="app").plan(facts).findings
    assert (finding.rule, finding.subject) == ("costly-query", "most (t)")
    assert finding.what == "Its 10 calls take 95.0 ms on average: SELECT a FROM t WHERE b = $1"
    assert finding.why == "It takes 95.0 % of the workload's time."


def test_a_loop_is_told_with_its_counts_and_what_to_write_instead():
    parent = family("SELECT a FROM orders", fingerprint="p", tables=("orders",))
    child = family("SELECT name FROM users WHERE id = $1", fingerprint="c", tables=("users",))
    loop = {"parent": "p", "children": ["c"], "loops": 5, "calls": 100, "rows": 100, "total_ms": 250.0}
    facts = SlowQueries.model_validate({"source": SOURCE, "families": [parent, child], "loops": [loop]})
    (found,) = FindSlowQueries(system="app").plan(facts).findings
    assert (found.rule, found.subject) == ("n-plus-one", "users")
    assert (
        found.what
        == "5 times: 1 query on orders gives 20 rows, then 20 queries on users: SELECT name FROM users WHERE id = $1"
    )
    assert found.why == "100 queries took 250 ms, and as many round trips, where 5 would do."
    assert (
        found.instead
        == "JOIN users in the query on orders, or collect the keys and ask once with WHERE key = ANY($1)."
    )


def test_without_a_workload_it_says_so():
    source = {"kind": "none", "place": "nowhere", "why_empty": "No workload is declared"}
    plan = FindSlowQueries(system="app").plan(
        SlowQueries.model_validate({"source": source, "families": [], "loops": []})
    )
    assert plan.blockers == ("No workload is declared.",)


def test_a_family_that_is_slower_than_before_is_told_with_both_times():
    known = {
        "before": {"f1": Before(mean_ms=4.0, now_ms=10.0), "f2": Before(mean_ms=4.0, now_ms=5.0)},
        "compared": "the last 24 hours with the 24 hours before",
        "plans": {"f1": RecordedPlan(at="2026-01-01", shape="s", cost=1.0)},
    }
    families = [family(), family(fingerprint="f2")]
    facts = SlowQueries.model_validate({"source": SOURCE, "families": families, "loops": [], **known})
    plan = FindSlowQueries(system="app").plan(facts)
    [finding] = plan.findings
    assert (finding.rule, finding.subject) == ("slower-than-before", "f1 (t)")
    assert finding.what.startswith("2.5 times slower than before, 10.0 ms a call instead of 4.0 ms")
    assert finding.instead.startswith("databases.find-plan-regressions tells whether its plan changed")
    assert plan.figures["by_family"][0]["recorded_plan"]["shape"] == "s"
    assert plan.figures["by_family"][1]["recorded_plan"] is None
