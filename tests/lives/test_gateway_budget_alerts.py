"""A soft budget's alerts, from the request that costs to the message that somebody gets: a real gateway, a provider, and a webhook that listens."""

import contextlib
import http.server
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from ai_double import FaultDouble
from ai_rig import estate, gateway, provider_keys
from ai_whole import Inside, chat, until
from datareeve.agent.schedule import Serve
from datareeve.app import App
from datareeve.core import clock
from datareeve.core.estate import load
from datareeve.systems.notify import Notifier

USD = 0.001
FORECAST = {
    "name": "gateway-budget-forecast", "system": "gateway", "sample": "budget_forecast_percent_most", "above": 100, "clear": 95, "for_samples": 2,
}  # fmt: skip


class Application(App):
    """The application with the one thing more that the loop asks for."""

    def reload(self):
        return load(self.project / "estate.yaml")


@pytest.fixture
def webhook():
    """An address, and the messages that came there."""
    told = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        listening = threading.Thread(target=server.serve_forever)
        listening.start()
        yield f"webhook:http://127.0.0.1:{server.server_address[1]}/told", told
        server.shutdown()
        listening.join(5)


def test_shares_and_forecast_of_a_soft_budget_reach_who_is_to_be_told(tmp_path, webhook, monkeypatch):
    where, told = webhook
    settings = {
        "models": {"plain": {"targets": ["openai/plain"]}},
        "prices": {"openai/plain": {"input": 10, "output": 10}},
    }
    with contextlib.ExitStack() as stack:
        text = estate(stack.enter_context(FaultDouble()), gateway=settings, alerts=[FORECAST])
        for name, value in provider_keys(text).items():
            monkeypatch.setenv(name, value)
        running = stack.enter_context(gateway(tmp_path, text))
        inside = stack.enter_context(Inside(running))
        key = inside.issue("app")
        app = stack.enter_context(contextlib.closing(Application.open(tmp_path)))

        def carry_out(operation, **inputs):
            outcome = app.apply(app.preview(app.catalogue.make(operation, inputs)), by="owner")
            assert outcome.status == "done", outcome

        def spend(percent):
            """Ask until so much of the budget is spent, and counted."""
            while (spent := counted(inside)) < percent * USD * 1e4:
                assert chat(running.port, key, "plain", max_completion_tokens=8).status == 200
                until(lambda spent=spent: counted(inside) > spent)

        carry_out("ai.watch-gateway", notify=[where])
        carry_out("ai.set-budget", usd=USD, hard=False)
        serve = Serve(app, Notifier(tmp_path, app.estate.authority.file_paths))
        minutes = iter(range(100))

        def look():
            with time_machine.travel(EARLY + timedelta(minutes=next(minutes))):
                serve.run_once(clock.now())

        def heard():
            return [(one["alert"], one["kind"]) for one in told if "budget" in one["alert"]]

        look()
        assert heard() == []
        spend(20)
        look()
        look()
        assert heard() == [("gateway-budget-forecast", "fired")]
        spend(55)
        look()
        look()
        assert heard()[1:] == [("gateway-budget-all-month-at-50", "fired")]
        spend(101)
        look()
        assert set(heard()[2:]) == {(f"gateway-budget-all-month-at-{share}", "fired") for share in (80, 100)}
        assert chat(running.port, key, "plain").status == 200  # it tells, and stops nobody
        carry_out("ai.set-budget", alert_percent=[95])
        rules = [rule.name for rule in app.reload().alerts if "all-month" in rule.name]
        assert rules == ["gateway-budget-all-month-at-95"]
        last = next(one for one in told if one["alert"].endswith("at-100"))
        assert (last["severity"], key in json.dumps(told)) == ("warning", False)


def counted(inside):
    with inside.store.reading() as t:
        return t.one("SELECT coalesce(sum(cost_microusd), 0) AS spent FROM usage")["spent"]


# On the first day of the month: what is spent by then is a twentieth of what it will come to.
EARLY = datetime.now(UTC).replace(day=1, hour=12, minute=0, second=0, microsecond=0)
