"""The CPU time that a statement takes on a server of this machine: what else runs there hardly disturbs it.

The server process's own run time is in `/proc/<pid>/schedstat` (nanoseconds: Linux, sched-stats.rst); that of parallel workers is among the
postmaster's ended children (to 10 ms: proc(5)). Where the server is not on this machine nothing is known.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

REAPED_SECONDS = 0.03


class Stopwatch:
    """The CPU time of one server process on this machine, and of the parallel workers that ended meanwhile."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        pid = connection.info.backend_pid
        self._own = Path(f"/proc/{pid}/schedstat")
        self._parent = Path(f"/proc/{_parent(pid)}/stat")
        self._ticks = 1000 / os.sysconf("SC_CLK_TCK")
        here = connection.info.host.startswith(("/", "127.")) or connection.info.host in {"localhost", "::1"}
        self.works = here and _nanoseconds(self._own) is not None
        self._began: float | None = None
        self._workers = 0.0

    def start(self) -> None:
        """Begin."""
        if self.works:
            self._began, self._workers = _nanoseconds(self._own), self._ended()

    def stop(self, *, parallel: bool) -> float | None:
        """Milliseconds of CPU since; None where it cannot be known."""
        now = _nanoseconds(self._own) if self.works else None
        if now is None or self._began is None:
            return None
        return (now - self._began) / 1e6 + (self._of_workers() if parallel else 0.0)

    def _of_workers(self) -> float:
        """What the workers took; the postmaster counts a child a moment after it has ended."""
        deadline = time.monotonic() + REAPED_SECONDS
        while (spent := self._ended() - self._workers) <= 0 and time.monotonic() < deadline:
            time.sleep(0.001)
        return spent

    def _ended(self) -> float:
        """CPU of the postmaster's ended children, in milliseconds."""
        try:
            fields = self._parent.read_text().rpartition(")")[2].split()
        except OSError:
            return 0.0
        return (int(fields[13]) + int(fields[14])) * self._ticks  # cutime and cstime: proc(5)


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _nanoseconds(file: Path) -> float | None:
    try:
        return float(file.read_text().split()[0])
    except (OSError, IndexError, ValueError):
        return None
