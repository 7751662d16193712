"""The manifest of a dataset: which Parquet files are its tables, and how far the pipelines came that wrote them. One file each time, never changed.

`_datareeve/000000000012.json` below the folder is the twelfth. A manifest is put only where there is none of its number, so of two publishers one
is first, and the other sees it. Readers take the one with the highest number: data and cursor become visible in one act.
"""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from datareeve.core import clock
from datareeve.core.errors import BadInput, DatareeveError, Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PLACE = "_datareeve"
NUMBERED = re.compile(r"^(\d{12})\.json$")
KEPT = 20  # manifests that stay for readers who have just looked which one is the newest
LOOKS = 5  # how often the newest is looked for again, when it went while it was opened
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


@dataclass(frozen=True)
class Manifest:
    """One manifest.

    `tables`: {name: {columns: {name: DuckDB's type}, files: [below the folder], rows}}. `pipelines`: {name: {epoch, published, tables: {name:
    files}, former: {name: a table's entry, or null}}}. `garbage`: files that nobody needs any more.
    """

    number: int = 0
    tables: dict[str, Any] = field(default_factory=dict)
    pipelines: dict[str, Any] = field(default_factory=dict)
    garbage: tuple[str, ...] = ()

    def files(self) -> set[str]:
        """Every file that is needed: of what is published, and of what an undo would publish again."""
        former = (entry for one in self.pipelines.values() for entry in one["former"].values() if entry)
        return {file for entry in (*self.tables.values(), *former) for file in entry["files"]}


def newest(root: Path, name: str) -> Manifest:
    """The newest manifest; an empty one where nothing was ever published. Errors: `Failed` `pipelines.manifest`."""
    for _ in range(LOOKS):
        numbers = _numbers(root)
        if not numbers:
            return Manifest()
        with suppress(FileNotFoundError):  # others published meanwhile, and it went: there is a newer one
            return _read(root, max(numbers), name)
    raise _unreadable(name, max(numbers))


def put(root: Path, made: Manifest, name: str) -> bool:
    """Put a manifest where there is none of its number; False where somebody else was first. Errors: `pipelines.no-space`, `pipelines.no-rights`, `pipelines.no-links`."""
    told = {"datareeve": 1, "number": made.number, "at": clock.stamp(), "tables": made.tables, "pipelines": made.pipelines, "garbage": list(made.garbage)}  # fmt: skip
    place = root / PLACE
    beside = place / f".{made.number}-{secrets.token_hex(6)}"
    with writing(name):
        place.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("x", encoding="utf-8") as file:
                json.dump(told, file)
                file.flush()
                os.fsync(file.fileno())
            try:
                os.link(beside, _path(root, made.number))
            except FileExistsError:
                return False
            except OSError as error:
                if error.errno in NO_LINKS:
                    raise _no_links(name) from None
                raise
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
        settle(place)
    _let_old_go(root, made.number)
    return True


def settle(folder: Path) -> None:
    """Have a folder's names on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def folder_of(table: str) -> str:
    """The folder of a table's files, whatever the table is called."""
    told = quote(table, safe=" ")
    return f"%{ord(told[0]):02X}{told[1:]}" if told[0] in "._" else told


@contextmanager
def writing(name: str) -> Iterator[None]:
    """What the file system says while something is written, as our errors."""
    try:
        yield
    except OSError as error:
        raise failed(name, error) from None


def failed(name: str, error: OSError) -> DatareeveError:
    """Why a folder cannot be written."""
    if error.errno in FULL:
        return Failed(
            "pipelines.no-space",
            f"{name}: there is no space left to write.",
            "Free space; the next run goes on where this one stopped.",
        )
    return Refused(
        "pipelines.no-rights",
        f"{name}: the folder cannot be written ({error.strerror}).",
        "Correct the path, or give this user the right to write there.",
    )


def _read(root: Path, number: int, name: str) -> Manifest:
    try:
        told = json.loads(_path(root, number).read_bytes())
        known = told["datareeve"], told["tables"], told["pipelines"], tuple(told["garbage"])
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError):
        raise _unreadable(name, number) from None
    if known[0] != 1:
        raise BadInput(
            "pipelines.manifest",
            f"{name}: manifest {number} is of version {known[0]}, and this Datareeve knows version 1.",
            "Install the Datareeve that wrote it, or a newer one.",
        )
    return Manifest(number, *known[1:])


def _numbers(root: Path) -> list[int]:
    try:
        return [int(found[1]) for one in os.listdir(root / PLACE) if (found := NUMBERED.match(one))]  # noqa: PTH208 - names only
    except (FileNotFoundError, NotADirectoryError):
        return []


def _let_old_go(root: Path, number: int) -> None:
    for old in _numbers(root):
        if old <= number - KEPT:
            with suppress(OSError):  # another publisher removed it, or the next one will
                _path(root, old).unlink()


def _path(root: Path, number: int) -> Path:
    return root / PLACE / f"{number:012d}.json"


def _unreadable(name: str, number: int) -> Failed:
    return Failed(
        "pipelines.manifest",
        f"{name}: manifest {number}, which says what is published, cannot be read.",
        f"Give it back from a backup, or remove {PLACE}/{number:012d}.json to publish what stood before it.",
    )


def _no_links(name: str) -> Refused:
    return Refused(
        "pipelines.no-links",
        f"{name}: its file system cannot put a file only where there is none (hard links), so two publishers could not be told apart.",
        "Name a folder of a file system that can, or a DuckLake.",
    )
