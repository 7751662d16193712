"""A provider that fails always, with a fallback that answers everything: nobody is told that it is up; and that it is well again is told too."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from ai_double import FaultDouble, fail
from ai_rig import estate, gateway, provider_keys
from ai_whole import Inside, chat, until
from datareeve.agent import standing
from datareeve.agent.schedule import Serve
from datareeve.app import App
from datareeve.capabilities.ai.gateway.server import BEAT_SECONDS
from datareeve.core import clock
from datareeve.core.estate import load
from datareeve.systems.notify import Notifier

GATEWAY = {
    "models": {"plain": {"targets": ["openai/first", "openai2/second"], "retries": 0}},
    "breaker": {"open_seconds": 0.5},
}
BEGAN = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)


class Application(App):
    """The application with the one thing more that the loop asks for."""

    def reload(self):
        return load(self.project / "estate.yaml")


@pytest.fixture
def world(tmp_path, monkeypatch):
    with contextlib.ExitStack() as stack:
        first, second = (stack.enter_context(FaultDouble()) for _ in range(2))
        text = estate(first, second, gateway=GATEWAY)
        for name, value in provider_keys(text).items():
            monkeypatch.setenv(name, value)
        running = stack.enter_context(gateway(tmp_path, text))
        inside = stack.enter_context(Inside(running))
        inside.first, inside.port, inside.key = first, running.port, inside.issue("app")
        inside.app = stack.enter_context(contextlib.closing(Application.open(tmp_path)))
        yield inside


def test_a_provider_that_is_down_is_told_however_well_its_fallback_answers(world):
    app, minutes = world.app, iter(range(100))
    with time_machine.travel(BEGAN - timedelta(minutes=1)):  # the looks come after the first sample
        watching = app.apply(app.preview(app.catalogue.make("ai.watch-gateway", {})), by="owner")
    assert watching.status == "done", watching
    serve = Serve(app, Notifier(app.project, app.estate.authority.file_paths))

    def looks(times):
        for _ in range(times):
            with time_machine.travel(BEGAN + timedelta(minutes=next(minutes))):
                serve.run_once(clock.now())
        told = [(entry.subject, entry.body["type"]) for entry in app.ledger.entries("event")]
        return [one for one in told if one[0].startswith("gateway-provider")]

    def plan(operation):
        return app.preview(app.catalogue.make(operation, {}))

    def openai(state):
        rows = plan("ai.providers-status").figures["providers"]
        return next((row for row in rows if (row["provider"], row["state"]) == ("openai", state)), None)

    def asked(times):
        for _ in range(times):
            assert chat(world.port, world.key, "plain").status == 200

    asked(1)
    assert looks(1) == []
    world.first.always(fail(503))
    asked(12)
    row = until(lambda: openai("down"), 2 * BEAT_SECONDS)
    assert (row["reason"], row["answered_instead"]) == ("upstream.http-503", "openai2/second")
    until(lambda: openai("down")["saved_by_fallback"] == 12, 2 * BEAT_SECONDS)
    told = plan("ai.providers-status")
    assert told.figures["api_saved_by_fallback"] == 12
    assert told.figures["in_trouble"][0]["model"] == "first"
    assert ("provider-down", "openai") in {(one.rule, one.subject) for one in told.findings}
    assert "openai down (upstream.http-503 since 20" in told.summary
    (report,) = standing.api_status(app.estate, app.catalogue, app.preview)
    assert "Availability: degraded" in report.markdown()
    checked = plan("ai.check-gateway")
    assert (checked.figures["providers_down"], checked.figures["up"]) == (1, 1)
    assert checked.summary.startswith("degraded: ")
    assert "openai2/second answered 12 requests instead" in checked.summary
    assert looks(2) == []
    assert looks(1) == [("gateway-provider-down", "alert-fired")]
    world.first.well()
    until(lambda: [asked(1), openai("up")][1], 2 * BEAT_SECONDS)
    checked = plan("ai.check-gateway")
    assert (checked.figures["providers_down"], checked.summary[:4]) == (0, "up: ")
    assert "provider-down" not in {one.rule for one in plan("ai.providers-status").findings}
    (report,) = standing.api_status(app.estate, app.catalogue, app.preview)
    assert "Availability: up" in report.markdown()
    assert looks(3)[1:] == [("gateway-provider-down", "alert-cleared")]
