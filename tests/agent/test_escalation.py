"""Events become messages: written down first, told once, tried again where they were not delivered."""

import contextlib
import http.server
import json
import threading

import pytest

from datareeve.agent.escalation import ATTEMPTS, Escalations, open_alerts, shown
from datareeve.agent.watch import Event, State
from datareeve.core.errors import BadInput, Failed, Refused
from datareeve.core.estate import AlertRule
from datareeve.core.ledger import open_ledger
from datareeve.core.operation import Severity
from datareeve.systems.notify import Notifier

TO_FILE = "file:data/alerts.jsonl"
BACKUP = AlertRule(
    name="app-backup",
    system="app",
    sample="backup_age_hours",
    above=26,
    severity="critical",
    escalates_as="data-loss-risk",
    notify=(TO_FILE,),
)
FIRED = Event(
    kind="fired", rule=BACKUP, value=30.5, at="2026-07-20T12:01:00+00:00", since="2026-07-20T12:00:00+00:00"
)


@pytest.fixture
def ledger(tmp_path):
    with contextlib.closing(open_ledger(f"sqlite:///{tmp_path}/ledger.db")) as opened:
        yield opened


@pytest.fixture
def notifier(tmp_path):
    return Notifier(tmp_path, ("**/data/**",))


class Flaky:
    """A way out that fails a number of times first."""

    def __init__(self, failures):
        self.failures, self.told = failures, []

    def __call__(self, target, message):
        if self.failures:
            self.failures -= 1
            raise Failed("notify.failed", "not now")
        self.told.append((target, message["event"]))


def types(ledger):
    return [entry.body["type"] for entry in ledger.entries("event")]


def test_a_data_loss_risk_is_told_at_once_with_figure_threshold_advice_and_evidence(
    ledger, notifier, tmp_path
):
    Escalations(ledger, notifier).announce(FIRED)
    (line,) = (tmp_path / "data/alerts.jsonl").read_text().splitlines()
    evidence = ledger.entries("event")[0]
    assert json.loads(line) == {
        "text": "Data-loss risk: app: backup_age_hours is 30.5 (alert above 26), since 2026-07-20T12:00:00+00:00. "
        "Make sure of a good backup before anything else.",
        "event": FIRED.id,
        "kind": "fired",
        "occasion": "data-loss-risk",
        "severity": "critical",
        "system": "app",
        "alert": "app-backup",
        "sample": "backup_age_hours",
        "value": 30.5,
        "threshold": "alert above 26",
        "figures": {},
        "since": "2026-07-20T12:00:00+00:00",
        "at": "2026-07-20T12:01:00+00:00",
        "do": "Make sure of a good backup before anything else.",
        "evidence": evidence.seq,
    }
    assert (evidence.subject, evidence.body["value"]) == ("app-backup", 30.5)
    assert types(ledger) == ["alert-fired", "notified"]


def test_the_end_of_an_alert_is_told_without_advice(ledger):
    told = []
    over = FIRED.model_copy(update={"kind": "cleared", "value": 1.0})
    Escalations(ledger, lambda target, message: told.append(message)).announce(over)
    assert (
        told[0]["text"]
        == "Over: Data-loss risk: app: backup_age_hours is 1 (alert above 26), since 2026-07-20T12:00:00+00:00."
    )
    assert told[0]["do"] == ""


def test_an_alert_that_is_no_escalation_is_told_by_its_severity(ledger):
    told = []
    plain = FIRED.model_copy(
        update={"rule": BACKUP.model_copy(update={"escalates_as": None, "severity": Severity.WARNING})}
    )
    Escalations(ledger, lambda target, message: told.append(message)).announce(plain)
    assert told[0]["text"].startswith("Warning alert: app: ")


def test_the_same_event_is_told_once(ledger):
    out = Flaky(0)
    escalations = Escalations(ledger, out)
    escalations.announce(FIRED)
    escalations.announce(FIRED)
    escalations.deliver()
    assert out.told == [(TO_FILE, FIRED.id)]


def test_an_event_that_could_not_be_written_down_is_not_told_until_it_is(ledger):
    class FullOnce:
        full = True

        def append(self, kind, body, *, subject="", run=""):
            if self.full:
                self.full = False
                raise Failed("ledger.full", "no space")
            return ledger.append(kind, body, subject=subject, run=run)

    out = Flaky(0)
    escalations = Escalations(FullOnce(), out)
    with pytest.raises(Failed):
        escalations.announce(FIRED)
    assert out.told == []
    escalations.announce(FIRED)
    assert out.told == [(TO_FILE, FIRED.id)]


def test_what_was_not_delivered_is_tried_again_and_the_trouble_written_down_once(ledger):
    out = Flaky(3)
    escalations = Escalations(ledger, out)
    escalations.announce(FIRED)
    for _ in range(4):
        escalations.deliver()
    assert out.told == [(TO_FILE, FIRED.id)]
    assert types(ledger) == ["alert-fired", "not-yet-notified", "notified"]


def test_after_enough_attempts_it_is_written_down_as_undelivered(ledger):
    out = Flaky(1000)
    escalations = Escalations(ledger, out)
    escalations.announce(FIRED)
    for _ in range(20):
        escalations.deliver()
    assert out.failures == 1000 - ATTEMPTS
    assert types(ledger) == ["alert-fired", "not-yet-notified", "undelivered"]


def test_after_a_restart_what_waits_is_told_and_what_was_told_is_not(ledger):
    two = FIRED.model_copy(update={"rule": BACKUP.model_copy(update={"notify": (TO_FILE, "exec:page")})})

    def only_files(target, message):
        if not target.startswith("file:"):
            raise Failed("notify.failed", "not now")

    Escalations(ledger, only_files).announce(two)
    out = Flaky(0)
    again = Escalations(ledger, out)
    states = again.restore(ledger.entries("event"), [two.rule])
    again.deliver()
    again.announce(two)
    assert out.told == [("exec:page", FIRED.id)]
    assert states == {"app-backup": State(firing=True, since=FIRED.since, seen=FIRED.at)}


def test_a_target_named_later_is_not_told_of_the_past(ledger):
    Escalations(ledger, Flaky(0)).announce(FIRED)
    out = Flaky(0)
    again = Escalations(ledger, out)
    again.restore(ledger.entries("event"), [BACKUP.model_copy(update={"notify": (TO_FILE, "exec:page")})])
    again.deliver()
    assert out.told == []


def test_what_fired_and_has_not_ended_is_open(ledger):
    escalations = Escalations(ledger, Flaky(0))
    escalations.announce(FIRED)
    assert [body["rule"]["name"] for body in open_alerts(ledger.entries("event"))] == ["app-backup"]
    escalations.announce(FIRED.model_copy(update={"kind": "cleared", "value": 1.0}))
    assert open_alerts(ledger.entries("event")) == ()


def test_an_address_that_may_be_a_secret_is_not_in_the_ledger(ledger):
    secret = FIRED.model_copy(
        update={"rule": BACKUP.model_copy(update={"notify": ("webhook:https://hooks.example/T0/SECRET",)})}
    )
    Escalations(ledger, Flaky(0)).announce(secret)
    assert "SECRET" not in str([entry.body for entry in ledger.entries("event")])
    assert shown("webhook:https://hooks.example/T0/SECRET") == "webhook:hooks.example"
    assert shown("webhook:env:HOOK") == "webhook:env:HOOK"


# -- the ways out ------------------------------------------------------------------------------------------------------------------


def test_a_file_outside_the_allowed_folders_is_refused(notifier):
    with pytest.raises(Refused, match="outside the folders"):
        notifier("file:secrets.txt", {})
    with pytest.raises(Refused, match="leads out"):
        notifier("file:data/../../x", {})


def test_a_program_gets_the_message_and_none_of_our_secrets(notifier, tmp_path, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    program = tmp_path / "page"
    program.write_text("#!/bin/sh\ncat > told.json; env > env.txt\n")
    program.chmod(0o755)
    notifier(f"exec:{program}", {"text": "für dich"})
    assert json.loads((tmp_path / "told.json").read_text()) == {"text": "für dich"}
    assert "s3cret" not in (tmp_path / "env.txt").read_text()


@pytest.mark.parametrize(
    ("command", "why"), [("false", "status 1"), ("/no/such/program", "FileNotFoundError")]
)
def test_a_program_that_fails_is_a_failed_delivery(notifier, command, why):
    with pytest.raises(Failed, match=why):
        notifier(f"exec:{command}", {})


@pytest.fixture
def web():
    """A web server that keeps what it is sent; /moved redirects, /broken fails."""
    kept = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            kept.append((self.path, json.loads(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response({"/moved": 302, "/broken": 500}.get(self.path, 204))
            if self.path == "/moved":
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", kept
        server.shutdown()
        thread.join()


def test_a_webhook_is_posted_to_the_address_behind_a_reference(notifier, web, monkeypatch):
    address, kept = web
    monkeypatch.setenv("HOOK", f"{address}/T0/SECRET")
    notifier("webhook:env:HOOK", {"text": "hello"})
    assert kept == [("/T0/SECRET", {"text": "hello"})]


@pytest.mark.parametrize(("path", "status"), [("/moved", "302"), ("/broken", "500")])
def test_a_webhook_that_fails_or_sends_us_elsewhere_is_a_failed_delivery_that_hides_the_address(
    notifier, web, path, status
):
    address, kept = web
    with pytest.raises(Failed, match=f"answered {status}") as caught:
        notifier(f"webhook:{address}{path}", {})
    assert address not in str(caught.value)
    assert [sent for sent, _ in kept] == [path]


def test_a_web_address_that_nobody_answers_is_a_failed_delivery(notifier):
    with pytest.raises(Failed, match="did not answer"):
        notifier("webhook:http://127.0.0.1:1/x", {})


def test_a_reference_to_nothing_is_bad_input(notifier):
    with pytest.raises(BadInput, match="Nothing is stored"):
        notifier("webhook:env:NO_SUCH_HOOK", {})


def test_the_alert_about_a_blocking_chain_tells_its_root(ledger, notifier, tmp_path):
    rule = AlertRule(
        name="app-blocked",
        system="app",
        sample="blocked_seconds_longest",
        above=120,
        tells=("blocking_root_pid",),
        escalates_as="severe-slowdown",
        notify=(TO_FILE,),
    )
    event = FIRED.model_copy(update={"rule": rule, "value": 130.0, "figures": {"blocking_root_pid": 4711.0}})
    Escalations(ledger, notifier).announce(event)
    (line,) = (tmp_path / "data/alerts.jsonl").read_text().splitlines()
    assert json.loads(line)["text"].startswith(
        "Severe slowdown: app: blocked_seconds_longest is 130 (blocking_root_pid 4711) (alert above 120)"
    )
    assert json.loads(line)["figures"] == {"blocking_root_pid": 4711.0}


def test_an_alert_that_ended_before_a_restart_begins_anew_after_it(ledger, notifier):
    before = Escalations(ledger, notifier)
    before.announce(FIRED)
    before.announce(FIRED.model_copy(update={"kind": "cleared", "at": "2026-07-20T13:00:00+00:00"}))
    states = Escalations(ledger, notifier).restore(ledger.entries("event"), [BACKUP])
    assert states["app-backup"] == State(seen="2026-07-20T13:00:00+00:00")
