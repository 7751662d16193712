"""The project's files: reading digests, writing within the folders that the authority allows, resolved without following links out."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

from datareeve.core.authority import path_matches
from datareeve.core.errors import Failed, Refused
from datareeve.core.estate import ESTATE_FILE, STATE_FOLDER
from datareeve.systems.adapter import Adapter, effects, reads


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
        where = self.root / path
        return hashlib.sha256(where.read_bytes()).hexdigest() if where.is_file() else None

    @reads
    def text(self, path: str) -> str | None:
        """A UTF-8 file's text; None where there is no such file."""
        where = self.root / path
        return where.read_text(encoding="utf-8") if where.is_file() else None

    @reads
    def exists(self, path: str) -> bool:
        """Whether there is a file or folder."""
        return (self.root / path).exists()

    @effects
    def write(self, path: str, text: str, mode: int = 0o644) -> dict[str, Any]:
        """Write a UTF-8 file atomically; what stood there before is kept by its digest for `restore`. Gives {bytes, before}."""
        where = self._writable(path)
        before = self._keep(where)
        data = text.encode()
        try:
            where.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "wb", dir=where.parent, prefix=".datareeve-", delete=False
            ) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(file.name).chmod(mode)
            Path(file.name).replace(where)
        except OSError as error:
            raise Failed(
                "files.write",
                f"{path} cannot be written: {error.strerror}.",
                "Free space or mend the folder's rights.",
            ) from None
        return {"bytes": len(data), "before": before}

    @effects
    def restore(self, path: str, digest: str | None) -> dict[str, Any]:
        """Put back the file that had this digest (None: there was none); the undo of `write`, idempotent. Empty folders it made go too."""
        where = self._writable(path)
        if digest is None:
            where.unlink(missing_ok=True)
            self._prune(where.parent)
        elif self.digest(path) != digest:
            where.write_bytes((self._kept / digest).read_bytes())
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
        (self._kept / digest).write_bytes(data)
        return digest

    def _prune(self, folder: Path) -> None:
        while folder != self.root and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def _writable(self, path: str) -> Path:
        return self.root / allowed_path(self.root, path, self._allowed)


def allowed_path(root: Path, path: str, allowed: tuple[str, ...]) -> str:
    """The path, resolved below `root`, when it may be written. Errors: `Refused` `files.outside`, `files.not-allowed`.

    `allowed` are patterns such as `**/data/**`; `estate.yaml` and the state folder are always allowed.
    """
    if any(ord(character) < 32 for character in path):  # noqa: PLR2004 - control characters
        raise Refused("files.path", "The path holds control characters.", "Give a plain path.")
    resolved = (root / path).resolve()
    if not resolved.is_relative_to(root):
        raise Refused(
            "files.outside",
            f"{path} leads out of the project.",
            "Give a path inside it, without links that leave it.",
        )
    inside = resolved.relative_to(root).as_posix()
    if (
        inside == ESTATE_FILE
        or inside.startswith(f"{STATE_FOLDER}/")
        or any(path_matches(inside, pattern) for pattern in allowed)
    ):
        return inside
    raise Refused(
        "files.not-allowed",
        f"{inside} is outside the folders that may be written: {', '.join(allowed)}.",
        "Use one of them, or widen authority.file_paths in estate.yaml.",
    )
