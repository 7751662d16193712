"""Where a dataset lies: what the protocol of its manifests asks of a storage, and a local folder as one.

The one thing that matters is `create`: of two that put the same name, one is first, and the other is told so.
"""

from __future__ import annotations

import errno
import os
import secrets
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Protocol

from datareeve.core.errors import DatareeveError, Failed, Refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Store(Protocol):
    """A storage of objects by name ('_datareeve/000000000012.json'). Errors of all: a `DatareeveError` that says what to do."""

    name: str  # the system's, for errors

    def create(self, name: str, body: bytes) -> bool:
        """Put an object where there is none of its name, whole and lasting; False where somebody else's is there. No two bodies are ever equal."""
        ...

    def read(self, name: str) -> bytes:
        """An object. Errors: `FileNotFoundError` where there is none."""
        ...

    def names(self, folder: str) -> list[str]:
        """The names of what lies directly in a folder, without the folder; none where there is no such folder."""
        ...

    def remove(self, name: str) -> None:
        """Remove an object, if it is there and can be removed: whoever publishes next does it again."""
        ...


class LocalStore:
    """A folder of a file system that has hard links."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.name = root, name

    def create(self, name: str, body: bytes) -> bool:
        """See `Store`. Errors: `pipelines.no-space`, `pipelines.no-rights`, `pipelines.no-links`."""
        path = self.root / name
        beside = path.with_name(f".{path.stem}-{secrets.token_hex(6)}")
        with writing(self.name):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with beside.open("xb") as file:
                    file.write(body)
                    file.flush()
                    os.fsync(file.fileno())
                if not self._linked(beside, path):
                    return False
            finally:
                with suppress(OSError):
                    beside.unlink(missing_ok=True)
            settle(path.parent)
        return True

    def _linked(self, beside: Path, path: Path) -> bool:
        try:
            os.link(beside, path)
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in NO_LINKS:
                raise _no_links(self.name) from None
            raise
        return True

    def read(self, name: str) -> bytes:
        """See `Store`. Errors: also `OSError`."""
        return (self.root / name).read_bytes()

    def names(self, folder: str) -> list[str]:
        """See `Store`."""
        try:
            return os.listdir(self.root / folder)  # noqa: PTH208 - names only
        except (FileNotFoundError, NotADirectoryError):
            return []

    def remove(self, name: str) -> None:
        """See `Store`."""
        with suppress(OSError):
            (self.root / name).unlink()


def settle(folder: Path) -> None:
    """Have a folder's names on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


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


def _no_links(name: str) -> Refused:
    return Refused(
        "pipelines.no-links",
        f"{name}: its file system cannot put a file only where there is none (hard links), so two publishers could not be told apart.",
        "Name a folder of a file system that can, or a DuckLake.",
    )
