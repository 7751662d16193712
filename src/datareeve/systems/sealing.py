"""Secrets at rest: envelopes of AES-256-GCM. A key-encryption key (KEK) seals a data key (DEK), which seals one secret.

    v1.<KEK ids>.<DEK id>.<wrapped DEKs>.<sealed secret>

Each secret has a DEK of its own, so that changing the KEK wraps 32 bytes anew and never touches the secret. While a KEK is being changed an
envelope carries two wraps, `old+new`: whoever holds either of them reads it, and no gateway stands without its keys in between. Envelopes are
bound to their row and provider (additional authenticated data): one that is moved to another row does not open.

AES-GCM: NIST SP 800-38D, with random 96-bit nonces; envelope encryption: NIST SP 800-57 part 1, key-wrapping keys.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from datareeve.core.errors import BadInput, Failed
from datareeve.core.secrets import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

VERSION = "v1"
KEY_BYTES, NONCE_BYTES, PARTS = 32, 12, 5
LONGEST = 65_536  # characters of an envelope: anything longer is not ours
HEX = re.compile(r"[0-9a-fA-F]{64}")


class Kek:
    """A key-encryption key. Its id is derived from it and gives nothing away; it shows itself as `***`."""

    __slots__ = ("_cipher", "id")

    def __init__(self, key: bytes) -> None:
        self.id = hmac.new(key, b"datareeve kek id", hashlib.sha256).hexdigest()[:12]
        self._cipher = AESGCM(key)

    @classmethod
    def of(cls, text: Secret) -> Kek:
        """From its text: 32 bytes in base64, or in hexadecimal. Errors: `BadInput` `kek.malformed`, never with the text."""
        key = _decoded_key(text.reveal().strip())
        if len(key) != KEY_BYTES:
            raise BadInput(
                "kek.malformed",
                "The key that seals keys is not 32 bytes in base64 or hexadecimal.",
                "Make one with `openssl rand -base64 32`. A passphrase is not taken.",
            )
        return cls(key)

    def __repr__(self) -> str:
        return f"<Kek {self.id} ***>"

    def encrypt(self, data: bytes, bound_to: bytes) -> bytes:
        """Nonce and ciphertext."""
        return _encrypt(self._cipher, data, bound_to)

    def decrypt(self, box: bytes, bound_to: bytes) -> bytes:
        """What was encrypted. Errors: `InvalidTag`."""
        return self._cipher.decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], bound_to)


class _Envelope(NamedTuple):
    wraps: dict[str, bytes]  # by KEK id
    dek: str
    box: bytes

    def text(self) -> str:
        wrapped = "+".join(_encoded(wrap) for wrap in self.wraps.values())
        return ".".join((VERSION, "+".join(self.wraps), self.dek, wrapped, _encoded(self.box)))


def new_kek() -> Secret:
    """The text of a new KEK."""
    return Secret(base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode())


def make_kek_file(path: Path) -> None:
    """Write a new KEK to a file that only its owner reads; a file that is there stays as it is.

    It is there whole or not at all: a worker that dies on the way leaves nothing that looks like a key.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{new_kek().reveal()}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(partial, path)
    except FileExistsError:
        pass  # another worker made it in the meantime: that one counts
    finally:
        partial.unlink(missing_ok=True)


def seal(secret: Secret, kek: Kek, *, row: str, provider: str) -> str:
    """The envelope of a secret that stands in `row` and belongs to `provider`."""
    dek, name = secrets.token_bytes(KEY_BYTES), secrets.token_hex(6)
    wrap = kek.encrypt(dek, _bound("dek", kek.id, name, row, provider))
    box = _encrypt(AESGCM(dek), secret.reveal().encode(), _bound("secret", name, row, provider))
    return _Envelope({kek.id: wrap}, name, box).text()


def unseal(sealed: str, keks: Iterable[Kek], *, row: str, provider: str) -> Secret:
    """The secret of an envelope, by whichever of the keys it is wrapped for.

    Errors: `Failed`: `sealed.malformed`; `sealed.other-kek` (wrapped for a key that is not among these); `sealed.damaged`.
    """
    envelope = _parsed(sealed)
    dek = _dek(envelope, keks, row, provider)
    try:
        bound_to = _bound("secret", envelope.dek, row, provider)
        text = AESGCM(dek).decrypt(envelope.box[:NONCE_BYTES], envelope.box[NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError):
        raise _damaged(row) from None
    return Secret(text.decode())


def wrapped_for(sealed: str) -> tuple[str, ...]:
    """The ids of the KEKs that open an envelope. Errors: `Failed` `sealed.malformed`."""
    return tuple(_parsed(sealed).wraps)


def wrapped_also(sealed: str, keks: Iterable[Kek], new: Kek, *, row: str, provider: str) -> str:
    """The same envelope, to be opened by `new` as well; unchanged where it can be already. Errors: as `unseal`."""
    envelope = _parsed(sealed)
    if new.id in envelope.wraps:
        return sealed
    dek = _dek(envelope, keks, row, provider)
    wrap = new.encrypt(dek, _bound("dek", new.id, envelope.dek, row, provider))
    return envelope._replace(wraps={**envelope.wraps, new.id: wrap}).text()


def wrapped_only(sealed: str, kek: Kek, *, row: str, provider: str) -> str:
    """The same envelope, to be opened by `kek` alone. Errors: as `unseal`; what `kek` does not really open is left as it was."""
    envelope = _parsed(sealed)
    _dek(envelope, (kek,), row, provider)
    return envelope._replace(wraps={kek.id: envelope.wraps[kek.id]}).text()


def _dek(envelope: _Envelope, keks: Iterable[Kek], row: str, provider: str) -> bytes:
    known = {kek.id: kek for kek in keks}
    usable = [name for name in envelope.wraps if name in known]
    if not usable:
        raise Failed(
            "sealed.other-kek",
            f"{row} is sealed with key {' or '.join(envelope.wraps)}, and gateway.kek is {' or '.join(known) or 'not there'}.",
            "Put that key back where gateway.kek says, or add the provider's key again.",
        )
    try:
        bound_to = _bound("dek", usable[0], envelope.dek, row, provider)
        return known[usable[0]].decrypt(envelope.wraps[usable[0]], bound_to)
    except (InvalidTag, ValueError):
        raise _damaged(row) from None


def _parsed(sealed: str) -> _Envelope:
    parts = sealed.split(".") if len(sealed) <= LONGEST else []
    if len(parts) == PARTS and parts[0] == VERSION and all(parts):
        ids, wraps = parts[1].split("+"), parts[3].split("+")
        with suppress(ValueError, binascii.Error):
            wrapped = dict(zip(ids, map(_decoded, wraps), strict=True))
            return _Envelope(wrapped, parts[2], _decoded(parts[4]))
    raise Failed(
        "sealed.malformed",
        "What stands where a sealed key should be is none, or was sealed by a newer version.",
        "Add the provider's key again, or use that version.",
    )


def _damaged(row: str) -> Failed:
    return Failed(
        "sealed.damaged",
        f"The sealed key {row} does not open: it was changed, or belongs to another row.",
        "Add the provider's key again, and look who writes to the gateway's store.",
    )


def _encrypt(cipher: AESGCM, data: bytes, bound_to: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, data, bound_to)


def _bound(*parts: str) -> bytes:
    return json.dumps(
        ["datareeve", VERSION, *parts]
    ).encode()  # JSON: no two lists of texts give the same bytes


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _decoded_key(text: str) -> bytes:
    if HEX.fullmatch(text):
        return bytes.fromhex(text)
    try:
        return _decoded(text.rstrip("=").replace("+", "-").replace("/", "_"))
    except (ValueError, binascii.Error):
        return b""
