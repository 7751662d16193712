"""LiteLLM beside the gateway, twice: doing the same kind of work (`litellm`), and as little as it can (`litellm bare`).

`litellm` has what LiteLLM can do without a database server (its database needs Prisma's binaries): virtual keys with limits of requests, tokens
and parallel requests and with a budget (`custom_auth`, its own limiters), a budget of the provider, cooldowns as the breaker, and a usage ledger
written in batches off the path (a custom logger). That each of them is at work is seen before the measurement: one key each is refused, a dead
provider is left alone; and after it: the ledger has a row for each request that its upstreams were asked. Else it is not reported.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import peers
from gateway_sides import FILES, KINDS, Side, Upstream, chat, cores, upstream, wait_until_it_answers

import ai_rig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Ask = Callable[[str, str], tuple[int, str]]  # a key and a kind of request; status and text

READY_SECONDS = 90
KEY = "sk-bench"
LONGER = {"plain": 3.0, "stream": 6.0, "paced": 6.0}
SETTLED_SECONDS = 60.0
PATIENCE_SECONDS = 10.0
MOST_LOST = 0.01
UNTRIED = {"x-litellm-attempted-retries": "0", "x-litellm-attempted-fallbacks": "0"}
WRITTEN = "SELECT count(*) FROM usage WHERE status = 'success'"

REFUSED = (  # a key, what it asks for, and what LiteLLM says when its one limit is reached
    ("sk-unknown", "plain", 401, "no such key"),
    ("sk-one-request-a-minute", "plain", 429, "Limit type: requests"),
    ("sk-ten-tokens-a-minute", "plain", 429, "Limit type: tokens"),
    ("sk-none-at-a-time", "plain", 429, "Limit type: max_parallel_requests"),
    ("sk-poor", "plain", 422, "budget_exceeded"),
    (KEY, "poor", 429, "Exceeded budget for provider"),
)


class NotTheSame(RuntimeError):
    """LiteLLM does not do what it is said to do; the text says what."""


@dataclass
class Working(Side):
    """LiteLLM with keys, limits, budgets, breaker and ledger."""

    folder: Path = Path()
    upstreams: tuple[Upstream, ...] = ()  # its own, so that they count its requests alone

    def written(self) -> int:
        """Rows of answered requests in its ledger."""
        with contextlib.closing(sqlite3.connect(self.folder / "ledger.sqlite")) as store:
            return int(store.execute(WRITTEN).fetchone()[0])

    def ledger_difference(self, seconds: float = SETTLED_SECONDS) -> int:
        """Rows less what its upstreams were asked, once it has written all that it will. Errors: `NotTheSame` where it lost more than 1 %."""
        with self.awake():
            asked = sum(one.count()["asked"] for one in self.upstreams)
            until(lambda: self.written() >= asked, seconds)
            found = self.written() - asked
        if not asked or abs(found) > asked * MOST_LOST:
            raise NotTheSame(
                f"LiteLLM's usage ledger has {found + asked} rows for {asked} requests that were sent"
            )
        return found


@contextlib.contextmanager
def working(folder: Path, *, pace_us: int) -> Iterator[Working]:
    """LiteLLM that does the same kind of work, seen to do it. Errors: `peers.NotInstalled`, `NotTheSame`."""
    home = folder / "litellm"
    home.mkdir()
    for name in ("litellm_keys", "litellm_ledger"):
        shutil.copy(FILES / f"{name}.peer", home / f"{name}.py")
    with upstream(folder) as quick, upstream(folder, pace_us) as paced:
        values = {"upstream": quick.port, "paced": paced.port, "dead": ai_rig.free_port()}
        with started("litellm", home, (FILES / "litellm.yaml").read_text().format(**values)) as (port, pid):
            kinds = {name: chat(model, stream=stream) for name, model, stream in KINDS if name != "cached"}
            kinds["poor"] = chat("poor")
            side = Working("litellm", port, pid, KEY, kinds, LONGER, folder=home, upstreams=(quick, paced))
            wait_until_it_answers(side, READY_SECONDS)
            prove_limits(lambda key, kind: told(side, key, kind)[:2])
            prove_breaker(lambda: told(side, KEY, "failover")[2])
            pause(side)
            yield side


@contextlib.contextmanager
def bare(folder: Path, quick: Upstream, paced: Upstream) -> Iterator[Side]:
    """LiteLLM with its master key and nothing else. Errors: `peers.NotInstalled`."""
    home = folder / "litellm-bare"
    home.mkdir()
    text = (FILES / "litellm-bare.yaml").read_text().format(upstream=quick.port, paced=paced.port)
    with started("litellm bare", home, text) as (port, pid):
        kinds = {name: chat(model, stream=stream) for name, model, stream in KINDS if name in LONGER}
        side = Side("litellm bare", port, pid, KEY, kinds, LONGER)
        wait_until_it_answers(side, READY_SECONDS)
        pause(side)
        yield side


@contextlib.contextmanager
def started(name: str, home: Path, config: str) -> Iterator[tuple[int, int]]:
    """Port and process id of LiteLLM's proxy: one worker of Uvicorn with uvloop, as its documentation advises for a core."""
    program, port = peers.python("litellm").with_name("litellm"), ai_rig.free_port()
    (home / "litellm.yaml").write_text(config)
    command = ["taskset", "-c", cores()[0], str(program), "--config", str(home / "litellm.yaml")]
    command += ["--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False"]
    said = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
    with (home / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, **said}, cwd=home, start_new_session=True
        )
    try:
        yield port, process.pid
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def pause(side: Side) -> None:
    """It does something of its own between its loads: not while others are measured."""
    for one in side.processes():
        one.suspend()
    side.paused = True


# -- seen to be at work ------------------------------------------------------------------------------------------------------------


def prove_limits(ask: Ask, seconds: float = PATIENCE_SECONDS) -> None:
    """Each key with one small limit is refused by that limit, and the measured key is not. Errors: `NotTheSame`."""
    for key, kind, status, words in REFUSED:
        last = (0, "")

        def refused(key: str = key, kind: str = kind, status: int = status, words: str = words) -> bool:
            nonlocal last
            last = ask(key, kind)
            return last[0] == status and words in last[1]

        if not until(refused, seconds):
            raise NotTheSame(
                f"LiteLLM does not refuse {key} ({kind}) with {status}, “{words}”: {last[0]} {last[1][-200:]}"
            )
    found = ask(KEY, "plain")
    if found[0] != http.HTTPStatus.OK:
        raise NotTheSame(f"LiteLLM refuses the key that is measured: {found[0]} {found[1][-200:]}")


def prove_breaker(headers: Callable[[], dict[str, str]], seconds: float = PATIENCE_SECONDS) -> None:
    """The route with the dead first choice is answered without a retry or a fallback, after some failures. Errors: `NotTheSame`."""
    last: dict[str, str] = {}

    def left_alone() -> bool:
        nonlocal last
        last = headers()
        return UNTRIED.items() <= last.items()

    if not until(left_alone, seconds):
        tried = {name: last.get(name) for name in UNTRIED}
        raise NotTheSame(f"LiteLLM goes on asking a dead provider: {tried}")


def until(condition: Callable[[], bool], seconds: float) -> bool:
    """Whether it came to hold within that time."""
    end = time.monotonic() + seconds
    while not (held := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return held


def told(side: Side, key: str, kind: str) -> tuple[int, str, dict[str, str]]:
    """Status, text and headers of one request with that key."""
    path, body = side.kinds[kind]
    sent = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", side.port, timeout=60)) as connection:
        connection.request("POST", path, body, sent)
        answer = connection.getresponse()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, answer.read().decode(errors="replace"), headers
