"""A DuckLake, attached: to a mover that writes it, or sealed for reading.

The catalog's database decides who may write at once: one process where it is a DuckDB file, any number where it is PostgreSQL.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from datareeve.core.errors import BadInput, DatareeveError, Unreachable
from datareeve.systems.adapter import reads
from datareeve.systems.duckdb import Duckdb, _driver, translate
from datareeve.systems.mover import NEEDS, extension_file, identifier, literal, qualified

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datareeve.core.estate import DuckdbSystem
    from datareeve.core.estate_lake import DucklakeSystem, ObjectAccess
    from datareeve.core.secrets import Secret

ALIAS = "lake"
SCANNERS = {"postgres": "postgres_scanner", "sqlite": "sqlite_scanner"}
CLOSED = (
    "temp_directory",
    "threads",
    "enable_external_access",
    "lock_configuration",
)  # set once it is attached


class Ducklake(Duckdb):
    """One DuckLake, opened for reading and let go after each look."""

    kind = "ducklake"

    def __init__(
        self,
        name: str,
        entry: DucklakeSystem,
        project: Path,
        secret: Callable[[str | None], Secret | None],
    ) -> None:
        super().__init__(name, cast("DuckdbSystem", entry), project)
        self.lake = entry
        self.secret = secret

    # -- reads ---------------------------------------------------------------------------------------------------------------------

    @reads
    def server(self) -> dict[str, Any]:
        """What this lake is: version (of the DuckDB that reads it), what keeps its catalog, where its data is."""
        self._must_be_there()
        return {"engine": "DuckLake", "version": _driver().__version__, "catalog": self.lake.engine, "data": self.lake.data}  # fmt: skip

    @reads
    def pipeline_known(self, pipeline: str) -> list[dict[str, Any]] | None:
        """What a pipeline has built and published here: its row, none where it never wrote here."""
        table = qualified("datareeve", state_table(pipeline))
        try:
            found: list[dict[str, Any]] = self.query(f"SELECT build, published FROM {table}")  # noqa: S608 - a digest
        except DatareeveError as error:
            if error.code in ("duckdb.sql", "duckdb.missing"):
                return None
            raise
        return [{name: json.loads(value or "{}") for name, value in row.items()} for row in found]

    def identity(self) -> str:
        """The catalog itself, whatever it is called."""
        if self.lake.engine == "postgres":
            parts = urlsplit(self.lake.catalog)
            return f"ducklake:{parts.hostname}:{parts.port}{parts.path}"
        self._must_be_there()
        found = self.catalog_file.stat()
        return f"ducklake:{found.st_dev}:{found.st_ino}"

    # -- connection ----------------------------------------------------------------------------------------------------------------

    @property
    def catalog_file(self) -> Path:
        """Where the catalog lies, if it is a file."""
        return self.project / self.lake.catalog

    @property
    def data(self) -> str:
        """Where the data lies."""
        return (
            self.lake.data
            if self.lake.data.startswith("s3://")
            else str((self.project / self.lake.data).resolve())
        )

    def attach(self, connection: Any, *, read_only: bool = False) -> None:
        """Attach the lake, and use it. Errors: duckdb's own."""
        for extension in filter(
            None, ("ducklake", SCANNERS.get(self.lake.engine), "httpfs" if self._remote else "")
        ):
            for needed in (*NEEDS.get(extension, ()), extension):
                connection.execute(f"LOAD {literal(str(extension_file(needed)))}")
        if self._remote:
            connection.execute(secret_statement(self.lake, self.secret, self.data))
        options = ["READ_ONLY"] if read_only else [f"DATA_PATH {literal(self.data + '/')}"]
        connection.execute(f"ATTACH {literal(self._catalog)} AS {ALIAS} ({', '.join(options)})")
        connection.execute(f"USE {ALIAS}")
        connection.execute("SET TimeZone = 'UTC'")

    def opened(self, settings: dict[str, str]) -> Any:
        """A connection that can only read, and reaches nothing but the lake."""
        self._must_be_there()
        first = {name: value for name, value in settings.items() if name not in CLOSED}
        driver = _driver()
        connection = driver.connect(":memory:", config={**first, "allow_unsigned_extensions": "true"})
        try:
            self.attach(connection, read_only=True)
            if not self._remote and self.lake.engine != "postgres":
                folders = ", ".join(
                    literal(one + "/") for one in (self.data, str(self.catalog_file.resolve().parent))
                )
                connection.execute(f"SET allowed_directories = [{folders}]")
                connection.execute("SET enable_external_access = false")
            connection.execute("SET lock_configuration = true")
        except (driver.Error, UnicodeDecodeError) as error:
            connection.close()
            if "read-only" in str(error) or "does not exist" in str(error):  # nothing was ever written there
                raise self._missing() from None
            raise translate(error, self.name, "the catalog", late=False) from None
        return connection

    @property
    def _remote(self) -> bool:
        return self.data.startswith("s3://")

    @property
    def _catalog(self) -> str:
        if self.lake.engine == "postgres":
            return f"ducklake:postgres:{conninfo(self.lake, self.secret(self.lake.password))}"
        kind = "sqlite:" if self.lake.engine == "sqlite" else ""
        return f"ducklake:{kind}{self.catalog_file.resolve()}"

    def _must_be_there(self) -> None:
        if self.lake.engine != "postgres" and not self.catalog_file.is_file():
            raise self._missing()

    def _missing(self) -> Unreachable:
        return Unreachable("duckdb.missing", f"{self.name}: there is no DuckLake in {self.lake.catalog} yet.", f"Correct systems.{self.name}.catalog in estate.yaml, or run a pipeline that writes there.")  # fmt: skip


def state_table(pipeline: str) -> str:
    """The table of what is known of a pipeline: one each, so that two pipelines never stand in one another's way."""
    return f"state_{hashlib.sha256(pipeline.encode()).hexdigest()[:16]}"


def secret_statement(entry: ObjectAccess, secret: Callable[[str | None], Secret | None], scope: str) -> str:
    """The mover's statement that lets it reach a bucket. It is never shown."""
    key, hidden = secret(entry.key), secret(entry.secret)
    given = {"REGION": entry.region, "SCOPE": scope}
    if key and hidden:
        given |= {"KEY_ID": key.reveal(), "SECRET": hidden.reveal()}
    if entry.endpoint:
        parts = urlsplit(entry.endpoint)
        given |= {
            "ENDPOINT": parts.netloc,
            "URL_STYLE": "path",
            "USE_SSL": str(parts.scheme == "https").lower(),
        }
    said = ", ".join(f"{name} {literal(value)}" for name, value in given.items())
    return f"CREATE OR REPLACE SECRET {identifier(f'datareeve_{len(scope)}')} (TYPE s3, {said})"


def conninfo(entry: DucklakeSystem, password: Secret | None) -> str:
    """The catalog's URL as libpq's words, as DuckLake takes them."""
    parts = urlsplit(entry.catalog)
    if not parts.path.strip("/"):
        raise BadInput(
            "pipelines.catalog", "The catalog's URL names no database.", "postgresql://user@host/database"
        )
    words = {"dbname": unquote(parts.path.strip("/")), "host": unquote(parts.hostname or ""), "port": str(parts.port or ""),
             "user": unquote(parts.username or ""), "password": password.reveal() if password else "", **dict(parse_qsl(parts.query))}  # fmt: skip
    return " ".join(f"{name}={_word(value)}" for name, value in words.items() if value)


def _word(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
