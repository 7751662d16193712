"""What the loop does for pipelines at each look, and carrying out what is open: with a real ledger and runner, and a stand-in for the pipeline."""

import contextlib
import os
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from datareeve.agent.schedule import Serve
from datareeve.app import App
from datareeve.capabilities.pipelines.scheduling import performing
from datareeve.capabilities.pipelines.scheduling.arrivals import SETTLED_SECONDS, complete
from datareeve.capabilities.pipelines.scheduling.dispatching import Dispatcher
from datareeve.capabilities.pipelines.scheduling.endings import LONGEST_WAIT, again_at, ending_of
from datareeve.capabilities.pipelines.scheduling.journal import Journal
from datareeve.capabilities.pipelines.scheduling.performing import Rest, Stop, perform
from datareeve.capabilities.pipelines.scheduling.publications import RUN, Publications
from datareeve.capabilities.pipelines.spec import Schedule
from datareeve.core import clock
from datareeve.core.errors import BadInput, LeaseLost
from datareeve.core.estate import Authority
from datareeve.core.operation import Effect, Outcome, PartOutcome, StepOutcome
from pipelines_schedule_rig import STEPS, application, lines

NOON = datetime(2026, 7, 20, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOURLY = Schedule(cron="0 * * * *", retry_seconds=60, retries=2)


@pytest.fixture
def app(tmp_path):
    with contextlib.closing(application(tmp_path)) as app:
        yield app


def stop():
    def fail():
        raise AssertionError

    return Stop(fail)


def loop(app, schedules, started, files=None):
    return Dispatcher(
        app.ledger, app.stored_plan, lambda: schedules, lambda schedule, now: files or {}, started.append
    )


def look(dispatcher, now):
    """One look of the loop; gives what went wrong, by pipeline."""
    troubles = {}
    with time_machine.travel(now, tick=False):
        for name, act in dispatcher(clock.now()):
            try:
                act()
            except BadInput as error:
                troubles[name] = error.code
    return troubles


def occasion(app, schedule=HOURLY, name="p"):
    """A pipeline with one occasion open; gives the list of those that are to be run."""
    started = []
    dispatcher = loop(app, {name: schedule}, started)
    look(dispatcher, NOON - timedelta(minutes=30))
    look(dispatcher, NOON)
    return dispatcher, started


def run(app, at=NOON, schedule=HOURLY, *, pools=None, stopping=None, name="p"):  # noqa: PLR0913 - of performing
    with time_machine.travel(at, tick=True):
        return perform(app, name, schedule, pools=pools or {}, stop=stopping or stop())


def story(app, name="p"):
    return Journal(app.ledger).refresh().of(name)


def events(app):
    return [(entry.body["type"], entry.subject) for entry in app.ledger.entries("event")]


def test_an_occasion_is_run_once_and_told(app):
    dispatcher, started = occasion(app)
    assert started == ["p"]
    assert run(app) == Rest(ended=1)
    assert [line.rpartition(" ")[0] for line in lines(app.project)] == list(STEPS)
    assert run(app) == Rest(ended=0)
    look(dispatcher, NOON + MINUTE)
    assert started == ["p"]
    assert events(app) == [("schedule-done", "p")]
    (ended,) = story(app).ended
    assert (ended.last.told["status"], ended.last.told["run"]) == ("done", app.runs()[0].run)


def test_what_is_open_is_started_again_at_every_look_until_it_is_done(app):
    dispatcher, started = occasion(app)
    look(dispatcher, NOON + MINUTE)
    again, later = loop(app, {"p": HOURLY}, started), NOON + 2 * MINUTE  # as after a restart
    look(again, later)
    assert started == ["p"] * 3
    assert len(story(app).open) == 1


def test_what_is_wrong_with_one_pipeline_is_no_other_s_trouble(app):
    started = []
    broken = BadInput("pipelines.spec", "It is broken.", "")
    schedules = {"a": broken, "b": Schedule(cron="61 * * * *"), "p": HOURLY}
    dispatcher = loop(app, schedules, started)
    look(dispatcher, NOON - MINUTE)
    assert look(dispatcher, NOON) == {"pipeline a": "pipelines.spec", "pipeline b": "schedule.cron"}
    assert started == ["p"]


def test_missed_moments_are_told_in_one_event(app):
    dispatcher, _ = occasion(app, Schedule(cron="0 * * * *", catch_up="none"))
    run(app)
    look(dispatcher, NOON + timedelta(hours=5, minutes=30))
    (missed,) = (
        entry.body for entry in app.ledger.entries("event") if entry.body["type"] == "schedule-missed"
    )
    assert (missed["occasions"], missed["run"]) == (5, 0)
    assert missed["first"] == clock.stamp(NOON + timedelta(hours=1))


def test_all_that_is_to_be_caught_up_with_is_run_one_after_the_other(app):
    schedule = Schedule(cron="0 * * * *", catch_up="all")
    dispatcher, _ = occasion(app, schedule)
    look(dispatcher, NOON + timedelta(hours=2))
    assert run(app, NOON + timedelta(hours=2), schedule) == Rest(ended=3)
    assert [line.rpartition(" ")[0] for line in lines(app.project)] == list(STEPS) * 3


# -- failing -----------------------------------------------------------------------------------------------------------------------


def test_a_failure_that_may_pass_is_tried_again_later_and_the_ledger_says_when(app):
    dispatcher, started = occasion(app)
    (app.project / "fail").write_text("postgres.unreachable")
    first = run(app)
    assert 45 < first.again_seconds < 75
    (one,) = story(app).open
    assert (one.last.told["kind"], one.last.told["code"]) == ("source", "postgres.unreachable")
    look(dispatcher, NOON + timedelta(seconds=30))
    assert started == ["p"]  # not before its time
    second = run(app, NOON + 2 * MINUTE)
    assert 90 < second.again_seconds < 150
    (app.project / "fail").unlink()
    look(dispatcher, NOON + 10 * MINUTE)
    assert started == ["p", "p"]
    assert run(app, NOON + 10 * MINUTE) == Rest(ended=1)
    assert [attempt.number for attempt in story(app).ended[0].attempts] == [1, 2, 3]
    assert events(app) == [("schedule-failed", "p")] * 2 + [("schedule-done", "p")]


def test_attempts_come_to_an_end(app):
    occasion(app)
    (app.project / "fail").write_text("postgres.lost")
    for minutes in (0, 10, 20):
        run(app, NOON + minutes * MINUTE)
    assert story(app).open == []
    assert run(app, NOON + 60 * MINUTE) == Rest(ended=0)


@pytest.mark.parametrize("code", ["postgres.23505", "pipelines.no-column", "postgres.login"])
def test_what_does_not_pass_by_itself_is_not_tried_again(app, code):
    occasion(app)
    (app.project / "fail").write_text(code)
    assert run(app) == Rest(ended=1)
    assert story(app).open == []
    assert lines(app.project) == []


def test_what_waits_for_an_approval_waits_for_a_person(app):
    occasion(app)
    app.estate = app.estate.model_copy(update={"authority": Authority()})
    app.__dict__.pop("gate", None)
    app.__dict__.pop("runner", None)
    run(app)
    told = story(app).ended[0].last.told
    assert told["status"] == "waiting for approval"
    assert told["fingerprint"]


def test_a_bug_ends_the_attempt_without_its_text(app):
    occasion(app)

    def broken(operation):
        raise ValueError("4111 1111 1111 1111")

    app.preview = broken
    run(app)
    told = story(app).ended[0].last.told
    assert (told["code"], told["what"]) == ("internal", "ValueError in the pipeline's own code.")


def test_waits_double_and_differ_and_have_an_end():
    schedule = Schedule(cron="* * * * *", retry_seconds=60)
    waits = [(again_at(schedule, "k", attempt, NOON) - NOON).total_seconds() for attempt in range(1, 6)]
    for attempt, wait in enumerate(waits):
        assert 0.8 * 60 * 2**attempt <= wait <= 1.2 * 60 * 2**attempt
    assert len({again_at(schedule, key, 1, NOON) for key in "abcdef"}) == 6
    assert again_at(schedule, "k", 5000, NOON) - NOON == LONGEST_WAIT
    assert again_at(schedule, "k", 1, NOON) == again_at(schedule, "k", 1, NOON)


# -- interrupted -------------------------------------------------------------------------------------------------------------------


def test_a_run_that_was_stopped_between_two_steps_is_carried_on_not_begun_anew(app):
    occasion(app)
    stopping = stop()
    told = []

    def progress(event, **fields):
        told.append(event)
        if lines(app.project):
            stopping.asked.set()
        return Stop.__call__(stopping, event, **fields)

    stopping_like = Stopping(stopping, progress)
    assert run(app, stopping=stopping_like) == Rest(again_seconds=0.0)
    assert len(lines(app.project)) == 1
    assert run(app) == Rest(ended=1)
    assert [line.rpartition(" ")[0] for line in lines(app.project)] == list(STEPS)
    assert len(app.runs()) == 1


class Stopping(Stop):
    """A stop that looks before it is asked."""

    def __init__(self, of, progress):
        super().__init__(of.give_up)
        self.asked, self._progress = of.asked, progress

    def __call__(self, event, **fields):
        self._progress(event, **fields)


class Died(BaseException):
    """As a process that was killed: nothing is written any more."""


def die(app, when):
    """Let it die where `when` says so."""

    def boundary(name):
        if when(name):
            raise Died

    app._boundary = boundary
    app.__dict__.pop("runner", None)


def live(app):
    app._boundary = None
    app.__dict__.pop("runner", None)


@pytest.mark.parametrize("moment", ["before effect of 1/load b", "after effect of 1/load b", "before ended of", "after ended of"])  # fmt: skip
def test_wherever_it_died_nothing_is_done_twice(app, moment):
    occasion(app)
    die(app, lambda name: name.startswith(moment))
    with pytest.raises(Died):
        run(app)
    live(app)
    assert run(app) == Rest(ended=1)
    assert [line.rpartition(" ")[0] for line in lines(app.project)] == list(STEPS)
    assert len(app.runs()) == 1
    assert story(app).ended[0].last.told["status"] == "done"


def test_a_run_whose_process_dies_again_and_again_is_taken_back(app):
    occasion(app)
    die(app, lambda name: name.startswith("before effect of 1/load b"))
    for _ in range(performing.MOST_RESUMED + 1):
        with pytest.raises(Died):
            run(app)
    live(app)
    run(app)
    told = story(app).ended[0].last.told
    assert (told["code"], told["kind"]) == ("pipelines.crashed", "capacity")
    assert lines(app.project) == []


def test_a_persons_run_that_was_interrupted_is_carried_on_first(app):
    occasion(app)
    die(app, lambda name: name.startswith("before effect of 1/load b"))
    plan = app.preview(app.catalogue.make(RUN, {"pipeline": "p"}))
    with pytest.raises(Died):
        app.apply(plan, by="a person")
    live(app)
    run(app)
    assert [line.rpartition(" ")[0] for line in lines(app.project)] == list(STEPS) * 2
    assert [one.status for one in app.runs()] == ["done", "done"]


def test_one_that_lost_its_lease_writes_nothing(app):
    occasion(app)
    die(app, lambda name: _taken(app, name))
    with pytest.raises(LeaseLost):
        run(app)
    (one,) = story(app).open
    assert not one.last.ended
    assert len(lines(app.project)) == 1


def _taken(app, name):
    """As another worker that takes everything over, before the second effect."""
    if name == "before effect of 1/load b":
        with app.ledger.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE leases SET token = token + 1, holder = 'elsewhere:1:1:1', expires_at = 9e12"
            )
    return False


# -- time ----------------------------------------------------------------------------------------------------------------------------


def timers(app, monkeypatch, then):
    """Timers that go off once the first step is under way: `then` is called after each."""

    class Timer(threading.Thread):
        def __init__(self, seconds, act, given=()):
            super().__init__(daemon=True)
            self.after, self.act = seconds, lambda: act(*given)

        def run(self):
            while not (app.project / "at-load-a").exists():
                time.sleep(0.005)
            self.act()
            then(self.after)

        def cancel(self):
            self.join(20)

    monkeypatch.setattr(performing.threading, "Timer", Timer)


def test_what_takes_longer_than_it_may_stops_at_the_next_step_and_is_taken_back(app, monkeypatch):
    schedule = Schedule(cron="0 * * * *", timeout="10s", retries=1)
    occasion(app, schedule)
    block = app.project / "block-load-a"
    block.touch()
    monkeypatch.setattr(performing._Performing, "_give_up", lambda *_: None)
    timers(app, monkeypatch, lambda after: block.unlink(missing_ok=True) if after == 10 else None)
    rest = run(app, schedule=schedule)
    assert rest.again_seconds > 0
    told = story(app).open[0].last.told
    assert (told["code"], told["kind"]) == ("pipelines.timeout", "capacity")
    assert lines(app.project) == []
    assert app.runs()[0].status == "undone"


def test_a_step_that_does_not_come_back_ends_the_process_and_the_next_takes_the_run_back(app, monkeypatch):
    schedule = Schedule(cron="0 * * * *", timeout="10s", retries=0)
    occasion(app, schedule)
    (app.project / "block-load-a").touch()
    gone = []

    def give_up():
        gone.append(True)
        (app.project / "block-load-a").unlink()  # in the test the thread comes back, as no process would

    timers(app, monkeypatch, lambda after: None)
    die(app, lambda name: bool(gone))
    with pytest.raises(Died):
        run(app, schedule=schedule, stopping=Stop(give_up))
    live(app)
    monkeypatch.undo()
    assert story(app).open[0].last.overrun
    run(app, schedule=schedule)
    assert story(app).ended[0].last.told["code"] == "pipelines.timeout"
    assert lines(app.project) == []


# -- one at a time -----------------------------------------------------------------------------------------------------------------


def test_a_pipeline_that_is_being_run_by_another_waits(app):
    occasion(app)
    with app.ledger.lease("schedule p"):
        assert run(app) == Rest(again_seconds=performing.BUSY_SECONDS)
    with app.ledger.lease("by hand", ["pipeline:p"]):
        assert run(app) == Rest(again_seconds=performing.BUSY_SECONDS)
    assert lines(app.project) == []
    assert run(app) == Rest(ended=1)
    assert [attempt.number for attempt in story(app).ended[0].attempts] == [1]


def test_of_a_pool_so_many_are_at_work_at_once_over_all_machines(app):
    schedule = Schedule(cron="0 * * * *", pool="small")
    occasion(app, schedule)
    with app.ledger.lease("pool small 1"), app.ledger.lease("pool small 2"):
        assert run(app, schedule=schedule, pools={"small": 2}).again_seconds == performing.BUSY_SECONDS
        assert run(app, schedule=schedule, pools={"small": 3}) == Rest(ended=1)


def test_a_pool_that_is_not_declared_is_told(app):
    schedule = Schedule(cron="0 * * * *", pool="huge")
    occasion(app, schedule)
    run(app, schedule=schedule)
    assert story(app).ended[0].last.told["code"] == "pipelines.no-pool"


# -- what outcomes say -------------------------------------------------------------------------------------------------------------


def part(operation="pipelines.build", status="undone", **also):
    return PartOutcome(part_id="1", operation=operation, status=status, **also)


@pytest.mark.parametrize(
    ("found", "status", "code", "kind"),
    [
        (part(steps=(StepOutcome(step="load a", status="failed", error="postgres.unreachable: Away."),)), "failed", "postgres.unreachable", "source"),
        (part("pipelines.publish", steps=(StepOutcome(step="publish", status="failed", error="postgres.unreachable: Away."),)), "failed", "postgres.unreachable", "target"),
        (part("pipelines.publish", "failed", reason="This no longer holds: the audit passed."), "held", "pipelines.held", "data"),
        (part("pipelines.publish", "failed", reason="It could not be checked that it is there: no."), "failed", "plan.requirement", "schedule"),
        (part(reason="the check failed: rows are there"), "failed", "pipelines.audit", "data"),
        (part(status="blocked", blockers=("No way.",)), "failed", "pipelines.failed", "code"),
    ],
)  # fmt: skip
def test_an_outcome_says_whose_failure_it_is(found, status, code, kind):
    ending = ending_of(Outcome(run="r", plan="f", status="partly done", parts=(found,)))
    assert (ending.status, ending.code, ending.kind, ending.run) == (status, code, kind, "r")


# -- files and publications ----------------------------------------------------------------------------------------------------------


def test_files_are_seen_when_they_are_complete(tmp_path):
    for name in ("a.csv", "b.csv.part", ".hidden.csv", "_success.csv", "deep/c.csv", "Ünï „côde'.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    os.utime(tmp_path / "a.csv", (1, 1))  # an old moment of change, as copying gives it
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "gone.csv").symlink_to("nowhere")
    now = datetime.now(UTC)
    given = {"project": tmp_path, "folder_of": {"deep": tmp_path / "deep"}.get}
    assert complete("*.csv*", now, **given) == {}
    later = now + timedelta(seconds=SETTLED_SECONDS + 1)
    assert complete("*.csv*", later, **given) == {
        "a.csv": "1:1000000000",
        "Ünï „côde'.csv": _mark(tmp_path / "Ünï „côde'.csv"),
    }
    assert list(complete("deep:*.csv", later, **given)) == ["c.csv"]
    assert list(complete("**/c.csv", later, **given)) == ["deep/c.csv"]
    assert list(complete(f"{tmp_path}/deep/*", later, **given)) == [f"{tmp_path}/deep/c.csv"]
    assert complete("nowhere/*.csv", later, **given) == {}


def _mark(path):
    return f"{path.stat().st_size}:{path.stat().st_mtime_ns}"


@pytest.mark.parametrize("pattern", ["landing:*.csv", "deep:../*.csv", "deep:/etc/*"])
def test_files_of_no_folder_are_bad_input(tmp_path, pattern):
    with pytest.raises(BadInput) as caught:
        complete(pattern, NOON, project=tmp_path, folder_of={"deep": tmp_path}.get)
    assert caught.value.code == "schedule.on-file"


def test_publications_are_those_of_runs_that_were_not_taken_back(app):
    occasion(app)
    run(app)
    read = Publications(app.ledger, app.stored_plan)
    (name,) = read.latest()
    assert name == "p"
    app.undo(app.runs()[0].run, by="a person")
    assert read.latest() == Publications(app.ledger, app.stored_plan).latest() == {}


def test_a_pipeline_runs_after_the_one_above_it_has_published(app):
    started = []
    dispatcher = loop(app, {"p": HOURLY, "below": Schedule(after=("p",))}, started)
    look(dispatcher, NOON - MINUTE)
    look(dispatcher, NOON)
    assert started == ["p"]
    run(app)
    look(dispatcher, NOON + MINUTE)
    assert started == ["p", "below"]
    run(app, NOON + MINUTE, Schedule(after=("p",)), name="below")
    look(dispatcher, NOON + 2 * MINUTE)
    assert started == ["p", "below"]


def test_the_journal_reads_everything_where_much_was_written_meanwhile(app, monkeypatch):
    from datareeve.capabilities.pipelines.scheduling import journal  # noqa: PLC0415

    monkeypatch.setattr(journal, "FRESH", 3)
    reader = Journal(app.ledger).refresh()
    schedule = Schedule(cron="0 * * * *", catch_up="all")
    dispatcher, _ = occasion(app, schedule)
    look(dispatcher, NOON + timedelta(hours=9))
    assert len(reader.refresh().of("p").open) == 10


def test_the_loop_of_serve_does_it_and_trouble_with_one_pipeline_ends_nothing(app):
    started = []
    broken = BadInput("pipelines.spec", "It is broken.", "")
    (app.project / "estate.yaml").write_text("version: 1\n")
    serve = Serve(app, nobody, more=loop(app, {"a": broken, "p": HOURLY}, started))
    watching = Serve(app, nobody, takes=[Effect.READ], more=loop(app, {"p": HOURLY}, started))
    for now in (NOON - MINUTE, NOON, NOON + MINUTE):
        with time_machine.travel(now, tick=False):
            serve.run_once(clock.now())
            watching.run_once(clock.now())
    assert started == ["p", "p"]
    assert events(app) == [("schedule-failed", "pipeline a")]


def nobody(target, message):
    raise AssertionError


PIPELINE = "version: 1\ntarget: warehouse\nloads: {{{}: {{source: {{files: a.csv}}}}}}\n{}\n"


def test_schedules_are_those_of_the_files_and_a_changed_file_is_read_again(tmp_path):
    (tmp_path / "etl").mkdir()
    (tmp_path / "estate.yaml").write_text("systems: {warehouse: {kind: duckdb, path: w.duckdb}}\n")
    for name, text in (
        ("none", ""),
        ("daily", 'schedule: {cron: "0 6 * * *"}'),
        ("broken", "schedule: {cron: no}"),
    ):
        (tmp_path / "etl" / f"{name}.yaml").write_text(PIPELINE.format(name, text))
    with contextlib.closing(App.open(tmp_path)) as app:
        found = app.pipeline_schedules()
        assert set(found) == {"daily", "broken"}
        assert found["daily"].cron == "0 6 * * *"
        assert isinstance(found["broken"], BadInput)
        (tmp_path / "etl" / "daily.yaml").write_text(
            PIPELINE.format("daily", 'schedule: {cron: "30 7 * * *"}')
        )
        assert app.pipeline_schedules()["daily"].cron == "30 7 * * *"
        (tmp_path / "etl" / "daily.yaml").unlink()
        assert set(app.pipeline_schedules()) == {"broken"}
        assert app.job_queue() is None
