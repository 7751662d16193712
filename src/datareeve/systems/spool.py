"""Pages that were fetched, kept in a folder of the build until they are committed: what is whole there survives a crash.

A page is written beside and renamed into place; the manifest, replaced in the same way, says how far the fetching came. Whoever starts again
goes on after the last whole page where the API allows it, and else begins anew.
"""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MANIFEST = "manifest.json"


class Spool:
    """One fetching. `asked`: what was asked for; a folder of another question is begun anew."""

    def __init__(self, folder: Path, asked: str) -> None:
        self.folder = folder
        self.asked = asked
        folder.mkdir(parents=True, exist_ok=True)
        self.told = self._read()

    @property
    def next(self) -> Any:
        """Where the fetching goes on; None at its beginning."""
        return self.told.get("next")

    @property
    def done(self) -> bool:
        """Whether everything is here."""
        return bool(self.told.get("done"))

    @property
    def pages(self) -> list[str]:
        """The names of the whole pages, in order."""
        return list(self.told.get("pages") or ())

    def add(self, records: Iterable[bytes], next_: Any) -> None:
        """A page, as lines of JSON; it is there, whole, when this returns."""
        name = f"page-{len(self.pages) + 1:07}.jsonl"
        beside = self.folder / f".{name}"
        with beside.open("wb") as stream:
            stream.writelines(record + b"\n" for record in records)
        beside.replace(self.folder / name)
        self._write({**self.told, "pages": [*self.pages, name], "next": next_})

    def end(self, **told: Any) -> None:
        """Everything is here."""
        self._write({**self.told, **told, "done": True})

    def begin_anew(self) -> None:
        """Forget what is here."""
        for path in self.folder.iterdir():
            path.unlink(missing_ok=True)
        self.told = {"asked": self.asked}

    def remove(self) -> None:
        """Let go of it all."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _read(self) -> dict[str, Any]:
        try:
            told = json.loads((self.folder / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            told = None
        if isinstance(told, dict) and told.get("asked") == self.asked and self._whole(told):
            return told
        for path in self.folder.iterdir():
            path.unlink(missing_ok=True)
        return {"asked": self.asked}

    def _whole(self, told: dict[str, Any]) -> bool:
        return all((self.folder / name).is_file() for name in told.get("pages") or ())

    def _write(self, told: dict[str, Any]) -> None:
        beside = self.folder / f".{MANIFEST}"
        with beside.open("w", encoding="utf-8") as stream:
            json.dump(told, stream)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(self.folder / MANIFEST)
        self.told = told
