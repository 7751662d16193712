"""Large bodies: looked at apart from the loop, one after the other, and only where no single look holds it up.

A thread alone would help nobody: what reads JSON keeps the interpreter until it is done, which takes as long as there are values in it, however
short. So these are bounded before anything reads them; all other looks at a large body are made of many short ones. There is one thread
for it, since two would not be faster, only more in the way; files of many lines have another, for they take seconds, and a picture does not.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from datareeve.capabilities.ai.gateway.dialects import Problem, Refusal
from datareeve.capabilities.ai.gateway.splice import LARGE

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LARGE", "MOST_VALUES", "apart", "bounded", "values"]

MOST_VALUES: Final = (
    310_000  # keys, values, elements of one body: OpenAI takes 300,000 tokens of 2,048 texts to embed
)
MOST_ESCAPES: Final = 6_000_000  # signs of it that are written in escapes: 32 MB of \uXXXX
_SIGNS: Final = (b",", b":", b"[", b"{")  # before each of them stands one
_BODIES: Final = ThreadPoolExecutor(1, "large-bodies")
_FILES: Final = ThreadPoolExecutor(1, "large-files")
_Found = TypeVar("_Found")


async def apart(look: Callable[..., _Found], *at: object, lines: bool = False) -> _Found:
    """What a look gives, while the loop goes on; `lines`: at a file of many requests or results. Errors: its own."""
    return await asyncio.get_running_loop().run_in_executor(_FILES if lines else _BODIES, look, *at)


def bounded(raw: bytes) -> None:
    """That a large body has not too many values to be read. Errors: `Refusal`."""
    if len(raw) <= LARGE:
        return
    if raw.count(b"\\") > MOST_ESCAPES:
        raise _too_many(f"{MOST_ESCAPES:,} escaped signs")
    if values(raw) > MOST_VALUES:
        raise _too_many(f"{MOST_VALUES:,} keys and values")


def values(raw: bytes) -> int:
    """How many keys and values a body has, as far as it is JSON; more than `MOST_VALUES` may be told as any number beyond it."""
    most = sum(map(raw.count, _SIGNS))
    if most <= MOST_VALUES:
        return most  # signs within texts are among them
    plain = raw.replace(rb"\\", b"").replace(rb"\"", b"") if b"\\" in raw else raw
    quotes = plain.count(b'"')
    if quotes > 4 * MOST_VALUES:
        return quotes // 2
    outside = b"".join(plain.split(b'"')[::2])
    return sum(map(outside.count, _SIGNS))


def _too_many(what: str) -> Refusal:
    message = f"The body has more than {what}. Send it in parts."
    return Refusal(Problem(413, "too_large", "gateway.too-many-values", message))
