"""Files that a schedule waits for: which are there, complete, and whether they are new is told by path, size and moment of change.

A file is complete when its inode has not changed for a while: unlike the moment of its content's change, that one cannot be set by whoever
copies it. Names that programs give to what they have not finished are passed over.
"""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from datareeve.core.errors import BadInput, Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

SETTLED_SECONDS = 20.0
MOST_FILES = 200_000
UNFINISHED: Final = (".tmp", ".temp", ".part", ".partial", ".crdownload", ".filepart", ".swp", "~")


def complete(
    pattern: str, now: datetime, *, project: Path, folder_of: Callable[[str], Path | None]
) -> dict[str, str]:
    """The complete files that a pattern names, each with its mark. `folder:*.csv` is below a folder of the estate, others below the project.

    Errors: `BadInput` `schedule.on-file`; `Failed` `schedule.too-many-files`.
    """
    root, below = _place(pattern, project, folder_of)
    found = {}
    for path in _named(root, below):
        mark = _mark(root / path, now)
        if mark is not None:
            found[path] = mark
        if len(found) > MOST_FILES:
            raise Failed(
                "schedule.too-many-files",
                f"{pattern} names more than {MOST_FILES:,} files.",
                "Give a narrower pattern, or move away what was loaded.",
            )
    return found


def _place(pattern: str, project: Path, folder_of: Callable[[str], Path | None]) -> tuple[Path, str]:
    name, colon, below = pattern.partition(":")
    if not colon:
        return project, pattern
    folder = folder_of(name)
    if folder is None or below.startswith("/") or ".." in Path(below).parts:
        raise BadInput(
            "schedule.on-file",
            f"{pattern!r} names no files of a folder of the estate.",
            "Write incoming/*.csv for files of the project, or landing:*.csv with the name of a system of kind folder.",
        )
    return project / folder, below


def _named(root: Path, pattern: str) -> Iterator[str]:
    for path in glob.iglob(pattern, root_dir=root, recursive=True):  # noqa: PTH207 - pathlib's knows no absolute ones
        if not path.lower().endswith(UNFINISHED) and not Path(path).name.startswith((".", "_")):
            yield path


def _mark(path: Path, now: datetime) -> str | None:
    """Size and moment of change; None for what is no file, not complete, or has just gone."""
    try:
        seen = path.stat()
    except OSError:
        return None
    if not os.path.isfile(path) or now.timestamp() - seen.st_ctime < SETTLED_SECONDS:  # noqa: PTH113
        return None
    return f"{seen.st_size}:{seen.st_mtime_ns}"
