"""A stats-only twin of a database: its definitions and statistics without a row, on an embedded PostgreSQL 18, for asking "what if".

The planner looks at three things: the catalog, the statistics, and how many pages a relation's file has. The first two come through
`pg_dump --no-data --statistics`; the third is given by files of the original's length with nothing in them, which take no disk. Candidate
indexes are made while the tables are still empty, and get the length that `index_size` foretells. Nothing on the twin is ever executed.

Statistics hold values of rows: they go through a pipe, and live in a folder that only the server's own user can enter, until the end.
"""

from __future__ import annotations

import re
import statistics
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql as pgsql

from datareeve.core.errors import BadInput, Failed, Refused
from datareeve.systems import pg_disposable, pg_dumping, pg_server, pg_source, workload_replay
from datareeve.systems.adapter import reads
from datareeve.systems.btree_file import PAGE, FileWanted, set_length
from datareeve.systems.index_size import index_size, inner_pages
from datareeve.systems.index_size_facts import index_facts
from datareeve.systems.pg_dumping import Deadline
from datareeve.systems.plan_needs import nodes
from datareeve.systems.plan_shape import plan_shape
from datareeve.systems.postgres import Postgres, refuse_several

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from datareeve.systems.index_size import IndexSize
    from datareeve.systems.index_size_facts import Found
    from datareeve.systems.pg_server import LocalServer
    from datareeve.systems.pg_source import Source
    from datareeve.systems.workload_replay import Case
    from datareeve.systems.workload_source import Family

NEEDED = 18  # the first version that takes statistics in
MOST_RELATIONS = (
    4000  # tables and indexes; planning over more of them takes longer than looking at them is worth
)
FREE_BYTES = 300 * 10**6
SETTINGS = {
    "shared_buffers": "32MB",
    "max_locks_per_transaction": "2048",  # a partitioned table's candidate locks every partition
    "allow_system_table_mods": "on",
    "lc_messages": "C",
}
CREATE_INDEX = re.compile(r"\s*CREATE\s+(?:UNIQUE\s+)?INDEX\s+(CONCURRENTLY\s+)?", re.IGNORECASE)
CASES = 3  # executions of a family that are planned; the cost is their mean
STATEMENT_MS = 10_000

# What can be asked of statistics and the catalog alone.
WITHOUT_ROWS = {
    "copy_kind", "costs", "hypothetical_indexes", "query", "server", "setting_on_file", "workload", "needs", "plan_of",
}  # fmt: skip

Plans = dict[str, dict[str, Any]]  # by fingerprint: cost, indexes, shape


@dataclass(frozen=True, slots=True)
class Hypothetical:
    """An index that might be made: a name of its own, and the statement that would make it under that name."""

    name: str
    ddl: str


@dataclass
class Candidate:
    """A hypothetical index on the twin: its indexes (one a partition), its size, or why it could not be made."""

    name: str
    oids: tuple[int, ...] = ()
    tables: frozenset[int] = frozenset()
    bytes: int = 0
    error: float = 1.0
    why_not: str = ""


@dataclass
class Reach:
    """A family's executions, and the tables whose indexes can matter to them (None: not known, so all)."""

    cases: list[Case]
    tables: frozenset[int] | None
    generic: bool = False


class Twin(Postgres):
    """The twin: a database that plans like the original and holds no row."""

    differs: str = ""  # in what it is not like the original, in a sentence; empty where it is

    def __init__(self, name: str, entry: Any, server: LocalServer) -> None:
        super().__init__(name, entry, None, server)
        self.candidates: dict[str, Candidate] = {}
        self._reaches: dict[str, Reach] = {}
        self._known: dict[tuple[str, frozenset[str]], dict[str, Any]] = {}
        self._planner: psycopg.Connection[dict[str, Any]] | None = None

    @reads
    def copy_kind(self) -> str:
        """'twin': statistics only, no rows."""
        return "twin"

    @reads
    def hypothetical_indexes(self) -> dict[str, dict[str, Any]]:
        """What became of each candidate: {name: {bytes, error, why_not}}. `error`: the factor that `bytes` may be off by."""
        return {
            c.name: {"bytes": c.bytes, "error": c.error, "why_not": c.why_not}
            for c in self.candidates.values()
        }

    @reads
    def costs(
        self,
        visible: list[list[str]],
        fingerprints: list[str] | None = None,
        statements: dict[str, list[Any]] | None = None,
    ) -> list[Plans]:
        """How the workload would be planned with only these candidates there: for each set {fingerprint: {cost, indexes, shape}}.

        `statements` gives executions of its own for some fingerprints: [[sql, parameters], ...]. A family that cannot be planned here (a
        table that is not on the twin) is left out. What was planned before with the same candidates within reach is not planned again.
        Errors: `BadInput` `twin.unknown-index`, `workload.unknown-family`.
        """
        reaches = self._reached(fingerprints, statements or {})
        with self.translated():
            return [self._costs(self._checked(names), reaches) for names in visible]

    def read(self, action: str, /, **arguments: Any) -> Any:
        """The answer of a read that needs no rows. Errors: `Refused` `twin.no-rows` for one that does."""
        if action not in WITHOUT_ROWS:
            raise self._no_rows(action)
        return super().read(action, **arguments)

    def perform(
        self, action: str, /, *, run: str = "", connection: Any = None, **arguments: Any
    ) -> dict[str, Any]:
        """Nothing is carried out here: there are no rows that anything could be tried on."""
        del run, connection, arguments
        raise self._no_rows(action)

    def _no_rows(self, action: str) -> Refused:
        return Refused(
            "twin.no-rows",
            f"{action} cannot be tried: the copy of {self.name} has statistics but no rows.",
            "Free space or give systems.*.copies.max_gb more, so that rows can be copied.",
        )

    def close(self) -> None:
        """Close every connection."""
        super().close()
        if self._planner is not None:
            self._planner.close()
            self._planner = None

    # -- planning ------------------------------------------------------------------------------------------------------------------

    def _checked(self, names: Sequence[str]) -> frozenset[str]:
        for name in names:
            if name not in self.candidates:
                raise BadInput(
                    "twin.unknown-index", f"The twin has no candidate {name!r}.", "Name one it was made with."
                )
        return frozenset(names)

    def _costs(self, visible: frozenset[str], reaches: dict[str, Reach]) -> Plans:
        """The plans with some candidates visible; only what is not known yet is planned."""
        keys = {f: (f, self._within(visible, reach)) for f, reach in reaches.items()}
        unknown = [f for f, key in keys.items() if key not in self._known]
        if unknown:
            hidden = [oid for name, c in self.candidates.items() if name not in visible for oid in c.oids]
            with self._hiding(hidden) as connection:
                roots = workload_replay.roots(connection)
                for fingerprint in unknown:
                    self._known[keys[fingerprint]] = _planned(connection, reaches[fingerprint], roots)
        return {f: self._known[key] for f, key in keys.items() if self._known[key]}

    def _within(self, visible: frozenset[str], reach: Reach) -> frozenset[str]:
        """The visible candidates that this family could use."""
        if reach.tables is None:
            return visible
        return frozenset(name for name in visible if self.candidates[name].tables & reach.tables)

    @contextmanager
    def _hiding(self, oids: list[int]) -> Iterator[psycopg.Connection[dict[str, Any]]]:
        """A transaction in which indexes are out of the planner's sight: it does not look at those that are not valid."""
        if self._planner is None or self._planner.closed:
            self._planner = self.connect(application_name="datareeve/twin")
            self._planner.prepare_threshold = None
            self._planner.execute(f"SET statement_timeout = {STATEMENT_MS}")
        with self._planner.transaction(force_rollback=True):
            if oids:
                self._planner.execute(
                    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = ANY(%s)", (oids,)
                )
            yield self._planner

    def _reached(self, fingerprints: list[str] | None, statements: dict[str, list[Any]]) -> dict[str, Reach]:
        result = {
            f: Reach([(text, parameters or None) for text, parameters in given], None)
            for f, given in statements.items()
        }
        for f in result:  # another text under a known name: forget what was planned for that name
            self._known = {key: plan for key, plan in self._known.items() if key[0] != f}
        wanted = None if fingerprints is None else [f for f in fingerprints if f not in statements]
        if wanted is None and statements and fingerprints is None:
            return result
        for family in workload_replay.wanted(workload_replay.recording(self), wanted):
            fingerprint = family.shape.fingerprint
            if fingerprint not in self._reaches:
                self._reaches[fingerprint] = self._reach(family)
            result[fingerprint] = self._reaches[fingerprint]
        return result

    def _reach(self, family: Family) -> Reach:
        found = workload_replay.cases(self.original or self, family, CASES)
        tables = None
        if family.shape.parsed:
            tables = frozenset(pg_source.reached(self, family.shape.tables))
        if found:
            return Reach(found, tables)
        return Reach([(family.shape.text, None)], tables, generic=True)


def _planned(connection: psycopg.Connection[Any], reach: Reach, roots: dict[str, str]) -> dict[str, Any]:
    """The mean cost, the indexes and the shape of a family's plans; empty where it cannot be planned."""
    plans = [plan for case in reach.cases if (plan := _plan(connection, case, generic=reach.generic))]
    if not plans:
        return {}
    used = {n["Index Name"] for plan in plans for n in nodes(plan) if "Index Name" in n}
    return {
        "cost": round(statistics.fmean(plan["Total Cost"] for plan in plans), 2),
        "indexes": sorted(used | {roots[name] for name in used if name in roots}),
        "shape": plan_shape(plans[0]),
    }


def _plan(connection: psycopg.Connection[Any], case: Case, *, generic: bool) -> dict[str, Any] | None:
    statement = f"EXPLAIN (FORMAT JSON{', GENERIC_PLAN' if generic else ''}) {case[0]}"
    try:
        with connection.transaction():
            if not case[1]:
                refuse_several(connection, statement)
            row = connection.execute(statement, case[1]).fetchone()
    except (psycopg.Error, BadInput):
        return None
    answer: list[dict[str, Any]] = next(iter(row.values())) if row else []
    return answer[0]["Plan"] if answer and "Plan" in answer[0] else None


# -- making ----------------------------------------------------------------------------------------------------------------------------


@contextmanager
def twin_of(
    system: Postgres,
    folder: Path,
    *,
    indexes: Sequence[Hypothetical] = (),
    progress: Callable[[str], None] | None = None,
    max_seconds: float = 60.0,
) -> Iterator[Twin]:
    """A stats-only twin of a database below `folder`, with candidate indexes, removed at the end.

    Errors: `BadInput` `twin.no-server`, `twin.not-an-index`; `Failed` `twin.too-many-relations`, `twin.too-slow`, `copy.no-space`, `copy.locked`,
    `copy.dump`.
    """
    for index in indexes:
        _refuse_other_statements(index)
    say = progress or (lambda _text: None)
    binaries = _binaries()
    if (free := pg_disposable.free_bytes(folder)) < FREE_BYTES:
        raise Failed(
            "copy.no-space",
            f"{free / 1e6:.0f} MB are free for a twin of {system.name}; it needs {FREE_BYTES / 1e6:.0f} MB.",
            "Free space, or name another folder: systems.*.copies.folder.",
        )
    deadline = Deadline.after(max_seconds, f"The twin of {system.name}", "twin.too-slow")
    say(f"making a stats-only twin of {system.name}")
    source = pg_source.look(system, binaries, deadline.left)
    maker = _Maker(system, source, binaries, deadline)
    maker.choose()
    with pg_disposable.server(
        folder, "twin", binaries=binaries, settings={**source.settings, **SETTINGS}
    ) as (server, _):
        twin = maker.make(server, indexes)
        try:
            yield twin
        finally:
            twin.close()


def _refuse_other_statements(index: Hypothetical) -> None:
    if CREATE_INDEX.match(index.ddl) is None:
        raise BadInput(
            "twin.not-an-index",
            f"{index.name}: this is not a CREATE INDEX statement.",
            "Give one CREATE INDEX.",
        )


def _binaries() -> Path:
    """Binaries that take statistics in. Errors: `BadInput` `twin.no-server`."""
    for folder in (pg_server.embedded_binaries(), pg_server.find_binaries()):
        if folder is not None and pg_server.version_of(folder) >= NEEDED:
            return folder
    raise BadInput(
        "twin.no-server",
        f"No PostgreSQL {NEEDED} is installed here, which a stats-only twin needs.",
        "pip install 'datareeve[embedded]'.",
    )


@dataclass
class _Maker:
    """The making of one twin."""

    system: Postgres
    source: Source
    binaries: Path
    deadline: Deadline
    kept: set[int] | None = None  # oids of the relations that the workload reaches, where not all are brought
    said: list[str] = field(default_factory=list)

    def choose(self) -> None:
        """All relations, or those that the workload reaches. Errors: `Failed` `twin.too-many-relations`."""
        if self.source.major > pg_server.version_of(self.binaries):
            raise BadInput(
                "twin.no-server",
                f"{self.system.name} is PostgreSQL {self.source.major}, newer than the server for twins.",
                "Upgrade datareeve[embedded].",
            )
        count = len(self.source.relations)
        if count <= MOST_RELATIONS:
            return
        families = workload_replay.recording(self.system).families.values()
        names = {name for family in families for name in family.shape.tables}
        self.kept = pg_source.reached(self.system, names, self.deadline.left) if names else set()
        left = [r for r in self.source.relations if r.oid in self.kept or r.table_oid in self.kept]
        if not left or len(left) > MOST_RELATIONS:
            reach = (
                f"its workload reaches {len(left):,} of them" if left else "no workload tells which matter"
            )
            raise Failed(
                "twin.too-many-relations",
                f"{self.system.name} has {count:,} tables and indexes, and {reach}; a twin may have {MOST_RELATIONS:,}.",
                "Declare a workload (systems.*.workload) of fewer tables, or advise on the database itself.",
            )
        self.said.append(
            f"{len(left):,} of {count:,} tables and indexes are there, those that the workload reaches"
        )

    def make(self, server: LocalServer, indexes: Sequence[Hypothetical]) -> Twin:
        """Fill an empty server."""
        url, differs = pg_disposable.database(server, self.source)
        self.said += [differs] if differs else []
        entry = self.system.entry.model_copy(update={"url": url, "password": None, "read_role": None})
        twin = Twin(self.system.name, entry, server)
        twin.original, twin.project = self.system, self.system.project
        try:
            self._fill(twin, server, indexes)
        except BaseException:
            twin.close()
            raise
        return twin

    def _fill(self, twin: Twin, server: LocalServer, indexes: Sequence[Hypothetical]) -> None:
        self._restore(twin)
        with twin.connect(application_name="datareeve/twin") as connection, twin.translated():
            for index in indexes:
                twin.candidates[index.name] = _create(connection, index)
            lengths = self._files(connection, server)
        # A new session, which has not seen the tables while they were empty.
        with twin.connect(application_name="datareeve/twin") as connection, twin.translated():
            files = self._sizes(connection, twin, lengths)
        twin.close()
        server.stop()
        for path, wanted in files.items():
            set_length(server.data / path, wanted, server.os_user)
        server.start()
        twin.differs = self._difference(twin)

    def _restore(self, twin: Twin) -> None:
        psql = [
            pg_dumping.newest(self.system, self.binaries, "psql"),
            *("-X", "-q", "-d", twin.entry.url),
        ]
        known = twin.query("SELECT DISTINCT collname::text FROM pg_collation", shape="column")
        lines = pg_dumping.Lines(known)
        for options in self._dumps():
            dump = [pg_dumping.newest(self.system, self.binaries, "pg_dump"), "--no-data", *options]
            pg_dumping.pour(self.system, dump, psql, deadline=self.deadline, lines=lines)
        if lines.missing:
            self.said.append(f"collations that are not here are left out: {some(sorted(lines.missing))}")

    def _dumps(self) -> list[list[str]]:
        """The options of the dumps that bring the definitions and statistics."""
        unreadable = [(r.schema, r.name) for r in self.source.unreadable()]
        without = [f"--exclude-table={pattern}" for pattern in pg_dumping.patterns(unreadable)]
        if self.kept is None:
            return [["--statistics", *without]]
        kept = [
            (r.schema, r.name)
            for r in self.source.relations
            if r.oid in self.kept and r.kind in "rpmvf" and r.readable
        ]
        # What is chosen by name comes without the types and functions it needs: these come first.
        return [
            ["--section=pre-data", "--exclude-table=*.*"],
            ["--statistics", *(f"--table={pattern}" for pattern in pg_dumping.patterns(kept))],
        ]

    def _files(self, connection: psycopg.Connection[Any], server: LocalServer) -> dict[str, FileWanted]:
        """Give tables their length at once, and say which existing indexes are to be given theirs."""
        there = {(row["schema"], row["name"]): row["path"] for row in connection.execute(FILES_SQL)}
        connection.execute("CHECKPOINT")
        files = {}
        for relation in self.source.relations:
            path = there.get((relation.schema, relation.name))
            if path is None or relation.kind not in "rmi" or not relation.bytes:
                continue
            if relation.kind == "i":
                files[path] = FileWanted(relation.bytes)
            else:
                set_length(server.data / path, FileWanted(relation.bytes), server.os_user)
        return files

    def _sizes(
        self, connection: psycopg.Connection[Any], twin: Twin, files: dict[str, FileWanted]
    ) -> dict[str, FileWanted]:
        """Every index's length, and the height of B-trees: the original's, or for a candidate the one that is foretold."""
        owner = {oid: candidate for candidate in twin.candidates.values() for oid in candidate.oids}
        result = {}
        for found in index_facts(connection, major=self.source.major):
            candidate = owner.get(found.oid)
            if candidate is not None:
                size = _foretold(connection, found)
                candidate.bytes += size.bytes
                candidate.error = size.error
                length, height = size.bytes, size.height
            elif found.path in files:
                length = files[found.path].bytes
                height = inner_pages(length // PAGE, found.facts)[1]
            else:
                continue
            result[found.path] = FileWanted(length, height if found.facts.method == "btree" else None)
        return result

    def _difference(self, twin: Twin) -> str:
        """In what the twin is not like the original."""
        source, said = self.source, list(self.said)
        major = twin.read("server")["version_num"] // 10000
        if major != source.major:
            said.insert(0, f"it is PostgreSQL {major}, the original {source.major}")
        there = {(row["schema"], row["name"]) for row in twin.query(PRESENT_SQL)}
        expected = [
            r for r in source.relations if self.kept is None or r.oid in self.kept or r.table_oid in self.kept
        ]
        missing = [r for r in expected if (r.schema, r.name) not in there]
        for kinds, what in (("rpm", "tables"), ("f", "foreign tables"), ("v", "views"), ("iI", "indexes")):
            if names := sorted(str(r) for r in missing if r.kind in kinds):
                said.append(f"{len(names)} {what} could not be brought over: {some(names)}")
        bare = {(row["schema"], row["name"]) for row in twin.query(NO_STATISTICS_SQL)}
        if names := sorted(
            str(r) for r in expected if r.bytes and (r.schema, r.name) in bare and r.kind in "rm"
        ):
            said.append(f"no statistics were gathered or may be read of {some(names)}")
        if any(r.row_security for r in expected):
            said.append("row security is not applied")
        if extended := twin.query("SELECT count(*) FROM pg_statistic_ext", shape="scalar"):
            said.append(f"the contents of {extended} extended statistics cannot be brought over")
        return f"The twin differs: {'; '.join(said)}." if said else ""


FILES_SQL = """
SELECT n.nspname AS schema, c.relname AS name, pg_relation_filepath(c.oid) AS path
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm', 'i') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""
PRESENT_SQL = """
SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
"""
NO_STATISTICS_SQL = """
SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'm') AND NOT EXISTS (SELECT 1 FROM pg_statistic s WHERE s.starelid = c.oid)
"""
NEW_SQL = """
SELECT i.indexrelid::bigint AS oid, i.indrelid::bigint AS table_oid FROM pg_index i WHERE i.indexrelid > %s
"""


def _create(connection: psycopg.Connection[Any], index: Hypothetical) -> Candidate:
    """Make a candidate on the empty tables; where that fails, the candidate says why."""
    row = connection.execute("SELECT max(indexrelid)::bigint AS oid FROM pg_index").fetchone() or {}
    plain = CREATE_INDEX.sub(lambda found: found[0].replace(found[1] or "\0", ""), index.ddl, count=1)
    try:
        refuse_several(connection, plain)
        connection.execute(plain.encode())
    except (psycopg.Error, BadInput) as error:
        state = getattr(error, "sqlstate", None) or getattr(error, "code", "")
        return Candidate(index.name, why_not=f"It cannot be made on the twin ({state}).")
    made = connection.execute(NEW_SQL, (row["oid"],)).fetchall()
    return Candidate(index.name, tuple(m["oid"] for m in made), frozenset(m["table_oid"] for m in made))


def _foretold(connection: psycopg.Connection[Any], found: Found) -> IndexSize:
    """A candidate's size, given to its statistics too."""
    facts = found.facts
    if found.predicate:
        facts = replace(facts, rows=_rows_where(connection, found))
    size = index_size(facts)
    rows = facts.table_pages if facts.method == "brin" else facts.rows
    connection.execute(
        "SELECT pg_restore_relation_stats('schemaname', %s::text, 'relname', %s::text, 'relpages', %s::int, 'reltuples', %s::real)",
        (found.schema, found.name, size.pages, rows),
    )
    return size


def _rows_where(connection: psycopg.Connection[Any], found: Found) -> float:
    """How many rows the planner expects a partial index to hold."""
    table = pgsql.Identifier(found.schema, found.table_name).as_string(connection)
    # The predicate is text of the catalog, written by the server itself.
    plan = _plan(connection, (f"SELECT FROM ONLY {table} WHERE {found.predicate}", None), generic=False)
    return float(plan["Plan Rows"]) if plan else found.facts.rows


def some(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
