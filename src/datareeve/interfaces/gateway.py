"""`datareeve gateway`: one process that serves, or several that share a port, looked after by a parent that serves nothing itself.

The kernel spreads connections over the processes (SO_REUSEPORT). A process that ends by itself is started again, each time after a longer
pause where it does not last. They end with their parent, also where that was killed: they hold the end of a pipe that closes with it.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from datareeve.core import estate as estates
from datareeve.core.errors import BadInput, Failed
from datareeve.systems.gateway_process import PROCESS_VARIABLE, GatewayProcess, announced, reachable
from datareeve.systems.gateway_saying import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.systems.gateway_process import Announce

    Ready = Callable[[tuple[str, int]], None]

READY_SECONDS = 20.0  # for all processes, at the start
DRAIN_SECONDS = 70.0  # longer than the processes themselves give their requests
LASTS = 60.0  # a process that lived so long is started again at once
PAUSES = (0.2, 1.0, 5.0, 15.0, 30.0)  # seconds before it is started again
LOOK_SECONDS = 0.2
NEEDED = ("httptools", "orjson", "cryptography")  # what the extra brings
MOST = 64  # processes
WORKER = "datareeve.interfaces.gateway"


def run(
    project: Path, *, listen: str | None = None, processes: int | None = None, ready: Ready | None = None
) -> int:
    """Serve until told to stop; gives the exit status. `listen` ('host:port') and `processes` instead of estate.yaml's.

    Errors: those of `estate.load`; `BadInput` `gateway.none`, `gateway.extra`, `gateway.listen`, `gateway.running`; `Failed` `gateway.port`,
    `gateway.start`.
    """
    estate = estates.load(project / estates.ESTATE_FILE)
    if estate.gateway is None:
        raise BadInput(
            "gateway.none",
            "estate.yaml has no `gateway`.",
            "`datareeve run ai.set-up-gateway` sets it up. Or paste: gateway: {listen: 127.0.0.1:4141}",
        )
    if processes is not None and not 1 <= processes <= MOST:
        raise BadInput("gateway.processes", f"{processes} processes are not possible.", f"Give 1 to {MOST}.")
    if lacking := [name for name in NEEDED if find_spec(name) is None]:
        raise BadInput(
            "gateway.extra", f"The gateway needs {', '.join(lacking)}.", "Install datareeve[gateway]."
        )
    address = _address(listen) if listen else estate.gateway.address
    number = processes or estate.gateway.processes
    with announced(project, number) as announce:
        told = _both(announce, ready)
        return (
            _serve(project, address, told) if number == 1 else Supervisor(project, address, number).run(told)
        )


def stop(project: Path) -> int:
    """End the gateway of a project, once the requests under way have their answers; quiet where none runs. Gives the exit status."""
    process = GatewayProcess(project)
    if not process.read("running"):
        say("no gateway of this project runs on this machine")
        return 0
    process.stop()
    say("stopped")
    return 0


def told(*, as_json: bool) -> Ready:
    """Says on the terminal where it listens and what applications set: as one JSON line on standard output, or for a person on the other."""

    def listening(address: tuple[str, int]) -> None:
        host, port = address
        place = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        if as_json:
            sys.stdout.write(json.dumps({"listening": place, "pid": os.getpid()}) + "\n")
            sys.stdout.flush()
        else:
            say(f"serving {place}: OPENAI_BASE_URL={place}/v1  ANTHROPIC_BASE_URL={place}  Ctrl-C stops")

    return listening


def _address(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:  # noqa: PLR2004 - TCP's ports
        raise BadInput(
            "gateway.listen", f"{listen!r} is not host:port.", "Write it as 127.0.0.1:4141 or [::1]:4141."
        )
    return host.strip("[]"), int(port)


def _both(announce: Announce, ready: Ready | None) -> Ready:
    def told(address: tuple[str, int]) -> None:
        announce(address)
        if ready is not None:
            ready(address)

    return told


def _serve(project: Path, address: tuple[str, int], ready: Ready, *, reuse_port: bool = False) -> int:
    from datareeve.capabilities.ai.gateway.server import serve  # noqa: PLC0415 - heavy, and only here

    try:
        return serve(project, listen=address, reuse_port=reuse_port, ready=ready)
    except OSError as error:
        raise _taken(address, error) from None


def _taken(address: tuple[str, int], error: OSError) -> Failed:
    host, port = address
    what = f"The gateway cannot listen at {host}:{port}: {error.strerror}."
    return Failed(
        "gateway.port", what, "Choose another: gateway.listen in estate.yaml, or --listen 127.0.0.1:0."
    )


# -- several processes -------------------------------------------------------------------------------------------------------------


@dataclass
class Worker:
    """One process of several."""

    number: int
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0  # in a row: it did not last
    again_at: float = 0.0  # monotonic
    is_ready: bool = False


class Supervisor:
    """Starts processes that share a port, and looks after them."""

    def __init__(self, project: Path, address: tuple[str, int], number: int) -> None:
        self._project = project
        self._address = address
        self._workers = [Worker(number=n) for n in range(number)]
        self._stop = threading.Event()
        self._lifeline, self._held = os.pipe()  # closes when this process ends, however
        self._ready, self._tell = os.pipe()  # a worker writes its number when it listens

    def run(self, ready: Ready) -> int:
        """Until SIGTERM or SIGINT: 0; 1 where no process could be started at all."""
        with closing(self._reserved()) as place:
            self._address = place.getsockname()[:2]
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: self._stop.set())
            try:
                self._come_up(ready)
                while not self._stop.is_set():
                    self._look()
                    self._stop.wait(LOOK_SECONDS)
            finally:
                self._end()
        return 0

    def _reserved(self) -> socket.socket:
        """The port, held but not listened at: with port 0 all processes get the same one, and no stranger takes it between two starts."""
        family = socket.AF_INET6 if ":" in self._address[0] else socket.AF_INET
        place = socket.socket(family)
        place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            place.bind(self._address)
            _refuse_where_listened_at(self._address, family)
        except OSError as error:
            place.close()
            raise _taken(self._address, error) from None
        return place

    def _come_up(self, ready: Ready) -> None:
        for worker in self._workers:
            self._start(worker)
        deadline = time.monotonic() + READY_SECONDS
        while not all(worker.is_ready for worker in self._workers) and not self._stop.is_set():
            self._hear(LOOK_SECONDS)
            ended = [
                worker
                for worker in self._workers
                if worker.process is not None and worker.process.poll() is not None
            ]
            if ended or time.monotonic() > deadline:
                raise Failed(
                    "gateway.start", "A process of the gateway did not come up.", "What it said stands above."
                )
        if not self._stop.is_set():
            ready(self._address)

    def _look(self) -> None:
        """Start again what ended by itself."""
        self._hear(0)
        now = time.monotonic()
        for worker in self._workers:
            if worker.process is not None and worker.process.poll() is not None:
                self._lost(worker, now)
            if worker.process is None and now >= worker.again_at:
                self._start(worker)

    def _lost(self, worker: Worker, now: float) -> None:
        status = worker.process.returncode if worker.process else 0
        worker.failures = 0 if now - worker.started > LASTS else worker.failures + 1
        pause = PAUSES[min(worker.failures, len(PAUSES)) - 1] if worker.failures else 0.0
        worker.process, worker.is_ready, worker.again_at = None, False, now + pause
        say(f"gateway process {worker.number} ended with {status}; it is started again in {pause:g} s")

    def _start(self, worker: Worker) -> None:
        host, port = self._address
        command = [
            sys.executable,
            "-m",
            WORKER,
            str(self._project),
            host,
            str(port),
            str(self._lifeline),
            str(self._tell),
        ]
        worker.process = subprocess.Popen(  # noqa: S603 - ourselves
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=(self._lifeline, self._tell),
            env={**os.environ, PROCESS_VARIABLE: str(worker.number)},
        )
        worker.started = time.monotonic()

    def _hear(self, seconds: float) -> None:
        """Who says that it listens now."""
        readable, _, _ = select.select([self._ready], [], [], seconds)
        for number in os.read(self._ready, 4096) if readable else b"":
            self._workers[number].is_ready = True

    def _end(self) -> None:
        """End all: requests under way are finished first."""
        alive = [w.process for w in self._workers if w.process is not None and w.process.poll() is None]
        for process in alive:
            process.terminate()
        deadline = time.monotonic() + DRAIN_SECONDS
        for process in alive:
            try:
                process.wait(max(deadline - time.monotonic(), 0.1))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for end in (self._lifeline, self._held, self._ready, self._tell):
            os.close(end)


def _refuse_where_listened_at(address: tuple[str, int], family: socket.AddressFamily) -> None:
    """Errors: `OSError` where somebody listens there already: with SO_REUSEPORT the kernel would let two gateways share the port."""
    if address[1] == 0:
        return
    with closing(socket.socket(family)) as probe:
        probe.settimeout(1)
        if probe.connect_ex(reachable(address)) == 0:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def work(words: list[str]) -> int:
    """One process of several: the project, host, port, the pipe that closes with the parent, and where to say that it listens."""
    project, host, port, lifeline, tell = words
    number = int(os.environ[PROCESS_VARIABLE])
    threading.Thread(target=_end_with_parent, args=(int(lifeline),), daemon=True).start()

    def ready(address: tuple[str, int]) -> None:
        del address
        os.write(int(tell), bytes([number]))

    return _serve(Path(project), (host, int(port)), ready, reuse_port=True)


def _end_with_parent(lifeline: int) -> None:
    with suppress(OSError):
        while os.read(lifeline, 1):
            pass
    os.kill(os.getpid(), signal.SIGTERM)


def main(words: list[str]) -> int:
    """The process boundary of a worker: an error is told in one line, as the command line does."""
    from datareeve.core.errors import DatareeveError  # noqa: PLC0415 - where it is needed
    from datareeve.interfaces import crash  # noqa: PLC0415

    try:
        return work(words)
    except DatareeveError as error:
        say(str(error))
        return error.exit_status
    except Exception as error:  # noqa: BLE001 - the process boundary: no traceback reaches a person
        say(str(crash.written_down(error, ["gateway", "--project", words[0]])))
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
