"""Secrets by reference: `env:NAME`, `file:path`, `keyring:service/name`. The reference is written down; the secret never is.

A `Secret` shows itself as `***` wherever it is printed, logged, serialised or put in an error.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

SCHEMES = ("env", "file", "keyring")


class Secret:
    """A secret in memory. `reveal()` is the only way to its text."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself: pass it straight to the driver."""
        return self._text

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__


def resolve(reference: str, *, base: Path, keyring: Callable[[str, str], str | None] | None = None) -> Secret:
    """The secret behind a reference. `base` is the folder that relative `file:` paths start from.

    Errors: `BadInput` (`secret.reference`, `secret.missing`), naming the reference and never the text.
    """
    scheme, _, place = reference.partition(":")
    if scheme not in SCHEMES or not place:
        raise BadInput(
            "secret.reference",
            "A secret must be given by reference, not as its text.",
            "Write env:NAME, file:path or keyring:service/name.",
        )
    text = _READERS[scheme](place, base) if scheme != "keyring" else _from_keyring(place, keyring)
    if not text:
        raise BadInput(
            "secret.missing",
            f"Nothing is stored at {reference}.",
            f"Put the secret at {reference}, or name another place.",
        )
    return Secret(text)


def _from_env(place: str, base: Path) -> str | None:
    del base
    return os.environ.get(place)


def _from_file(place: str, base: Path) -> str | None:
    path = base / Path(place).expanduser()
    return path.read_text(encoding="utf-8").rstrip("\r\n") if path.is_file() else None


def _from_keyring(place: str, keyring: Callable[[str, str], str | None] | None) -> str | None:
    service, _, name = place.rpartition("/")
    if keyring is None:
        raise BadInput(
            "secret.keyring",
            "The keyring is not available here.",
            "Install datareeve[keyring], or use env: or file:.",
        )
    return keyring(service, name)


_READERS: dict[str, Callable[[str, Path], str | None]] = {"env": _from_env, "file": _from_file}
