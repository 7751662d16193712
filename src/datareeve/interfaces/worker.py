"""Runs of pipelines, each in a process of its own, for `datareeve worker` and for `datareeve serve`.

A process may be killed at any moment: what it did stands in the ledger, and the next one carries on. It ends by itself when whoever started it
is gone (their pipe ends), finishes the step under way when it is told to stop, and what it eats is given back when it ends.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from datareeve.agent.schedule import More
    from datareeve.app import App
    from datareeve.systems.job_queue import JobQueue

COMMAND = (sys.executable, "-m", "datareeve.interfaces.worker")
AGAIN_SECONDS = 15.0  # where a process ended without a word
AT_ONCE = 4  # runs that `serve` carries out itself at a time
LIVES_SECONDS = 120.0  # a worker that told so long ago that it lives counts: serve leaves the runs to it
ASK_SECONDS = 20.0
GONE, GIVEN_UP = 70, 75


# -- those who start processes -----------------------------------------------------------------------------------------------------


class Children:
    """The processes that carry runs out."""

    def __init__(self, project: Path, command: Sequence[str] = COMMAND) -> None:
        self._project, self._command = project, tuple(command)
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopping = False

    def run(self, pipeline: str) -> float | None:
        """Carry out what is open of a pipeline, in a process of its own. Gives in how many seconds there is more to do; None where there is not."""
        if self._stopping:
            return 0.0
        words = [*self._command, pipeline, str(self._project)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - ourselves
            self._running.add(process)
            if self._stopping:
                process.terminate()
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            told = process.stdout.read()  # its input stays open: where we are gone, it ends
            process.wait()
            self._running.discard(process)
        return _again(told) if process.returncode == 0 else AGAIN_SECONDS

    def stop(self) -> None:
        """Each finishes its step, and ends; no other is begun."""
        self._stopping = True
        for process in tuple(self._running):
            with suppress(ProcessLookupError):
                process.terminate()


def _again(told: bytes) -> float | None:
    try:
        again = json.loads(told.splitlines()[-1])["again_seconds"]
    except (ValueError, LookupError, TypeError):
        return AGAIN_SECONDS
    return None if again is None else float(again)


# -- datareeve worker --------------------------------------------------------------------------------------------------------------


def work(  # noqa: PLR0913 - how it works
    project: Path,
    queue: JobQueue,
    *,
    concurrency: int,
    once: bool,
    command: Sequence[str] = COMMAND,
    stalled_seconds: float | None = None,
) -> None:
    """Take queued runs until told to stop (SIGTERM, SIGINT): then the steps under way are finished, and the rest is left to other workers."""
    children = Children(project, command)

    async def perform(pipeline: str) -> float | None:
        return await asyncio.to_thread(children.run, pipeline)

    options = {} if stalled_seconds is None else {"stalled_seconds": stalled_seconds}
    working = queue.work(perform, concurrency=concurrency, once=once, **options)

    def stop() -> None:
        working.stop()
        children.stop()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        await working.run()

    asyncio.run(main())


# -- datareeve serve ---------------------------------------------------------------------------------------------------------------


class Starter:
    """Who runs a pipeline that has work: a worker, where the ledger is shared and one lives; else a process of our own."""

    def __init__(self, children: Children, queue: JobQueue | None) -> None:
        self._children, self._queue = children, queue
        self._own = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="pipeline")
        self._names: set[str] = set()
        self._asked, self._used = -ASK_SECONDS, False

    def __call__(self, pipeline: str) -> None:
        """Start it; quiet where it is being run from here. Errors: those of the queue."""
        if self._has_workers():
            assert self._queue is not None  # noqa: S101 - it has workers
            self._queue.put(pipeline)
        elif pipeline not in self._names:
            self._names.add(pipeline)
            self._own.submit(self._run, pipeline)

    def _run(self, pipeline: str) -> None:
        try:
            self._children.run(pipeline)
        finally:
            self._names.discard(pipeline)

    def _has_workers(self) -> bool:
        if self._queue is not None and time.monotonic() - self._asked >= ASK_SECONDS:
            self._used = self._queue.used(LIVES_SECONDS)
            self._asked = time.monotonic()
        return self._used

    def stop(self) -> None:
        """End what is under way after its step, and wait for it."""
        self._children.stop()
        self._own.shutdown(cancel_futures=True)


@contextmanager
def serving(app: App, command: Sequence[str] = COMMAND) -> Iterator[More]:
    """What `serve` does for pipelines at each look; at the end, what it runs itself is stopped after its step."""
    starter = Starter(Children(app.project, command), app.job_queue())
    try:
        yield app.more_schedules(starter)
    finally:
        starter.stop()


# -- the process itself ------------------------------------------------------------------------------------------------------------


def perform(pipeline: str, app: App) -> dict[str, object]:
    """Carry out what is open of a pipeline, in this process, which may end itself."""
    from datareeve.capabilities.pipelines.scheduling.performing import Stop  # noqa: PLC0415 - only here

    stop = Stop(lambda: os._exit(GIVEN_UP))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.asked.set())
    return app.perform_pipeline(pipeline, stop).model_dump(mode="json")


def main(words: Sequence[str], opened: Callable[[Path], App] | None = None) -> int:
    """The process: `PIPELINE PROJECT`. Tells as a line of JSON what is left to do."""
    from datareeve.app import App  # noqa: PLC0415 - only here
    from datareeve.core.errors import DatareeveError  # noqa: PLC0415 - as above

    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipeline, project = words
    try:
        app = (opened or App.open)(Path(project))
        try:
            told = perform(pipeline, app)
        finally:
            app.close()
    except DatareeveError as error:
        sys.stderr.write(f"{pipeline}: {error}\n")
        return error.exit_status
    sys.stdout.write(json.dumps(told) + "\n")
    return 0


def _end_with_parent() -> None:
    os.read(0, 1)  # nothing is ever written there: it ends when whoever holds the other end does
    os._exit(GONE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
