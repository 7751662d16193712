"""pg_dump of a database that matters: one connection, no long wait for a lock, an end in time, and nothing of it on a disk.

What is dumped goes through a pipe straight into the server that takes it; lines that this server would reject are changed on the way.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from datareeve.core.errors import Failed, Refused
from datareeve.systems import pg_server

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from datareeve.systems.postgres import Postgres

LOCK_MS = 5000
CHUNK = 1 << 20
NAMES_A_PATTERN = 150  # a regular expression of many more names is too complex for the server
POLITE = (
    f"--lock-wait-timeout={LOCK_MS}",
    "--no-owner",
    "--no-privileges",
    "--no-tablespaces",
    "--no-comments",
    "--no-security-labels",
    "--no-publications",
    "--no-subscriptions",
)
# Debian's PostgreSQL 15.20 stamps columns with an option that other versions reject, and the table with it.
REJECTED = re.compile(rb"^ALTER TABLE .* ALTER COLUMN .* SET \(pg_attver=[^)]*\);$", re.MULTILINE)
COLLATION = re.compile(rb' COLLATE pg_catalog\."([^"]+)"')


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment by which something has to be done."""

    at: float
    what: str
    code: str = "copy.too-slow"

    @classmethod
    def after(cls, seconds: float, what: str, code: str = "copy.too-slow") -> Deadline:
        """So many seconds from now."""
        return cls(time.monotonic() + seconds, what, code)

    @property
    def left(self) -> float:
        """Seconds that are left. Errors: `Failed` where none are."""
        left = self.at - time.monotonic()
        if left <= 0:
            raise self.passed()
        return left

    def passed(self) -> Failed:
        """The error for a deadline that was not kept."""
        return Failed(
            self.code,
            f"{self.what} did not end in the time it was given.",
            "Try in a quieter hour, or give systems.*.copies.max_seconds more.",
        )


class Lines:
    """The definitions of a dump, changed so that the receiving server takes them."""

    def __init__(self, collations: Collection[str]) -> None:
        self._collations = {name.encode() for name in collations}
        self.missing: set[str] = set()  # collations that the receiver does not have

    def changed(self, line: bytes) -> bytes:
        """A line as the receiver takes it."""
        if line.startswith(b"ALTER TABLE "):
            return REJECTED.sub(b"", line)
        if b" COLLATE pg_catalog." in line and b"'" not in line:
            return COLLATION.sub(self._known, line)
        return line

    def _known(self, found: re.Match[bytes]) -> bytes:
        if found[1] in self._collations:
            return found[0]
        self.missing.add(found[1].decode(errors="replace"))
        return b""


def pour(
    system: Postgres,
    dump: Sequence[str],
    into: Sequence[str],
    *,
    deadline: Deadline,
    lines: Lines | None = None,
) -> None:
    """Run a dump and feed what it writes to another program.

    Errors: `Failed` with the deadline's code, `copy.locked`, `copy.dump`; `Refused` `copy.rights`.
    """
    with (
        _connection(system) as (url, env),
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603
            into, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
        ) as sink,
        subprocess.Popen(  # noqa: S603
            [*dump, *POLITE, "-d", url], stdout=subprocess.PIPE, stderr=said, env=env, cwd="/"
        ) as source,
        _ended_by(deadline, source, sink) as ended,
    ):
        try:
            _feed(source.stdout, sink.stdin, lines)
        except Failed:
            if ended.is_set():
                raise deadline.passed() from None
            raise
        status = source.wait()
        sink.wait()
        said.seek(0)
        words = said.read()
    if ended.is_set():
        raise deadline.passed()
    if status != 0:
        raise _why(system, words)


def save(system: Postgres, dump: Sequence[str], *, deadline: Deadline) -> None:
    """Run a dump that writes a file of its own (`-f`), of definitions. Errors: as `pour`."""
    with (
        _connection(system) as (url, env),
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603
            [*dump, *POLITE, "-d", url], stdout=subprocess.DEVNULL, stderr=said, env=env, cwd="/"
        ) as source,
        _ended_by(deadline, source) as ended,
    ):
        status = source.wait()
        said.seek(0)
        words = said.read()
    if ended.is_set():
        raise deadline.passed()
    if status != 0:
        raise _why(system, words)


def run(command: Sequence[str], *, deadline: Deadline) -> None:
    """Run a program on the copy's side; its words are not kept, for they may quote rows. Errors: the deadline's."""
    quiet = subprocess.DEVNULL
    with (
        subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, cwd="/") as program,  # noqa: S603
        _ended_by(deadline, program) as ended,
    ):
        program.wait()
    if ended.is_set():
        raise deadline.passed()


@contextmanager
def _connection(system: Postgres) -> Iterator[tuple[str, dict[str, str]]]:
    system.disconnect()  # our own idle connection: the original never has more than one of ours
    password = system.password.reveal() if system.password else None
    with pg_server.password_file(system.entry.url, password) as env:
        yield system.entry.url, {**os.environ, "LC_ALL": "C", "PGAPPNAME": "datareeve/copy", **env}


@contextmanager
def _ended_by(deadline: Deadline, *programs: subprocess.Popen[Any]) -> Iterator[threading.Event]:
    """Kill the programs at the deadline, or when the block is left for another reason while they go on."""
    ended = threading.Event()

    def end() -> None:
        ended.set()
        _kill(programs)

    timer = threading.Timer(deadline.left, end)
    timer.start()
    try:
        yield ended
    except BaseException:
        _kill(programs)
        raise
    finally:
        timer.cancel()


def _kill(programs: Sequence[subprocess.Popen[Any]]) -> None:
    for program in programs:
        if program.poll() is None:
            program.kill()


def _feed(source: IO[bytes] | None, sink: IO[bytes] | None, lines: Lines | None) -> None:
    """Definitions line by line, rows in large pieces."""
    if source is None or sink is None:
        return
    try:
        for line in source if lines is not None else ():
            sink.write(lines.changed(line) if lines is not None else line)
            if line.startswith(b"COPY "):
                break  # rows from here on; the definitions that a change is needed for come before them
        while piece := source.read(CHUNK):
            sink.write(piece)
        sink.close()
    except BrokenPipeError:
        raise Failed(
            "copy.restore", "The copy's server ended while it was filled.", "Look whether its disk is full."
        ) from None


def _why(system: Postgres, words: bytes) -> Failed | Refused:
    """What pg_dump complains of, without what it may quote."""
    if b"lock timeout" in words or b"could not obtain lock" in words:
        return Failed(
            "copy.locked",
            f"A table of {system.name} is locked by another session, and was not waited for.",
            "Look who holds it (pg_blocking_pids), or try in a quieter hour.",
        )
    if b"permission denied" in words:
        return Refused(
            "copy.rights",
            f"The role may not read all of {system.name}.",
            "Grant it pg_read_all_data (14 and newer), or SELECT on the tables and sequences.",
        )
    return Failed("copy.dump", f"pg_dump of {system.name} failed.", "The server's log says why.")


def patterns(names: Sequence[tuple[str, str]]) -> list[str]:
    """pg_dump's patterns for tables given as (schema, name): few, whatever their number."""
    by_schema: dict[str, list[str]] = {}
    for schema, name in names:
        by_schema.setdefault(schema, []).append(name)
    return [
        f"{_quoted(schema)}.{'|'.join(_quoted(name) for name in found[start : start + NAMES_A_PATTERN])}"
        for schema, found in by_schema.items()
        for start in range(0, len(found), NAMES_A_PATTERN)
    ]


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def newest(system: Postgres, binaries: Path, name: str) -> str:
    """A client tool of a folder of binaries, which must be as new as the server. Errors: `Failed` `copy.no-tool`."""
    tool = pg_server.reachable_binaries(binaries) / name
    if not tool.exists():
        raise Failed(
            "copy.no-tool",
            f"{tool} is missing, so {system.name} cannot be copied.",
            "Install the client tools.",
        )
    return str(tool)
