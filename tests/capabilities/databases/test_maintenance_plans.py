"""Plans of maintenance as data: facts in, steps out. What autovacuum's arithmetic gives, which index may go, when a lock is worth it."""

import pytest

from datareeve.capabilities.databases import autovacuum, index_redundancy
from datareeve.capabilities.databases.autovacuum import Churn, Server
from datareeve.capabilities.databases.index_redundancy import Use
from datareeve.capabilities.databases.maintenance import Holder
from datareeve.capabilities.databases.operations.analyze_table import (
    AnalyzeTable,
    AnalyzeTableFacts,
    Column,
    Correlation,
)
from datareeve.capabilities.databases.operations.end_session import EndSession, EndSessionFacts, Session
from datareeve.capabilities.databases.operations.reindex import Index, Reindex, ReindexFacts
from datareeve.capabilities.databases.operations.repack_table import RepackTable, RepackTableFacts
from datareeve.capabilities.databases.operations.vacuum_table import Table, VacuumTable, VacuumTableFacts

ORDERS = Table(
    schema_name="public", name="orders", rows=100_000, live_rows=100_000, dead_rows=30_000, bytes=10**8, total_bytes=15 * 10**7,
    pages=12_000, visible_pages=12_000, has_statistics=True, row_width=80.0, filenode=77,
    last_vacuum="2026-11-01T00:00:00+00:00", vacuumed_at="2026-11-01T00:00:00+00:00", analyzed_at="2026-11-01T00:00:00+00:00",
)  # fmt: skip
BUSY = Churn(
    schema_name="public",
    name="events",
    rows=50_000_000,
    pages=900_000,
    inserted=10**6,
    updated=5_000_000,
    hot_updated=4_000_000,
)
HOURS = Server(counted_hours=100.0)


def sqls(plan):
    return [step.call.arguments["sql"] for step in plan.all_steps()]


# -- vacuum-table -----------------------------------------------------------------------------------------------------------------


def test_a_vacuum_goes_at_a_pace_that_production_does_not_feel():
    (step,) = VacuumTable(system="app", table="orders").plan(VacuumTableFacts(tables=(ORDERS,))).steps
    assert step.call.arguments == {
        "sql": "VACUUM (ANALYZE) public.orders",
        "table": "public.orders",
        "settings": {"vacuum_cost_delay": "2ms", "vacuum_cost_limit": "400"},
    }
    assert step.probe.call.arguments["parameters"] == {
        "table": "public.orders",
        "since": "2026-11-01T00:00:00+00:00",
    }
    assert (
        step.no_undo == "Rows are what they were: only dead ones are gone, and there is nothing to take back."
    )
    assert not step.needs_person


@pytest.mark.parametrize(
    ("inputs", "statement"),
    [
        ({"freeze": True, "parallel": 2, "analyze": False}, "VACUUM (FREEZE, PARALLEL 2) public.orders"),
        (
            {"index_cleanup": "off", "skip_locked": True},
            "VACUUM (ANALYZE, INDEX_CLEANUP OFF, SKIP_LOCKED) public.orders",
        ),
        ({"full": True, "analyze": False, "parallel": 2}, "VACUUM (FULL) public.orders"),
    ],
)
def test_its_options_are_in_the_statement(inputs, statement):
    facts = VacuumTableFacts(tables=(ORDERS,), free_bytes=10**10)
    assert sqls(VacuumTable(system="app", table="orders", **inputs).plan(facts)) == [statement]


def test_full_tells_its_lock_its_time_and_the_room_it_needs():
    operation = VacuumTable(system="app", table="orders", full=True)
    plan = operation.plan(VacuumTableFacts(tables=(ORDERS,), free_bytes=10**10))
    (step,) = plan.steps
    assert step.needs_person
    assert step.effect == "irreversible"
    assert step.predicted.model_dump() == {
        "rows": None, "bytes": 180_000_000, "seconds": 3.0, "lock": "ACCESS EXCLUSIVE on public.orders: nobody reads or writes it meanwhile",
        "basis": "50 MB/s, a cautious guess: not measured",
    }  # fmt: skip
    assert step.call.arguments["settings"] == {}
    short = operation.plan(VacuumTableFacts(tables=(ORDERS,), free_bytes=10**8))
    assert short.blockers == (
        "VACUUM FULL of public.orders needs 180.0 MB free on the database's disk for a while, and there are 100.0 MB.",
    )
    assert VacuumTable(system="app", full=True).plan(VacuumTableFacts(tables=(ORDERS,))).blockers


def test_a_table_near_wraparound_comes_first_and_is_frozen():
    old = ORDERS.model_copy(update={"name": "archive", "dead_rows": 0, "xid_age": 190_000_000})
    plan = VacuumTable(system="app").plan(VacuumTableFacts(tables=(ORDERS, old)))
    assert sqls(plan) == ["VACUUM (FREEZE, ANALYZE) public.archive", "VACUUM (ANALYZE) public.orders"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"may_maintain": False}, "This role does not own public.orders"),
        ({"is_partitioned": True}, "public.orders is partitioned: name a partition"),
    ],
)
def test_what_cannot_be_vacuumed_says_why(change, reason):
    facts = VacuumTableFacts(tables=(ORDERS.model_copy(update=change),))
    assert VacuumTable(system="app", table="orders").plan(facts).blockers[0].startswith(reason)


def test_a_vacuum_under_way_is_told_with_its_progress():
    at_work = ORDERS.model_copy(update={"vacuum_phase": "scanning heap", "vacuum_percent": 40.0})
    plan = VacuumTable(system="app", table="orders").plan(VacuumTableFacts(tables=(at_work,)))
    assert (
        plan.nothing_to_do
        == "public.orders is being vacuumed at this moment (scanning heap, 40 % of its pages)."
    )


@pytest.mark.parametrize(
    ("since", "in_vain"),
    [("2026-10-31T00:00:00+00:00", True), ("2026-11-02T00:00:00+00:00", False), (None, False)],
)
def test_only_a_holder_that_the_last_vacuum_met_makes_the_next_one_vain(since, in_vain):
    facts = VacuumTableFacts(tables=(ORDERS,), holders=(Holder(who="pid 7 (report)", age=900, since=since),))
    plan = VacuumTable(system="app", table="orders").plan(facts)
    assert bool(plan.blockers) is in_vain
    assert [f.subject for f in plan.findings] == ["pid 7 (report)"]


def test_on_a_standby_nothing_is_maintained():
    said = "This is a standby"
    assert VacuumTable(system="app").plan(VacuumTableFacts(tables=(ORDERS,), standby=said)).blockers == (
        said,
    )


# -- analyze-table ----------------------------------------------------------------------------------------------------------------


def test_extended_statistics_that_do_not_help_are_told_and_not_made():
    facts = AnalyzeTableFacts(
        tables=(ORDERS,),
        columns=(Column(name="a"), Column(name="b")),
        correlations=(Correlation(columns=("a", "b"), factor_before=10.0, factor_after=9.0),),
    )
    plan = AnalyzeTable(system="app", table="orders").plan(facts)
    assert plan.steps == ()
    assert [f.rule for f in plan.findings] == ["correlated-columns"]


def test_a_target_is_taken_back_to_the_one_before():
    facts = AnalyzeTableFacts(tables=(ORDERS,), columns=(Column(name="a", target=250), Column(name="b")))
    plan = AnalyzeTable(system="app", table="orders", columns=("a", "b"), statistics_target=500).plan(facts)
    assert [[call.arguments["sql"] for call in step.undo] for step in plan.steps] == [
        ["ALTER TABLE public.orders ALTER COLUMN a SET STATISTICS 250"],
        ["ALTER TABLE public.orders ALTER COLUMN b SET STATISTICS -1"],
        [],
    ]
    assert [claim.expected for claim in plan.requirements] == [True, 250, None]


@pytest.mark.parametrize(
    ("inputs", "blocker"),
    [
        ({"table": "orders", "columns": ("z",), "statistics_target": 5}, "public.orders has no column z."),
        ({"table": "orders", "columns": ("a",)}, "Columns are named, but no statistics_target for them."),
        (
            {"columns": ("a",), "statistics_target": 5},
            "Columns are named, but not whose they are: give the table.",
        ),
    ],
)
def test_what_makes_no_sense_is_said(inputs, blocker):
    facts = AnalyzeTableFacts(tables=(ORDERS,), columns=(Column(name="a"),))
    assert AnalyzeTable(system="app", **inputs).plan(facts).blockers == (blocker,)


# -- reindex ----------------------------------------------------------------------------------------------------------------------


def test_the_smallest_index_is_rebuilt_first_and_one_without_room_is_left():
    small, large = (
        Index(
            schema_name="public",
            name=name,
            table_name="t",
            table_schema="public",
            is_valid=False,
            bytes=size,
            filenode=1,
        )
        for name, size in (("small", 10**6), ("large", 10**9))
    )
    plan = Reindex(system="app").plan(ReindexFacts(indexes=(large, small), free_bytes=10**8))
    assert [step.call.arguments for step in plan.steps] == [{"index": "public.small"}]
    assert plan.blockers[0].startswith("Rebuilding public.large needs 1,200.0 MB free")


def test_an_index_that_is_being_built_is_left_alone():
    one = Index(
        schema_name="public",
        name="i",
        table_name="t",
        table_schema="public",
        is_valid=False,
        is_building=True,
    )
    plan = Reindex(system="app").plan(ReindexFacts(indexes=(one,)))
    assert plan.nothing_to_do == "What is invalid is being built at this moment."


def test_a_collation_is_not_marked_while_one_of_its_indexes_is_left_out():
    first = Index(
        schema_name="public",
        name="a",
        table_name="t",
        table_schema="public",
        changed_collations=("public.de",),
        bytes=10,
    )
    second = first.model_copy(update={"name": "b", "is_exclusion": True})
    plan = Reindex(system="app").plan(ReindexFacts(indexes=(first, second), free_bytes=10**9))
    assert [step.id for step in plan.steps] == ["reindex public.a"]


# -- tune-autovacuum --------------------------------------------------------------------------------------------------------------


def test_a_large_table_no_longer_waits_for_ten_million_dead_rows():
    found = {one.name: one for one in autovacuum.advice(BUSY, HOURS)}
    assert {name: one.value for name, one in found.items()} == {
        "autovacuum_vacuum_scale_factor": "0",
        "autovacuum_vacuum_threshold": "1000000",
        "autovacuum_vacuum_insert_scale_factor": "0",
        "autovacuum_vacuum_insert_threshold": "1000000",
        "autovacuum_analyze_scale_factor": "0",
        "autovacuum_analyze_threshold": "500000",
    }
    assert found["autovacuum_vacuum_threshold"].why == (
        "It waits for 10,000,050 dead rows now; 2% of 50,000,000 rows, 5,000 to 1,000,000, are 1,000,000; at 50,000 an hour that is every 20.0 hours."
    )


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"rows": 50_000}, set()),  # a fifth of it is nothing
        ({"options": {"autovacuum_vacuum_insert_threshold": "-1"}}, {"autovacuum_vacuum_insert_threshold"}),
    ],
)
def test_what_its_owner_decided_and_what_is_small_is_left(change, names):
    found = {one.name for one in autovacuum.advice(BUSY.model_copy(update=change), HOURS)}
    assert not found & (names or found)


def test_an_append_only_table_is_frozen_at_its_first_vacuum():
    log = Churn(schema_name="public", name="log", rows=10**6, pages=9000, inserted=10**6)
    found = {one.name: one.value for one in autovacuum.advice(log, HOURS)}
    assert found["autovacuum_freeze_min_age"] == "0"
    assert "autovacuum_vacuum_threshold" not in found


def test_a_vacuum_that_would_not_end_before_the_next_gets_a_larger_limit():
    hot = BUSY.model_copy(update={"updated": 2_000_000_000})  # 20 million an hour
    found = {one.name: one for one in autovacuum.advice(hot, HOURS)}
    # due after 5 million dead rows, every quarter of an hour; 900,000 pages x 22 / 200 x 2 ms = 198 s, within half of 900 s
    assert "autovacuum_vacuum_cost_limit" not in found
    slow = HOURS.model_copy(update={"cost_delay_ms": 20.0})
    found = {one.name: one for one in autovacuum.advice(hot, slow)}
    assert found["autovacuum_vacuum_cost_limit"].value == "1000"
    assert found["autovacuum_vacuum_cost_limit"].why == (
        "At a cost limit of 200 its 900,000 pages take 1,980 s, and the next vacuum is due after 900 s."
    )


def test_room_for_updates_is_left_only_where_it_is_known_to_lack():
    assert "fillfactor" not in {one.name for one in autovacuum.advice(BUSY, HOURS)}
    moved = BUSY.model_copy(update={"moved_updated": 2_000_000})
    assert {one.name: one.value for one in autovacuum.advice(moved, HOURS)}["fillfactor"] == "90"


def test_advice_taken_gives_no_more_advice():
    taken = {one.name: one.value for one in autovacuum.advice(BUSY, HOURS)}
    assert autovacuum.advice(BUSY.model_copy(update={"options": taken}), HOURS) == ()


# -- repack-table, end-session ----------------------------------------------------------------------------------------------------


def test_a_client_of_another_version_is_refused():
    facts = RepackTableFacts(
        table=ORDERS, has_key=True, is_superuser=True, free_bytes=10**12, client="/bin/pg_repack", client_version="1.4.7", available_version="1.4.8",
    )  # fmt: skip
    (blocker,) = RepackTable(system="app", table="orders").plan(facts).blockers
    assert blocker.startswith(
        "The program pg_repack is 1.4.7, the extension 1.4.8: they must be the same. Other ways: "
    )


SESSION = Session(
    pid=41, backend_start="2026-11-22T00:00:00+00:00", xact_start="2026-11-22T01:00:00+00:00", query_start="2026-11-22T01:00:01+00:00",
    state="active", backend_type="client backend", application_name="app", role="ada", blocks=(7,), longest_wait_seconds=12.0,
)  # fmt: skip


def test_a_running_statement_is_cancelled_and_is_part_of_who_is_meant():
    plan = EndSession(system="app", pid=41).plan(EndSessionFacts(session=SESSION))
    (step,) = plan.steps
    assert (step.id, step.needs_person, step.effect) == ("cancel 41", True, "irreversible")
    assert step.call.arguments["who"]["query_start"] == "2026-11-22T01:00:01+00:00"
    assert plan.needs_person


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"backend_type": "walsender"}, "Pid 41 is a walsender, not a client's session"),
        ({"application_name": "datareeve/20260101"}, "Pid 41 is one of Datareeve's own"),
        ({"backend_type": None}, "This role may not see what pid 41 is"),
        (
            {"backend_type": "autovacuum worker", "prevents_wraparound": True},
            "Pid 41 is an autovacuum that prevents",
        ),
    ],
)
def test_whom_it_never_ends(change, said):
    facts = EndSessionFacts(session=SESSION.model_copy(update=change))
    assert EndSession(system="app", pid=41).plan(facts).blockers[0].startswith(said)


def test_an_autovacuum_against_wraparound_is_cancelled_where_that_is_said():
    facts = EndSessionFacts(
        session=SESSION.model_copy(update={"backend_type": "autovacuum worker", "prevents_wraparound": True})
    )
    plan = EndSession(system="app", pid=41, even_wraparound=True).plan(facts)
    assert [step.id for step in plan.steps] == ["cancel 41"]
    assert "comes again" in plan.findings[0].what


@pytest.mark.parametrize("inputs", [{}, {"pid": 4, "root_of_blocking": True}])
def test_either_a_pid_or_the_root_is_given(inputs):
    with pytest.raises(ValueError, match="either --pid or --root-of-blocking"):
        EndSession(system="app", **inputs)


# -- which index may go -----------------------------------------------------------------------------------------------------------


def index(name, *keys, **more):
    return Use(
        schema_name="public", name=name, table="public.t", keys=keys, bytes=more.pop("bytes", 1000), **more
    )


@pytest.mark.parametrize(
    ("indexes", "going"),
    [
        ([index("a", "x"), index("b", "x")], {"b": "a"}),
        ([index("a", "x"), index("b", "x", "y")], {"a": "b"}),
        ([index("a", "x", is_unique=True), index("b", "x", "y")], {}),
        ([index("a", "x", is_unique=True), index("b", "x")], {"b": "a"}),
        ([index("a", "x", constraints=("the primary key",), is_unique=True), index("b", "x", is_unique=True)], {"b": "a"}),
        ([index("a", "x", predicate="x > 1"), index("b", "x")], {}),
        ([index("a", "x", included=("z",)), index("b", "x", "y")], {}),
        ([index("a", "x", method="gin"), index("b", "x", "y", method="gin")], {}),
        ([index("a", "x", method="hash"), index("b", "x")], {}),
        ([index("a", "x", is_replica_identity=True), index("b", "x")], {"b": "a"}),
        ([index("a", "x"), index("b", "x", "y", bytes=9000)], {}),
        ([index("a", "x"), index("b", "x", "y", bytes=3000), index("c", "x", "y", "z", bytes=9000)], {"b": "c"}),
        ([index("a", "x"), index("b", "x", is_valid=False)], {"b": ""}),
        ([index("a", "x"), index("b", "x", is_valid=False, is_building=True)], {}),
    ],
)  # fmt: skip
def test_only_what_another_one_answers_may_go(indexes, going):
    assert {
        v.index.name: v.stand_in.removeprefix("public.") for v in index_redundancy.provable(indexes)
    } == going


@pytest.mark.parametrize(
    ("operation", "learns"),
    [
        (VacuumTable(system="app", table="orders"), False),
        (VacuumTable(system="app", table="orders", full=True), True),
        (AnalyzeTable(system="app"), False),
        (AnalyzeTable(system="app", table="orders"), True),
        (Reindex(system="app"), False),
    ],
)
def test_a_copy_is_made_only_where_there_is_something_to_learn_on_it(operation, learns):
    assert operation.learns_on_a_copy() is learns
