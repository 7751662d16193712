"""Secrets by reference, for one project: what `core.secrets` reads, with the keyring of this machine where one is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.core import secrets

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datareeve.core.secrets import Secret


def resolver(project: Path) -> Callable[[str], Secret]:
    """What reads a secret by its reference, for one project. Errors: those of `secrets.resolve`."""

    def resolve(reference: str) -> Secret:
        keyring = _keyring() if reference.startswith("keyring:") else None
        return secrets.resolve(reference, base=project, keyring=keyring)

    return resolve


def _keyring() -> Any:
    try:
        import keyring  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        return None
    return keyring.get_password
