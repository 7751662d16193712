"""Who is measured by `gateway`: the upstream that answers, the gateways in front of it, and wrk, each on a core of its own.

The gateway under measure has the first core for itself; wrk and the upstream share the second.
"""

from __future__ import annotations

import contextlib
import getpass
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
FILES = ROOT / "bench" / "gateway"
sys.path.insert(0, str(ROOT / "tests"))

import ai_rig  # noqa: E402 - the tests' way to start a gateway is also the bench's

CHAT = "/v1/chat/completions"
MESSAGES = "/v1/messages"
SAID = [
    {"role": "system", "content": "You are a helpful assistant that answers in one short paragraph."},
    {"role": "user", "content": "What does a data engineer do on a Friday evening?"},
]
CONNECTIONS = 64
NGINX = (("nginx", ""), ("nginx kept", "/kept"))
QUIET_SECONDS = 30


class NotPossible(Exception):
    """This machine cannot measure it; the text says why."""


def cores() -> tuple[str, str]:
    """The core of the gateway, and that of wrk and the upstream. Errors: `NotPossible`."""
    found = sorted(os.sched_getaffinity(0))
    if len(found) < 2:  # noqa: PLR2004 - the words say it
        raise NotPossible("needs two cores: one for the gateway, one for the load")
    return str(found[0]), str(found[1])


def needed(*programs: str) -> None:
    """Errors: `NotPossible` where one is not installed."""
    if lost := [program for program in programs if shutil.which(program) is None]:
        raise NotPossible(f"needs {', '.join(lost)} (Debian: apt-get install {' '.join(lost)})")


# -- the upstream ------------------------------------------------------------------------------------------------------------------


@dataclass
class Upstream:
    """A running `gateway/upstream.c`."""

    port: int
    process: subprocess.Popen[str]

    def count(self) -> dict[str, int]:
        """What it was asked and answered until now."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)) as connection:
            connection.request("GET", "/count")
            found: dict[str, int] = json.loads(connection.getresponse().read())
            return found


@contextlib.contextmanager
def upstream(folder: Path, pace_us: int = 0) -> Iterator[Upstream]:
    """Build and run it; each event of a stream comes `pace_us` after the one before. It counts apart what was asked with our keys."""
    program = folder / "upstream"
    if not program.exists():
        subprocess.run(["cc", "-O2", "-o", str(program), str(FILES / "upstream.c")], check=True)
    command = ["taskset", "-c", cores()[1], str(program), str(pace_us), "key-"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = process.stdout.readline() if process.stdout else ""
        yield Upstream(int(port), process)
    finally:
        process.kill()
        process.wait()


# -- the gateways ------------------------------------------------------------------------------------------------------------------


@dataclass
class Side:
    """A running server that is asked: its port, its processes, and each kind of request as path and body."""

    name: str
    port: int
    pid: int
    key: str = "none"
    kinds: dict[str, tuple[str, str]] = field(default_factory=dict)
    longer: dict[str, float] = field(
        default_factory=dict
    )  # at many connections, by kind: a slow one needs more to be counted
    paused: bool = False  # between its loads: it would do something of its own meanwhile

    def processes(self) -> list[psutil.Process]:
        """All of them."""
        first = psutil.Process(self.pid)
        return [first, *first.children(recursive=True)]

    def cpu_s(self) -> float:
        """CPU seconds until now, user and system (`/proc/PID/stat`)."""
        return sum(times.user + times.system for times in (one.cpu_times() for one in self.processes()))

    def rss_mb(self) -> float:
        """Resident memory."""
        return sum(one.memory_info().rss for one in self.processes()) / 1e6

    def handles(self) -> int:
        """Open files and connections."""
        return sum(one.num_fds() for one in self.processes())

    @contextlib.contextmanager
    def awake(self) -> Iterator[None]:
        """Its processes run meanwhile, where they were paused."""
        if not self.paused:
            yield
            return
        for process in self.processes():
            process.resume()
        try:
            yield
        finally:
            for process in self.processes():
                process.suspend()


def chat(model: str, *, stream: bool = False) -> tuple[str, str]:
    """Path and body of a chat completion, as the official SDK writes it."""
    body: dict[str, Any] = {"messages": SAID, "model": model, "temperature": 0.2}
    body |= {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    return CHAT, json.dumps(body, separators=(",", ":"))


def direct(of: Upstream) -> Side:
    """The upstream itself, without anything in front of it."""
    return Side("direct", of.port, of.process.pid, kinds={"plain": chat("bench")})


@contextlib.contextmanager
def nginx(folder: Path, quick: Upstream, paced: Upstream) -> Iterator[list[Side]]:
    """The proxy nginx: what it costs to pass bytes on. As `proxy_pass` comes, and with connections to the upstream kept."""
    home = folder / "nginx"
    home.mkdir()
    port = ai_rig.free_port()
    text = (FILES / "nginx.conf").read_text()
    values = {
        "folder": home,
        "port": port,
        "upstream": quick.port,
        "paced": paced.port,
        "user": getpass.getuser(),
    }
    shutil.copy(FILES / "kept.conf", home)
    (home / "nginx.conf").write_text(text.format(**values))
    command = ["taskset", "-c", cores()[0], "nginx", "-c", str(home / "nginx.conf"), "-p", str(home)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sides = [Side(name, port, process.pid, kinds=nginx_kinds(prefix)) for name, prefix in NGINX]
    try:
        wait_until_it_answers(sides[0], 10)
        yield sides
    finally:
        process.terminate()
        process.wait(10)


def nginx_kinds(prefix: str) -> dict[str, tuple[str, str]]:
    """What it is asked: a path says which upstream, and whether its connections are kept."""
    path, body = chat("bench", stream=True)
    return {
        "plain": (prefix + path, chat("bench")[1]),
        "stream": (prefix + path, body),
        "paced": (f"{prefix}/paced{path}", body),
    }


KINDS = (
    ("plain", "bench", False),
    ("stream", "bench", True),
    ("paced", "paced", True),
    ("failover", "failover", False),
    ("cached", "cached", False),
)


def estate(quick: Upstream, paced: Upstream) -> dict[str, Any]:
    """An estate with everything on: limits of requests and tokens, a hard budget, the breaker, prices; its failover has a dead first choice."""
    addresses = {"openai": quick.port, "paced": paced.port, "dead": ai_rig.free_port()}
    systems = {
        name: {
            "kind": "openai",
            "base_url": f"http://127.0.0.1:{port}/v1",
            "keys": [f"env:KEY_{name.upper()}"],
        }
        for name, port in addresses.items()
    }
    large = {"requests_per_minute": 10_000_000, "tokens_per_minute": 10_000_000_000}
    models = {
        "bench": {"targets": ["openai/gpt-4.1"], **large},
        "paced": {"targets": ["paced/gpt-4.1"], **large},
        "failover": {"targets": ["dead/gpt-4.1", "openai/gpt-4.1"], **large},
        "cached": {"targets": ["openai/gpt-4.1"], "cache_seconds": 86_400, **large},
    }
    gateway = {
        "models": models,
        "budgets": {"everyone": {"usd": 1_000_000, "key": "*"}, "all": {"usd": 10_000_000}},
        "breaker": {"open_seconds": 3600},
        "prices": {f"{name}/gpt-4.1": {"input": 2, "output": 8} for name in systems},
    }
    rules = [{"decision": "allow", "effects": ["read", "reversible"]}]
    return {
        "version": 1,
        "name": "bench",
        "systems": systems,
        "gateway": gateway,
        "authority": {"rules": rules},
    }


@contextlib.contextmanager
def datareeve(folder: Path, quick: Upstream, paced: Upstream) -> Iterator[tuple[Side, ai_rig.Gateway]]:
    """Ours, one process, with a virtual key that has limits."""
    project = folder / "project"
    project.mkdir(exist_ok=True)
    wanted = estate(quick, paced)
    ai_rig.write_estate(project, wanted)
    environment = {**os.environ, **ai_rig.provider_keys(wanted)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # what is installed has its bytecode
    limits = {"requests_per_minute": 10_000_000, "tokens_per_minute": 10_000_000_000}
    key = ai_rig.issue(project, environment, "bench", **limits)
    running = ai_rig.start(project, environment, before=("taskset", "-c", cores()[0]))
    kinds = {name: chat(model, stream=stream) for name, model, stream in KINDS}
    side = Side("datareeve", running.port, running.process.pid, key, kinds)
    try:
        wait_until_it_answers(side, 5)
        yield side, running
    finally:
        running.kill()


def wait_until_it_answers(side: Side, seconds: float) -> float:
    """Seconds until a whole request is answered well. Errors: `RuntimeError` with what it said last."""
    began, said = time.perf_counter(), "nothing"
    while time.perf_counter() - began < seconds:
        try:
            status, said = asked(side, "plain")
        except (OSError, http.client.HTTPException) as error:
            status, said = 0, repr(error)
        if status == http.HTTPStatus.OK:
            return time.perf_counter() - began
        time.sleep(0.005)
    raise RuntimeError(f"{side.name} does not answer within {seconds} s: {said[-300:]}")


def asked(side: Side, kind: str) -> tuple[int, str]:
    """Status and text of one request of that kind."""
    path, body = side.kinds[kind]
    headers = {"authorization": f"Bearer {side.key}", "content-type": "application/json"}
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", side.port, timeout=60)) as connection:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace")


# -- the load ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Load:
    """What wrk counted, and the CPU that the side spent meanwhile."""

    requests: int
    per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float  # a request
    refused: int  # answers that were no success
    broken: int  # connections, reads, timeouts


def load(side: Side, kind: str, seconds: float, connections: int = CONNECTIONS) -> Load:
    """Ask as fast as it answers, for so long. Errors: `RuntimeError` where an answer was not a success: the figures would be of something else."""
    path, body = side.kinds[kind]
    seconds *= side.longer.get(kind, 1.0) if connections > 1 else 1.0
    command = [
        "taskset",
        "-c",
        cores()[1],
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1.0, seconds):.0f}s",
        "--timeout",
        "120s",
    ]
    command += ["-s", str(FILES / "load.lua"), f"http://127.0.0.1:{side.port}", "--", path, side.key, body]
    with side.awake():
        before = side.cpu_s()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        spent = side.cpu_s() - before
        result = counted(done, spent)
        if not result.requests or result.refused or result.broken:
            raise RuntimeError(f"{side.name}, {kind}: {result}; asked alone: {asked(side, kind)}")
        wait_until_quiet(side)
    return result


def counted(done: subprocess.CompletedProcess[str], cpu_s: float) -> Load:
    """What wrk says, as load.lua writes it. Errors: `RuntimeError` where it failed."""
    if done.returncode != 0 or not done.stdout.strip().endswith("}"):
        raise RuntimeError(f"wrk: {done.stdout[-300:]} {done.stderr[-300:]}")
    found = json.loads(done.stdout.strip().splitlines()[-1])
    return Load(
        requests=found["requests"],
        per_second=found["requests"] / found["seconds"],
        p50_ms=found["p50_us"] / 1e3,
        p99_ms=found["p99_us"] / 1e3,
        cpu_us=cpu_s / max(1, found["requests"]) * 1e6,
        refused=found["refused"],
        broken=found["broken"],
    )


def wait_until_quiet(side: Side) -> None:
    """Until it has done with the requests that wrk left behind, so that they do not count to the next load."""
    end = time.perf_counter() + QUIET_SECONDS
    before = side.cpu_s()
    while time.perf_counter() < end:
        time.sleep(0.2)
        now = side.cpu_s()
        if now - before < 0.05:  # noqa: PLR2004 - a quarter of the time: timers, but no requests
            return
        before = now
