"""Subjects' data in a system of the estate: counting, finding again, erasing. What every adapter that holds such data publishes.

Reads give counts, names and keyed digests. The rows themselves leave only through `subject_rows`, which is no published action: the export
of a subject's own data calls it, nothing else does.
"""

# ruff: noqa: S608 - identifiers are quoted as the engine does it, values are parameters
from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from datareeve.core.errors import BadInput, DatareeveError, Failed, Refused, Unreachable
from datareeve.core.estate import STATE_FOLDER
from datareeve.systems import subject_tables
from datareeve.systems.adapter import Adapter, effects, reads
from datareeve.systems.keyed import Finder, Keyed
from datareeve.systems.subject_files import Files, Source, remove_formers
from datareeve.systems.subject_shapes import Sought, Store, Trace
from datareeve.systems.subject_sql import SPEECH, Looking, Rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datareeve.systems.duckdb import Duckdb
    from datareeve.systems.postgres import Postgres

RETURN_POINT = "erasures"  # below the state folder: which runs have erased what cannot be put back
MOST_ROWS = 100_000  # of one subject in one dataset
MOST_IDENTIFIERS = 10_000
NO_SUCH_KEY = ("postgres.22P02", "postgres.22003")  # a key that a column cannot hold has no rows in it


class Subjects(Adapter):
    """An adapter whose system may hold subjects' data. It has `entry` and `project`."""

    project: Path

    # -- reads ---------------------------------------------------------------------------------------------------------------------

    @reads
    def subject_tables(self) -> dict[str, dict[str, Any]]:
        """Tables with columns, references and triggers; see `subject_tables.tables`."""
        return subject_tables.tables(self)

    @reads
    def subject_files(self, table: str) -> dict[str, Any]:
        """The files of a dataset: {files, bytes, forms, left: files that an interrupted erasure left, unread: why some cannot be searched or rewritten}."""
        from datareeve.systems.subject_files import form_of, unfit  # noqa: PLC0415 - beside its reader

        source = self._source(table)
        files, unread = source.files(), unfit(source)
        return {
            "files": len(files),
            "bytes": sum(path.stat().st_size for path in files),
            "forms": sorted({form_of(path) for path in files}),
            "columns": [] if unread else self._file_columns(files),
            "left": [path.name for path in source.formers()],
            "unread": unread,
        }

    @reads
    def file_rights(self, table: str) -> dict[str, Any]:
        """Whom the permissions of a dataset's files let in: {files, owners, groups: that may read some, all_read, all_write: files open to every account}."""
        from datareeve.systems.subject_files import rights  # noqa: PLC0415 - beside its reader

        return rights(self._source(table).files())

    @reads
    def files_named(self, table: str, sought: dict[str, Any]) -> int:
        """How many files of a dataset have what tells the subject in their own name, or in a folder's: customer_id=4711/part-0.parquet."""
        one, source = Sought.model_validate(sought), self._source(table)
        finder = Finder(self._keyed(), one.traces, one.names)
        names = [path.relative_to(source.folder) for path in source.files()]
        # Behind an address an ending looks like more of its domain.
        return sum(any(finder.is_in(one.as_posix()) for one in (name, name.with_suffix(""), name.with_suffix("").with_suffix(""))) for name in names)  # fmt: skip

    @reads
    def subject_counts(
        self, stores: list[dict[str, Any]], sought: dict[str, Any] | None = None
    ) -> dict[str, int]:
        """How many rows of a subject (or of an age) each dataset holds. Without `sought.reference` they are found by digests alone."""
        wanted = Sought.model_validate(sought) if sought else None
        return {store.dataset: self._count(store, wanted) for store in map(Store.model_validate, stores)}

    @reads
    def subject_identifiers(self, store: dict[str, Any], sought: dict[str, Any]) -> list[dict[str, Any]]:
        """What the subject's rows of a dataset tell it by, as keyed digests: [{digest, atoms, category, weak, short}]."""
        one, who, keyed = Store.model_validate(store), Sought.model_validate(sought), self._keyed()
        found: dict[str, Trace] = {}
        for row in self.subject_rows(one, who, list(one.identifying)):
            for column, category in one.identifying.items():
                if row.get(column) not in (None, ""):
                    found |= {
                        trace.digest: trace for trace in keyed.traces(row[column], category, who.digest)
                    }
        return [found[digest].model_dump() for digest in sorted(found)][:MOST_IDENTIFIERS]

    @reads
    def statistics_remain(self, table: str, columns: list[str], sought: dict[str, Any]) -> int:
        """In how many columns the planner's statistics still hold a value that tells the subject; expressions and groups of columns count as one."""
        from datareeve.systems.pg_erase import OF_EXPRESSIONS_SQL, STATISTICS_SQL  # noqa: PLC0415 - PostgreSQL's

        one = Sought.model_validate(sought)
        finder = Finder(self._keyed(), [t for t in one.traces if not t.weak])
        schema, name = table.split(".", 1)
        # PostgreSQL 13 has no statistics of expressions.
        more = self.read("query", sql="SELECT to_regclass('pg_catalog.pg_stats_ext_exprs') IS NOT NULL AS there", shape="scalar")  # fmt: skip
        kept = self.read(
            "query",
            sql=STATISTICS_SQL + (OF_EXPRESSIONS_SQL if more else ""),
            parameters=[schema, name, columns],
        )
        return len({row["name"] for row in kept if finder.is_in(row["kept"])})

    @reads
    def view_is_former(self, view: str, filenode: int) -> bool:
        """Whether a materialized view still has the file that it had: it was not filled anew since."""
        schema, name = view.split(".", 1)
        found = self.read("query", sql="SELECT c.relfilenode::bigint AS filenode FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s", parameters=[schema, name])  # fmt: skip
        return any(row["filenode"] == filenode for row in found)

    @reads
    def former_files(self, tables: list[str]) -> int:
        """How many files stand beside their successors."""
        return sum(len(self._source(table).formers()) for table in tables)

    # -- effects -------------------------------------------------------------------------------------------------------------------

    @effects
    def erase_rows(self, store: dict[str, Any], sought: dict[str, Any] | None, holds: str = "", *, run: str) -> dict[str, Any]:  # fmt: skip
        """Delete or anonymise a subject's rows of a table in one transaction; there is no way back. Gives {rows}.

        Errors: `Refused` `erasure.holds` where the legal holds are not those (a digest) that the plan was made with.
        """
        from datareeve.systems import pg_erase  # noqa: PLC0415 - PostgreSQL's

        self._refuse_new_holds(holds)
        if self.kind != "postgresql":
            raise _cannot(self)
        one, first = Store.model_validate(store), not self._passed(run)
        self._no_return(run)
        try:
            with self._asking() as rows:
                source = str(self._table(one.table, rows)["source"])
                looking = self._looking(Sought.model_validate(sought) if sought else None, rows)
                return pg_erase.erase(cast("Postgres", self), one, source, looking, run)
        except DatareeveError as error:
            # What was rolled back is not gone; a connection that was lost may have committed.
            if first and not isinstance(error, Unreachable):
                self._marker(run).unlink(missing_ok=True)
            raise

    @effects
    def remove_old_rows(self, store: dict[str, Any], holds: str = "", *, run: str) -> dict[str, Any]:
        """Delete rows of an age, in batches. Gives {rows, batches}. Errors: `Refused` `erasure.holds`."""
        from datareeve.systems import pg_erase  # noqa: PLC0415 - as above

        self._refuse_new_holds(holds)
        if self.kind != "postgresql":
            raise _cannot(self)
        one = Store.model_validate(store)
        with self._asking() as rows:
            looking = self._looking(None, rows)
            return pg_erase.remove_batches(
                cast("Postgres", self), one, self._table(one.table, rows), looking, run
            )

    @effects
    def rewrite_files(self, stores: list[dict[str, Any]], sought: dict[str, Any] | None, holds: str = "", *, run: str) -> dict[str, Any]:  # fmt: skip
        """Write files anew without a subject's rows; the former ones stay beside. Gives {rows, datasets, files}. Errors: `Refused` `erasure.holds`."""
        from datareeve.systems.subject_files import writing  # noqa: PLC0415 - beside what writes

        self._refuse_new_holds(holds)
        one = Sought.model_validate(sought) if sought else None
        made = [Store.model_validate(store) for store in stores]
        if self.kind == "duckdb":
            from datareeve.systems import duckdb_erase  # noqa: PLC0415 - an extra

            with writing(self.name):
                return duckdb_erase.rewrite(
                    cast("Duckdb", self), made, lambda rows: self._looking(one, rows), run
                )
        if self.kind != "folder":
            raise _cannot(self)
        with writing(f"{', '.join(store.dataset for store in made)} of {self.name}"):
            found = {store.dataset: self._files(store, one).rewrite(store.expected, run) for store in made}
        files = [file for told in found.values() for file in told["files"]]
        return {"rows": sum(told["rows"] for told in found.values()), "datasets": {name: told["rows"] for name, told in found.items()}, "files": files}  # fmt: skip

    @effects
    def put_back_files(self, tables: list[str], stores: list[dict[str, Any]], sought: dict[str, Any] | None, *, run: str) -> dict[str, Any]:  # fmt: skip
        """Put former files in their places again: the undo of `rewrite_files`, as long as no row of a database is gone.

        Errors: `Refused` `erasure.no-return` where there is no way back any more.
        """
        left = self.former_files(tables)
        if left and self._passed(run):
            raise Refused("erasure.no-return", f"Rows in databases are gone already; {left} former files of {self.name} stay beside their successors.", "Plan the erasure again: it ends what is left, and removes those files.")  # fmt: skip
        if not left and stores and self._is_gone(stores, sought):
            raise Refused("erasure.no-return", f"The former files of {self.name} have been removed: that was the erasure.", "Restore a backup, if the law lets you.")  # fmt: skip
        if self.kind == "duckdb":
            from datareeve.systems import duckdb_erase  # noqa: PLC0415 - an extra

            duckdb_erase.put_back(Path(self.project / self._entry().path).resolve(), run)
            return {}
        for table in tables:
            Files(self._source(table), _any_store(table), None, self._keyed(), self.project).put_back(run)
        return {}

    @effects
    def remove_former_files(self, tables: list[str]) -> dict[str, Any]:
        """Remove the files that stand beside their successors. Gives {former_files}."""
        return {"former_files": sum(remove_formers(self._source(table)) for table in tables)}

    @effects
    def clear_statistics(self, table: str, columns: list[str], *, run: str) -> dict[str, Any]:
        """VACUUM a table, and have the planner forget and relearn what it knows of some columns."""
        from datareeve.systems import pg_erase  # noqa: PLC0415 - PostgreSQL's

        return pg_erase.clear_statistics(cast("Postgres", self), table, columns, run)

    @effects
    def refresh_view(self, view: str, columns: list[str], *, run: str) -> dict[str, Any]:
        """Fill a materialized view anew, and have the planner forget what it knew of it. It is locked as long as that lasts."""
        from datareeve.systems import pg_erase  # noqa: PLC0415 - PostgreSQL's

        return pg_erase.refresh(cast("Postgres", self), view, columns, run)

    # -- for the export alone --------------------------------------------------------------------------------------------------------

    def subject_rows(self, store: Store, sought: Sought, columns: Iterable[str] = ()) -> list[dict[str, Any]]:
        """The subject's rows themselves. Not published: no call and no plan can ask for it."""
        if self.kind == "folder":
            return self._files(store.model_copy(update={"mode": "delete"}), sought).shown()
        try:
            found = self._found(store, sought, columns)
        except Failed as error:
            if error.code in NO_SUCH_KEY:
                return []
            raise
        if len(found) > MOST_ROWS:
            raise BadInput("subject.too-many", f"{store.dataset} holds more than {MOST_ROWS:,} rows of one subject.", "Export it by the database's own tools.")  # fmt: skip
        return found

    # -- how ------------------------------------------------------------------------------------------------------------------------

    def _found(self, store: Store, sought: Sought, columns: Iterable[str]) -> list[dict[str, Any]]:
        with self._asking() as rows:
            source = str(self._table(store.table, rows)["source"])
            looking = self._looking(sought, rows)
            where = looking.where(store.model_copy(update={"mode": "delete"}), source)
            names = ", ".join(map(looking.speech.name, columns)) or "*"
            text = f"SELECT {names} FROM {source} WHERE {where.sql} LIMIT {MOST_ROWS + 1}"
            return looking.rows(text, where.parameters)

    def _count(self, store: Store, sought: Sought | None) -> int:
        if store.mode == "keep":
            store = store.model_copy(update={"mode": "delete"})
        if self.kind == "folder":
            return self._files(store, sought).count()
        try:
            with self._asking() as rows:
                source = str(self._table(store.table, rows)["source"])
                looking = self._looking(sought, rows)
                where = looking.where(store, source)
                found = looking.rows(
                    f"SELECT count(*) AS n FROM {source} WHERE {where.sql}", where.parameters
                )
        except Failed as error:
            if error.code in NO_SUCH_KEY:
                return 0
            raise
        return int(found[0]["n"])

    @contextmanager
    def _asking(self) -> Iterator[Rows]:
        """Something that answers SQL: one opening of a DuckDB file, one transaction of PostgreSQL whose log is given no parameters."""
        if self.kind == "duckdb":
            from datareeve.systems import duckdb_erase  # noqa: PLC0415 - an extra

            with cast("Duckdb", self).reading() as connection:
                yield duckdb_erase.rows_of(connection)
        elif self.kind == "postgresql":
            from datareeve.systems import pg_erase  # noqa: PLC0415 - PostgreSQL's

            with cast("Postgres", self).reading() as cursor:
                yield pg_erase.rows_of(cursor)
        else:
            yield self._rows

    def _looking(self, sought: Sought | None, rows: Any = None) -> Looking:
        return Looking(SPEECH[self.kind], rows or self._rows, self._keyed(), self.project, sought)

    def _rows(self, sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
        # Without parameters nothing is put in the place of a percent sign.
        text = sql if parameters else sql.replace("%%", "%")
        found: list[dict[str, Any]] = self.read("query", sql=text, parameters=list(parameters) or None)
        return found

    def _table(self, table: str, rows: Rows | None = None) -> dict[str, Any]:
        """A table's quoted name and kind."""
        found = subject_tables.find(rows or self._rows, table, self.kind)
        if found is None:
            raise Failed("subject.no-table", f"{self.name} has no table {table}.", "Correct the dataset in estate.yaml.")  # fmt: skip
        return found

    def _files(self, store: Store, sought: Sought | None) -> Files:
        return Files(self._source(store.table), store, sought, self._keyed(), self.project)

    def _source(self, table: str) -> Source:
        if self.kind in ("duckdb", "sqlite"):
            file = Path(self.project / self._entry().path).resolve()
            return Source(file.parent, file.name)
        folder = self.project / self._entry().path
        return Source(folder, getattr(self._entry(), "tables", {}).get(table, table))

    @staticmethod
    def _file_columns(files: list[Path]) -> list[str]:
        """The columns of Parquet files and CSV heads; of JSON lines and logs none are known."""
        from datareeve.systems import subject_files  # noqa: PLC0415 - as above

        return subject_files.columns(files[0]) if files else []

    def _entry(self) -> Any:
        """What the estate says of this system: each adapter has it, of its own kind."""
        return vars(self)["entry"]

    def _keyed(self) -> Keyed:
        return Keyed(self.project)

    def _is_gone(self, stores: list[dict[str, Any]], sought: dict[str, Any] | None) -> bool:
        planned = sum(store.get("expected") or 0 for store in stores)
        return planned > 0 and sum(self.subject_counts(stores, sought).values()) < planned

    def _refuse_new_holds(self, seen: str) -> None:
        from datareeve.systems.compliance_desk import holds_digest  # noqa: PLC0415 - it knows this module

        if seen and holds_digest(self.project) != seen:
            raise Refused("erasure.holds", "The legal holds in estate.yaml are not those that the plan was made with.", "Plan again: what is held now stays.")  # fmt: skip

    def _no_return(self, run: str) -> None:
        marker = self._marker(run)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()

    def _passed(self, run: str) -> bool:
        return self._marker(run).exists()

    def _marker(self, run: str) -> Path:
        return self.project / STATE_FOLDER / RETURN_POINT / f"{run}.no-return"


def _any_store(table: str) -> Store:
    return Store.model_validate({"dataset": table, "table": table, "match": {}})


def _cannot(system: Subjects) -> BadInput:
    return BadInput("erasure.engine", f"Datareeve does not write to {system.name} ({system.kind}).", "Run the statement that the plan shows, as its owner.")  # fmt: skip
