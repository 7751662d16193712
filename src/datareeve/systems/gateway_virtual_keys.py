"""Keys of applications and people: issued once into a file that only its owner reads, known here by their SHA-256."""

from __future__ import annotations

import hashlib
import os
import secrets
import string
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import Failed
from datareeve.core.estate import STATE_FOLDER
from datareeve.systems.adapter import effects, reads
from datareeve.systems.gateway_opened import OpenedGateway
from datareeve.systems.gateway_store import StoredVirtualKey

if TYPE_CHECKING:
    from pathlib import Path

KEY_FOLDER = f"{STATE_FOLDER}/secrets/"
LETTERS = string.ascii_letters + string.digits
SECRET_LENGTH = 43  # of 62 signs: 256 bits
PRIVATE = 0o600


class VirtualKeys(OpenedGateway):
    """What is read and done about virtual keys. Times are Unix seconds."""

    @reads
    def virtual_keys(self) -> list[dict[str, Any]]:
        """Keys of applications and people, oldest first, times in Unix seconds: all of `StoredVirtualKey` but the digest, and `state`."""
        store = self._reading
        now = time.time()
        return [_virtual_told(key, now) for key in (store.virtual_keys() if store else ())]

    @reads
    def virtual_key_state(self, key: str) -> str | None:
        """valid, expired or revoked; None where there is no such key."""
        return next((k["state"] for k in self.virtual_keys() if k["id"] == key), None)

    @reads
    def has_limits(self, key: str, **scope: Any) -> bool:
        """Whether a virtual key has these limits, as `change_virtual_key` gives them."""
        found = next((k for k in self.virtual_keys() if k["id"] == key), None)
        return found is not None and all(found[name] == value for name, value in scope.items())

    @reads
    def issued(self, key: str, path: str) -> bool:
        """Whether a virtual key is there and its text stands in a file."""
        store = self._reading
        found = next((k for k in (store.virtual_keys() if store else ()) if k.id == key), None)
        return found is not None and _digest_in(self._key_file(path)) == found.digest

    @reads
    def file_free(self, path: str) -> bool:
        """Whether a key can be written to a path: there is no such file yet. Errors: `Refused` `files.…` where nothing may be written there."""
        return not self._key_file(path).exists()

    @effects
    def issue_virtual_key(
        self, key: str, path: str, *, valid_days: float | None = None, **scope: Any
    ) -> dict[str, Any]:
        """Make a virtual key: its text goes to a file that only its owner reads, its SHA-256 to the store. Quiet where it was issued.

        `scope`: name, team, models, requests_per_minute, tokens_per_minute, max_parallel, cache, admin.
        """
        if self.issued(key, path):
            return {}
        text = f"dr-{key}-{''.join(secrets.choice(LETTERS) for _ in range(SECRET_LENGTH))}"
        _write_private(self._key_file(path), text)
        expires_at = time.time() + valid_days * 86_400 if valid_days else None
        digest = hashlib.sha256(text.encode()).digest()
        stored = {**scope, "models": tuple(scope["models"])}
        self._store.add_virtual_key(StoredVirtualKey(id=key, digest=digest, expires_at=expires_at, **stored))
        return {}

    @effects
    def withdraw_virtual_key(self, key: str, path: str) -> dict[str, Any]:
        """Take an issued key back, with its file, as if it had never been; idempotent. A file that holds something else stays."""
        file = self._key_file(path)
        if file.is_file() and file.read_bytes().startswith(f"dr-{key}-".encode()):
            file.unlink()
        self._store.remove_virtual_key(key)
        return {}

    @effects
    def change_virtual_key(self, key: str, **scope: Any) -> dict[str, Any]:
        """Give a virtual key other limits; its text and its end stay. Quiet where it has them, or is not there."""
        given = {**scope, **({"models": tuple(scope["models"])} if "models" in scope else {})}
        for stored in self._store.virtual_keys():
            if stored.id == key and not self.has_limits(key, **scope):
                self._store.change_virtual_key(replace(stored, **given))
        return {}

    @effects
    def revoke_virtual_key(self, key: str) -> dict[str, Any]:
        """From now on it opens nothing."""
        self._store.revoke_virtual_key(key)
        return {}

    @effects
    def restore_virtual_key(self, key: str) -> dict[str, Any]:
        """A revocation is taken back."""
        self._store.restore_virtual_key(key)
        return {}

    def _key_file(self, path: str) -> Path:
        return self._writable(path, KEY_FOLDER)


def _virtual_told(key: StoredVirtualKey, now: float) -> dict[str, Any]:
    expired = key.expires_at is not None and key.expires_at <= now
    told = {name: getattr(key, name) for name in key.__slots__ if name != "digest"}
    state = "revoked" if key.revoked_at is not None else "expired" if expired else "valid"
    return {**told, "models": list(key.models), "state": state}


def _digest_in(file: Path) -> bytes | None:
    return hashlib.sha256(file.read_bytes().rstrip(b"\n")).digest() if file.is_file() else None


def _write_private(file: Path, text: str) -> None:
    """Write a new file that only its owner reads. Errors: `Failed` `files.write`, also where there is a file of that name."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(f"{text}\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise Failed("files.write", f"{file.name} cannot be written: {error.strerror}.", "Name a path that is free.") from None  # fmt: skip
