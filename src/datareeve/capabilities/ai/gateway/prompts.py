"""Prompts and answers, where the estate asks for them to be kept: sealed, with an end, written off the path.

What is kept is what went out: where personal data is redacted, it is redacted here too. Without a key to seal with nothing is kept.
"""

from __future__ import annotations

import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from datareeve.capabilities.ai.gateway.writing import Writer
from datareeve.systems.gateway_kept import KeptPrompt, keep_prompts, trim_prompts
from datareeve.systems.gateway_prompts import packed

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.ai.gateway.usage import UsageRow
    from datareeve.systems.gateway_contents import Contents
    from datareeve.systems.gateway_store import GatewayStore

DAY_SECONDS: Final = 86_400.0
LARGEST: Final = (
    4 << 20
)  # bytes of a request and its answer together; larger ones are not kept, and counted as lost
QUEUE_BYTES: Final = 32 << 20
TRIM_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Exchanged:
    """One request and its answer, as they went over the wire to and from the provider."""

    row: UsageRow
    asked: bytes
    answered: bytes
    keep_days: int


class Prompts:
    """Keeps them. `keep` belongs to the event loop, and costs a microsecond or two."""

    def __init__(
        self, store: GatewayStore, contents: Contents, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._contents = contents
        self._clock = clock
        self._trimmed_at = 0.0
        self._too_large = 0
        self._writer: Writer[Exchanged] = Writer(self._write, most_bytes=QUEUE_BYTES, name="prompts")

    @property
    def lost(self) -> int:
        """How many were not kept: too large, too many at once, no key, no store."""
        return self._writer.lost + self._too_large

    def keep(self, exchanged: Exchanged) -> None:
        """Keep it soon."""
        size = len(exchanged.asked) + len(exchanged.answered)
        if size > LARGEST:
            self._too_large += 1
        else:
            self._writer.give(exchanged, size)

    def close(self) -> None:
        """Write what waits."""
        self._writer.close()

    def _write(self, batch: list[Exchanged]) -> None:
        keep_prompts(self._store, [self._sealed(one) for one in batch])
        now = self._clock()
        if not 0 <= now - self._trimmed_at < TRIM_SECONDS:
            self._trimmed_at = now
            trim_prompts(self._store, now)

    def _sealed(self, one: Exchanged) -> KeptPrompt:
        row = one.row
        data = zlib.compress(packed(row, one.asked, one.answered), 1)
        ends_at = row.at + one.keep_days * DAY_SECONDS
        return KeptPrompt(row.id, row.at, ends_at, self._contents.seal(data, f"prompt:{row.id}"))
