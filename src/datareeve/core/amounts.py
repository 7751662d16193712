"""How far a step is, told while it is under way to whoever watches the run: a bar on a terminal, samples in the ledger."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Amount:
    """So much of a step is done."""

    share: float  # 0 to 1
    rows: int | None = None  # done, about; None where they are not counted beforehand
    rows_per_s: float | None = None
    seconds_left: float | None = None  # at the rate so far; None while too little is done to tell


_watching: ContextVar[Callable[[Amount], None] | None] = ContextVar("watching", default=None)


@contextmanager
def watched(tell: Callable[[Amount], None] | None) -> Iterator[None]:
    """What is told within goes to `tell`, from whatever thread."""
    before = _watching.set(tell)
    try:
        yield
    finally:
        _watching.reset(before)


def watcher() -> Callable[[Amount], None] | None:
    """Whom to tell; None where nobody watches."""
    return _watching.get()
