"""Contents at rest: answers and prompts that the gateway keeps are sealed by AES-256-GCM before they leave the process.

A content key of the day seals them; it lies in the store in an envelope of the KEK, as providers' keys do. So changing the KEK wraps a handful of
keys anew and no content, sealing costs microseconds, and gateways that share a store read each other's. What is sealed is bound to its row
(additional authenticated data): moved to another, it does not open. Safe to use from several threads.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from datareeve.core.errors import DatareeveError, Failed
from datareeve.core.secrets import Secret
from datareeve.systems import sealing
from datareeve.systems.store_database import named_statements

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.systems.gateway_store import GatewayStore
    from datareeve.systems.sealing import Kek

SQL = named_statements("gateway_contents.sql")
BELONGS = "contents"  # in the envelope, in a provider's place
SEALED, PLAIN = b"c1", b"p1"
ID_BYTES, NONCE_BYTES, KEY_BYTES = 12, 12, 32
DAY_SECONDS = 86_400.0  # that a content key is used; at 2^32 seals a random nonce would not be enough (NIST SP 800-38D, 8.3)
KEPT_SECONDS = 32 * DAY_SECONDS  # beyond it, one that nothing is sealed with goes
LOOK_SECONDS = 5.0  # between two looks for a KEK, or a key, that was not there


@dataclass(frozen=True, slots=True)
class ContentKey:
    """A content key as it is kept: sealed."""

    id: str
    sealed: str
    added_at: float


class Contents:
    """Seals and opens what one store keeps. `kek` is asked for when it is needed; it gives None where there is none."""

    def __init__(
        self, store: GatewayStore, kek: Callable[[], Kek | None], clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._source = kek
        self._clock = clock
        self._lock = threading.Lock()
        self._kek: Kek | None = None
        self._keys: dict[str, AESGCM] = {}
        self._current: tuple[str, float] | None = None  # the key to seal with, and since when it is
        self._asked_kek = self._looked = float("-inf")  # when it was not there

    def adopt(self, kek: Callable[[], Kek | None]) -> None:
        """There may be another KEK: our keys are wrapped for it before anybody is told that we work by it."""
        with self._lock:
            self._source = kek
            new, old = kek(), self._kek
            self._kek, self._asked_kek = new, float("-inf")
            if new is None or (old is not None and old.id == new.id):
                return
            keks = [one for one in (old, new) if one is not None]
            with suppress(DatareeveError):
                rewrap(
                    self._store,
                    lambda key: sealing.wrapped_also(key.sealed, keks, new, row=key.id, provider=BELONGS),
                )

    @property
    def can_seal(self) -> bool:
        """Whether there is a KEK."""
        with self._lock:
            return self._with_kek() is not None

    def seal(self, data: bytes, row: str, *, must: bool = True) -> bytes:
        """Sealed, for one row; with `must` False, as it is where there is no KEK. Errors: `Failed` `contents.no-kek`; those of the store."""
        with self._lock:
            if self._with_kek() is None:
                if must:
                    raise Failed(
                        "contents.no-kek",
                        "There is no key to seal contents with.",
                        "Make one: see gateway.kek.",
                    )
                return PLAIN + data
            name, cipher = self._writing()
        nonce = secrets.token_bytes(NONCE_BYTES)
        return b"".join((SEALED, name.encode(), nonce, cipher.encrypt(nonce, data, _bound(name, row))))

    def open(self, box: bytes, row: str) -> bytes | None:
        """What was sealed; None where it does not open: changed, moved, of a lost key, or plain though there is a KEK. Errors: those of the store."""
        kind, name = box[:2], box[2 : 2 + ID_BYTES].decode("latin-1")
        with self._lock:
            kek = self._with_kek()
            if kind != SEALED:
                return box[2:] if kind == PLAIN and kek is None else None
            cipher = self._keys.get(name) or self._looked_up(name)
        if cipher is None:
            return None
        nonce = box[2 + ID_BYTES : 2 + ID_BYTES + NONCE_BYTES]
        try:
            return cipher.decrypt(nonce, box[2 + ID_BYTES + NONCE_BYTES :], _bound(name, row))
        except (InvalidTag, ValueError):
            return None

    # -- within --------------------------------------------------------------------------------------------------------------------

    def _with_kek(self) -> Kek | None:
        now = self._clock()
        if self._kek is None and not 0 <= now - self._asked_kek < LOOK_SECONDS:
            self._asked_kek = now
            self._kek = self._source()
        return self._kek

    def _writing(self) -> tuple[str, AESGCM]:
        """The key to seal with: a day old at most; another gateway's, where it is."""
        now = self._clock()
        if self._current is None or not 0 <= now - self._current[1] < DAY_SECONDS:
            self._load()
        if self._current is None or not 0 <= now - self._current[1] < DAY_SECONDS:
            self._current = self._made(now), now
        return self._current[0], self._keys[self._current[0]]

    def _made(self, now: float) -> str:
        assert self._kek is not None  # noqa: S101 - asked for by the caller; for the type checker
        name, key = secrets.token_hex(ID_BYTES // 2), secrets.token_bytes(KEY_BYTES)
        sealed = sealing.seal(Secret(key.hex()), self._kek, row=name, provider=BELONGS)
        with self._store.transaction() as t:
            t.run(SQL["add_content_key"], id=name, sealed=sealed, added_at=now)
            t.run(SQL["prune_content_keys"], before=now - KEPT_SECONDS)
        self._keys[name] = AESGCM(key)
        return name

    def _looked_up(self, name: str) -> AESGCM | None:
        """A key that another gateway made since."""
        now = self._clock()
        if not 0 <= now - self._looked < LOOK_SECONDS:
            self._looked = now
            self._load()
        return self._keys.get(name)

    def _load(self) -> None:
        """All keys that the KEK opens; the newest is sealed with."""
        keks = (self._kek,) if self._kek is not None else ()
        for key in content_keys(self._store):
            if key.id not in self._keys:
                with suppress(Failed):
                    text = sealing.unseal(key.sealed, keks, row=key.id, provider=BELONGS)
                    self._keys[key.id] = AESGCM(bytes.fromhex(text.reveal()))
            if key.id in self._keys and (
                self._current is None or self._current[1] < key.added_at <= self._clock()
            ):
                self._current = key.id, key.added_at


def content_keys(store: GatewayStore) -> list[ContentKey]:
    """All content keys, the newest first."""
    with store.reading() as t:
        return [ContentKey(**row) for row in t.rows(SQL["content_keys"])]


def rewrap(store: GatewayStore, change: Callable[[ContentKey], str]) -> int:
    """Seal the content keys anew; one that does not open stays as it is. Gives how many changed."""
    changed = 0
    for key in content_keys(store):
        with suppress(Failed):
            sealed = change(key)
            if sealed != key.sealed:
                with store.transaction() as t:
                    changed += t.run(SQL["rewrap_content_key"], id=key.id, before=key.sealed, sealed=sealed)
    return changed


def _bound(name: str, row: str) -> bytes:
    return json.dumps(["datareeve", "content", name, row]).encode()
