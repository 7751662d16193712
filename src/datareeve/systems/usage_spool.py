"""The spool: files that usage rows are appended to before they are in the store, so that a killed gateway loses next to none.

One line is one frame: its number, its CRC-32 and the rows that began and ended since the frame before, `[[begun …], [ended …], [ids …]]` (the
ids of requests that ended within a sum). Frames are numbered without a gap; the store keeps the number up to which it has them, in the same
transaction as the rows. Who writes a spool holds a
lock on a file beside it until the process is gone; so whoever gets that lock may drain the spool: rows that ended are moved, and those that
began and never ended become `interrupted` rows with the estimate that they began with.

Durability: what `os.write` has taken survives the death of the process (SIGKILL), not that of the machine. The store is synced at each
commit, within a quarter of a second after; while it cannot be reached, the spool itself is synced that often instead.
"""

from __future__ import annotations

import fcntl
import glob
import os
import re
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

import orjson

from datareeve.core.errors import Failed
from datareeve.systems.usage_table import PLACE, Move, UsageTuple, spool_frame, write_usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from datareeve.systems.gateway_store import GatewayStore

FILE_BYTES = (
    16 * 1024 * 1024
)  # then a new file is begun, and this one is removed once its rows are in the store
BATCH_ROWS = 500  # a transaction: small, so that the event loop beside it waits a millisecond for the interpreter, not ten
FRAME_MOST = 64 * 1024 * 1024  # a line that is longer is no frame of ours
INTERRUPTED = "gateway.interrupted"


@dataclass(frozen=True, slots=True)
class Frame:
    """What began and what ended between two flushes."""

    number: int
    begun: list[UsageTuple]
    ended: list[UsageTuple]
    summed: list[str]  # ids of requests whose end is in a row that stands for many


def encoded(
    number: int, begun: Sequence[UsageTuple], ended: Sequence[UsageTuple], summed: Sequence[str] = ()
) -> bytes:
    """A frame as a line. Errors: `TypeError` where a row holds what JSON has no form for."""
    body = orjson.dumps((begun, ended, summed))
    return b"%d %08x %b\n" % (number, zlib.crc32(body), body)


def decoded(line: bytes) -> Frame | None:
    """The frame of a line; None where the line is not whole."""
    number, _, rest = line.partition(b" ")
    check, _, body = rest.rstrip(b"\n").partition(b" ")
    try:
        if int(check, 16) != zlib.crc32(body):
            return None
        begun, ended, summed = orjson.loads(body)
        return Frame(int(number), [*map(tuple, begun)], [*map(tuple, ended)], summed)
    except ValueError:
        return None


def interrupted(row: UsageTuple, until: float) -> UsageTuple:
    """The row of a request that began and whose end nobody saw: counted by the estimate that it began with."""
    told = {"status": "interrupted", "estimated": True, "error": INTERRUPTED, "http_status": 0,
            "total_ms": max(0.0, (until - row[PLACE["at"]]) * 1000)}  # fmt: skip
    values = list(row)
    for name, value in told.items():
        values[PLACE[name]] = value
    return tuple(values)


# -- writing -----------------------------------------------------------------------------------------------------------------------


class Spool:
    """The spool of one process, in a folder that it shares with others. Written by one thread."""

    def __init__(self, folder: Path, instance: str) -> None:
        """Errors: `Failed` `gateway.spool` where the folder cannot be written."""
        self.folder = folder
        self.frame = 0  # the last that was numbered
        with _told("written"):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.name, self._lock = _new(folder, re.sub(r"[^A-Za-z0-9_-]", "_", instance)[:80])
        self._serial = 0
        self._fd = -1
        self._size = 0
        self.files: list[tuple[Path, int]] = []  # finished ones, with the last frame of each

    @property
    def path(self) -> Path:
        """The file that is written."""
        return _file(self.folder, self.name, self._serial)

    @property
    def is_full(self) -> bool:
        """Whether a new file should be begun."""
        return self._size >= FILE_BYTES

    def append(self, line: bytes) -> None:
        """Append a frame with one write, or leave the file as it was. Errors: `OSError`."""
        if self._fd < 0:
            self._fd = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600)
        written = os.write(self._fd, line)
        if written != len(line):
            os.ftruncate(
                self._fd, self._size
            )  # half a frame, on a disk that is full: as if it had not been tried
            raise OSError("the disk took a part of a frame")
        self._size += written

    def rotate(self, line: bytes, last: int) -> None:
        """Begin a new file with that frame: all that is still running. `last`: the last frame in the old one. Errors: `OSError`."""
        old = (self._fd, self._size, self._serial)
        self._fd, self._size, self._serial = -1, 0, self._serial + 1
        try:
            self.append(line)
        except OSError:
            if self._fd >= 0:
                os.close(self._fd)
            self.path.unlink(missing_ok=True)
            self._fd, self._size, self._serial = old
            raise
        os.close(old[0])
        self.files.append((_file(self.folder, self.name, old[2]), last))

    def remove_until(self, frame: int) -> None:
        """Remove finished files whose frames are all in the store."""
        while self.files and self.files[0][1] <= frame:
            self.files.pop(0)[0].unlink(missing_ok=True)

    def close(self, *, remove: bool) -> None:
        """Let go of the spool; with `remove`, its files too: all of it is in the store. Else the next process drains it."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if remove:
            _remove(self.folder, self.name)
        os.close(self._lock)


# -- reading -----------------------------------------------------------------------------------------------------------------------


class Reader:
    """Reads the frames of a spool in order, also while it is written."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._serial = min(serials(folder, name), default=0)
        self._offset = 0
        self.damaged = 0  # lines that were no whole frame

    def frames(self) -> Iterator[Frame]:
        """The frames that are there and were not given yet."""
        while True:
            yield from self._rest_of_file()
            if not _file(self._folder, self._name, self._serial + 1).exists():
                return
            yield from self._rest_of_file()  # what was added before the next file was begun
            self._serial, self._offset = self._serial + 1, 0

    def _rest_of_file(self) -> Iterator[Frame]:
        path = _file(self._folder, self._name, self._serial)
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self._offset)
            while (line := file.readline(FRAME_MOST)).endswith(b"\n"):
                self._offset += len(line)
                frame = decoded(line)
                if frame is None:
                    self.damaged += 1
                else:
                    yield frame

    def sync(self) -> None:
        """Have what was written on the disk itself. Errors: `OSError`."""
        with suppress(FileNotFoundError):
            file = os.open(_file(self._folder, self._name, self._serial), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fdatasync(file)
            finally:
                os.close(file)

    @property
    def is_torn(self) -> bool:
        """Whether its last file ends within a frame."""
        path = _file(self._folder, self._name, self._serial)
        return path.exists() and path.stat().st_size > self._offset

    @property
    def last_written(self) -> float:
        """When its last file was written to, in Unix seconds; 0 where there is none."""
        path = _file(self._folder, self._name, self._serial)
        return path.stat().st_mtime if path.exists() else 0.0


# -- draining ----------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Drained:
    """What was found in spools of processes that are gone."""

    spools: int = 0
    rows: int = 0  # moved into the store, interrupted ones included
    interrupted: int = 0
    damaged: int = 0  # lines that could not be read: each at most one flush of one process


def drain(store: GatewayStore, folder: Path) -> Drained:
    """Move the rows of processes that are gone. Spools of live ones are left alone. Errors: those of the store; `Failed` `gateway.spool`."""
    drained = Drained()
    for name in sorted(_names(folder)):
        with _told("read"), _taken(folder, name) as taken:
            if taken:
                _drain_one(store, folder, name, drained)
    return drained


def waiting(folder: Path) -> int:
    """Bytes in all spools of a folder."""
    return sum(path.stat().st_size for path in folder.glob("*.spool")) if folder.is_dir() else 0


def _drain_one(store: GatewayStore, folder: Path, name: str, drained: Drained) -> None:
    after, closed = spool_frame(store, name)
    if not closed:
        _move_all(store, Reader(folder, name), name, after, drained)
    drained.spools += 1
    _remove(folder, name)


def _move_all(store: GatewayStore, reader: Reader, name: str, after: int, drained: Drained) -> None:
    """Every row after frame `after` in batches; at last what began and never ended, with the mark that the spool is done with."""
    running: dict[str, UsageTuple] = {}
    batch: list[UsageTuple] = []
    last = after
    for frame in reader.frames():
        running.update((row[0], row) for row in frame.begun)
        for key in (*(row[0] for row in frame.ended), *frame.summed):
            running.pop(key, None)
        if frame.number <= last:
            continue
        batch += frame.ended
        if len(batch) >= BATCH_ROWS:
            write_usage(store, batch, Move(name, after, frame.number))
            drained.rows += len(batch)
            after, batch = frame.number, []
        last = frame.number
    cut = [interrupted(row, reader.last_written) for row in running.values()]
    write_usage(store, batch + cut, Move(name, after, last, closed=True))
    drained.rows += len(batch) + len(cut)
    drained.interrupted += len(cut)
    drained.damaged += reader.damaged + reader.is_torn


# -- files and locks ---------------------------------------------------------------------------------------------------------------


def serials(folder: Path, name: str) -> list[int]:
    """The numbers of a spool's files, in order."""
    found = (path.name.split(".") for path in folder.glob(f"{glob.escape(name)}.*.spool"))
    return sorted(int(parts[-2]) for parts in found if parts[-2].isdecimal())


def _file(folder: Path, name: str, serial: int) -> Path:
    return folder / f"{name}.{serial}.spool"


def _names(folder: Path) -> set[str]:
    if not folder.is_dir():
        return set()
    return {path.name.rsplit(".", 2)[0] for path in folder.glob("*.*.spool")} | {
        path.stem for path in folder.glob("*.lock")
    }


def _remove(folder: Path, name: str) -> None:
    for serial in serials(folder, name):
        _file(folder, name, serial).unlink(missing_ok=True)
    (folder / f"{name}.lock").unlink(missing_ok=True)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Failed(
            "gateway.spool",
            f"A spool of usage rows cannot be {what}: {os.strerror(error.errno or 0)}.",
            "Mend the rights and the space of .datareeve/; its rows are moved by themselves then.",
        ) from None


@contextmanager
def _taken(folder: Path, name: str) -> Iterator[bool]:
    """Hold a spool's lock, if its process is gone."""
    try:
        lock = _lock(folder, name)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(lock)


def _new(folder: Path, stem: str) -> tuple[str, int]:
    """A name that was never used before, and its lock: frames of a name are counted once.

    Whoever drains may take the file for a spool of a process that is gone, before we have locked it. Then its name is done with, and we take another.
    """
    while True:
        name = f"{stem}-{uuid4().hex[:12]}"
        with suppress(BlockingIOError):
            if (lock := _locked(folder, name)) is not None:
                return name, lock


def _lock(folder: Path, name: str) -> int:
    """The lock of a spool, free again when the process is gone in whatever way (flock(2)). Errors: `BlockingIOError` where it is held."""
    while True:
        if (lock := _locked(folder, name)) is not None:
            return lock


def _locked(folder: Path, name: str) -> int | None:
    """A lock's file made and locked; None where another process removed it between the two. Errors: `BlockingIOError` where it is held."""
    path = folder / f"{name}.lock"
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.exists() and path.stat().st_ino == os.fstat(lock).st_ino:
            return lock
    except BlockingIOError:
        os.close(lock)
        raise
    os.close(lock)
    return None
