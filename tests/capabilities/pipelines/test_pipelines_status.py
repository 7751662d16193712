"""How pipelines stand: from runs of a stand-in on a real ledger, and from nothing."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from datareeve.agent import standing
from datareeve.agent.schedule import Serve
from datareeve.app import catalogue
from datareeve.capabilities.pipelines.operations.status import Status
from datareeve.capabilities.pipelines.scheduling.journal import Journal
from datareeve.capabilities.pipelines.scheduling.occasions import Occasion
from datareeve.capabilities.pipelines.scheduling.performing import Stop, perform
from datareeve.capabilities.pipelines.scheduling.publications import RUN
from datareeve.capabilities.pipelines.spec import Schedule
from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.core.operation import Outcome, Severity
from pipelines_schedule_rig import application

NOON = datetime(2026, 7, 20, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HOURLY = Schedule(cron="0 * * * *", retries=1, retry_seconds=60)
FILE = 'version: 1\ntarget: warehouse\nloads: {a: {source: {files: a.csv}}}\nschedule: {cron: "0 * * * *"}\n'
SYSTEMS = {"warehouse": {"kind": "duckdb", "path": "w.duckdb"}}


@pytest.fixture
def app(tmp_path):
    (tmp_path / "etl").mkdir()
    (tmp_path / "etl" / "p.yaml").write_text(FILE)
    with contextlib.closing(application(tmp_path, systems=SYSTEMS)) as app:
        yield app


def occasion(app, at=NOON, schedule=HOURLY, **also):
    with time_machine.travel(at, tick=False):
        journal = Journal(app.ledger)
        journal.watch("p", schedule, at - MINUTE)
        journal.met(Occasion(pipeline="p", key=f"p@{at}", at=at, causes=("clock",), **also))


def run(app, at=NOON, schedule=HOURLY):
    with time_machine.travel(at, tick=True):
        perform(app, "p", schedule, pools={}, stop=Stop(lambda: None))


def look(app, now=NOON + 10 * MINUTE, **inputs):
    with time_machine.travel(now, tick=False):
        operation = Status(**inputs)
        return operation.plan(operation.observe(app.systems))


def only(plan):
    (one,) = plan.figures["by_pipeline"]
    return one


def rules(plan):
    return [finding.rule for finding in plan.findings]


def test_without_a_pipeline_there_is_nothing_to_say(tmp_path):
    with contextlib.closing(application(tmp_path)) as app:
        plan = look(app)
        assert (plan.summary, plan.figures["pipelines"]) == ("There is no pipeline yet.", 0)


def test_one_that_never_ran_is_no_trouble(app):
    plan = look(app)
    assert (only(plan)["state"], plan.findings) == ("never run", ())
    assert only(plan)["next_at"] == "2026-07-20T13:00:00+00:00"
    assert "success_percent" not in plan.figures


def test_a_run_that_was_done_makes_it_fresh_with_its_rows(app):
    occasion(app)
    run(app)
    plan = look(app)
    one = only(plan)
    assert (one["state"], one["runs"], one["succeeded"], one["success_percent"]) == ("fresh", 1, 1, 100.0)
    (ran,) = one["history"]
    assert (ran["rows_in"], ran["rows_out"], ran["status"]) == (20, 10, "done")
    assert 590 < plan.figures["p.age_seconds"] <= 600
    assert one["published_at"].startswith("2026-07-20T12:00")
    assert plan.figures["success_percent"] == 100.0


@pytest.mark.parametrize(
    ("code", "kind"),
    [("postgres.unreachable", "source"), ("postgres.23505", "data"), ("pipelines.memory", "capacity")],
)
def test_a_failure_is_told_with_whose_it_is_and_the_next_step(app, code, kind):
    occasion(app)
    (app.project / "fail").write_text(code)
    run(app)
    plan = look(app)
    one = only(plan)
    assert (one["state"], one["failures"]) == ("failing", {kind: 1})
    (finding,) = plan.findings
    assert (finding.rule, finding.severity) == ("pipeline-failing", Severity.CRITICAL)
    assert finding.instead == one["last_failure"]["next_step"]
    assert (
        plan.figures[f"failures_{kind}"]
        == plan.figures["pipelines_failing"]
        == plan.figures["p.trouble"]
        == 1
    )
    assert plan.figures["success_percent"] == 0.0


def test_a_failure_that_came_to_no_run_counts_as_well(app):
    occasion(app)
    app.preview = _unreachable
    run(app)
    one = only(look(app))
    assert (one["state"], one["runs"], one["failures"]) == ("failing", 1, {"data": 1})


def _unreachable(operation):
    raise BadInput("contract.unknown", "There is no such contract.", "")


def test_a_success_after_a_failure_is_fresh_again_and_both_count(app):
    occasion(app)
    (app.project / "fail").write_text("postgres.lost")
    run(app)
    (app.project / "fail").unlink()
    run(app, NOON + 5 * MINUTE)
    one = only(look(app))
    assert (one["state"], one["runs"], one["succeeded"], one["success_percent"]) == ("fresh", 2, 1, 50.0)


def test_what_lies_before_the_period_does_not_count(app):
    occasion(app, NOON - timedelta(days=40))
    (app.project / "fail").write_text("postgres.23505")
    run(app, NOON - timedelta(days=40))
    assert only(look(app))["runs"] == 0
    assert only(look(app, days=50))["runs"] == 1


def test_an_interrupted_run_is_told_with_how_it_goes_on(app):
    occasion(app)

    def boundary(name):
        if name.startswith("before effect of 1/load b"):
            raise KeyboardInterrupt

    app._boundary = boundary
    app.__dict__.pop("runner", None)
    with pytest.raises(KeyboardInterrupt):
        run(app)
    plan = look(app)
    assert only(plan)["state"] == "interrupted"
    assert "datareeve resume" in plan.findings[0].instead


def test_one_that_is_due_and_not_begun_is_late(app):
    occasion(app)
    plan = look(app)
    assert (only(plan)["state"], rules(plan)) == ("late", ["pipeline-late"])


def test_one_whose_moment_passed_with_nobody_there_is_late(app):
    occasion(app)
    run(app)
    assert only(look(app, NOON + 59 * MINUTE))["state"] == "fresh"
    assert only(look(app, NOON + 61 * MINUTE))["state"] == "fresh"
    assert only(look(app, NOON + 63 * MINUTE))["state"] == "late"


def test_missed_moments_are_counted(app):
    occasion(app, missed=5, first_missed=NOON - 5 * HOUR)
    run(app)
    plan = look(app)
    assert (plan.figures["runs_missed"], rules(plan)) == (5, ["runs-missed"])


def test_a_file_that_is_broken_is_told(app):
    (app.project / "etl" / "p.yaml").write_text("version: 1\ntarget: [\n")
    plan = look(app)
    assert (only(plan)["state"], plan.findings[0].severity) == ("broken", Severity.CRITICAL)


def test_one_that_is_not_known_is_bad_input(app):
    with pytest.raises(BadInput) as caught:
        look(app, pipeline="q")
    assert caught.value.code == "pipelines.unknown"
    assert only(look(app, pipeline="etl/p.yaml"))["pipeline"] == "p"


def test_runs_of_an_environment_are_its_own(app):
    occasion(app)
    run(app)
    assert only(look(app, environment="dev"))["runs"] == 0


def test_a_run_that_a_person_took_back_is_no_failure(app):
    occasion(app)
    run(app)
    with time_machine.travel(NOON + MINUTE, tick=True):
        undone: Outcome = app.undo(app.runs()[0].run, by="a person")
    assert undone.status == "undone"
    assert only(look(app))["failures"] == {}


def test_the_service_level_is_held_against_its_target(app):
    occasion(app)
    run(app)
    known = catalogue()

    def preview(operation):
        return operation.plan(operation.observe(app.systems))

    with time_machine.travel(NOON + MINUTE, tick=False):
        found = standing.objectives(app.estate, app.ledger, standing.levels(app.estate, known, preview))
    (level,) = (one for one in found if one.target == "pipeline_success_percent")
    assert (level.limit, level.latest, level.measured, level.within, level.kept) == (99.0, 100.0, 1, 1, True)
    assert RUN in known.names()


def test_its_figures_are_samples_where_it_is_scheduled(app):
    occasion(app)
    run(app)
    (app.project / "estate.yaml").write_text(
        'schedules: {watch: {operation: pipelines.status, cron: "* * * * *"}}\nsystems: {warehouse: {kind: duckdb, path: w.duckdb}}\n'
    )
    app.catalogue = catalogue()
    serve = Serve(app, lambda target, message: None)
    for minutes in (1, 2):
        with time_machine.travel(NOON + minutes * MINUTE, tick=False):
            serve.run_once(clock.now())
    found = {sample.name: sample.value for sample in app.ledger.samples("pipelines")}
    assert (found["pipelines_failing"], found["success_percent"], found["p.rows_in"]) == (0, 100, 20)
    assert 100 < found["p.age_seconds"] <= 120
