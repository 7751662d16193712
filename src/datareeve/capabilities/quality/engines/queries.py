"""The named SQL of this folder's `sql/`: a sentence in front, the statement behind."""

from __future__ import annotations

from functools import cache
from importlib import resources


@cache
def load(name: str) -> str:
    """The statement of that name."""
    return resources.files(__package__).joinpath("sql", f"{name}.sql").read_text("utf-8")
