"""dbt as a process: found, started with nothing of our environment that it need not see, bounded in time, ended with all it started.

It is told whose run it is by variables that dbt copies into its own artifacts (`DBT_ENV_CUSTOM_ENV_...`); by the same a later worker finds it
among this machine's processes. Its events go to a file, so that they outlive the worker that reads them; the file is the owner's alone, and gone at the end.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from datareeve.core.errors import BadInput, Failed
from datareeve.systems.dbt_artifacts import logged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RUN, KEY = "DBT_ENV_CUSTOM_ENV_DATAREEVE_RUN", "DBT_ENV_CUSTOM_ENV_DATAREEVE_KEY"
QUIET = {
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "0",
    "DO_NOT_TRACK": "1",
    "DBT_USE_COLORS": "0",
    "DBT_LOG_FORMAT": "json",
}
KEPT = frozenset(
    (
        "PATH",
        "HOME",
        "LANG",
        "LANGUAGE",
        "TZ",
        "TMPDIR",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "REQUESTS_CA_BUNDLE",
    )
)
POLITE_SECONDS = 15.0  # that it has to cancel what it runs in the database
TOLD = 3


@dataclass(frozen=True)
class Program:
    """How dbt is called for one project."""

    executable: Path
    project: Path
    profiles: Path | None = None
    target: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)  # holds secrets

    def words(self, command: str, *arguments: str) -> list[str]:
        """The whole command."""
        where = ["--project-dir", str(self.project)]
        where += ["--profiles-dir", str(self.profiles)] if self.profiles else []
        where += ["--target", self.target] if self.target else []
        return [str(self.executable), command, *where, *arguments]

    def variables(self, run: str = "", key: str = "") -> dict[str, str]:
        """What dbt is told by its environment."""
        ours = {
            name: value
            for name, value in os.environ.items()
            if name in KEPT or name.startswith(("LC_", "DBT_"))
        }
        marks = {RUN: run, KEY: key} if run else {}
        return {**ours, **self.environment, **QUIET, **marks}

    def start(self, words: Sequence[str], log: Path, run: str = "", key: str = "") -> subprocess.Popen[bytes]:
        """Start it in a session of its own, its events going to a file. Errors: `Failed` `dbt.start`."""
        log.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return subprocess.Popen(  # noqa: S603 - the program that the estate names
                list(words),
                cwd=self.project,
                env=self.variables(run, key),
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise Failed("dbt.start", f"{self.executable} cannot be started: {error.strerror}.", "Look at `executable` in estate.yaml.") from None  # fmt: skip
        finally:
            os.close(handle)


def executable(named: str | None, base: Path) -> Path:
    """The dbt program. Errors: `BadInput` `dbt.missing`."""
    beside = Path(sys.executable).parent / "dbt"
    found = [str(base / Path(named).expanduser())] if named else [shutil.which("dbt"), str(beside)]
    for one in found:
        if one and os.access(one, os.X_OK) and Path(one).is_file():
            return Path(one)
    raise BadInput(
        "dbt.missing",
        f"There is no dbt at {named}." if named else "There is no dbt on PATH, nor beside Datareeve.",
        "Install dbt-core (below 1.12) with the project's adapter, and name it under `executable`.",
    )


def wait(process: subprocess.Popen[bytes], seconds: float) -> int:
    """Its exit status. Whatever ends the waiting also ends it. Errors: `Failed` `dbt.timeout`."""
    try:
        return process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Failed(
            "dbt.timeout",
            f"dbt ran longer than {seconds:g} s, and was ended.",
            "Run a part of it with --select, or allow more: timeout_seconds in estate.yaml.",
        ) from None
    finally:
        if process.poll() is None:
            end(psutil.Process(process.pid))
            process.wait()


def output(program: Program, words: Sequence[str], log: Path, seconds: float) -> list[str]:
    """The lines of a command that only reads the project. Errors: `Failed` `dbt.failed`, with what of dbt's error holds no value."""
    log.unlink(missing_ok=True)
    try:
        status = wait(program.start(words, log), seconds)
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    finally:
        log.unlink(missing_ok=True)
    if status:
        raise failure(status, lines)
    return lines


def failure(status: int, lines: Sequence[str]) -> Failed:
    """Why dbt did nothing, as far as its own words say so."""
    told = "; ".join(logged(lines).errors[:TOLD]) or f"exit status {status}"
    return Failed(
        "dbt.failed",
        f"dbt could not begin: {told}.",
        "Run the same dbt command there, which tells all of it: what it quotes is not passed on. Are its packages there (dbt deps), and its variables (environment in estate.yaml)?",
    )


def of_run(run: str) -> list[psutil.Process]:
    """The processes of this machine that belong to a run."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(RUN) == run and process.pid != os.getpid():
                found.append(process)
    return found


def end(process: psutil.Process) -> None:
    """End a process and those it started: first so that it can cancel its statements, then at once. Gives back when all of them are gone."""
    with suppress(psutil.Error):
        every = [process, *process.children(recursive=True)]
        process.send_signal(signal.SIGINT)
        _, alive = psutil.wait_procs(every, timeout=POLITE_SECONDS)
        for one in alive:
            with suppress(psutil.Error):
                one.kill()
        psutil.wait_procs(alive, timeout=POLITE_SECONDS)


def since(began: float) -> float:
    """Seconds that have passed."""
    return round(time.monotonic() - began, 3)
