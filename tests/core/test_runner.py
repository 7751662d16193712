import psycopg
import pytest

import rig
from datareeve.core.authority import Gate
from datareeve.core.errors import DatareeveError, LeaseLost, NeedsApproval, Refused, StalePlan
from datareeve.core.estate import Authority, Rule
from datareeve.core.operation import Effect, Plan


@pytest.fixture(params=["sqlite", "postgresql"])
def rigged(request, pg18, tmp_path):
    """A runner on a database of its own, its ledger in SQLite or in that same database."""
    with pg18.database(*rig.SCHEMA) as url:
        ledger_url = url if request.param == "postgresql" else f"sqlite:///{tmp_path}/ledger.sqlite"
        runner, ledger, registry = rig.make_runner(tmp_path, url, ledger_url)
        runner.url, runner.ledger = url, ledger
        yield runner
        registry.close()
        ledger.close()


def test_a_plan_is_applied_verified_and_undone(rigged, tmp_path):
    outcome = rigged.apply(rig.two_parts(), by="ann")
    assert outcome.status == "done"
    assert [(part.part_id, part.status, len(part.checks)) for part in outcome.parts] == [
        ("1", "done", 3),
        ("2", "done", 2),
    ]
    assert rig.truth(rigged.url, tmp_path) == rig.DONE
    assert all(check.verdict == "holds" for check in rigged.recheck(outcome.run))
    undone = rigged.undo(outcome.run, by="ann")
    assert undone.status == "undone"
    assert (outcome.undo_at, undone.started_at) == ("", outcome.started_at)
    assert outcome.ended_at <= undone.undo_at <= undone.ended_at
    assert rig.truth(rigged.url, tmp_path) == rig.BEFORE
    assert all(check.verdict == "holds" for part in undone.parts for check in part.checks)
    assert {check.verdict for check in rigged.recheck(outcome.run)} == {"fails", "holds"}
    assert rigged.ledger.verify()["entries"] > 20
    assert [(run.status, run.by) for run in rigged.runs()] == [("undone", "ann")]


def test_a_failing_step_is_undone_with_its_part_and_what_needs_it_is_skipped(rigged, tmp_path):
    nothing = rig.NoFacts()
    plan = Plan(
        operation="task",
        summary="x",
        parts=(
            rig.Some(wanted=("a", "bad")).plan(nothing).labelled("1"),
            rig.Some(wanted=("d",)).plan(nothing).labelled("2", needs=("1",)),
            rig.Some(wanted=("file",)).plan(nothing).labelled("3"),
        ),
    )
    outcome = rigged.apply(plan, by="ann")
    assert outcome.status == "partly done"
    assert [part.status for part in outcome.parts] == ["undone", "skipped", "done"]
    assert "postgres.23505" in outcome.parts[0].reason
    assert rig.truth(rigged.url, tmp_path) == ([], [], (False,), True)


def test_a_failing_check_undoes_the_part(rigged, tmp_path):
    plan = rig.Some(wanted=("a", "table"), fails_check=True).plan(rig.NoFacts())
    outcome = rigged.apply(plan, by="ann")
    assert outcome.status == "failed"
    assert rig.truth(rigged.url, tmp_path) == rig.BEFORE


def test_what_was_to_be_there_already_and_is_not_is_a_failure(rigged):
    plan = rig.Some(wanted=("a",)).plan(rig.NoFacts())
    quiet = plan.model_copy(update={"steps": (), "requirements": (), "nothing_to_do": "a is there."})
    outcome = rigged.apply(quiet, by="ann")
    assert (outcome.status, outcome.parts[0].status) == ("failed", "failed")
    assert outcome.parts[0].reason.startswith("the check failed:")


def test_a_stale_plan_is_refused_before_anything_happens(rigged, tmp_path):
    plan = rig.Some(wanted=("a",)).plan(rig.NoFacts())
    rigged.apply(plan, by="ann")
    with pytest.raises(StalePlan):
        rigged.apply(plan, by="ann")
    assert rig.truth(rigged.url, tmp_path)[0] == [("a", 1)]


class Killed(BaseException):
    """The worker is gone: nothing after it is carried out."""


def killed(runner, plan, step):
    """A run whose worker is gone before the effect of a step."""

    def dies(name):
        if name.startswith("before effect") and name.endswith(f"/{step}"):
            raise Killed

    runner._boundary = dies
    with pytest.raises(Killed):
        runner.apply(plan, by="ann")
    runner._boundary = None
    return runner.runs()[-1].run


def test_a_plan_that_was_half_carried_out_names_the_run_that_would_end_it(rigged, tmp_path):
    plan = rig.Some(wanted=("d", "table")).plan(rig.NoFacts())
    run = killed(rigged, plan, "table")
    assert [one.status for one in rigged.runs()] == ["interrupted"]
    assert [one.run for one in rigged.interrupted(plan)] == [run]
    assert rigged.interrupted(rig.Some(wanted=("d",)).plan(rig.NoFacts())) == []
    with pytest.raises(StalePlan, match=f"Run {run} of this very plan was interrupted") as caught:
        rigged.apply(plan, by="ann")
    assert caught.value.code == "plan.half-done"
    assert f"datareeve resume {run}" in caught.value.remedy
    assert rigged.resume(run, by="ann").status == "done"
    assert ([one.status for one in rigged.runs()], rigged.interrupted(plan)) == (["done"], [])
    assert rig.truth(rigged.url, tmp_path)[0] == [("d", 1)]
    with pytest.raises(StalePlan) as ended:
        rigged.apply(plan, by="ann")
    assert ended.value.code == "plan.stale"


def test_a_part_that_was_half_carried_out_names_the_run_too(rigged):
    run = killed(rigged, rig.two_parts(), "file")
    outcome = rigged.apply(rig.two_parts(), by="ann")
    assert outcome.status == "failed"
    assert f"Run {run} of this very plan was interrupted" in outcome.parts[0].reason


def test_a_run_that_somebody_is_at_is_under_way(rigged):
    seen = []
    rigged._boundary = lambda name: seen.append({one.status for one in rigged.runs()})
    rigged.apply(rig.Some(wanted=("a",)).plan(rig.NoFacts()), by="ann")
    assert {"under way"} in seen
    assert {"interrupted"} not in seen


def test_two_workers_on_one_run_one_wins(rigged, tmp_path):
    seen = []

    def second_worker(name):
        if name.startswith("before effect") and not seen:
            seen.append(name)
            with pytest.raises(LeaseLost):
                rigged.resume(rigged.runs()[0].run, by="other")

    rigged._boundary = second_worker
    assert rigged.apply(rig.two_parts(), by="ann").status == "done"
    assert seen
    assert rig.truth(rigged.url, tmp_path) == rig.DONE


def test_a_zombie_cannot_record_nor_commit(rigged, tmp_path):
    """The first worker sleeps past its lease in the middle of a step; another takes the run over and ends it; then the first wakes up."""
    taken = []

    def sleep_past_the_lease(name):
        if name.startswith("after intent of 1/row a") and not taken:
            run = rigged.runs()[0].run
            expire(rigged.ledger)
            taken.append(run)
            other, ledger, registry = rig.make_runner(
                tmp_path,
                rigged.url,
                str(rigged.ledger.engine.url.render_as_string(hide_password=False)).replace("+psycopg", ""),
            )
            assert other.resume(run, by="other").status == "done"
            registry.close()
            ledger.close()

    rigged._boundary = sleep_past_the_lease
    with pytest.raises(LeaseLost):
        rigged.apply(rig.two_parts(), by="ann")
    assert rig.truth(rigged.url, tmp_path) == rig.DONE
    assert rigged.outcome(taken[0]).status == "done"


def expire(ledger):
    """As if the holder's machine had been unreachable for longer than the lease."""
    with ledger.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE leases SET expires_at = 0")


def gated(rigged, **authority):
    rigged._gate = Gate(Authority(**authority), rigged.ledger)
    return rigged


def test_an_approval_is_for_one_fingerprint_and_needs_a_person(rigged):
    gated(rigged)
    plan, other = (rig.Some(wanted=(name,)).plan(rig.NoFacts()) for name in ("a", "d"))
    with pytest.raises(NeedsApproval) as caught:
        rigged.apply(plan, by="ann")
    assert caught.value.fingerprint == plan.fingerprint
    fingerprint = rigged.store(plan, asked_by="ann")
    with pytest.raises(Refused):
        rigged._gate.approve(fingerprint, by="agent:claude")
    rigged._gate.approve(fingerprint, by="bob")
    with pytest.raises(NeedsApproval):
        rigged.apply(other, by="ann")
    assert rigged.apply(plan, by="ann").status == "done"


def test_each_rule_that_asks_for_a_person_is_told_and_once(rigged):
    gated(rigged)
    plan = rig.Some(wanted=("a", "index", "file")).plan(rig.NoFacts())
    grave = plan.steps[-1].model_copy(
        update={"effect": Effect.IRREVERSIBLE, "undo": (), "no_undo": "It is gone."}
    )
    with pytest.raises(NeedsApproval) as told:
        rigged.apply(plan.model_copy(update={"steps": (*plan.steps[:-1], grave)}), by="ann")
    assert told.value.what == (
        "3 of 3 steps need a person's approval (reversible effects need an approval by default; "
        "irreversible effects need an approval by default)."
    )


def test_four_eyes_means_another_pair(rigged):
    gated(rigged, four_eyes=True)
    fingerprint = rigged.store(rig.Some(wanted=("a",)).plan(rig.NoFacts()), asked_by="ann")
    with pytest.raises(Refused) as caught:
        rigged._gate.approve(fingerprint, by="ann")
    assert caught.value.code == "approval.four-eyes"
    rigged._gate.approve(fingerprint, by="bob")


def test_an_approval_expires(rigged):
    gated(rigged, approvals_expire_hours=0)
    plan = rig.Some(wanted=("a",)).plan(rig.NoFacts())
    rigged._gate.approve(rigged.store(plan, asked_by="ann"), by="bob")
    with pytest.raises(NeedsApproval):
        rigged.apply(plan, by="ann")


def test_never_wins_and_names_the_rule(rigged, tmp_path):
    gated(
        rigged,
        rules=(Rule(decision="allow"), Rule(decision="never", systems=("app",), why="frozen for the audit")),
    )
    with pytest.raises(Refused, match="frozen for the audit"):
        rigged.apply(rig.two_parts(), by="ann")
    assert rig.truth(rigged.url, tmp_path) == rig.BEFORE


def test_an_unknown_run_is_said_so(rigged):
    for call in (rigged.outcome, lambda run: rigged.undo(run, by="ann"), rigged.recheck):
        with pytest.raises(DatareeveError) as caught:
            call("nope")
        assert caught.value.code == "run.unknown"


def test_undoing_a_partly_failed_run_ends_undone(rigged, tmp_path):
    nothing = rig.NoFacts()
    first, stale = rig.Some(wanted=("a",)).plan(nothing), rig.Some(wanted=("a", "d")).plan(nothing)
    plan = Plan(operation="task", summary="x", parts=(first.labelled("1"), stale.labelled("2")))
    outcome = rigged.apply(plan, by="ann")
    assert [part.status for part in outcome.parts] == ["done", "failed"]
    assert rigged.undo(outcome.run, by="ann").status == "undone"
    assert rig.truth(rigged.url, tmp_path) == rig.BEFORE


def test_an_undo_that_takes_nothing_back_is_not_told_as_undone(rigged):
    plan = rig.Some(wanted=("d",)).plan(rig.NoFacts())
    nothing = plan.steps[0].undo[0].model_copy(update={"arguments": {"sql": "SELECT 1"}})
    plan = plan.model_copy(update={"steps": (plan.steps[0].model_copy(update={"undo": (nothing,)}),)})
    undone = rigged.undo(rigged.apply(plan, by="ann").run, by="ann")
    assert undone.status == "failed"
    assert "as before: before: row d" in undone.parts[0].reason


def test_a_rule_of_never_also_holds_when_a_run_is_resumed(rigged, tmp_path):
    run = stopped(rigged, "before intent of 1/index")
    gated(rigged, rules=(Rule(decision="never", systems=("app",), why="frozen for the audit"),))
    with pytest.raises(Refused, match="frozen for the audit"):
        rigged.resume(run, by="ann")
    assert rig.truth(rigged.url, tmp_path)[0] == [("a", 1)]
    assert rigged.undo(run, by="ann").status == "undone"
    assert rig.truth(rigged.url, tmp_path) == rig.BEFORE


def test_a_worker_that_lost_its_lease_before_an_undo_call_stops(rigged):
    run = rigged.apply(rig.Some(wanted=("file", "d")).plan(rig.NoFacts()), by="ann").run

    def lose_the_lease(name):
        if name.startswith("before undo call"):
            with rigged.ledger.engine.begin() as connection:
                connection.exec_driver_sql("UPDATE leases SET token = token + 1")

    rigged._boundary = lose_the_lease
    with pytest.raises(LeaseLost):
        rigged.undo(run, by="ann")
    with psycopg.connect(rigged.url) as connection:
        assert connection.execute("SELECT name FROM log").fetchall() == [("d",)]


def test_a_plan_of_another_version_is_refused_and_said_so(rigged):
    plan = rig.Some(wanted=("a",)).plan(rig.NoFacts())
    body = {"plan": {**plan.model_dump(mode="json"), "newer": "field"}, "asked_by": "ann", "task": ""}
    rigged.ledger.append("plan", body, subject="f" * 64)
    with pytest.raises(DatareeveError) as caught:
        rigged.stored("f" * 64)
    assert caught.value.code == "plan.version"


def stopped(rigged, boundary):
    """A run whose worker died at a boundary; gives its name."""

    class Died(BaseException):
        pass

    def die(name):
        if name.startswith(boundary):
            raise Died

    rigged._boundary = die
    with pytest.raises(Died):
        rigged.apply(rig.two_parts(), by="ann")
    rigged._boundary = None
    return rigged.runs()[0].run
