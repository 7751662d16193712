"""The loop: what is due when, what becomes of it, and that nothing ends it."""

import contextlib
import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
import time_machine
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.agent.schedule import Serve, due
from datareeve.core import clock
from datareeve.core.errors import BadInput, Failed, LeaseLost, NeedsApproval
from datareeve.core.estate import AlertRule, Estate, Schedule
from datareeve.core.ledger import open_ledger
from datareeve.core.operation import Call, Claim, Effect, Outcome, Plan, Step

NOON = datetime(2026, 7, 20, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def moments(cron, zone, start, end, step=MINUTE):
    """When a schedule ran, with a look every `step` from one moment to another."""
    schedules = {"s": Schedule(operation="o", cron=cron, timezone=zone)}
    last, now, ran = start, start, []
    while now <= end:
        if due(schedules, {"s": last}, now):
            ran.append(now.isoformat())
            last = now
        now += step
    return ran


def test_a_schedule_is_due_at_its_moment_and_not_again_before_the_next():
    schedules = {"s": Schedule(operation="o", cron="0 12 * * *")}
    assert due(schedules, {"s": NOON - timedelta(days=1)}, NOON - MINUTE) == ()
    (found,) = due(schedules, {"s": NOON - timedelta(days=1)}, NOON)
    assert (found.name, found.first, found.last, found.occasions) == ("s", NOON, NOON, 1)
    assert not found.missed(NOON)
    assert due(schedules, {"s": NOON}, NOON + timedelta(hours=23)) == ()


def test_a_schedule_never_run_has_nothing_to_catch_up():
    assert due({"s": Schedule(operation="o", cron="* * * * *")}, {}, NOON) == ()


def test_the_time_zone_is_the_schedules_own():
    assert moments("0 12 * * *", "Europe/Berlin", at("2026-07-20T00:00"), at("2026-07-21T00:00")) == [
        "2026-07-20T10:00:00+00:00"
    ]


def test_a_moment_that_summer_time_jumps_over_comes_once_right_after_the_jump():
    ran = moments("30 2 * * *", "Europe/Berlin", at("2026-03-28T12:00"), at("2026-03-30T12:00"))
    assert ran == ["2026-03-29T01:00:00+00:00", "2026-03-30T00:30:00+00:00"]


def test_a_moment_that_winter_time_repeats_comes_once():
    ran = moments("30 2 * * *", "Europe/Berlin", at("2026-10-24T12:00"), at("2026-10-26T12:00"))
    assert ran == ["2026-10-25T00:30:00+00:00", "2026-10-26T01:30:00+00:00"]


def test_every_hour_is_every_hour_through_both_changes():
    for day in ("2026-03-29", "2026-10-25"):
        assert (
            len(moments("0 * * * *", "Europe/Berlin", at(f"{day}T00:00") - MINUTE, at(f"{day}T05:59"))) == 6
        )


@settings(deadline=None)
@given(
    st.integers(1, 200),
    st.sampled_from(["2026-03-28T20:00", "2026-10-24T20:00"]),
    st.sampled_from(["30 2 * * *", "0 * * * *"]),
)
def test_however_long_the_looks_are_apart_every_moment_is_counted_once(apart, start, cron):
    schedules = {"s": Schedule(operation="o", cron=cron, timezone="Europe/Berlin")}
    end = at(start) + timedelta(hours=20)
    (whole,) = due(schedules, {"s": at(start)}, end)
    counted, last = 0, at(start)
    while last < end:
        now = min(last + timedelta(minutes=apart), end)
        counted += sum(found.occasions for found in due(schedules, {"s": last}, now))
        last = now
    assert counted == whole.occasions


def test_what_fell_into_a_pause_is_due_once_and_counted_as_missed():
    (found,) = due({"s": Schedule(operation="o", cron="*/5 * * * *")}, {"s": NOON}, NOON + timedelta(hours=1))
    assert (found.occasions, found.first, found.last) == (12, NOON + 5 * MINUTE, NOON + timedelta(hours=1))
    assert found.missed(NOON + timedelta(hours=1))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"cron": "61 * * * *"}, "schedule.cron"),
        ({"cron": "* * * * * *"}, "schedule.cron"),
        ({"cron": "* * *"}, "schedule.cron"),
        ({"cron": "* * * * *", "timezone": "Mars/Olympus"}, "schedule.timezone"),
        ({"cron": "* * * * *", "timezone": "../etc/passwd"}, "schedule.timezone"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_bad_input(change, code):
    with pytest.raises(BadInput) as caught:
        due({"s": Schedule(operation="o", **change)}, {"s": NOON}, NOON)
    assert caught.value.code == code


# -- the loop ----------------------------------------------------------------------------------------------------------------------


def plan_of(name, *, steps=(), **figures):
    return Plan(operation=name, summary=name, steps=steps, figures=figures)


def a_step():
    call = Call(system="app", action="execute", arguments={"sql": "VACUUM"})
    return Step(id="one", call=call, why="w", effect=Effect.REVERSIBLE, probe=Claim(text="t", call=call))


class Application:
    """An application whose operations are functions that give a plan or raise; the ledger is real."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.catalogue = self
        self.estate = Estate()
        self.operations = {}
        self.applied = []
        self.outcome = "done"

    def reload(self):
        if isinstance(self.estate, Exception):
            raise self.estate
        return self.estate

    def operation(self, name, plan, effect=Effect.READ, cron="* * * * *", **also):
        known = {"takes_long": False, "sampled_as": "", **also}
        self.operations[name] = SimpleNamespace(name=name, effect=effect, plan=plan, **known)
        inputs = {} if known["sampled_as"] else {"system": "app"}
        schedules = {
            **self.estate.schedules,
            name: Schedule(operation=name, inputs=inputs, cron=cron),
        }
        self.estate = self.estate.model_copy(update={"schedules": schedules})

    def get(self, name):
        return self.operations[name]

    def make(self, name, inputs):
        return self.operations[name]

    def preview(self, operation):
        return operation.plan()

    def apply(self, plan, *, by):
        self.applied.append((plan.operation, by))
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return Outcome(run="r1", plan=plan.fingerprint, status=self.outcome)


@pytest.fixture
def app(tmp_path):
    with contextlib.closing(open_ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        yield Application(ledger)


def looks(serve, count, start=NOON, apart=MINUTE):
    for index in range(count):
        with time_machine.travel(start + index * apart, tick=False):
            serve.run_once(clock.now())


def events(app):
    return [(entry.body["type"], entry.subject) for entry in app.ledger.entries("event")]


def nobody(target, message):
    raise AssertionError


def test_a_read_that_takes_long_is_run_by_the_loop_that_acts_and_its_steps_are_carried_out(app):
    app.operation("check", lambda: plan_of("check", steps=(a_step(),)), takes_long=True)
    looks(Serve(app, nobody, takes=[Effect.READ]), 3)
    assert app.applied == []
    looks(Serve(app, nobody, takes=[Effect.REVERSIBLE]), 3, start=NOON + timedelta(minutes=10))
    assert [name for name, _ in app.applied] == ["check"] * 2


def test_the_figures_of_a_read_operation_become_samples(app):
    app.operation("health", lambda: plan_of("health", health="healthy", up=1.0, rows=7, yes=True))
    looks(Serve(app, nobody), 3)
    samples = app.ledger.samples("app")
    assert [(s.at, s.name, s.value) for s in samples] == [
        (clock.stamp(NOON + MINUTE), "up", 1.0),
        (clock.stamp(NOON + MINUTE), "rows", 7.0),
        (clock.stamp(NOON + 2 * MINUTE), "up", 1.0),
        (clock.stamp(NOON + 2 * MINUTE), "rows", 7.0),
    ]
    assert samples[0].labels == {"operation": "health", "schedule": "health"}
    assert events(app) == []


def test_the_figures_of_what_looks_and_may_write_a_page_of_it_become_samples_too(app):
    app.operation("report", lambda: plan_of("report", broken=2), Effect.REVERSIBLE, sampled_as="quality")
    app.operation("vacuum", lambda: plan_of("vacuum", bloat=3), Effect.REVERSIBLE)
    looks(Serve(app, nobody), 2)
    assert [(s.name, s.value) for s in app.ledger.samples("quality")] == [("broken", 2.0)]
    assert app.ledger.samples("app") == []


def test_an_effect_is_applied_in_the_schedules_name_and_written_down(app):
    app.operation("vacuum", lambda: plan_of("vacuum", steps=(a_step(),)), Effect.REVERSIBLE)
    looks(Serve(app, nobody), 2)
    assert app.applied == [("vacuum", "schedule:vacuum")]
    (entry,) = app.ledger.entries("event")
    assert (entry.body["type"], entry.run) == ("schedule-done", "r1")


def test_a_plan_without_steps_is_not_applied(app):
    app.operation("vacuum", lambda: plan_of("vacuum"), Effect.REVERSIBLE)
    looks(Serve(app, nobody), 3)
    assert app.applied == []


def test_an_outcome_that_is_not_done_is_written_down_as_failed(app):
    app.operation("vacuum", lambda: plan_of("vacuum", steps=(a_step(),)), Effect.REVERSIBLE)
    app.outcome = "undone"
    looks(Serve(app, nobody), 2)
    assert events(app) == [("schedule-failed", "vacuum")]


def test_what_needs_an_approval_waits_with_its_fingerprint_and_is_told_once(app):
    app.operation("drop", lambda: plan_of("drop", steps=(a_step(),)), Effect.REVERSIBLE)
    app.outcome = NeedsApproval("authority.approval", "needs approval", fingerprint="f00d")
    looks(Serve(app, nobody), 5)
    (entry,) = app.ledger.entries("event")
    assert entry.body == {"type": "waiting-for-approval", "fingerprint": "f00d"}


def test_an_approval_that_is_waited_for_is_told_once_though_the_schedule_rests_between(app):
    app.operation("drop", lambda: plan_of("drop", steps=(a_step(),)), Effect.REVERSIBLE, cron="*/10 * * * *")
    app.outcome = NeedsApproval("authority.approval", "needs approval", fingerprint="f00d")
    looks(Serve(app, nobody), 45)
    assert events(app) == [("waiting-for-approval", "drop")]


def test_one_error_never_ends_the_loop_and_the_next_schedule_runs(app):
    def broken():
        raise ZeroDivisionError("row value 42")

    app.operation("broken", broken)
    app.operation("health", lambda: plan_of("health", up=1.0))
    looks(Serve(app, nobody), 4)
    assert len(app.ledger.samples("app", name="up")) == 3
    (entry,) = app.ledger.entries("event")
    assert entry.body == {"type": "schedule-failed", "error": "ZeroDivisionError"}


def test_the_same_trouble_is_written_down_again_after_an_hour_and_at_once_after_it_had_gone(app):
    state = SimpleNamespace(broken=True)

    def sometimes():
        if state.broken:
            raise Failed("x.y", "it is broken")
        return plan_of("s", up=1.0)

    app.operation("s", sometimes)
    serve = Serve(app, nobody)
    looks(serve, 63)
    assert events(app) == [("schedule-failed", "s")] * 2
    state.broken = False
    looks(serve, 1, NOON + 63 * MINUTE)
    state.broken = True
    looks(serve, 1, NOON + 64 * MINUTE)
    assert events(app) == [("schedule-failed", "s")] * 3


def test_an_estate_that_cannot_be_read_leaves_the_last_good_one_at_work(app):
    app.operation("health", lambda: plan_of("health", up=1.0))
    serve = Serve(app, nobody)
    looks(serve, 2)
    app.estate = BadInput("estate.syntax", "line 3")
    looks(serve, 2, NOON + 2 * MINUTE)
    assert len(app.ledger.samples("app", name="up")) == 3
    assert events(app) == [("schedule-failed", "estate")]


def test_a_pause_is_written_down_with_what_it_cost_and_run_once(app):
    app.operation("health", lambda: plan_of("health", up=1.0))
    looks(Serve(app, nobody), 2)
    looks(Serve(app, nobody), 1, NOON + timedelta(hours=1))
    assert len(app.ledger.samples("app", name="up")) == 2
    (entry,) = app.ledger.entries("event")
    assert entry.body == {
        "type": "schedule-missed",
        "operation": "health",
        "occasions": 59,
        "first": clock.stamp(NOON + 2 * MINUTE),
        "last": clock.stamp(NOON + timedelta(hours=1)),
    }


def test_a_restart_within_the_same_minute_runs_nothing_twice(app):
    app.operation("health", lambda: plan_of("health", up=1.0))
    for index in range(4):
        for _ in range(2):
            Serve(app, nobody).run_once(NOON + index * MINUTE)
    assert len(app.ledger.samples("app", name="up")) == 3


def test_a_second_loop_on_one_ledger_does_nothing(app):
    with app.ledger.lease("serve " + "+".join(sorted(Effect))), pytest.raises(LeaseLost):
        Serve(app, nobody)._run_alone(threading.Event())


def test_a_loop_for_reads_leaves_effects_to_another(app):
    app.operation("health", lambda: plan_of("health", up=1.0))
    app.operation("vacuum", lambda: plan_of("vacuum", steps=(a_step(),)), Effect.REVERSIBLE)
    looks(Serve(app, nobody, takes=[Effect.READ]), 3)
    assert app.applied == []
    looks(Serve(app, nobody, takes=set(Effect) - {Effect.READ}), 2)
    assert [operation for operation, _ in app.applied] == ["vacuum"]


def test_an_alert_fires_from_samples_is_told_at_once_and_stays_known_through_a_restart(app):
    figure = SimpleNamespace(value=90.0)
    app.operation("health", lambda: plan_of("health", disk_used_percent=figure.value))
    rule = AlertRule(
        name="disk", system="app", sample="disk_used_percent", above=85, clear=80, notify=("file:data/a",)
    )
    app.estate = app.estate.model_copy(update={"alerts": (rule,)})
    told = []

    def tell(target, message):
        told.append((message["kind"], message["value"]))

    looks(Serve(app, tell), 4)
    looks(Serve(app, tell), 2, NOON + 4 * MINUTE)
    assert told == [("fired", 90.0)]
    figure.value = 79.0
    looks(Serve(app, tell), 2, NOON + 6 * MINUTE)
    assert told == [("fired", 90.0), ("cleared", 79.0)]
    assert events(app) == [
        (kind, "disk") for kind in ("alert-fired", "notified", "alert-cleared", "notified")
    ]


def test_sigterm_ends_the_loop_after_what_it_is_doing_and_gives_the_signal_back(app):
    before = signal.getsignal(signal.SIGTERM)

    def interrupted():
        os.kill(os.getpid(), signal.SIGTERM)
        return Estate()

    app.reload = interrupted
    Serve(app, nobody).run()  # returns
    assert signal.getsignal(signal.SIGTERM) is before
