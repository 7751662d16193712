"""Escalations: what cannot wait is told at once, to whom the alert rule names, and written into the ledger first.

An event is journalled before anyone is told, and each delivery after it. What was not delivered is tried again at every look, after a
restart too; what was delivered is never told twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from datareeve.agent.watch import Event, State
from datareeve.core.errors import DatareeveError
from datareeve.core.value import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.core.estate import AlertRule
    from datareeve.core.ledger import Entry

ATTEMPTS = 10

# The occasions on which a person is told at once, and what to do where the rule has no advice of its own.
OCCASIONS = {
    "data-loss-risk": ("Data-loss risk", "Make sure of a good backup before anything else."),
    "ai-outage": (
        "AI service outage",
        "Switch to the fallback provider, and look at the provider's status page.",
    ),
    "severe-slowdown": (
        "Severe slowdown",
        "Find what waits or blocks with databases.check-health and databases.find-slow-queries.",
    ),
    "security-incident": ("Security incident", "Rotate what may be exposed, and tell the security agent."),
    "compliance-violation": (
        "Compliance violation",
        "Stop the processing concerned, and tell whoever answers for compliance.",
    ),
}


class Journal(Protocol):
    """Where events are written: the ledger."""

    def append(self, kind: str, body: dict[str, Any], *, subject: str = "", run: str = "") -> int:
        """Add an entry durably; gives its number, which stands in the message as evidence."""


class Sender(Protocol):
    """How a message leaves: called once for each target of a message, again at a later look where it raised."""

    def __call__(self, target: str, message: dict[str, Any]) -> None:
        """Deliver, or raise a `DatareeveError`."""


def message(event: Event, evidence: int) -> dict[str, Any]:
    """The event as it is told: what, since when, figure and threshold, what to do, where the evidence is."""
    rule = event.rule
    occasion, advice = OCCASIONS.get(
        rule.escalates_as or "", (rule.escalates_as or f"{rule.severity.capitalize()} alert", "")
    )
    over = event.kind == "cleared"
    text = f"{'Over: ' if over else ''}{occasion}: {rule.system}: {said(event)}"
    told = {
        "event": event.id,
        "kind": event.kind,
        "occasion": rule.escalates_as,
        "severity": rule.severity.value,
        "system": rule.system,
        "alert": rule.name,
        "sample": rule.sample,
        "value": event.value,
        "threshold": threshold(rule),
        "figures": event.figures,
        "since": event.since,
        "at": event.at,
        "do": "" if over else rule.advice or advice,
        "evidence": evidence,
    }
    return {"text": f"{text} ({told['threshold']}), since {event.since}. {told['do']}".strip(), **told}


def said(event: Event) -> str:
    """The figure in words, and what is told with it: 'blocked_seconds_longest is 130 (blocking_root_pid 4711)'."""
    rule, over = event.rule, event.kind == "cleared"
    if rule.silent_seconds is not None:
        return (
            "samples come again" if over else f"no data: no sample of {rule.sample} for {event.value:.0f} s"
        )
    beside = ", ".join(f"{name} {value:.15g}" for name, value in event.figures.items())
    return f"{rule.sample} is {event.value:g}" + (f" ({beside})" if beside else "")


def threshold(rule: AlertRule) -> str:
    """The rule in words: 'alert above 80, over at 70'."""
    if rule.silent_seconds is not None:
        return f"alert after {rule.silent_seconds:g} s without a sample"
    limits = [
        f"{word} {level:g}"
        for word, level in (("above", rule.above), ("below", rule.below))
        if level is not None
    ]
    return f"alert {' or '.join(limits)}" + (f", over at {rule.clear:g}" if rule.clear is not None else "")


def open_alerts(entries: Iterable[Entry]) -> tuple[dict[str, Any], ...]:
    """Of the ledger's events: what fired and has not ended, as it was written down, oldest first. For the report's blockers."""
    standing: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry.body.get("type") == "alert-fired":
            standing[entry.subject] = entry.body
        elif entry.body.get("type") == "alert-cleared":
            standing.pop(entry.subject, None)
    return tuple(standing.values())


class Escalations:
    """Events on their way to people."""

    def __init__(self, journal: Journal, send: Sender) -> None:
        self._journal = journal
        self._send = send
        self._known: set[str] = set()
        self._waiting: dict[
            tuple[str, str], tuple[dict[str, Any], int]
        ] = {}  # (event, target) -> message, attempts

    def announce(self, event: Event) -> None:
        """Write the event down and tell it, once."""
        if event.id in self._known:
            return
        rule = event.rule.model_dump(mode="json", exclude={"notify"})  # a webhook's address may be a secret
        body = {
            "type": f"alert-{event.kind}",
            "event": event.id,
            **event.model_dump(mode="json", exclude={"rule", "kind"}),
            "rule": rule,
        }
        body["to"] = [_key(target) for target in event.rule.notify]
        evidence = self._journal.append("event", body, subject=event.rule.name)
        self._known.add(event.id)
        self._waiting |= {(event.id, target): (message(event, evidence), 0) for target in event.rule.notify}
        self.deliver()

    def deliver(self) -> None:
        """Try everything that waits. A target that fails is not tried again in the same round: it may take its time-out to fail."""
        failed: set[str] = set()
        for (event, target), (told, attempts) in list(self._waiting.items()):
            if target in failed:
                continue
            try:
                self._send(target, told)
            except DatareeveError as error:
                failed.add(target)
                self._postpone(event, target, attempts + 1, error)
            else:
                del self._waiting[event, target]
                self._record("notified", event, target, told["alert"])

    def restore(self, entries: Iterable[Entry], rules: Iterable[AlertRule]) -> dict[str, State]:
        """Take up where an earlier process stopped: gives where each rule stands; what was not delivered waits again."""
        by_name = {rule.name: rule for rule in rules}
        states: dict[str, State] = {}
        for entry in entries:
            body, kind = entry.body, str(entry.body.get("type", ""))
            if kind in ("alert-fired", "alert-cleared") and entry.subject in by_name:
                event = Event(
                    kind=_kind(kind),
                    rule=by_name[entry.subject],
                    **{key: body[key] for key in ("value", "at", "since")},
                    figures=body.get("figures", {}),
                )
                firing = event.kind == "fired"
                states[entry.subject] = State(
                    firing=firing, since=event.since if firing else "", seen=event.at
                )
                self._known.add(body["event"])
                told = [
                    target for target in event.rule.notify if _key(target) in body["to"]
                ]  # not who was named since
                self._waiting |= {(body["event"], target): (message(event, entry.seq), 0) for target in told}
            elif kind in ("notified", "undelivered"):
                done = [
                    key for key in self._waiting if key[0] == body["event"] and _key(key[1]) == body["key"]
                ]
                for key in done:
                    del self._waiting[key]
        return states

    def _postpone(self, event: str, target: str, attempts: int, error: DatareeveError) -> None:
        told, _ = self._waiting[event, target]
        if attempts >= ATTEMPTS:
            del self._waiting[event, target]
            self._record("undelivered", event, target, told["alert"], error.code)
            return
        self._waiting[event, target] = (told, attempts)
        if attempts == 1:
            self._record("not-yet-notified", event, target, told["alert"], error.code)

    def _record(self, what: str, event: str, target: str, alert: str, error: str = "") -> None:
        body = {"type": what, "event": event, "target": shown(target), "key": _key(target)}
        self._journal.append("event", body | ({"error": error} if error else {}), subject=alert)


def shown(target: str) -> str:
    """A target as it may be written down: of a web address the host only, for the rest of it is often the secret."""
    scheme, _, place = target.partition(":")
    if scheme == "webhook" and "://" in place:
        return f"webhook:{urlsplit(place).hostname}"
    return target


def _key(target: str) -> str:
    return fingerprint(target)[:12]


def _kind(recorded: str) -> Any:
    return recorded.removeprefix("alert-")
