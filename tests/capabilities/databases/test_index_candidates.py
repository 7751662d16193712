"""Plans as data: what a scan is asked, and which indexes are then tried."""

import pytest

from datareeve.capabilities.databases import index_candidates, index_overlap
from datareeve.capabilities.databases.index_facts import Candidate, ExistingIndex, Situation, as_written
from datareeve.capabilities.databases.operations.advise_indexes import AdviseIndexes, AdviseIndexesFacts

COLUMNS = [
    {"name": "tail", "type": "character varying", "category": "S", "distinct_values": 4000, "width": 6},
    {"name": "day", "type": "date", "category": "D", "distinct_values": 31, "correlation": 0.99, "width": 4},
    {"name": "hour", "type": "integer", "category": "N", "distinct_values": -0.5, "width": 4},
    {"name": "dest", "type": "text", "category": "S", "distinct_values": 100, "width": 4},
    {"name": "tags", "type": "text[]", "category": "A", "width": 60},
    {"name": "data", "type": "jsonb", "category": "U", "width": 200},
    {"name": "late", "type": "boolean", "category": "B", "distinct_values": 2, "width": 1},
    {"name": "gone", "type": "date", "category": "D", "null_share": 0.9, "width": 4},
    {"name": "state", "type": "text", "category": "S", "distinct_values": 5, "width": 6},
]
FLIGHTS = {
    "schema_name": "public",
    "name": "f",
    "rows": 300_000,
    "pages": 5000,
    "bytes": 41_000_000,
    "columns": COLUMNS,
}


def where(key, kind="equal", **known):
    return {"key": key, "columns": known.pop("columns", [key]), "kind": kind, **known}


def scan(*conditions, **known):
    base = {
        "schema_name": "public",
        "table": "f",
        "node": "Seq Scan",
        "cost": 9000.0,
        "rows": 10.0,
    }
    return {**base, "conditions": conditions, **known}


def family(fingerprint="q", total_ms=1000.0, **known):
    return {
        "fingerprint": fingerprint, "sql": "SELECT 1", "calls": 100, "total_ms": total_ms, "mean_ms": 10.0, "p50_ms": 9.0, "p95_ms": 20.0, "p99_ms": 30.0,
        "rows": 100, "is_write": False, "parsed": True, "tables": ["f"], "leading_wildcard": False, "examples": 1, "example_ref": fingerprint, **known,
    }  # fmt: skip


def situation(*scans, indexes=(), foreign_keys=(), tables=(FLIGHTS,), extensions=()):
    return Situation.model_validate(
        {
            "workload": {"source": {"kind": "trace", "place": "t"}, "families": [family()], "loops": []},
            "tables": tables,
            "indexes": indexes,
            "uses": [use(one) for one in indexes],
            "foreign_keys": foreign_keys,
            "needs": [{"fingerprint": "q", "cost": 9000.0, "scans": scans}],
            "extensions": extensions,
        }
    )


def index(name, *keys, **known):
    base = {
        "schema_name": "public", "table_name": "f", "name": name, "method": "btree", "keys": keys, "has_included": False, "is_partial": False,
        "has_direction": False, "is_unique": False, "is_valid": True, "has_constraint": False, "bytes": 2_000_000, "scans": 5,
    }  # fmt: skip
    return ExistingIndex(**{**base, **known})


def use(one):
    """The same index in the parts that are compared: here a key's operator class is all that is told of it besides its column."""
    kind = "text_pattern_ops" if one.has_operator_class else ""
    return {
        "schema_name": one.schema_name, "name": one.name, "table": one.table_name, "method": one.method, "is_valid": one.is_valid,
        "is_unique": one.is_unique, "keys": [f"{key} {kind}" for key in one.keys], "predicate": "late" if one.is_partial else "", "bytes": one.bytes,
    }  # fmt: skip


def subjects(known):
    return [one.subject.removeprefix("public.f") for one in index_candidates.candidates(known)]


def first_page(*keys):
    return {"orders": [[{"key": key} for key in keys]], "limited": True}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (scan(where("day"), where("tail")), {" (tail, day)", " (tail)", " (day)"}),
        (scan(where("tail"), where("day", "range")), {" (tail, day)", " (tail)", " (day)", " using brin (day)"}),
        (scan(where("dest"), **first_page("hour")), {" (dest, hour)", " (dest)", " (hour)"}),
        (scan(where("tail", cast="text")), {" (tail)"}),  # varchar to text changes nothing
        (scan(where("hour", cast="text")), {" (((hour)::text))"}),
        (scan(where("(lower(dest))", columns=["dest"])), {" ((lower(dest)))"}),
        (scan(where("tail"), needed=["tail", "dest"]), {" (tail)", " (tail) include (dest)"}),
        (scan(where("tail"), needed=["tail", "data"]), {" (tail)"}),  # too wide to carry along
        (scan(where("dest", "like", pattern="prefix")), {" (dest text_pattern_ops)"}),
        (scan(where("dest", "like", pattern="infix")), set()),
        (scan(where("tags", "contains")), {" using gin (tags)"}),
        (scan(where("data", "contains")), {" using gin (data jsonb_path_ops)", " using gin (data)"}),
        (scan(where("data", "has_key")), {" using gin (data)"}),
        (scan(where("tail"), where("late", "true")), {" (tail)", " (tail) where late"}),
        (scan(where("tail"), where("gone", "not_null")), {" (tail)", " (tail) where gone IS NOT NULL"}),
        (scan(where("tail"), where("state", fixed="'open'")), {" (tail)", " (state)", " (tail, state)", " (tail) where state = 'open'"}),
        (scan(where("state")), {" (state)"}),
        (scan(where("tail"), where("gone > day", "within", columns=["gone", "day"])), {" (tail)", " (tail) where gone > day"}),
        (scan(where("dest", joined=["p"]), where("hour", joined=["p"])), {" (dest)", " (hour)", " (dest, hour)", " (hour, dest)"}),
        (scan(arms=[[[where("tail")], [where("dest")]]]), {" (tail)", " (dest)"}),
        (scan(orders=[[{"key": "day", "direction": "DESC"}, {"key": "hour"}]]), {" (day DESC, hour)"}),
        (scan(where("nothing")), set()),
    ],
)  # fmt: skip
def test_a_scan_leads_to_the_indexes_that_could_narrow_it(asked, expected):
    assert set(subjects(situation(asked))) == expected


def test_with_trigrams_installed_the_middle_of_a_text_can_be_indexed_and_without_it_is_told():
    asked = scan(where("dest", "like", pattern="infix"))
    assert subjects(situation(asked, extensions=["pg_trgm"])) == [" using gin (dest gin_trgm_ops)"]
    assert index_candidates.wants_trigrams(situation(asked)) == ("public.f (dest)",)
    assert index_candidates.wants_trigrams(situation(asked, extensions=["pg_trgm"])) == ()


def test_a_small_table_has_no_candidates():
    assert subjects(situation(scan(where("tail")), tables=[{**FLIGHTS, "rows": 499}])) == []


def test_a_partition_s_need_is_an_index_of_the_whole_table():
    part = {**FLIGHTS, "name": "f_2013", "root_schema": "public", "root_name": "f"}
    whole = {**FLIGHTS, "is_partitioned": True, "rows": 0}
    found = index_candidates.candidates(situation(scan(where("tail"), table="f_2013"), tables=[whole, part]))
    assert [one.subject for one in found] == ["public.f (tail)"]


@pytest.mark.parametrize(
    ("existing", "left"),
    [
        (index("i", "tail", "day", "hour"), {" (day)"}),
        (index("i", "day", "tail"), {" (tail, day)", " (tail)"}),
        (index("i", "tail", "day", is_partial=True), {" (tail, day)", " (tail)", " (day)"}),
        (index("i", "tail", "day", is_valid=False), {" (tail, day)", " (tail)", " (day)"}),
        (index("i", "tail", "day", method="brin"), {" (tail, day)", " (tail)", " (day)"}),
        (index("i", "tail", "day", has_direction=True), {" (day)"}),
        (index("i", "tail", "day", has_operator_class=True), {" (tail, day)", " (tail)", " (day)"}),
    ],
)
def test_what_an_existing_index_begins_with_is_no_candidate(existing, left):
    assert set(subjects(situation(scan(where("day"), where("tail")), indexes=[existing]))) == left


# -- the plan before a trial ------------------------------------------------------------------------------------------------------


def planned(known, **facts):
    return AdviseIndexes(system="app").plan(
        AdviseIndexesFacts(situation=known, **{"statistics_days": 1.0, **facts})
    )


def test_without_a_trial_a_clear_saving_is_planned_and_said_to_be_unmeasured():
    plan = planned(situation(scan(where("tail"))))
    (step,) = plan.all_steps()
    assert step.call.arguments["sql"] == "CREATE INDEX CONCURRENTLY f_tail_idx ON public.f USING btree (tail)"
    assert step.why == "By the planner's estimates it saves 98.7 % of the workload; not yet measured."
    assert [finding.rule for finding in plan.findings] == ["index-not-measured"]


def test_indexes_of_one_plan_never_have_the_same_name():
    taken = ("tail", "dest")
    tried = [
        {"candidate": {"schema_name": "public", "table": "f", "keys": ["tail"], "where": only}}
        for only in (None, "late", "state = 'open'")
    ]
    known = situation(scan(where("tail")), indexes=(index("f_tail_idx", *taken),))
    plan = planned(known, trial={"tried": tried, "families": []})
    assert [part.inputs["index"] for part in plan.parts] == ["f_tail_idx_2", "f_tail_idx_3", "f_tail_idx_4"]
    assert plan.fingerprint == planned(known, trial={"tried": tried, "families": []}).fingerprint


def test_what_only_a_trial_can_tell_waits_for_one():
    plan = planned(situation(scan(where("tail", joined=["p"]))))
    assert (plan.nothing_to_do, tuple(plan.all_steps())) == ("", ())
    assert plan.blockers == (
        "1 indexes could be useful, and the statistics alone cannot tell: they wait for a trial on a copy.",
    )


def test_what_was_tried_with_the_same_indexes_is_not_tried_again():
    plan = planned(situation(scan(where("tail", joined=["p"]))), tried_before=True)
    assert plan.nothing_to_do.endswith(
        "This workload was tried with these indexes on a copy, and nothing has changed since."
    )


def test_on_a_standby_the_statements_for_its_primary_are_given():
    plan = planned(situation(scan(where("tail"))), is_standby=True)
    assert tuple(plan.all_steps()) == ()
    assert plan.blockers == (
        "app is a standby and takes no writes. On its primary: CREATE INDEX CONCURRENTLY f_tail_idx ON public.f USING btree (tail)",
    )


def test_a_name_that_another_index_has_taken_is_not_reused():
    (step,) = planned(situation(scan(where("tail")), indexes=[index("f_tail_idx", "dest")])).all_steps()
    assert step.id == "create-index f_tail_idx_2"


def test_an_invalid_index_of_the_same_name_is_cleared_away_first():
    plan = planned(situation(scan(where("tail")), indexes=[index("f_tail_idx", "tail", is_valid=False)]))
    assert [step.id for step in plan.all_steps()] == ["drop-invalid f_tail_idx", "create-index f_tail_idx"]
    assert "invalid-index" in {finding.rule for finding in plan.findings}


def test_of_two_indexes_that_do_the_same_one_is_told_and_another_operator_class_does_something_else():
    plain, again = index("plain", "dest"), index("twice", "dest")
    like = index("like", "dest", has_operator_class=True)
    told = [
        [(f.rule, f.what.split()[0]) for f in planned(situation(scan(), indexes=there)).findings]
        for there in ([plain, again], [plain, like])
    ]
    assert told == [[("duplicate-index", "twice")], []]


def test_unused_indexes_are_told_only_after_a_week_of_counting():
    known = situation(scan(where("tail")), indexes=[index("i", "dest", scans=0), index("t", "tail")])
    rules = [[f.rule for f in planned(known, statistics_days=days).findings] for days in (1.0, 30.0)]
    assert rules == [[], ["unused-index"]]


def test_an_existing_index_that_the_advised_one_begins_with_is_told():
    known = situation(scan(where("tail"), where("day")), indexes=[index("old", "tail")])
    told = {finding.rule: finding for finding in planned(known).findings}
    assert told["index-outdone"].subject == "public.f (tail)"


def test_a_foreign_key_without_an_index_is_told():
    key = {
        "schema_name": "public",
        "table_name": "f",
        "name": "f_dest_fkey",
        "referred": "p",
        "columns": ["dest"],
    }
    known = situation(scan(where("tail")), indexes=[index("t", "tail")], foreign_keys=[key])
    assert [k.name for k in index_overlap.unindexed_foreign_keys(known)] == ["f_dest_fkey"]
    served = known.model_copy(update={"indexes": (index("d", "dest", "hour"),)})
    assert index_overlap.unindexed_foreign_keys(served) == ()
    advised = (Candidate(schema_name="public", table="f", keys=("dest",)),)
    assert index_overlap.unindexed_foreign_keys(known, advised) == ()


@pytest.mark.parametrize(
    ("key", "written"),
    [
        ("tail", "tail"),
        ("Odd Name", '"Odd Name"'),
        ("(lower((email)::text))", "lower((email)::text)"),
        ("(doc ->> 'status'::text)", "(doc ->> 'status'::text)"),
        ("(lower(a) || lower(b))", "(lower(a) || lower(b))"),
    ],
)
def test_a_key_is_compared_as_the_catalog_writes_it(key, written):
    assert as_written(key) == written
