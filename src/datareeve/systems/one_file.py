"""What the databases that are one file share (SQLite, DuckDB): where it is, and whether it is there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from datareeve.systems.erasing import Subjects
from datareeve.systems.measured import Measured

if TYPE_CHECKING:
    from datareeve.core.estate import DuckdbSystem, SqliteSystem


class OneFile(Measured, Subjects):
    """A database that is one file. A relative path starts at the project."""

    entry: SqliteSystem | DuckdbSystem

    def __init__(self, name: str, entry: SqliteSystem | DuckdbSystem, project: Path | None = None) -> None:
        super().__init__(name)
        self.entry = entry
        self.project = project or Path.cwd()

    @property
    def file(self) -> Path:
        """The database file."""
        return self.project / self.entry.path

    def _why_missing(self) -> str:
        """Why there is no such file, in words; empty where it is there."""
        if self.file.is_file():
            return ""
        return "is a folder" if self.file.is_dir() else "does not exist"
