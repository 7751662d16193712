"""What runs a side of `script/bench quality`: a process of its own, with wall and CPU seconds and the memory of it and all it started, and the server's CPU beside."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
SAMPLE_SECONDS = 0.05
LONGEST = 3600


class NotComparable(Exception):
    """A side did not answer as all must; the text says in what."""


@dataclass(frozen=True)
class Run:
    """One run of a side."""

    wall_s: float  # of the whole process, from its start to its end
    cpu_s: float  # of it and its children, and of the server
    own_cpu_s: float  # without the server
    peak_mb: float  # of it and its children together, at any one time
    work_s: float  # what the side itself measured: its checks, without Python's start
    told: dict[str, Any] = field(default_factory=dict)


def server_cpu(postmaster: int | None) -> float:
    """CPU seconds of all processes that a server has had, and has."""
    if postmaster is None:
        return 0.0
    stat = Path(f"/proc/{postmaster}/stat").read_text().rsplit(")", 1)[1].split()
    total = sum(map(int, stat[11:15])) / TICKS  # its own, and those of children that have ended
    for child in _children(postmaster):
        try:
            total += int(Path(f"/proc/{child}/schedstat").read_text().split()[0]) / 1e9
        except (OSError, IndexError):
            continue
    return total


def _children(pid: int) -> list[int]:
    try:
        return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _tree_mb(pid: int) -> float:
    total = 0
    for one in (pid, *_children(pid)):
        try:
            total += int(Path(f"/proc/{one}/statm").read_text().split()[1]) * PAGE
        except (OSError, IndexError):
            continue
        total += int(sum(_tree_mb(child) for child in _children(one)) * 1e6) if one != pid else 0
    return total / 1e6


def run(
    command: list[str],
    *,
    postmaster: int | None = None,
    cwd: Path | None = None,
    parse: bool = True,
    good: tuple[int, ...] = (0,),
) -> Run:
    """Run a command to its end. Errors: `NotComparable` with the end of what it complained of."""
    before, began = server_cpu(postmaster), time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=cwd,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": "0"},
    )
    peak = _Peak(process.pid)
    try:
        out, err = process.communicate(timeout=LONGEST)
    except BaseException:
        process.kill()
        process.wait()
        raise
    finally:
        usage = peak.stop()
    wall = time.perf_counter() - began
    time.sleep(0.05)  # the server's own processes end a moment later
    served = server_cpu(postmaster) - before
    if process.returncode not in good:
        raise NotComparable((err or out).strip()[-400:])
    told = _told(out) if parse else {}
    return Run(wall, usage + served, usage, peak.mb, told.get("seconds", wall), told)


def _told(out: str) -> dict[str, Any]:
    """The one JSON object that was printed, or that of the last line."""
    try:
        found: dict[str, Any] = json.loads(out)
    except json.JSONDecodeError:
        found = json.loads(out.strip().splitlines()[-1])
    return found


class _Peak:
    """The greatest memory of a process and its children, looked at often, and the CPU time that children of ours have used since."""

    def __init__(self, pid: int) -> None:
        self.mb = 0.0
        self._pid, self._over = pid, threading.Event()
        self._used = _children_cpu()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.mb = max(self.mb, _tree_mb(self._pid))

    def stop(self) -> float:
        self._over.set()
        self._thread.join()
        return _children_cpu() - self._used


def _children_cpu() -> float:
    """Of processes that ended and were waited for, with theirs: one side at a time runs, so the difference is its."""
    times = os.times()
    return times.children_user + times.children_system
