"""Watch: put in, quiet, judged, taken out again; on a real server, estate file and ledger."""

import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

import servers
from datareeve.agent.schedule import Serve
from datareeve.app import App
from datareeve.capabilities.databases.operations.check_health import CheckHealth
from datareeve.capabilities.databases.operations.watch import Watch
from datareeve.core import clock, estate
from datareeve.core.errors import BadInput
from datareeve.core.ledger import open_ledger
from datareeve.systems.ledger_system import LedgerSystem
from datareeve.systems.notify import Notifier


@pytest.fixture
def watched(systems, tmp_path):
    def preview(name, inputs):
        assert name == "databases.check-health"
        operation = CheckHealth(**inputs)
        return operation.plan(operation.observe(systems))

    with contextlib.closing(open_ledger(f"sqlite:///{tmp_path}/ledger.db")) as ledger:
        systems.add(LedgerSystem(ledger, preview))
        (tmp_path / "estate.yaml").write_text("# ours\nversion: 1\nname: flights\n")
        yield systems


def plan(systems, **inputs):
    operation = Watch(system="app", **inputs)
    return operation.plan(operation.observe(systems))


def carry_out(systems, calls, run="r1"):
    for call in calls:
        systems[call.system].perform(call.action, run=run, **call.arguments)


def verdicts(systems, made):
    return {check.verdict for check in Watch(system="app").verify(systems, made)}


def test_a_watch_is_put_in_verified_quiet_the_second_time_and_taken_out_again(watched, tmp_path):
    before = (tmp_path / "estate.yaml").read_text()
    made = plan(watched)
    assert made.fingerprint == plan(watched).fingerprint
    assert verdicts(watched, made) == {"fails"}
    carry_out(watched, [step.call for step in made.steps])
    assert verdicts(watched, made) == {"holds"}
    assert plan(watched).nothing_to_do == "Its alert rules, its schedule and a first sample are there."
    for step in reversed(made.steps):
        carry_out(watched, step.undo)
        carry_out(watched, step.undo)
    assert (tmp_path / "estate.yaml").read_text() == before


def test_the_estate_afterwards_holds_rules_and_a_schedule_that_load(watched, tmp_path):
    carry_out(watched, [step.call for step in plan(watched, notify=("file:data/alerts.jsonl",)).steps])
    loaded = estate.load(tmp_path / "estate.yaml")
    rules = {rule.name: rule for rule in loaded.alerts}
    assert sorted(rules) == [
        "app-archive",
        "app-backup",
        "app-blocked",
        "app-cache",
        "app-checksums",
        "app-connections",
        "app-dead-rows",
        "app-deadlocks",
        "app-down",
        "app-horizon",
        "app-idle-in-transaction",
        "app-index-invalid",
        "app-latency",
        "app-long-transaction",
        "app-no-data",
        "app-prepared",
        "app-sequence",
        "app-settings",
        "app-wraparound",
    ]
    assert rules["app-connections"].above == 80
    assert rules["app-connections"].clear == 70
    assert rules["app-backup"].escalates_as == "data-loss-risk"
    assert {rule.notify for rule in loaded.alerts} == {("file:data/alerts.jsonl",)}
    assert loaded.schedules["watch-app"].model_dump() == {
        "operation": "databases.check-health",
        "inputs": {"system": "app", "sampling": True},
        "cron": "* * * * *",
        "timezone": "UTC",
    }


def test_the_first_sample_is_in_the_ledger(watched):
    carry_out(watched, [step.call for step in plan(watched).steps if step.id == "first sample"])
    names = {sample["name"] for sample in watched["ledger"].read("samples", system="app")}
    assert {"up", "connections_used_percent", "transactions_total", "database_bytes"} <= names
    assert "health" not in names


def test_an_alert_that_its_owner_changed_is_left_alone_unless_it_is_named(watched):
    carry_out(watched, [step.call for step in plan(watched).steps])
    own = {"name": "app-connections", "system": "app", "sample": "connections_used_percent", "above": 60.0}
    watched["estate"].perform("put", run="r1", where=["alerts", "app-connections"], value=own)
    assert plan(watched).nothing_to_do
    named = plan(watched, thresholds={"connections": 95})
    assert [step.id for step in named.steps] == ["alert connections"]
    assert named.steps[0].call.arguments["value"] == {**own, "above": 95.0}
    assert named.steps[0].undo[0].arguments["value"] == own


def test_naming_someone_to_tell_changes_every_alert_and_nothing_else(watched):
    first = plan(watched)
    assert [finding.rule for finding in first.findings] == ["nobody-is-told"]
    carry_out(watched, [step.call for step in first.steps])
    second = plan(watched, notify=("webhook:env:HOOK",))
    assert {step.id.split()[0] for step in second.steps} == {"alert"}
    assert len(second.steps) == 19
    assert second.findings == ()


def test_an_unknown_alert_is_refused_with_those_there_are(watched):
    with pytest.raises(BadInput, match="no alert 'disc'") as caught:
        plan(watched, thresholds={"disc": 90})
    assert "connections" in caught.value.remedy


@pytest.mark.parametrize(
    "target", ["mail:me", "webhook:ftp://h/x", "webhook:https://me:secret@h/x", "file:", "nothing"]
)
def test_a_target_that_cannot_be_told_is_refused(target):
    with pytest.raises(ValueError, match="notify") as caught:
        Watch(system="app", notify=(target,))
    assert "value" not in str(caught.value).split("notify")[0]


class Application(App):
    """The application with the one thing more that the loop asks for."""

    def reload(self):
        return estate.load(self.project / "estate.yaml")


ALLOWED = """version: 1
systems:
  app:
    kind: postgresql
    url: {url}
authority:
  rules:
  - decision: allow
    effects: [reversible]
"""


def test_a_server_that_stops_is_told_at_once_and_its_return_too(tmp_path):
    with servers.server(fsync="on", full_page_writes="on") as server:
        before = ALLOWED.format(url=server.url)
        (tmp_path / "estate.yaml").write_text(before)
        with contextlib.closing(Application.open(tmp_path)) as app:
            operation = app.catalogue.make(
                "databases.watch", {"system": "app", "notify": ["file:data/alerts.jsonl"]}
            )
            outcome = app.apply(app.preview(operation), by="owner")
            assert outcome.status == "done"
            serve = Serve(app, Notifier(tmp_path, app.estate.authority.file_paths))
            look(serve, 0, 1, 2)
            server.local.stop("immediate")
            look(serve, 3, 4, 5)
            server.local.start()
            look(serve, 6, 7)
            told = [json.loads(line) for line in (tmp_path / "data/alerts.jsonl").read_text().splitlines()]
            assert [(message["alert"], message["kind"], message["value"]) for message in told] == [
                ("app-down", "fired", 0),
                ("app-down", "cleared", 1),
            ]
            assert [s.value for s in app.ledger.samples("app", name="up")] == [1, 1, 1, 0, 0, 0, 1, 1]
            assert app.undo(outcome.run, by="owner").status == "undone"
            assert (tmp_path / "estate.yaml").read_text() == before
            app.verify_ledger()


def look(serve, *minutes):
    for minute in minutes:
        with time_machine.travel(NOON + timedelta(minutes=minute)):
            serve.run_once(clock.now())


NOON = datetime(2040, 7, 20, 12, 0, tzinfo=UTC)
