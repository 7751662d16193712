"""The gateway's process on this machine: starting it, asking it, ending it. One gateway a project; a lock file says whether it runs.

The lock is held by the process itself (flock), so that it ends with it, however it ended; what stands in the file beside it is where it
listens. The process outlives whoever started it. It is asked over HTTP as anybody would ask it, never through its files.
"""

from __future__ import annotations

import fcntl
import hmac
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datareeve.core import estate as estates
from datareeve.core.errors import BadInput, DatareeveError, Failed, Unreachable
from datareeve.core.estate import ESTATE_FILE, STATE_FOLDER, Estate
from datareeve.core.estate_gateway import AnthropicSystem, OpenaiSystem
from datareeve.core.value import fingerprint
from datareeve.systems.adapter import Adapter, effects, reads
from datareeve.systems.files import replace_file
from datareeve.systems.gateway_saying import without_time

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path(STATE_FOLDER) / "gateway"
METRICS_FOLDER = FOLDER / "metrics"
PROCESS_VARIABLE = (
    "DATAREEVE_GATEWAY_PROCESS"  # a process's number among its siblings, given by the supervisor
)
READY_SECONDS = 20.0
DRAIN_SECONDS = 60.0  # for requests under way, when it is stopped
RELOAD_SECONDS = 5.0  # it looks for changes five times a second
ASK_SECONDS = 5.0
LARGEST_ANSWER = 16 << 20
ASKED = ("/health", "/status", "/metrics")
DIGEST_KEY = "digest.key"  # in its folder: what only the project's owner reads
PROOF = "x-datareeve-proof"  # a header: that whoever asks may read that

_started: dict[int, subprocess.Popen[bytes]] = {}  # ours, to be waited for when they end


def estate_digest(estate: Estate) -> str:
    """The SHA-256 of what a gateway takes from the estate: its providers and `gateway:`. Two files that mean the same give the same."""
    providers = {
        name: entry
        for name, entry in estate.systems.items()
        if isinstance(entry, (OpenaiSystem, AnthropicSystem))
    }
    return fingerprint([providers, estate.gateway])


class GatewayProcess(Adapter):
    """The gateway of this project, as a process of this machine."""

    kind = "gateway-process"

    def __init__(self, project: Path) -> None:
        super().__init__("gateway-process")
        self.project = project.resolve()

    def identity(self) -> str:
        """The project's folder."""
        return f"gateway-process:{self.project}"

    # -- reads -------------------------------------------------------------------------------------------------------------------

    @reads
    def running(self) -> bool:
        """Whether a gateway of this project runs on this machine."""
        return _held(self._folder / "lock")

    @reads
    def state(self) -> dict[str, Any]:
        """{running, pid, address ([host, port]), processes, started_at}; the rest is None where it does not run."""
        told = self._told() if self.running() else {}
        return {
            "running": bool(told),
            **{name: told.get(name) for name in ("pid", "address", "processes", "started_at")},
        }

    @reads
    def answers(self) -> bool:
        """Whether it runs and says over HTTP that it is well."""
        try:
            return bool(self.ask("/health")["status"] == HTTPStatus.OK)
        except DatareeveError:
            return False

    @reads
    def ask(self, path: str) -> dict[str, Any]:
        """What it answers at /health, /status or /metrics: {status, body}; JSON is read.

        Errors: `BadInput` `gateway.ask`; `Unreachable` `gateway.not-running`, `gateway.silent`.
        """
        if path not in ASKED:
            raise BadInput("gateway.ask", f"{path} is not asked here.", f"Ask for {', '.join(ASKED)}.")
        shown = {}
        with suppress(OSError):
            shown[PROOF] = proof((self.project / FOLDER / DIGEST_KEY).read_bytes())
        status, kind, body = _get(self._address(), path, shown)
        text = body.decode("utf-8", "replace")
        return {"status": status, "body": _parsed(text) if kind.startswith("application/json") else text}

    @reads
    def status(self) -> dict[str, Any] | None:
        """Its own account of itself; None where it does not run."""
        if not self.running():
            return None
        told = self.ask("/status")["body"]
        return told if isinstance(told, dict) else None

    @reads
    def works_by_the_estate(self) -> bool:
        """Whether every process of it works by estate.yaml as it stands now. A change under way is waited for, up to 5 s."""
        wanted = estate_digest(estates.load(self.project / ESTATE_FILE))
        deadline = time.monotonic() + RELOAD_SECONDS
        while not (well := self._all_work_by(wanted)) and time.monotonic() < deadline and self.running():
            time.sleep(0.05)
        return well

    @reads
    def free(self, listen: str) -> bool:
        """Whether nothing but this gateway listens at 'host:port'."""
        host, _, port = listen.rpartition(":")
        place = (host.strip("[]") or "127.0.0.1", int(port))
        told = self._told()
        if self.running() and told.get("address") and told["address"][1] == place[1]:
            return True
        family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        with closing(socket.socket(family)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(place)
            except OSError:
                return False
        return True

    @reads
    def variables(self, names: list[str]) -> dict[str, bool]:
        """Which environment variables are set here; never what to."""
        return {name: bool(os.environ.get(name)) for name in names}

    @reads
    def addresses(self, names: list[str]) -> dict[str, str]:
        """What environment variables that hold a base URL say, without what stands before an @ in them; '' where not set."""
        return {name: _without_user(os.environ.get(name, "")) for name in names if name.endswith("_BASE_URL")}

    @reads
    def figures(self, seconds: float = 300.0) -> dict[str, Any]:
        """What passed through lately and what it cost, of the whole store, other machines' included. See `gateway_figures.figures`."""
        from datareeve.systems import gateway_figures  # noqa: PLC0415 - it opens the store

        return gateway_figures.figures(self.project, seconds)

    @reads
    def last_month_usd(self) -> float | None:
        """US dollars of the last whole month (UTC); None where the gateway did not serve through all of it."""
        from datareeve.systems import gateway_figures  # noqa: PLC0415 - as above

        return gateway_figures.last_month_usd(self.project)

    @reads
    def drilled(self, route: str | None = None) -> dict[str, Any] | None:
        """The record of the last drill with a route's settings as they are now; None where there is none. See `gateway_drill`."""
        from datareeve.systems import gateway_drill  # noqa: PLC0415 - only where something is drilled

        return gateway_drill.record_of(self, route)

    @reads
    def drill_held(self, case: str, protocol: str, route: str | None = None) -> bool | None:
        """Whether a case of that drill held; None where there was no such case."""
        cases = (self.drilled(route) or {}).get("cases", ())
        return next((bool(c["held"]) for c in cases if (c["case"], c["protocol"]) == (case, protocol)), None)

    # -- effects -----------------------------------------------------------------------------------------------------------------

    @effects
    def start(self) -> dict[str, Any]:
        """Start it as estate.yaml says, and wait until it answers; quiet where it runs. Gives {pid, port}.

        Errors: `Failed` `gateway.start`, naming the log.
        """
        if not self.running():
            self._launch()
        deadline = time.monotonic() + READY_SECONDS
        while not self.answers():
            if self._died() or time.monotonic() > deadline:
                raise Failed(
                    "gateway.start",
                    "The gateway did not start." + self._last_words(),
                    f"Its log is {self._log}.",
                )
            time.sleep(0.02)
        told = self._told()
        return {"pid": told["pid"], "port": told["address"][1]}

    @effects
    def stop(self) -> dict[str, Any]:
        """End it once the requests under way have ended; what takes longer than a minute is cut off. Quiet where it does not run."""
        pid = self._told().get("pid")
        if self.running() and pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            self._wait_until_gone(pid)
        self._reap()
        return {}

    @effects
    def reload(self) -> dict[str, Any]:
        """Wait until it works by estate.yaml as it stands; it looks by itself. Errors: `Failed` `gateway.reload`."""
        if self.running() and not self.works_by_the_estate():
            raise Failed("gateway.reload", "The gateway does not take the estate as it stands." + self._last_words(),
                         f"Its log is {self._log}.")  # fmt: skip
        return {}

    @effects
    def drill(self, route: str | None = None, *, run: str) -> dict[str, Any]:
        """Send faults through a scratch gateway with a route's settings, and keep the record. See `gateway_drill.drill`."""
        from datareeve.systems import gateway_drill  # noqa: PLC0415 - as above

        return gateway_drill.drill(self, route, run)

    @effects
    def forget_drill(self, by_run: str) -> dict[str, Any]:
        """Remove the records of a run's drills; quiet where there are none."""
        from datareeve.systems import gateway_drill  # noqa: PLC0415 - as above

        return gateway_drill.forget(self, by_run)

    # -- process and files -------------------------------------------------------------------------------------------------------

    @property
    def _folder(self) -> Path:
        return self.project / FOLDER

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _launch(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._forget()
        command = [
            sys.executable,
            "-m",
            "datareeve.interfaces.cli",
            "gateway",
            "--project",
            str(self.project),
        ]
        with os.fdopen(os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "wb") as log:
            process = subprocess.Popen(  # noqa: S603 - ourselves
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.project,
                start_new_session=True,
            )
        _started[process.pid] = process

    def _died(self) -> bool:
        """Whether one that we started has ended by itself."""
        self._reap()
        return not self.running() and not any(process.poll() is None for process in _started.values())

    def _reap(self) -> None:
        for pid in [pid for pid, process in _started.items() if process.poll() is not None]:
            del _started[pid]

    def _wait_until_gone(self, pid: int) -> None:
        deadline = time.monotonic() + DRAIN_SECONDS
        while self.running() or _is_alive(pid):
            self._reap()
            if time.monotonic() > deadline:
                _kill_family(pid)
            time.sleep(0.02)

    def _forget(self) -> None:
        with suppress(FileNotFoundError):
            (self._folder / "run.json").unlink()

    def _told(self) -> dict[str, Any]:
        """What the running process wrote about itself, {} where there is nothing."""
        try:
            found = json.loads((self._folder / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def _address(self) -> tuple[str, int]:
        told = self._told()
        if not told or not self.running():
            raise Unreachable(
                "gateway.not-running",
                "The gateway does not run on this machine.",
                "`datareeve gateway` starts it.",
            )
        host, port = told["address"]
        return reachable((host, port))

    def _all_work_by(self, digest: str) -> bool:
        try:
            told = self.status()
        except DatareeveError:
            return False
        processes = (told or {}).get("processes") or []
        wanted = self._told().get("processes") or 1
        return len(processes) >= wanted and all(one.get("estate") == digest for one in processes)

    def _last_words(self) -> str:
        """The last error in the log, without its remedy: one of ours, which holds no value."""
        try:
            lines = self._log.read_bytes()[-4000:].decode("utf-8", "replace").strip().splitlines()
        except OSError:
            return ""
        told = [without_time(line) for line in lines if line and not line[0].isspace()]
        return f" It said: {told[-1]}" if told else ""


@contextmanager
def announced(project: Path, processes: int) -> Iterator[Announce]:
    """Hold the project's lock while a gateway runs. Errors: `BadInput` `gateway.running` where another one does."""
    folder = project / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadInput(
                "gateway.running",
                "The gateway of this project runs already.",
                "It takes changes of estate.yaml by itself. To use more processors: gateway.processes in estate.yaml.",
            ) from None
        place = folder / "run.json"
        try:
            yield Announce(place, processes)
        finally:
            place.unlink(missing_ok=True)


class Announce:
    """Says where the gateway listens, once it does."""

    def __init__(self, place: Path, processes: int) -> None:
        self._place = place
        self._processes = processes

    def __call__(self, address: tuple[str, int]) -> None:
        """It listens at `address`."""
        told = {
            "pid": os.getpid(),
            "address": list(address),
            "processes": self._processes,
            "started_at": time.time(),
        }
        replace_file(self._place, json.dumps(told).encode(), 0o644)


def reachable(address: tuple[str, int]) -> tuple[str, int]:
    """Where one that listens at `address` is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address[0], address[0]), address[1]  # noqa: S104 - compared, not bound


def _held(lock: Path) -> bool:
    """Whether a living process holds the lock."""
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _is_alive(pid: int) -> bool:
    import psutil  # noqa: PLC0415 - whoever looks after a gateway needs it, no gateway itself

    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _kill_family(pid: int) -> None:
    import psutil  # noqa: PLC0415 - as above

    with suppress(psutil.Error):
        parent = psutil.Process(pid)
        for process in (*parent.children(recursive=True), parent):
            with suppress(psutil.Error):
                process.kill()


def proof(key: bytes) -> str:
    """That one has the project's digest key, without telling it."""
    return hmac.new(key, b"figures", "sha256").hexdigest()


def _get(address: tuple[str, int], path: str, shown: dict[str, str]) -> tuple[int, str, bytes]:
    import http.client  # noqa: PLC0415 - as above

    connection = http.client.HTTPConnection(*address, timeout=ASK_SECONDS)
    with closing(connection):
        try:
            connection.request("GET", path, headers={"Connection": "close", **shown})
            answer = connection.getresponse()
            return answer.status, answer.getheader("Content-Type", ""), answer.read(LARGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            what = f"The gateway does not answer ({type(error).__name__})."
            raise Unreachable("gateway.silent", what, "Look at the end of .datareeve/gateway/log.") from None


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _without_user(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{separator}{place.rpartition('@')[2]}{slash}{path}" if separator else url
