import pytest

from datareeve.capabilities.databases import index_advice
from datareeve.capabilities.databases.index_advice import Candidate, ExistingIndex, Situation
from datareeve.capabilities.databases.operations.advise_indexes import AdviseIndexes, AdviseIndexesFacts
from datareeve.capabilities.databases.query_shape import Access, accesses

COLUMNS = {"f": frozenset({"tail", "day", "hour", "dest"}), "p": frozenset({"tail", "seats", "email"})}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "SELECT dest FROM f WHERE tail = $1 AND day > $2",
            [Access(table="f", equal=("tail",), ranged=("day",))],
        ),
        ("SELECT dest FROM f WHERE $1 = tail", [Access(table="f", equal=("tail",))]),
        (
            "SELECT dest FROM f WHERE tail IN ($1) AND day = ANY($2)",
            [Access(table="f", equal=("tail", "day"))],
        ),
        (
            "SELECT dest FROM f ORDER BY day DESC, hour DESC LIMIT $1",
            [Access(table="f", ordered=("day", "hour"), limited=True)],
        ),
        ("SELECT dest FROM f ORDER BY day DESC, hour", []),
        ("SELECT dest FROM f WHERE tail = $1 OR day = $2", []),
        (
            "SELECT x.dest FROM f AS x JOIN p ON p.tail = x.tail WHERE seats = $1",
            [Access(table="f", joined=("tail",)), Access(table="p", equal=("seats",), joined=("tail",))],
        ),
        (
            "SELECT dest FROM f JOIN p ON p.tail = f.tail WHERE tail = $1",
            [Access(table="f", joined=("tail",)), Access(table="p", joined=("tail",))],
        ),
        ("SELECT 1 FROM p WHERE LOWER(email) = $1", [Access(table="p", equal=("(lower(email))",))]),
        ("UPDATE f SET dest = $1 WHERE tail = $2", [Access(table="f", equal=("tail",))]),
        ("DELETE FROM f WHERE day < $1", [Access(table="f", ranged=("day",))]),
        ("SELECT 1 FROM unknown WHERE a = $1", []),
        ("SELECT FROM (((", []),
    ],
)
def test_a_statement_reaches_its_tables_by_what_it_compares_and_orders_by(sql, expected):
    assert sorted(accesses(sql, COLUMNS), key=lambda access: access.table) == expected


def family(fingerprint, sql, total_ms=1000.0):
    return {
        "fingerprint": fingerprint, "sql": sql, "calls": 100, "total_ms": total_ms, "mean_ms": 10.0, "p50_ms": 9.0, "p95_ms": 20.0, "p99_ms": 30.0,
        "rows": 100, "is_write": False, "parsed": True, "tables": ["f"], "leading_wildcard": False, "examples": 1, "example_ref": fingerprint,
    }  # fmt: skip


def situation(*families, indexes=(), plans=(), foreign_keys=()):
    distinct = {"tail": 4000, "day": 31, "hour": -0.5, "dest": 100}
    return Situation.model_validate(
        {
            "workload": {"source": {"kind": "trace", "place": "t"}, "families": families, "loops": []},
            "tables": [
                {
                    "schema_name": "public",
                    "name": "f",
                    "rows": 300_000,
                    "pages": 5000,
                    "bytes": 41_000_000,
                    "distinct_values": distinct,
                }
            ],
            "indexes": indexes,
            "foreign_keys": foreign_keys,
            "plans": plans,
        }
    )


def index(name, *keys, **known):
    base = {
        "schema_name": "public", "table_name": "f", "name": name, "method": "btree", "keys": keys, "has_included": False, "is_partial": False,
        "has_direction": False, "is_unique": False, "is_valid": True, "has_constraint": False, "bytes": 2_000_000, "scans": 5,
    }  # fmt: skip
    return ExistingIndex(**{**base, **known})


def test_the_most_selective_column_comes_first_and_the_shorter_of_equals():
    found = index_advice.candidates(
        situation(family("q", "SELECT dest FROM f WHERE day = $1 AND tail = $2 ORDER BY hour LIMIT $3"))
    )
    assert [c.columns for c in found] == [("tail", "day"), ("tail", "day", "hour"), ("tail",)]


@pytest.mark.parametrize(
    ("existing", "left"),
    [
        (index("i", "tail", "day", "hour"), []),
        (index("i", "day", "tail"), [("tail",)]),
        (index("i", "tail", "day", is_partial=True), [("tail", "day"), ("tail",)]),
        (index("i", "tail", "day", is_valid=False), [("tail", "day"), ("tail",)]),
        (index("i", "tail", "day", method="brin"), [("tail", "day"), ("tail",)]),
    ],
)
def test_what_an_existing_index_serves_is_no_candidate(existing, left):
    found = index_advice.candidates(
        situation(family("q", "SELECT dest FROM f WHERE day = $1 AND tail = $2"), indexes=[existing])
    )
    assert [c.columns for c in found] == left


def test_without_a_trial_a_clear_saving_is_planned_and_said_to_be_unmeasured():
    facts = AdviseIndexesFacts(
        situation=situation(family("q", "SELECT dest FROM f WHERE tail = $1")), statistics_days=1.0
    )
    plan = AdviseIndexes(system="app").plan(facts)
    (step,) = plan.all_steps()
    assert step.call.arguments["sql"] == "CREATE INDEX CONCURRENTLY f_tail_idx ON public.f USING btree (tail)"
    assert step.why == "By the planner's estimates it saves 98.7 % of the workload; not yet measured."
    assert [finding.rule for finding in plan.findings] == ["index-not-measured"]


def test_without_a_trial_an_index_in_use_is_not_second_guessed():
    scan = {
        "table": "f",
        "schema_name": "public",
        "node": "Index Scan",
        "index": "by_day",
        "cost": 4000.0,
        "rows": 9,
    }
    known = situation(
        family("q", "SELECT dest FROM f WHERE tail = $1"),
        plans=[{"fingerprint": "q", "cost": 4000.0, "scans": [scan]}],
    )
    assert index_advice.chosen_by_estimate(known, 5.0) == ()


def test_a_name_that_another_index_has_taken_is_not_reused():
    facts = AdviseIndexesFacts(
        situation=situation(
            family("q", "SELECT dest FROM f WHERE tail = $1"), indexes=[index("f_tail_idx", "dest")]
        ),
        statistics_days=1.0,
    )
    (step,) = AdviseIndexes(system="app").plan(facts).all_steps()
    assert step.id == "create-index f_tail_idx_2"


def test_an_invalid_index_of_the_same_name_is_cleared_away_first():
    facts = AdviseIndexesFacts(
        situation=situation(
            family("q", "SELECT dest FROM f WHERE tail = $1"),
            indexes=[index("f_tail_idx", "tail", is_valid=False)],
        ),
        statistics_days=1.0,
    )
    plan = AdviseIndexes(system="app").plan(facts)
    assert [step.id for step in plan.all_steps()] == ["drop-invalid f_tail_idx", "create-index f_tail_idx"]
    assert "invalid-index" in {finding.rule for finding in plan.findings}


def test_unused_indexes_are_told_only_after_a_week_of_counting():
    known = situation(
        family("q", "SELECT dest FROM f WHERE tail = $1"),
        indexes=[index("i", "dest", scans=0), index("t", "tail")],
    )
    rules = [
        [
            finding.rule
            for finding in AdviseIndexes(system="app")
            .plan(AdviseIndexesFacts(situation=known, statistics_days=days))
            .findings
        ]
        for days in (1.0, 30.0)
    ]
    assert rules == [[], ["unused-index"]]


def test_a_foreign_key_without_an_index_is_told():
    key = {
        "schema_name": "public",
        "table_name": "f",
        "name": "f_dest_fkey",
        "referred": "p",
        "columns": ["dest"],
    }
    known = situation(
        family("q", "SELECT dest FROM f WHERE tail = $1"), indexes=[index("t", "tail")], foreign_keys=[key]
    )
    assert [k.name for k in index_advice.unindexed_foreign_keys(known)] == ["f_dest_fkey"]
    served = known.model_copy(update={"indexes": (index("d", "dest", "hour"),)})
    assert index_advice.unindexed_foreign_keys(served) == ()


def test_a_candidate_names_its_table_and_columns():
    assert (
        Candidate(schema_name="public", table="f", columns=("a", "b"), shares={}).subject == "public.f (a, b)"
    )
