"""Inputs that several operations share."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

SCHEMES = ("env:", "file:", "keyring:")


def _a_reference(given: str) -> str:
    """A subject's key is personal data: what is given in clear would stand in plans and in the ledger. It is not repeated here."""
    if not given.startswith(SCHEMES) or given.endswith(":"):
        raise ValueError("give the key by reference, not itself: env:NAME, file:path or keyring:service/name")
    return given


KeyReference = Annotated[
    str,
    Field(
        description="where the subject's key stands: env:NAME, file:path, keyring:service/name; never itself"
    ),
    AfterValidator(_a_reference),
]
