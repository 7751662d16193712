"""For tests of keys: a project in front of a double, and gateways that are only what keys need of one.

A `Follower` does what a gateway process does about keys: it works by a `Config`, takes a new one in when the store or the estate has changed, says
so in the store, and sends requests with the keys it has. So a rotation is watched from where it matters: at the provider.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import socket
import sqlite3
import tempfile
import threading
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ai_double import FaultDouble
from datareeve.app import App
from datareeve.capabilities.ai.gateway import compile as compiling
from datareeve.core import estate as estates
from datareeve.core.ledger import open_ledger
from datareeve.systems.gateway_keys import open_store, settings_of
from datareeve.systems.gateway_process import estate_digest
from datareeve.systems.gateway_store import Instance
from datareeve.systems.secret_references import resolver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.operation import Outcome, Plan

CANARY = "canary7f3a"
LOOK_SECONDS = 0.02


def key(number: int | str) -> str:
    """The text of a provider's key."""
    return f"sk-{CANARY}-{number}"


@cache
def empty_ledger() -> bytes:
    """A ledger's file with its tables, made once: a third of each life would go into making them."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "ledger.sqlite"
        open_ledger(f"sqlite:///{place}").close()
        with contextlib.closing(sqlite3.connect(place)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
        return place.read_bytes()


class Keys:
    """A project with providers `openai` and `claude` at a double that takes keys 1 to 5; they stand in files."""

    def __init__(self, folder: Path, double: FaultDouble, **gateway: Any) -> None:
        self.folder, self.double = folder, double
        double.keys = {key(n) for n in range(1, 6)}
        for n in range(1, 7):  # the sixth is not taken
            (folder / f"key{n}").write_text(f"{key(n)}\n")
        text = {
            "version": 1,
            "systems": {
                "openai": {"kind": "openai", "base_url": double.openai_url},
                "claude": {"kind": "anthropic", "base_url": double.anthropic_url, "keys": ["file:key5"]},
            },
            "gateway": gateway,
            "authority": {"rules": [{"decision": "allow"}]},
        }
        (folder / "estate.yaml").write_text(json.dumps(text))
        (folder / ".datareeve").mkdir()
        (folder / ".datareeve" / "ledger.sqlite").write_bytes(empty_ledger())
        self.app = App.open(folder)

    @property
    def control(self) -> Any:
        return self.app.systems["gateway"]

    def plan(self, operation: str, **inputs: Any) -> Plan:
        """Planned twice, to the same fingerprint."""
        made = self.app.catalogue.make(f"ai.{operation}", inputs)
        plan = self.app.preview(made)
        assert plan.fingerprint == self.app.preview(made).fingerprint
        return plan

    def run(self, operation: str, **inputs: Any) -> Outcome:
        plan = self.plan(operation, **inputs)
        assert not plan.blockers, plan.blockers
        return self.app.apply(plan, by="test", approved=plan.needs_person)

    def done(self, operation: str, **inputs: Any) -> Outcome:
        outcome = self.run(operation, **inputs)
        assert outcome.status == "done", told(outcome)
        return outcome

    def undone(self, outcome: Outcome) -> None:
        after = self.app.undo(outcome.run, by="test")
        assert after.status == "undone", told(after)

    def states(self, provider: str = "openai") -> dict[str, str]:
        return {one["id"]: one["state"] for one in self.control.read("provider_keys", provider=provider)}

    def everything_told(self) -> str:
        """All that was written down: the ledger, the estate, the store as bytes."""
        entries = "\n".join(entry.model_dump_json() for entry in self.app.ledger.entries())
        state = self.folder / ".datareeve"
        files = [path.read_bytes().decode("latin-1") for path in state.rglob("*") if path.is_file() and path.parent.name != "secrets"]  # fmt: skip
        return "\n".join([entries, (self.folder / "estate.yaml").read_text(), *files])


def told(outcome: Outcome) -> list[Any]:
    """What went wrong, for a failed assertion."""
    return [
        (part.status, part.reason, [(step.step, step.status, step.error) for step in part.steps if step.error],
         [f"{check.claim.text}: {check.observed} {check.reason}" for check in part.checks if check.verdict != "holds"])
        for part in outcome.parts
    ]  # fmt: skip


@contextlib.contextmanager
def keys(folder: Path, **gateway: Any) -> Iterator[Keys]:
    """A project of its own."""
    with FaultDouble() as double:
        project = Keys(folder, double, **gateway)
        try:
            yield project
        finally:
            project.app.close()


class Follower:
    """One gateway process, as far as keys go. `deaf`: it lives, and takes nothing in."""

    def __init__(self, project: Keys, name: str = "gw_1", *, senders: int = 2) -> None:
        self.place = project.folder / estates.ESTATE_FILE
        self.resolve = resolver(project.folder)
        estate = estates.load(self.place)
        store = open_store(settings_of(estate), project.folder, self.resolve)
        assert store is not None
        self.store = store
        self.instance = Instance(id=name, host=socket.gethostname(), pid=os.getpid())
        self.address = project.double.port
        self.deaf = False
        self.statuses: Counter[int] = Counter()
        self.sent: Counter[str] = Counter()  # by key id
        self.in_flight: Counter[str] = Counter()
        self.problems: dict[str, str] = {}
        self._lock, self._gone = threading.Lock(), threading.Event()
        self.estate, self.config = compiling.current(self.place, store, self.resolve, problems=self.problems)
        self._beat()
        self._threads = [
            threading.Thread(target=self._follow),
            *(threading.Thread(target=self._send) for _ in range(senders)),
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._gone.set()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()
        self.store.instance_stopped(self.instance.id)
        self.store.close()

    def wait_for(self, requests: int) -> None:
        """Until so many more requests were answered."""
        wanted = self.statuses.total() + requests
        waiting = threading.Event()
        for _ in range(2000):
            if self.statuses.total() >= wanted:
                return
            waiting.wait(0.005)
        raise AssertionError(self.statuses)

    def _follow(self) -> None:
        while not self._gone.wait(LOOK_SECONDS):
            if not self.deaf:
                problems: dict[str, str] = {}
                self.estate, self.config = compiling.current(
                    self.place, self.store, self.resolve, before=self.config, problems=problems
                )
                self.problems = problems
            self._beat()

    def _beat(self) -> None:
        with self._lock:
            under_way = {name: n for name, n in self.in_flight.items() if n}
        self.store.heartbeat(
            dataclasses.replace(
                self.instance,
                revision=self.config.revision,
                estate=estate_digest(self.estate),
                detail=json.dumps({"in_flight": under_way, "problems": self.problems}),
            )
        )

    def _send(self) -> None:
        while not self._gone.is_set():
            found = self.config.providers["openai"].keys
            usable = [one for one in found if one.state == "active"] or list(found)
            if not usable:
                self.statuses[0] += 1
                self._gone.wait(LOOK_SECONDS)
                continue
            self._ask(usable[self.statuses.total() % len(usable)])

    def _ask(self, one: Any) -> None:
        with self._lock:
            self.in_flight[one.id] += 1
        body = json.dumps({"model": "double-small", "messages": [{"role": "user", "content": "hello"}]})
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.address, timeout=20)
        ) as connection:
            connection.request(
                "POST", "/v1/chat/completions", body, {"Authorization": f"Bearer {one.secret.reveal()}"}
            )
            answer = connection.getresponse()
            answer.read()
        with self._lock:
            self.in_flight[one.id] -= 1
            self.statuses[answer.status] += 1
            self.sent[one.id] += 1
