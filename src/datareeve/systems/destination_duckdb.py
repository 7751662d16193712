"""A DuckDB file as a destination: the mover is opened on the file itself, so rows and state are one transaction of one engine."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import Unreachable
from datareeve.systems.destination import Batch, Destination, Held, Rows
from datareeve.systems.mover import Mover, identifier, literal, qualified
from datareeve.systems.mover_errors import translate, translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

WAIT_SECONDS = 20.0  # for readers that have the file open for a moment
LOOK_SECONDS = 0.1


class DuckdbDestination(Destination):
    """One DuckDB file."""

    dialect = "duckdb"
    row_place = "rowid"

    @classmethod
    def open(cls, name: str, path: Path, must_hold: Callable[[], None], **options: Any) -> DuckdbDestination:
        """Open the file, making it where there is none. Errors: `Unreachable` `pipelines.locked`."""
        return cls(name, _opened(name, path, options), must_hold)

    def run(self, sql: str) -> list[tuple[Any, ...]]:
        """See `Destination`."""
        with translated(self.name):
            return [tuple(row) for row in self.mover.execute(sql).fetchall()]

    def changed(self, sql: str) -> int:
        """See `Destination`."""
        with translated(self.name):
            found = self.mover.execute(sql).fetchone()
        return int(found[0]) if found else 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """See `Destination`."""
        with translated(self.name):
            self.mover.execute("BEGIN TRANSACTION")
            try:
                yield
                self.mover.execute("COMMIT")
            except BaseException:
                with suppress(Exception):  # what ended the transaction already says more
                    self.mover.execute("ROLLBACK")
                raise

    def columns(self, schema: str | None, table: str) -> dict[str, str]:
        """See `Destination`."""
        found = self.run(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE NOT internal AND database_name = current_database() "
            f"AND schema_name = {literal(schema or 'main')} AND table_name = {literal(table)} ORDER BY column_index"
        )
        return {str(name): str(type_) for name, type_ in found}

    def insert(self, held: Held, batch: Batch, into: str, rows: Rows) -> tuple[int, int]:
        """See `Destination`."""
        with self.commit(held):
            names = ", ".join(map(identifier, rows.columns))
            taken = self.changed(f"INSERT INTO {into} ({names}) {rows.taken()}")
            rejects = rows.rejected()
            rows.still()
            rejected = self.changed(self.quarantine(held, batch, rejects)) if rejects else 0
            self.run(self.batch_row(held, batch, str(taken), rejected))
        return taken, rejected

    def dependents(self, schema: str | None, table: str) -> list[str]:
        """See `Destination`: a key is part of the table here, and cannot be given to another; views go by names."""
        found = self.run(
            f"SELECT constraint_type FROM duckdb_constraints() WHERE database_name = current_database() AND schema_name = {literal(schema or 'main')} AND table_name = {literal(table)} "
            f"UNION SELECT 'DEFAULT' FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = {literal(schema or 'main')} AND table_name = {literal(table)} AND column_default IS NOT NULL"
        )
        return [str(row[0]) for row in found]

    def anew(self, schema: str | None, table: str) -> bool:
        """See `Destination`: an update of many columns takes six times as long. With an index, a key could not come back in the same transaction."""
        where = f"database_name = current_database() AND schema_name = {literal(schema or 'main')} AND table_name = {literal(table)}"
        bound = f"SELECT 1 FROM duckdb_constraints() WHERE {where} AND constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY')"
        return not self.run(f"{bound} UNION ALL SELECT 1 FROM duckdb_indexes() WHERE {where}")

    def adopt(self, schema: str | None, old: str, new: str) -> list[str]:
        """See `Destination`: a table with an index cannot be renamed, so the indexes go from one to the other."""
        self._comment(schema, old, new)
        found = self.run(
            "SELECT index_name, sql FROM duckdb_indexes() WHERE database_name = current_database() AND sql IS NOT NULL "
            f"AND schema_name = {literal(schema or 'main')} AND table_name = {literal(old)}"
        )
        for name, _ in found:
            self.run(f"DROP INDEX {qualified(schema or 'main', str(name))}")
        return [str(sql) for _, sql in found]

    def _comment(self, schema: str | None, old: str, new: str) -> None:
        where = f"WHERE database_name = current_database() AND schema_name = {literal(schema or 'main')} AND table_name = {literal(old)} AND comment IS NOT NULL"
        place, there = qualified(schema or "main", new), self.columns(schema, new)
        for (told,) in self.run(f"SELECT comment FROM duckdb_tables() {where}"):
            self.run(f"COMMENT ON TABLE {place} IS {literal(str(told))}")
        for column, told in self.run(f"SELECT column_name, comment FROM duckdb_columns() {where}"):
            if column in there:
                self.run(f"COMMENT ON COLUMN {place}.{identifier(str(column))} IS {literal(str(told))}")

    def ready(self) -> None:
        """See `Destination`: it is the mover's own database."""

    def kind_of(self, schema: str | None, name: str) -> str:
        """See `Destination`."""
        found = self.run(
            f"SELECT table_type FROM information_schema.tables WHERE table_catalog = current_database() AND table_schema = {literal(schema or 'main')} AND table_name = {literal(name)}"
        )
        return ("VIEW" if found[0][0] == "VIEW" else "TABLE") if found else ""

    def view_text(self, schema: str | None, name: str) -> str:
        """See `Destination`."""
        found = self.run(
            f"SELECT sql FROM duckdb_views() WHERE database_name = current_database() AND schema_name = {literal(schema or 'main')} AND view_name = {literal(name)}"
        )
        return str(found[0][0]).partition(" AS ")[2].rstrip().rstrip(";") if found else ""

    def is_json(self, expression: str) -> str:
        """See `Destination`."""
        return f"json_valid({expression})"

    def close(self) -> None:
        """See `Destination`."""
        self.mover.close()


def _opened(name: str, path: Path, options: dict[str, Any]) -> Mover:
    until = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            return Mover(path, **options)
        except OSError as error:
            raise Unreachable(
                "pipelines.no-folder",
                f"{name}: its folder cannot be made ({error.strerror}).",
                "Correct the path.",
            ) from None
        except Exception as error:
            if type(error).__module__ not in ("duckdb", "_duckdb"):
                raise
            ours = translate(error, name)
            if ours.code != "pipelines.locked" or time.monotonic() > until:
                raise ours from None
            time.sleep(LOOK_SECONDS)
