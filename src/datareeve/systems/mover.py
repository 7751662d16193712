"""The mover: a DuckDB in memory that rows pass through, between any two systems, in bounded memory.

Extensions are those of the installed wheels, loaded by their path: nothing is downloaded, and nothing is installed by itself.
"""

from __future__ import annotations

import tempfile
import threading
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from datareeve.core.errors import BadInput, Failed
from datareeve.systems.answers import missing_driver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

LOOK_SECONDS = 1.0
MEMORY_MB = 320  # of DuckDB's own; the process around it has about 100 more
EXTENSIONS = {  # by DuckDB's name: the wheel
    "postgres_scanner": "postgres-scanner",
    "mysql_scanner": "mysql-scanner",
    "sqlite_scanner": "sqlite-scanner",
    "httpfs": "httpfs",
    "excel": "excel",
    "ducklake": "ducklake",
    "iceberg": "iceberg",
    "avro": "avro",
    "tpch": "tpch",
}
NEEDS = {"iceberg": ("avro",)}


class Mover:
    """One connection; `path` a database file that is written to, else in memory."""

    def __init__(
        self,
        path: Path | None = None,
        *,
        memory_mb: int = MEMORY_MB,
        threads: int | None = None,
        spill: Path | None = None,
    ) -> None:
        driver = _driver()
        self._spill = tempfile.TemporaryDirectory(prefix="datareeve-spill-", dir=spill)
        config: dict[str, Any] = {
            "allow_unsigned_extensions": "true",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "memory_limit": f"{memory_mb}MB",
            "temp_directory": self._spill.name,
            "preserve_insertion_order": "false",
        }
        if threads:
            config["threads"] = str(threads)
        try:
            self.connection = driver.connect(str(path) if path else ":memory:", config=config)
        except driver.Error:
            self._spill.cleanup()
            raise
        for setting in ("enable_progress_bar = true", "enable_progress_bar_print = false"):
            self.connection.execute(f"SET {setting}")  # how far a statement is, is asked for, and never drawn
        self._loaded: set[str] = set()
        self._names = 0

    def load(self, extension: str) -> None:
        """Load an extension of an installed wheel. Errors: `BadInput` `pipelines.extension`."""
        if extension not in self._loaded:
            for needed in NEEDS.get(extension, ()):
                self.load(needed)
            self.connection.execute(f"LOAD {literal(str(extension_file(extension)))}")
            self._loaded.add(extension)

    def execute(self, sql: str, parameters: list[Any] | None = None) -> Any:
        """Run one statement; gives its cursor. Errors: duckdb's own: `mover_errors.translated` makes them ours."""
        return self.connection.execute(sql, parameters) if parameters else self.connection.execute(sql)

    def row(self, sql: str, parameters: list[Any] | None = None) -> tuple[Any, ...]:
        """The first row of an answer. Errors: `Failed` where there is none."""
        found = self.execute(sql, parameters).fetchone()
        if found is None:
            raise Failed(
                "pipelines.no-answer",
                "A statement that answers one row answered none.",
                "Please report this.",
            )
        return tuple(found)

    def name(self, stem: str) -> str:
        """A name that nothing of this connection has."""
        self._names += 1
        return f"{stem}_{self._names}"

    @contextmanager
    def watched(self, tell: Callable[[float], None] | None) -> Iterator[None]:
        """Tell once a second, from another thread, what share of the statement that runs is done: 0 to 1, as DuckDB thinks."""
        if tell is None:
            yield
            return
        over = threading.Event()

        def look() -> None:
            while not over.wait(LOOK_SECONDS):
                tell(min(1.0, max(0.0, self.connection.query_progress() / 100)))

        looking = threading.Thread(target=look, daemon=True, name="progress")
        looking.start()
        try:
            yield
        finally:
            over.set()
            looking.join()

    def close(self) -> None:
        """Close the connection and remove what was spilled."""
        self.connection.close()
        self._spill.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def identifier(name: str) -> str:
    """A name, quoted for DuckDB (and for PostgreSQL: the rules are the same)."""
    return '"' + name.replace('"', '""') + '"'


def qualified(*names: str | None) -> str:
    """'"lake"."raw"."flights"' of the names that are given."""
    return ".".join(identifier(name) for name in names if name)


def literal(text: str) -> str:
    """A text as an SQL literal of DuckDB: backslashes are themselves there."""
    return "'" + text.replace("'", "''") + "'"


def extension_file(name: str) -> Path:
    """Where the extension's file lies. Errors: `BadInput` `pipelines.extension`."""
    wheel = f"duckdb-extension-{EXTENSIONS[name]}"
    try:
        found = [file for file in metadata.files(wheel) or () if file.name == f"{name}.duckdb_extension"]
    except metadata.PackageNotFoundError:
        found = []
    if not found:
        raise BadInput(
            "pipelines.extension",
            f"DuckDB's extension {name} is not installed.",
            f"pip install {wheel}=={_driver().__version__}",
        )
    return Path(str(found[0].locate()))


def _driver() -> Any:
    try:
        import duckdb  # noqa: PLC0415 - an extra
    except ImportError:
        raise missing_driver("duckdb", "pipelines", "pipelines") from None
    return duckdb
