"""Which files a load reads: patterns below a folder, in a steady order, without those that are still being written.

Links that lead out of the folder are not followed, and names that begin with `.` or `_` are not data, as in `folder`.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import psutil

from datareeve.core.errors import BadInput, Failed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORMATS = {
    ".csv": "csv", ".tsv": "csv", ".tab": "csv", ".psv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json",
    ".parquet": "parquet", ".pq": "parquet", ".xlsx": "excel", ".fwf": "fixed",
}  # fmt: skip
PACKED = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart", ".inprogress", ".writing", "~")
MOST_FILES = 100_000
EDGE = 64 * 2**10  # bytes at both ends that a file is known by
RECENT_SECONDS = 3600  # a file that was written longer ago is not looked for among open ones


@dataclass(frozen=True)
class FoundFile:
    """A file as it was when it was looked at."""

    path: Path
    name: str  # below the folder, with '/'
    size: int
    changed_ns: int

    @property
    def packed(self) -> str:
        """gzip, zstd, bz2, or ''."""
        return PACKED.get(self.path.suffix.lower(), "")

    @property
    def bare(self) -> Path:
        """Its name without the ending of the packing."""
        return self.path.with_suffix("") if self.packed else self.path

    @property
    def partitions(self) -> dict[str, str]:
        """What its folders say: {'year': '2013'} of year=2013/x.parquet."""
        steps = (step.partition("=") for step in PurePosixPath(self.name).parts[:-1])
        return {name: value for name, sign, value in steps if sign and name}

    def stamp(self) -> str:
        """What its contents are known by: its size and both its ends. Errors: `Failed` `pipelines.file-vanished`, `-rights`."""
        found = hashlib.blake2b(str(self.size).encode(), digest_size=12)
        with opened(self) as stream:
            found.update(stream.read(EDGE))
            if self.size > EDGE:
                stream.seek(max(EDGE, self.size - EDGE))
                found.update(stream.read(EDGE))
        return found.hexdigest()

    def must_be_as_it_was(self) -> None:
        """Errors: `Failed` `pipelines.file-changed` where it was written since it was looked at."""
        now = looked_at(self.path, self.name)
        if (now.size, now.changed_ns) != (self.size, self.changed_ns):
            raise Failed(
                "pipelines.file-changed",
                f"{self.name} was written while it was read.",
                "Run again when its writer has ended; write beside, then rename.",
            )


def looked_at(path: Path, name: str) -> FoundFile:
    """A file, now. Errors: `Failed` `pipelines.file-vanished`, `pipelines.file-rights`."""
    try:
        found = path.stat()
    except OSError as error:
        raise unreadable(name, error) from None
    return FoundFile(path, name, found.st_size, found.st_mtime_ns)


def opened(file: FoundFile) -> Any:
    """The file's bytes. Errors: as `looked_at`."""
    try:
        return file.path.open("rb")
    except OSError as error:
        raise unreadable(file.name, error) from None


def unreadable(name: str, error: OSError) -> Failed:
    """A file that cannot be opened, in our words."""
    if isinstance(error, PermissionError):
        return Failed(
            "pipelines.file-rights",
            f"{name} may not be read by this user.",
            "Give this user the right to read it.",
        )
    if isinstance(error, FileNotFoundError):
        return Failed("pipelines.file-vanished", f"{name} has vanished.", "Run again.")
    return Failed(
        "pipelines.file-unreadable",
        f"{name} cannot be read: {error.strerror}.",
        "Look at the disk, then run again.",
    )


def listed(root: Path, patterns: Iterable[str]) -> list[FoundFile]:
    """The files that patterns name, each once, by name. Errors: `BadInput` `pipelines.file-outside`, `pipelines.too-many-files`."""
    if not root.is_dir():
        raise BadInput("pipelines.no-folder", f"{root} is not a folder.", "Name the folder that the files are in.")  # fmt: skip
    found: dict[str, FoundFile] = {}
    for pattern in patterns:
        for path in _matching(root, pattern):
            name = path.relative_to(root).as_posix()
            if name not in found and _is_data(root, path, name):
                found[name] = looked_at(path, name)
                if len(found) > MOST_FILES:
                    raise BadInput("pipelines.too-many-files", f"The patterns name more than {MOST_FILES:,} files.", "Name fewer.")  # fmt: skip
    return [found[name] for name in sorted(found)]


def _matching(root: Path, pattern: str) -> Iterator[Path]:
    steps = PurePosixPath(pattern)
    if steps.is_absolute() or ".." in steps.parts or not steps.parts or "\0" in pattern:
        raise BadInput(
            "pipelines.file-outside",
            f"{pattern!r} is not a pattern below the folder.",
            "Write it without a leading / and without '..'.",
        )
    literally = root / pattern
    if literally.is_file():  # a name may hold the signs of patterns
        yield literally
        return
    try:
        yield from (path for path in sorted(root.glob(pattern)) if path.is_file())
    except (ValueError, NotImplementedError):
        raise BadInput("pipelines.file-pattern", f"{pattern!r} is not a pattern.", "Write it like flights/*.csv.gz, or **/*.parquet.") from None  # fmt: skip


def _is_data(root: Path, path: Path, name: str) -> bool:
    if any(step.startswith((".", "_")) for step in PurePosixPath(name).parts):
        return False
    return path.resolve().is_relative_to(root.resolve())


def unfinished(files: list[FoundFile]) -> dict[str, str]:
    """The files that are still being written, and by what we know."""
    found = {file.name: "its name says so" for file in files if file.name.lower().endswith(UNFINISHED)}
    recent = {
        str(file.path.resolve()): file
        for file in files
        if time.time() - file.changed_ns / 1e9 < RECENT_SECONDS
    }
    for path in _open_for_writing(set(recent)):
        found[recent[path].name] = "a process has it open for writing"
    for file in files:
        if file.name not in found and (why := _cut_off(file)):
            found[file.name] = why
    return found


def _open_for_writing(paths: set[str]) -> set[str]:
    """Those that a process of this machine, as far as we may look, writes to."""
    found: set[str] = set()
    for process in psutil.process_iter() if paths else ():
        try:
            one = process.open_files()
        except (psutil.Error, OSError):  # another user's, or gone
            continue
        found |= {
            file.path for file in one if file.path in paths and getattr(file, "mode", "r") not in ("r", "")
        }
    return found


def _cut_off(file: FoundFile) -> str:
    """Why the end of a file says that it is not whole, or ''."""
    ending = file.bare.suffix.lower()
    if FORMATS.get(ending) == "parquet" and not file.packed and file.size:
        return "" if _ends(file) == (b"PAR1", b"PAR1") and file.size >= 12 else "it has no Parquet footer"  # noqa: PLR2004 - two signs, one length
    if file.packed == "gzip" and 0 < file.size < 18:  # noqa: PLR2004 - header and trailer
        return "its gzip stream is cut off"
    return ""


def _ends(file: FoundFile) -> tuple[bytes, bytes]:
    with opened(file) as stream:
        first = stream.read(4)
        stream.seek(-min(4, file.size), os.SEEK_END)
        return first, stream.read(4)
