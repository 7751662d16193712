from datetime import UTC, datetime, timedelta

import pytest

from datareeve.capabilities.databases import workload_history as history
from datareeve.capabilities.databases.operations.record_workload import RecordWorkload, RecordWorkloadFacts
from datareeve.capabilities.databases.operations.show_workload import ShowWorkload, ShowWorkloadFacts
from datareeve.capabilities.databases.workload_history import History, Name, Shot, between
from datareeve.core.errors import BadInput
from datareeve.core.snapshots import superfluous

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def counters(calls, total, squares=None, **more):
    return {
        "calls": calls,
        "total_ms": total,
        "squares": total**2 / calls if squares is None else squares,
        "min_ms": 1.0,
        "max_ms": 50.0,
        "rows": calls,
        **more,
    }


def shot(minutes, families, **more):
    settings = {"source": "pg_stat_statements", "reset": 1000.0, "started": 900.0, "dealloc": 0, **more}
    return Shot(at=NOON + timedelta(minutes=minutes), families=families, **settings)


def name(key, first=NOON - timedelta(days=2)):
    return Name(
        fingerprint=key,
        sql=f"SELECT {key} FROM t WHERE id = $1",
        is_write=False,
        parsed=True,
        tables=("t",),
        nested=False,
        first_at=first.isoformat(),
    )


def test_two_snapshots_give_what_ran_between_them():
    stretch = between(shot(0, {"a": counters(100, 1000)}), shot(5, {"a": counters(160, 1300, wal_bytes=500)}))
    delta = stretch.families["a"]
    assert (delta.calls, delta.total_ms, delta.moments().mean) == (60, 300, 5)
    assert (delta.least, delta.most, delta.resources) == (1.0, 50.0, {"rows": 60.0, "wal_bytes": 500.0})
    assert (stretch.seconds, stretch.remarks) == (300, ())


def test_what_did_not_run_is_not_in_the_window():
    assert between(shot(0, {"a": counters(100, 1000)}), shot(5, {"a": counters(100, 1000)})).families == {}


def test_after_a_reset_the_figures_are_those_since_and_it_is_said():
    stretch = between(
        shot(0, {"a": counters(100, 1000)}), shot(5, {"a": counters(7, 70)}, reset=NOON.timestamp())
    )
    assert stretch.families["a"].calls == 7
    assert stretch.remarks == (
        "the counters began anew at 2026-11-22 12:00 UTC: what ran before that is missing",
    )


def test_a_crash_that_lost_the_counters_is_noticed_though_nobody_reset_them():
    stretch = between(
        shot(0, {"a": counters(100, 1000)}), shot(5, {"a": counters(7, 70)}, started=NOON.timestamp())
    )
    assert stretch.families["a"].calls == 7
    assert "a crash loses them" in stretch.remarks[0]


def test_a_restart_that_kept_the_counters_is_no_event():
    stretch = between(
        shot(0, {"a": counters(100, 1000)}), shot(5, {"a": counters(107, 1070)}, started=NOON.timestamp())
    )
    assert (stretch.families["a"].calls, stretch.remarks) == (7, ())


def test_an_evicted_entry_counts_from_its_return_and_it_is_said():
    before = shot(0, {"a": counters(100, 1000), "b": counters(50, 50), "c": counters(10, 10)})
    after = shot(5, {"a": counters(3, 30), "b": counters(60, 60), "c": counters(20, 20)}, dealloc=4)
    stretch = between(before, after)
    assert {key: delta.calls for key, delta in stretch.families.items()} == {"a": 3, "b": 10, "c": 10}
    assert "evicted 4 times" in stretch.remarks[0]


@pytest.mark.parametrize(
    ("rest", "since", "calls"),
    [
        ({}, {}, 40),  # every entry had a row of its own, so it is new
        ({"calls": 9.0, "total_ms": 9.0}, {}, None),  # it may have stood in the rest
        (
            {"calls": 9.0, "total_ms": 9.0},
            {"since": NOON.timestamp() + 60},
            40,
        ),  # 17 and newer tell when it was made
    ],
)
def test_a_family_that_was_not_there_is_new_or_not_known(rest, since, calls):
    stretch = between(shot(0, {}, rest=rest), shot(5, {"a": counters(40, 400, **since)}))
    assert (stretch.families["a"].calls if "a" in stretch.families else None) == calls


def test_the_rest_that_shrank_tells_nothing():
    before, after = {"calls": 100.0, "total_ms": 90.0}, {"calls": 20.0, "total_ms": 10.0}
    assert between(shot(0, {}, rest=before), shot(5, {}, rest=after)).rest.calls == 0


def test_least_and_most_are_not_taken_where_they_were_reset_in_between():
    later = counters(160, 1300, minmax_since=NOON.timestamp() + 60)
    delta = between(shot(0, {"a": counters(100, 1000)}), shot(5, {"a": later})).families["a"]
    assert (delta.least, delta.most) == (None, None)


def a_day():
    shots = [
        shot(
            5 * n,
            {"a": counters(10 * n + 1, 100.0 * n + 1), **({"b": counters(n, 5.0 * n)} if n > 6 else {})},
        )
        for n in range(13)
    ]
    return History(
        system="app", names={"a": name("a"), "b": name("b", NOON + timedelta(minutes=35))}, shots=tuple(shots)
    )


def test_a_window_begins_at_the_snapshot_before_it():
    found = history.workload_of(a_day(), NOON + timedelta(minutes=27))
    assert found.source.seconds == 35 * 60  # from 12:25 to 13:00
    assert {family.fingerprint: family.calls for family in found.families} == {"a": 70, "b": 12}
    assert found.families[0].p95_at_most_ms <= 50.0
    assert (
        found.source.sentence()
        == "The workload is 82 statements over 2100 s from snapshots from 2026-11-22 12:25 to 2026-11-22 13:00 UTC (pg_stat_statements)."
    )


def test_one_snapshot_is_no_window():
    found = history.workload_of(History(system="app", names={}, shots=(shot(0, {}),)), NOON)
    assert "a window needs two" in found.source.why_empty


def test_a_trend_has_a_gap_where_a_family_did_not_run():
    (trend,) = history.trends(history.merged(a_day().stretches(NOON), 4), ["b"])
    assert trend.calls_per_second == (None, None, 0.01, 0.0033)
    assert trend.mean_ms[-1] == 5.0


def test_families_are_new_where_the_history_reaches_back_to_say_so():
    assert [one.fingerprint for one in a_day().new_since(NOON + timedelta(minutes=1))] == ["b"]
    assert a_day().new_since(NOON - timedelta(minutes=1)) == ()


@pytest.mark.parametrize(
    ("text", "moment"),
    [("1h", NOON - timedelta(hours=1)), ("30 m", NOON - timedelta(minutes=30)), ("yesterday", NOON - timedelta(days=1)),
     ("2026-11-22T10:00", NOON - timedelta(hours=2)), ("2026-11-22T10:00+02:00", NOON - timedelta(hours=4))],
)  # fmt: skip
def test_a_moment_is_said_in_several_ways(text, moment):
    assert history.moment_of(text, NOON) == moment


@pytest.mark.parametrize("text", ["soon", "2027-01-01", "", "1y", "99999999d"])
def test_what_is_no_moment_is_bad_input(text):
    with pytest.raises(BadInput):
        history.moment_of(text, NOON)


def test_old_snapshots_thin_out_to_hours_then_days_then_go():
    moments = [(NOON - timedelta(minutes=5 * n)).isoformat() for n in range(400 * 288)][::-1]
    kept = set(moments) - set(superfluous(moments, NOON))
    ages = [(NOON - datetime.fromisoformat(moment)) for moment in kept]
    assert sum(age <= timedelta(days=2) for age in ages) == 577
    assert 671 <= sum(timedelta(days=2) < age <= timedelta(days=30) for age in ages) <= 674
    assert 334 <= sum(age > timedelta(days=30) for age in ages) <= 337
    assert max(ages) <= timedelta(days=365)


# -- the operations' plans --------------------------------------------------------------------------------------------------------


def test_a_snapshot_is_one_step_that_undo_forgets():
    plan = RecordWorkload(system="app").plan(RecordWorkloadFacts())
    (step,) = plan.steps
    assert (step.call.system, step.call.action, step.undo[0].action) == (
        "ledger",
        "record_workload",
        "forget_snapshots",
    )
    assert (
        plan.fingerprint
        == RecordWorkload(system="app").plan(RecordWorkloadFacts(age_seconds=300)).fingerprint
    )


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (RecordWorkloadFacts(age_seconds=3), "younger than 60 s"),
        (RecordWorkloadFacts(why_empty="No workload"), "No workload."),
    ],
)
def test_nothing_is_recorded_twice_or_without_a_source(facts, said):
    plan = RecordWorkload(system="app").plan(facts)
    assert plan.steps == ()
    assert said in " ".join((plan.nothing_to_do, *plan.blockers))


def test_a_window_is_shown_with_trends_and_new_families_and_no_finding():
    past = a_day()
    facts = ShowWorkloadFacts(
        workload=history.workload_of(past, NOON),
        trends=history.trends(past.stretches(NOON), ["a", "b"]),
        ends=("x",),
        new=("b",),
    )
    plan = ShowWorkload(system="app", since="1h").plan(facts)
    assert plan.findings == ()
    assert "2 families, 1 of them new since yesterday" in plan.summary
    assert [(row["fingerprint"], row["new"]) for row in plan.figures["by_family"]] == [
        ("a", False),
        ("b", True),
    ]


def shots_of(rows_and_calls):
    """Snapshots five minutes apart in which a list's rows and a lookup's calls grew by so many."""
    rows = calls = 0
    for n, (more_rows, more_calls) in enumerate([(0, 1), *rows_and_calls]):
        rows, calls = rows + more_rows, calls + more_calls
        yield shot(
            5 * n,
            {"p": counters(10 + 10 * n, 100.0 + 100 * n) | {"rows": rows}, "c": counters(calls, 1.0 * calls)},
        )


@pytest.mark.parametrize(
    ("grown", "rules"),
    [
        (
            [(1000, 1000), (400, 396), (0, 0), (2000, 1990)],
            ["n-plus-one-suspected"],
        ),  # one lookup for each row, all the time
        ([(1000, 300), (400, 1100), (600, 600)], []),  # equal in sum, by accident
    ],
)
def test_a_loop_is_suspected_where_lookups_follow_rows_in_every_stretch(grown, rules):
    names = {
        "p": name("p").model_copy(update={"sql": "SELECT * FROM orders", "tables": ("orders",)}),
        "c": name("c"),
    }
    past = History(system="app", names=names, shots=tuple(shots_of(grown)))
    operation = ShowWorkload(system="app", since="1h")
    plan = operation.plan(operation.facts_of(past, NOON))
    assert [finding.rule for finding in plan.findings] == rules
