"""A folder of Parquet files as a destination: what is being built stands in a work file of the project, what is published is what the manifest names.

Rows that come are written as Parquet files at once where they are what will be published; nobody's reading sees a file before a manifest names it.
The work file (DuckDB) says how far the build came. The manifest has data and cursor in one, and is put only where there is none of its number: a
publisher that slept, or that built upon what is no longer published, finds another one there and publishes nothing. After a crash between the
manifest and the work file, the manifest is right.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

from datareeve.core.errors import Failed, Refused, StalePlan
from datareeve.systems.dataset_manifest import Manifest, folder_of, newest, put
from datareeve.systems.dataset_store import LocalStore, settle, writing
from datareeve.systems.dataset_work import as_stored, note_text, sidecar
from datareeve.systems.destination import Batch, Held, Rows
from datareeve.systems.destination_duckdb import DuckdbDestination, _opened
from datareeve.systems.mover import identifier, literal
from datareeve.systems.mover_errors import fenced, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping
    from pathlib import Path

    from datareeve.systems.mover import Mover

TRIES = 50  # against publishers of other pipelines, which are in nobody's way
OWN = (
    "CREATE TABLE IF NOT EXISTS datareeve.notes (name TEXT NOT NULL, note TEXT NOT NULL)",  # tables of a build that are files already
    "CREATE TABLE IF NOT EXISTS datareeve.bases (pipeline TEXT NOT NULL, build TEXT NOT NULL, base TEXT NOT NULL)",  # what builds rest on
    "CREATE TABLE IF NOT EXISTS datareeve.shown (name TEXT NOT NULL)",  # views of what is published
)
MANY, FEW = 128, 500_000  # files, and rows of each: then they are written as one
OPTIONS = "FORMAT parquet, COMPRESSION snappy"


class DatasetDestination(DuckdbDestination):
    """One folder of Parquet files."""

    published_as = "files"

    def __init__(
        self, name: str, mover: Mover, must_hold: Callable[[], None], root: Path, work: Path
    ) -> None:
        super().__init__(name, mover, must_hold)
        self._root, self._work = root, work
        self._store = LocalStore(root, name)
        self._manifest = Manifest()
        self._epoch = 0  # of the pipeline that is claimed, in the manifest
        self._news: dict[str, Any] | None = None  # what will be published
        self._entries: dict[str, Any] = {}  # and its tables; None of one that goes
        self._undoing = False
        self._rests_on: dict[str, Any] = {}  # the base of the build that is worked on
        self._swept: list[str] = []  # builds of which nothing is needed any more once this is committed

    @classmethod
    def of(cls, name: str, root: Path, work: Path, must_hold: Callable[[], None], **options: Any) -> Self:
        """Open the folder, making it where there is none. Errors: `Unreachable` `pipelines.locked`; `Refused` `pipelines.no-rights`."""
        with writing(name):
            root.mkdir(parents=True, exist_ok=True)
            if not os.access(root, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        there = cls(name, _opened(name, work, options), must_hold, root, work)
        try:
            there._begin()
        except BaseException:
            there.close()
            raise
        return there

    def _begin(self) -> None:
        self.run("SET TimeZone = 'UTC'")
        self.prepare()
        self._manifest = newest(self._store)
        with self.transaction():
            self._show_published()
        self._tell()

    def prepare(self) -> None:
        """See `Destination`."""
        super().prepare()
        for statement in OWN:
            self.run(statement)

    # -- state -----------------------------------------------------------------------------------------------------------------------

    def claim(self, pipeline: str, *, ledger: str, fence: int, run: str) -> Held:
        """See `Destination`. What is published is what the manifest says; a build upon what no longer is, is no build."""
        held = super().claim(pipeline, ledger=ledger, fence=fence, run=run)
        known = self._manifest.pipelines.get(pipeline) or {}
        self._epoch, published, build = int(known.get("epoch", 0)), known.get("published", {}), held.build
        if build and published.get("id") != build["id"] and self._base(held)["epoch"] != self._epoch:
            build = {**build, "run": "", "digest": ""}
        return Held(pipeline, held.epoch, build, published)

    def record(
        self, held: Held, *, build: dict[str, Any] | None = None, published: dict[str, Any] | None = None
    ) -> None:
        """See `Destination`."""
        super().record(held, build=build)
        self._news = published
        if build is None:
            return
        mine = f"pipeline = {literal(held.pipeline)}"
        of_others = [
            str(row[0])
            for row in self.run(f"SELECT build FROM datareeve.bases WHERE {mine}")
            if row[0] != build.get("id")
        ]
        for other in of_others:
            self.run(f"DELETE FROM datareeve.bases WHERE {mine} AND build = {literal(other)}")
            self._swept.append(other)
        if build and not self.run(f"SELECT 1 FROM datareeve.bases WHERE {mine}"):
            base = {"epoch": self._epoch, "tables": _files(self._manifest.tables)}
            texts = ", ".join(map(literal, (held.pipeline, build["id"], json.dumps(base))))
            self.run(f"INSERT INTO datareeve.bases VALUES ({texts})")

    def _base(self, held: Held) -> dict[str, Any]:
        """What the build rests on: the pipeline's epoch in the manifest, and the files of all tables as they were."""
        found = self.run(
            f"SELECT base FROM datareeve.bases WHERE pipeline = {literal(held.pipeline)} AND build = {literal(held.build['id'])}"
        )
        return json.loads(found[0][0]) if found else {"epoch": -1, "tables": {}}

    @contextmanager
    def commit(self, held: Held) -> Iterator[None]:
        """See `Destination`: where something is published, its manifest is put just before the work file has it."""
        self._news, self._entries, self._swept, self._undoing = None, {}, [], False
        with self.transaction():
            self.check(held)
            self._rests_on = self._base(held) if held.build else {}
            yield
            self._must_hold()
            if self._news is not None:
                self._put(held, self._news)
        self._tell()
        for build in self._swept:
            self._sweep(build)

    # -- publishing --------------------------------------------------------------------------------------------------------------------

    def take_place(self, table: str, beside: str) -> None:
        """Publish what was made ready under the name `beside` as the table, when this is committed."""
        note = self._notes()[beside]
        self._entries[table] = {name: note[name] for name in ("columns", "files", "rows")}
        self.remove(None, beside)

    def give_back(self, held: Held, table: str) -> None:
        """Publish the table's former files, when this is committed. Errors: `Refused` `pipelines.superseded`."""
        known, there = self._manifest.pipelines[held.pipeline], self._manifest.tables.get(table) or {}
        if known["tables"].get(table) != there.get("files"):
            raise Refused(
                "pipelines.superseded",
                f"{table} was published again since, by another pipeline: only the last publication is put back.",
                "Undo the later one first.",
            )
        self._entries[table] = known["former"].get(table)
        self._undoing = True

    def _put(self, held: Held, news: dict[str, Any]) -> None:
        for _ in range(TRIES):
            latest = newest(self._store)
            self._must_be_based(held, latest)
            made = self._made(held, latest, news)
            if put(self._store, made):
                self._manifest = made
                self._show_published()
                self._remove_files(latest.garbage if self._undoing else made.garbage)
                return
        raise fenced(held.pipeline)

    def _must_be_based(self, held: Held, latest: Manifest) -> None:
        """Errors: `LeaseLost` where the pipeline was published by others; `StalePlan` where a table is another one than the build was made upon."""
        if int((latest.pipelines.get(held.pipeline) or {}).get("epoch", 0)) != self._epoch:
            raise fenced(held.pipeline)
        base = _files(self._manifest.tables) if self._undoing else self._rests_on["tables"]
        now = _files(latest.tables)
        for table in self._entries:
            if base.get(table) != now.get(table):
                raise StalePlan(
                    "pipelines.other-publication",
                    f"{table} was published anew while this build was made.",
                    "Run the pipeline again.",
                )

    def _made(self, held: Held, latest: Manifest, news: dict[str, Any]) -> Manifest:
        """The manifest that follows the latest."""
        former = {} if self._undoing else {table: latest.tables.get(table) for table in self._entries}
        tables = {name: one for name, one in {**latest.tables, **self._entries}.items() if one is not None}
        mine = {
            "epoch": self._epoch + 1,
            "published": news,
            "tables": {} if self._undoing else _files(self._entries),
            "former": former,
        }
        made = Manifest(latest.number + 1, tables, {**latest.pipelines, held.pipeline: mine})
        unneeded = (latest.files() | set(latest.garbage)) - made.files()
        return Manifest(made.number, made.tables, made.pipelines, tuple(sorted(unneeded)))

    def _remove_files(self, files: tuple[str, ...]) -> None:
        kept = self._manifest.files()
        for file in files:
            if file not in kept:
                with suppress(OSError):  # it is gone already, or the next publication removes it
                    (self._root / file).unlink()

    def _sweep(self, build: str) -> None:
        """Remove the files of a build that nothing names: of one that was dropped, or of batches that were killed."""
        kept = self._manifest.files() | set(self._manifest.garbage)
        for path in self._root.glob(f"*/{build}-*.parquet"):
            if str(path.relative_to(self._root)) not in kept:
                with suppress(OSError):  # as above
                    path.unlink()

    # -- files -------------------------------------------------------------------------------------------------------------------------

    def begin_load(self, schema: str | None, table: str, columns: str, target: str) -> None:
        """See `Destination`."""
        super().begin_load(schema, table, columns, target)
        if target:
            self._note(
                table, {"target": target, "columns": self.columns(schema, table), "files": [], "rows": 0}
            )

    def insert(self, held: Held, batch: Batch, into: str, rows: Rows) -> tuple[int, int]:
        """See `Destination`: rows that will be published as they are become a file, and are recorded once it is whole."""
        for name, note in self._notes().items():
            if self.moved(None, name) == into:
                return self._insert_file(held, batch, name, note, rows)
        return super().insert(held, batch, into, rows)

    def _insert_file(
        self, held: Held, batch: Batch, name: str, note: dict[str, Any], rows: Rows
    ) -> tuple[int, int]:
        with self.commit(held):
            values = _all(note["columns"], rows.columns)
            file, taken = self._write(
                held, note["target"], f"SELECT {values} FROM ({rows.taken()})", note["columns"]
            )
            rejects = rows.rejected()
            rows.still()
            rejected = self.changed(self.quarantine(held, batch, rejects)) if rejects else 0
            if taken:
                self._note(name, {**note, "files": [*note["files"], file], "rows": note["rows"] + taken})
            else:
                (self._root / file).unlink(missing_ok=True)
            self.run(self.batch_row(held, batch, str(taken), rejected))
        return taken, rejected

    def settle(self, held: Held, table: str, beside: str, came: str, *, only_comes: bool) -> None:
        """See `Destination`. Of rows that only come to a table whose columns stay as they are, a file is added; else files are written anew."""
        notes, columns = self._notes(), self.columns(None, beside)
        published = self._manifest.tables.get(table)
        if beside in notes and notes[beside]["files"] and self.kind_of(None, beside) == "VIEW":
            return
        if only_comes and published and columns == published["columns"] and not _scattered(published):
            values = _all(columns, self.columns(None, came))
            select = f"SELECT {values} FROM {self.table(None, came)}"
            file, rows = self._write(held, table, select, columns)
            files, rows = [*published["files"], file], published["rows"] + rows
        else:
            file, rows = self._write(held, table, f"SELECT * FROM {self.table(None, beside)}", columns)
            files = [file]
        self._note(beside, {"target": table, "columns": columns, "files": files, "rows": rows})

    def _write(self, held: Held, table: str, select: str, columns: Mapping[str, str]) -> tuple[str, int]:
        """Write rows as one file that is whole and on the disk; gives its path below the root, and how many they were."""
        below = f"{folder_of(table)}/{held.build['id']}-{secrets.token_hex(5)}.parquet"
        path = self._root / below
        values = ", ".join(
            f"{as_stored(one, type_, table)} AS {identifier(one)}" for one, type_ in columns.items()
        )
        try:
            with writing(self.name), translated(self.name):
                path.parent.mkdir(exist_ok=True)
                found = self.mover.row(
                    f"COPY (SELECT {values} FROM ({select})) TO {literal(str(path))} ({OPTIONS})"
                )
                with path.open("rb") as file:
                    os.fsync(file.fileno())
                settle(path.parent)
        except BaseException:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            raise
        return below, int(found[0])

    # -- notes and views -----------------------------------------------------------------------------------------------------------------

    def _notes(self) -> dict[str, Any]:
        return {
            str(name): json.loads(note) for name, note in self.run("SELECT name, note FROM datareeve.notes")
        }

    def _note(self, name: str, note: dict[str, Any]) -> None:
        """Keep which files a table of the build is, and show it as a view of them."""
        self.run(f"DELETE FROM datareeve.notes WHERE name = {literal(name)}")
        self.run(f"INSERT INTO datareeve.notes VALUES ({literal(name)}, {literal(json.dumps(note))})")
        if note["files"]:
            self._show(name, note)

    def _show(self, name: str, entry: dict[str, Any]) -> None:
        if kind := super().kind_of(None, name):
            self.run(f"DROP {kind} {self.table(None, name)}")
        files = ", ".join(literal(str(self._root / file)) for file in entry["files"])
        values = ", ".join(
            f"CAST({identifier(one)} AS {type_}) AS {identifier(one)}"
            for one, type_ in entry["columns"].items()
        )
        self.run(
            f"CREATE VIEW {self.table(None, name)} AS SELECT {values} FROM read_parquet([{files}], hive_partitioning = false)"
        )

    def _show_published(self) -> None:
        tables = self._manifest.tables
        for name, entry in tables.items():
            for file in entry["files"]:
                if not (self._root / file).is_file():
                    raise Failed(
                        "pipelines.file-missing",
                        f"{self.name}: {file}, of the table {name}, is no longer there.",
                        "Give it back from a backup; what is published names it.",
                    )
        for (name,) in self.run("SELECT name FROM datareeve.shown"):
            if name not in tables and super().kind_of(None, name) == "VIEW":
                self.run(f"DROP VIEW {self.table(None, name)}")
        self.run("DELETE FROM datareeve.shown")
        for name, entry in tables.items():
            self._show(name, entry)
            self.run(f"INSERT INTO datareeve.shown VALUES ({literal(name)})")

    def _tell(self) -> None:
        """What is built, for those who look at it before it is published: contracts."""
        told = note_text({name: note for name, note in self._notes().items() if note["files"]})
        place = sidecar(self._work)
        if not place.is_file() or place.read_text() != told:
            with writing(self.name):
                beside = place.with_name(f"{place.name}.new")
                beside.write_text(told)
                beside.replace(place)

    # -- tables ------------------------------------------------------------------------------------------------------------------------

    def remove(self, schema: str | None, name: str) -> None:
        """See `Destination`. The files go with the build."""
        if kind := super().kind_of(schema, name):
            self.run(f"DROP {kind} {self.table(schema, name)}")
        self.run(f"DELETE FROM datareeve.notes WHERE name = {literal(name)}")

    def kind_of(self, schema: str | None, name: str) -> str:
        """See `Destination`: what is published are tables, and views in the work file only."""
        return "TABLE" if name in self._manifest.tables else super().kind_of(schema, name)

    def dependents(self, schema: str | None, table: str) -> list[str]:
        """See `Destination`: nothing but names rests on files."""
        del schema, table
        return []


def _files(tables: dict[str, Any]) -> dict[str, list[str]]:
    return {name: one["files"] for name, one in tables.items() if one is not None}


def _all(columns: Collection[str], there: Collection[str]) -> str:
    """The columns of a table, of rows that may have fewer."""
    return ", ".join(identifier(one) if one in there else f"NULL AS {identifier(one)}" for one in columns)


def _scattered(entry: dict[str, Any]) -> bool:
    """Whether a table has become many small files, which are one when it is next written."""
    return len(entry["files"]) >= MANY and entry["rows"] < MANY * FEW
