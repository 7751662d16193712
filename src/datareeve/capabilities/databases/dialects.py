"""What differs between engines where the same thing is said or asked: quoting, and the statement that mends what a review found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datareeve.capabilities.databases import sql
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Dialect:
    """One engine's SQL. A way to mend is a statement, or, where the engine has none, what to do in words."""

    kind: str
    quote: str = '"'
    operations_mend: bool = False  # whether Datareeve itself adds keys and indexes there
    key_is_added: bool = True
    reference_is_added: bool = True
    keyless: Severity = Severity.WARNING
    unreferenced: Severity = Severity.WARNING
    whole_type: str = "integer or bigint"
    moment_type: str = "date or timestamptz"
    exact_type: str = "numeric(12, 2)"
    text_holds_moments: bool = False  # the engine has no type of its own for moments
    surrogate: str = ""

    def name(self, *parts: str) -> str:
        """A quoted identifier; of SQLite, whose one schema is `main`, the last part only."""
        if self.kind == "postgresql":
            return sql.identifier(*parts)
        wanted = parts[-1:] if self.kind == "sqlite" else parts
        return ".".join(
            f"{self.quote}{part.replace(self.quote, self.quote * 2)}{self.quote}" for part in wanted
        )

    def add_primary_key(self, table: Sequence[str], columns: Sequence[str]) -> str:
        """The statement that adds a primary key, or how else it comes about."""
        listed = ", ".join(map(self.name, columns))
        if self.key_is_added:
            return f"ALTER TABLE {self.name(*table)} ADD PRIMARY KEY ({listed});"
        return f"{MADE_ANEW} PRIMARY KEY ({listed})."

    def add_foreign_key(
        self, table: Sequence[str], columns: Sequence[str], target: Sequence[str], keys: Sequence[str]
    ) -> str:
        """The statement that adds a foreign key, without a semicolon, or how else it comes about."""
        ours, theirs = ", ".join(map(self.name, columns)), ", ".join(map(self.name, keys))
        clause = f"FOREIGN KEY ({ours}) REFERENCES {self.name(*target)} ({theirs})"
        return (
            f"ALTER TABLE {self.name(*table)} ADD {clause}"
            if self.reference_is_added
            else f"{MADE_ANEW} {clause}"
        )

    def create_index(self, table: Sequence[str], columns: Sequence[str]) -> str:
        """The statement that creates an index without keeping writers out, where the engine can."""
        listed = ", ".join(map(self.name, columns))
        if self.kind == "postgresql":
            return f"CREATE INDEX CONCURRENTLY ON {self.name(*table)} ({listed});"
        made = "_".join((table[-1], *columns, "idx"))
        return f"CREATE INDEX {self.name(made)} ON {self.name(*table)} ({listed});"


MADE_ANEW = "ALTER TABLE cannot add it: make a new table that has it, copy the rows, and rename it within one transaction. It has"
POSTGRESQL = Dialect(
    "postgresql",
    operations_mend=True,
    surrogate="a column `bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY`, which rewrites the table under an exclusive lock",
)
MYSQL = Dialect(
    "mysql",
    quote="`",
    moment_type="date or datetime",
    exact_type="decimal(12, 2)",
    surrogate="a column `bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY`, which rewrites the table",
)
SQLITE = Dialect(
    "sqlite",
    key_is_added=False,
    reference_is_added=False,
    whole_type="INTEGER",
    exact_type="whole cents in an INTEGER",
    text_holds_moments=True,
    surrogate="a column `id INTEGER PRIMARY KEY` in a new table that takes its place",
)
DUCKDB = Dialect(
    "duckdb",
    reference_is_added=False,
    keyless=Severity.INFO,  # analytical tables are loaded in bulk, and a key's index costs memory and load time
    unreferenced=Severity.INFO,
    moment_type="DATE or TIMESTAMP",
    exact_type="DECIMAL(12, 2)",
    surrogate="a column filled by a sequence, in a new table that takes its place",
)
BY_KIND = {dialect.kind: dialect for dialect in (POSTGRESQL, MYSQL, SQLITE, DUCKDB)}
