"""The project's files: reading digests, writing within the folders that the authority allows, resolved without following links out."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datareeve.core.authority import path_matches
from datareeve.core.errors import Failed, Refused
from datareeve.core.estate import ESTATE_FILE, STATE_FOLDER
from datareeve.systems.adapter import Adapter, effects, reads

if TYPE_CHECKING:
    from collections.abc import Iterator

OURS = tuple(f"{STATE_FOLDER}/{name}" for name in ("ledger.", "kept/", "secrets/"))


class Files(Adapter):
    """The folder that holds `estate.yaml`. Paths are relative to it, with forward slashes."""

    kind = "files"

    def __init__(self, root: Path, allowed: tuple[str, ...]) -> None:
        super().__init__("files")
        self.root = root.resolve()
        self._allowed = allowed

    @reads
    def digest(self, path: str) -> str | None:
        """SHA-256 of a file's bytes; None where there is no such file."""
        where = self._readable(path)
        return hashlib.sha256(where.read_bytes()).hexdigest() if where.is_file() else None

    @reads
    def text(self, path: str) -> str | None:
        """A UTF-8 file's text; None where there is no such file."""
        where = self._readable(path)
        return where.read_text(encoding="utf-8") if where.is_file() else None

    @reads
    def named(self, patterns: list[str]) -> list[str]:
        """The files below the project that match one of some patterns (`contracts/*.yaml`), in order; links that lead out are left out."""
        found = {
            path for pattern in patterns for path in self.root.glob(pattern.lstrip("/")) if path.is_file()
        }
        inside = (
            path.relative_to(self.root).as_posix()
            for path in found
            if path.resolve().is_relative_to(self.root)
        )
        return sorted(inside)

    @reads
    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""
        return (self.root / path).exists()

    @effects
    def write(self, path: str, text: str, mode: int = 0o644) -> dict[str, Any]:
        """Write a UTF-8 file atomically; what stood there before is kept by its digest for `restore`. Gives {bytes, before}."""
        where = self._writable(path)
        data = text.encode()
        with _told(path):
            before = self._keep(where)
            where.parent.mkdir(parents=True, exist_ok=True)
            replace_file(where, data, mode)
        return {"bytes": len(data), "before": before}

    @effects
    def restore(self, path: str, digest: str | None) -> dict[str, Any]:
        """Put back the file that had this digest (None: there was none); the undo of `write`, idempotent. Empty folders it made go too."""
        where = self._writable(path)
        with _told(path):
            if digest is None:
                where.unlink(missing_ok=True)
                self._prune(where.parent)
            elif self.digest(path) != digest:
                kept = self._kept / digest
                data = kept.read_bytes()
                where.parent.mkdir(parents=True, exist_ok=True)
                replace_file(where, data, permissions(kept))
        return {}

    @property
    def _kept(self) -> Path:
        return self.root / STATE_FOLDER / "kept"

    def _keep(self, where: Path) -> str | None:
        if not where.is_file():
            return None
        data = where.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        self._kept.mkdir(parents=True, exist_ok=True)
        replace_file(self._kept / digest, data, permissions(where))
        return digest

    def _prune(self, folder: Path) -> None:
        while folder != self.root and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def _readable(self, path: str) -> Path:
        return self.root / inside_path(self.root, path)

    def _writable(self, path: str) -> Path:
        return self.root / allowed_path(self.root, path, self._allowed)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """What the file system refuses, as ours."""
    try:
        yield
    except OSError as error:
        raise Failed(
            "files.write",
            f"{path} cannot be written: {error.strerror}.",
            "Free space or mend the folder's rights.",
        ) from None


def permissions(path: Path) -> int:
    """Who may do what with a file."""
    return path.stat().st_mode & 0o777


def replace_file(where: Path, data: bytes, mode: int) -> None:
    """Write a file's bytes so that a reader sees the old or the new ones, whole; nothing is left beside it where this fails."""
    with tempfile.NamedTemporaryFile("wb", dir=where.parent, prefix=".datareeve-", delete=False) as file:
        partial = Path(file.name)
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            partial.chmod(mode)
            partial.replace(where)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


def inside_path(root: Path, path: str) -> str:
    """The path, resolved below `root`. Errors: `Refused` `files.path`, `files.outside`."""
    if any(ord(character) < 32 for character in path):  # noqa: PLR2004 - control characters
        raise Refused("files.path", "The path holds control characters.", "Give a plain path.")
    resolved = (root / path).resolve()
    if not resolved.is_relative_to(root):
        raise Refused(
            "files.outside",
            f"{path} leads out of the project.",
            "Give a path inside it, without links that leave it.",
        )
    return resolved.relative_to(root).as_posix()


def allowed_path(root: Path, path: str, allowed: tuple[str, ...]) -> str:
    """The path, resolved below `root`, when it may be written. Errors: `Refused` `files.path`, `files.outside`, `files.not-allowed`.

    `allowed` are patterns such as `**/data/**`; the state folder is always allowed, but for what others rest on: the ledger, what is
    kept for undo, secrets. `estate.yaml` is written key by key, as a system of its own.
    """
    inside = inside_path(root, path)
    ours = inside == ESTATE_FILE or inside.startswith(OURS)
    if not ours and (
        inside.startswith(f"{STATE_FOLDER}/") or any(path_matches(inside, pattern) for pattern in allowed)
    ):
        return inside
    raise Refused(
        "files.not-allowed",
        f"{inside} is outside the folders that may be written: {', '.join(allowed)}.",
        "Use one of them, or widen authority.file_paths in estate.yaml.",
    )
