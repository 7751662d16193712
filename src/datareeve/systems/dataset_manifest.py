"""The manifest of a dataset: which Parquet files are its tables, and how far the pipelines came that wrote them. One file each time, never changed.

`_datareeve/000000000012.json` below the folder is the twelfth. A manifest is put only where there is none of its number, so of two publishers one
is first, and the other sees it. Readers take the one with the highest number: data and cursor become visible in one act.
"""

from __future__ import annotations

import json
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from datareeve.core import clock
from datareeve.core.errors import BadInput, Failed

if TYPE_CHECKING:
    from datareeve.systems.dataset_store import Store

PLACE = "_datareeve"
NUMBERED = re.compile(r"^(\d{12})\.json$")
KEPT = 20  # manifests that stay for readers who have just looked which one is the newest
LOOKS = 5  # how often the newest is looked for again, when it went while it was opened


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


def newest(store: Store) -> Manifest:
    """The newest manifest; an empty one where nothing was ever published. Errors: `Failed` `pipelines.manifest`; the storage's."""
    for _ in range(LOOKS):
        numbers = _numbers(store)
        if not numbers:
            return Manifest()
        with suppress(FileNotFoundError):  # others published meanwhile, and it went: there is a newer one
            return _read(store, max(numbers))
    raise _unreadable(store.name, max(numbers))


def put(store: Store, made: Manifest) -> bool:
    """Put a manifest where there is none of its number; False where somebody else was first. Errors: the storage's."""
    told = {"datareeve": 1, "number": made.number, "at": clock.stamp(), "by": secrets.token_hex(8), "tables": made.tables,
            "pipelines": made.pipelines, "garbage": list(made.garbage)}  # fmt: skip
    if not store.create(_named(made.number), json.dumps(told).encode()):
        return False
    there = _numbers(store)
    if (
        max(there) - made.number >= KEPT
    ):  # it slept while so many were published that its number had come free again
        store.remove(_named(made.number))
        return False
    for old in there:
        if old <= made.number - KEPT:
            store.remove(_named(old))
    return True


def folder_of(table: str) -> str:
    """The folder of a table's files, whatever the table is called."""
    told = quote(table, safe=" ")
    return f"%{ord(told[0]):02X}{told[1:]}" if told[0] in "._" else told


def _read(store: Store, number: int) -> Manifest:
    try:
        told = json.loads(store.read(_named(number)))
        known = told["datareeve"], told["tables"], told["pipelines"], tuple(told["garbage"])
    except FileNotFoundError:
        raise
    except (OSError, ValueError, KeyError, TypeError):
        raise _unreadable(store.name, number) from None
    if known[0] != 1:
        raise BadInput(
            "pipelines.manifest",
            f"{store.name}: manifest {number} is of version {known[0]}, and this Datareeve knows version 1.",
            "Install the Datareeve that wrote it, or a newer one.",
        )
    return Manifest(number, *known[1:])


def _numbers(store: Store) -> list[int]:
    return [int(found[1]) for one in store.names(PLACE) if (found := NUMBERED.match(one))]


def _named(number: int) -> str:
    return f"{PLACE}/{number:012d}.json"


def _unreadable(name: str, number: int) -> Failed:
    return Failed(
        "pipelines.manifest",
        f"{name}: manifest {number}, which says what is published, cannot be read.",
        f"Give it back from a backup, or remove {PLACE}/{number:012d}.json to publish what stood before it.",
    )
