"""Prompts that were kept, read back: for replays, by whoever holds the sealing key. Nothing of them is written anywhere."""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING, Any

import orjson

from datareeve.systems.adapter import reads
from datareeve.systems.gateway_contents import Contents
from datareeve.systems.gateway_kept import prompts
from datareeve.systems.gateway_keys import kek_of
from datareeve.systems.gateway_opened import OpenedGateway

if TYPE_CHECKING:
    from typing import Protocol

    class Row(Protocol):
        """What of a usage row stands with its prompt."""

        endpoint: str
        asked_model: str
        tokens: Any
        cost_microusd: int
        total_ms: float


TOKENS = ("input", "output", "cache_read", "cache_write", "cache_write_1h", "reasoning")


class KeptPrompts(OpenedGateway):
    """What is read of kept prompts."""

    @reads
    def recorded(self, since: float, most: int = 1000) -> list[dict[str, Any]]:
        """Kept prompts since a moment, the newest first: [{id, at, endpoint, asked_model, body, answer, tokens, cost_microusd, total_ms}].

        `body` is the request's JSON; `answer` is JSON, or the text of a stream; where personal data was redacted, both have placeholders. What
        does not open with the estate's sealing key is left out. Errors: those of reading the key and of the store.
        """
        store = self._reading
        if store is None:
            return []
        kept = prompts(store, since=since, now=time.time(), most=most)
        if not kept:
            return []
        kek = kek_of(self._settings, self._resolve)
        contents = Contents(store, lambda: kek)
        opened = ((one, contents.open(one.sealed, f"prompt:{one.id}")) for one in kept)
        return [
            {"id": one.id, "at": one.at, **unpacked(zlib.decompress(data))}
            for one, data in opened
            if data is not None
        ]


def packed(row: Row, asked: bytes, answered: bytes) -> bytes:
    """A request and its answer, with what its row says: one line of JSON, then the two."""
    tokens = {name: getattr(row.tokens, name) for name in TOKENS}
    head = orjson.dumps(
        [1, row.endpoint, row.asked_model, tokens, row.cost_microusd, row.total_ms, len(asked)]
    )
    return b"%b\n%b%b" % (head, asked, answered)


def unpacked(data: bytes) -> dict[str, Any]:
    """See `packed`."""
    head, _, rest = data.partition(b"\n")
    _, endpoint, asked_model, tokens, cost, total_ms, length = orjson.loads(head)
    return {
        "endpoint": endpoint,
        "asked_model": asked_model,
        "body": _read(rest[:length]),
        "answer": _read(rest[length:]),
        "tokens": tokens,
        "cost_microusd": cost,
        "total_ms": total_ms,
    }


def _read(data: bytes) -> Any:
    """JSON as what it says; anything else as text."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode("utf-8", "replace")
