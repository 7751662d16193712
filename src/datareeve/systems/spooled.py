"""Sources whose rows are fetched before they are read: HTTP APIs and Python generators. What was fetched is files, and is read as such."""

# ruff: noqa: S608 - identifiers and literals are quoted by the mover's own functions

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput, Failed
from datareeve.systems.file_source import FileSource
from datareeve.systems.file_types import driver_errors
from datareeve.systems.mover import identifier, literal
from datareeve.systems.row_source import Part, Reading, SourceColumn
from datareeve.systems.spool import Spool

if TYPE_CHECKING:
    from pathlib import Path

    from datareeve.systems.mover import Mover

FRESH_SECONDS = 900.0  # what was fetched for a plan is not fetched again for its run
OLD_SECONDS = 7 * 86_400.0  # what nobody came back for


class Spooled:
    """The part that they share. `cursor`: {column, start}."""

    pattern = "page-*.jsonl"
    format = "jsonl"

    def __init__(self, base: Path, cursor: dict[str, Any] | None) -> None:
        self._base = base
        self._cursor = cursor or {}
        self._files: FileSource | None = None
        self._spool: Spool | None = None

    # -- what a kind of source does ------------------------------------------------------------------------------------------------

    def _key(self, cursor: str) -> str:
        """What was asked for, as a text."""
        raise NotImplementedError

    def _fetch(self, spool: Spool, cursor: str, *, first_only: bool) -> list[str]:
        """Fetch to the spool; gives what is to be told."""
        raise NotImplementedError

    # -- RowSource -----------------------------------------------------------------------------------------------------------------

    def columns(self, mover: Mover) -> list[SourceColumn]:
        """See `RowSource`: of all that was fetched, or before `reading` of the first page."""
        if self._files is None:
            spool = self._opened(self._start(None), "look")
            if not spool.pages:
                self._fetch(spool, self._start(None), first_only=True)
            looking = self._of(spool)
            try:
                return looking.columns(mover)
            finally:
                looking.close()
        return self._files.columns(mover)

    def reading(self, mover: Mover, position: dict[str, Any] | None, batch_rows: int | None) -> Reading:
        """See `RowSource`. Everything that is new is fetched here."""
        cursor = self._start(position)
        spool = self._opened(cursor, "rows")
        if spool.done and time.time() - spool.told.get("at", 0) > FRESH_SECONDS:
            spool.begin_anew()
        warnings = [] if spool.done else self._fetch(spool, cursor, first_only=False)
        self._spool, self._files = spool, self._of(spool)
        if not self._any(spool):
            return Reading((), position or {}, rows=0, warnings=(*warnings, "there are no new rows"))
        read = self._files.reading(mover, None, batch_rows)
        data = {"folder": spool.folder.name}
        parts = tuple(
            Part(part.id, part.rows, part.bytes, part.told, {**part.data, **data}) for part in read.parts
        )
        now, told = self._position(mover, parts, position)
        return Reading(parts, now, bytes=read.bytes, stated={**read.stated, "pages": len(spool.pages)}, warnings=(*warnings, *told, *read.warnings))  # fmt: skip

    def relation(self, mover: Mover, part: Part) -> str:
        """See `RowSource`. Errors: `Failed` `pipelines.spool-gone` where what was fetched is no longer there."""
        return self._of_part(part).relation(mover, part)

    def carefully(self, mover: Mover, part: Part) -> tuple[str, str]:
        """See `RowSource`."""
        return self._of_part(part).carefully(mover, part)

    def keys_relation(self, mover: Mover, keys: tuple[str, ...]) -> str:
        """See `RowSource`: what was fetched may be new rows only, so it cannot tell."""
        del mover, keys
        return ""

    def still(self, part: Part) -> None:
        """See `RowSource`: what lies in the spool is ours."""

    def close(self) -> None:
        """See `RowSource`. What was fetched stays, for the run after a plan and for the worker after a crash."""
        if self._files:
            self._files.close()

    # -- the spool -----------------------------------------------------------------------------------------------------------------

    def _opened(self, cursor: str, what: str) -> Spool:
        key = f"{what}:{self._key(cursor)}"
        self._base.mkdir(parents=True, exist_ok=True)
        for folder in self._base.glob("fetched-*"):
            if time.time() - folder.stat().st_mtime > OLD_SECONDS:
                Spool(folder, "").remove()
        return Spool(self._base / f"fetched-{hashlib.blake2b(key.encode(), digest_size=12).hexdigest()}", hashlib.blake2b(key.encode()).hexdigest())  # fmt: skip

    def _of(self, spool: Spool) -> FileSource:
        return FileSource({"format": self.format}, (self.pattern,), spool.folder)

    def _of_part(self, part: Part) -> FileSource:
        folder = self._base / part.data["folder"]
        if self._files is None or not self._spool or self._spool.folder != folder:
            if not folder.is_dir():
                raise Failed("pipelines.spool-gone", "What was fetched for this build is no longer in the spool.", "Run the pipeline anew: it fetches again.")  # fmt: skip
            self._files = FileSource({"format": self.format}, (self.pattern,), folder)
        return self._files

    def _any(self, spool: Spool) -> bool:
        return any(path.stat().st_size for path in spool.folder.glob(self.pattern))

    # -- where it stands -----------------------------------------------------------------------------------------------------------

    def _start(self, position: dict[str, Any] | None) -> str:
        return str((position or {}).get("cursor") or self._cursor.get("start") or "")

    def _position(self, mover: Mover, parts: tuple[Part, ...], position: dict[str, Any] | None) -> tuple[dict[str, Any], list[str]]:  # fmt: skip
        """The greatest value of the cursor's column, compared as its type; it never goes backwards."""
        name = self._cursor.get("column")
        if not name or not parts:
            return position or {}, []
        kind = next((one.type for one in self.columns(mover) if one.name == name), None)
        if kind is None:
            raise BadInput("pipelines.no-cursor", f"The rows have no column {name}.", "Name a column that they have in `cursor`.")  # fmt: skip
        before = self._start(position)
        former = f"TRY_CAST({literal(before)} AS {kind})" if before else f"CAST(NULL AS {kind})"
        asked = f"SELECT {_said('max(c)', kind)}, coalesce(max(c) < {former}, false) FROM"
        try:
            latest, back = mover.row(f"{asked} ({self._values(mover, name, parts, careful=False)})")
        except driver_errors():  # what is rejected moves no cursor
            latest, back = mover.row(f"{asked} ({self._values(mover, name, parts, careful=True)})")
        if back:
            return position or {"cursor": before}, [
                f"the cursor {name} went backwards: it stays where it was"
            ]
        return ({"cursor": latest} if latest is not None else position or {}), []

    def _values(self, mover: Mover, name: str, parts: tuple[Part, ...], *, careful: bool) -> str:
        rows = (self.carefully(mover, part)[0] if careful else self.relation(mover, part) for part in parts)
        return " UNION ALL ".join(f"SELECT {identifier(name)} AS c FROM {one}" for one in rows)


def _said(value: str, kind: str) -> str:
    """A value as an API is asked with it: moments as ISO 8601 in UTC."""
    if kind == "TIMESTAMP WITH TIME ZONE":
        return f"replace(CAST({value} AT TIME ZONE 'UTC' AS VARCHAR), ' ', 'T') || 'Z'"
    if kind == "TIMESTAMP":
        return f"replace(CAST({value} AS VARCHAR), ' ', 'T')"
    return f"CAST({value} AS VARCHAR)"
