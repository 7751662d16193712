"""How far a load is, told while it runs: to whoever watches it, and now and then to the ledger, where others see it."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from datareeve.core import clock
from datareeve.core.amounts import Amount, watcher
from datareeve.core.errors import DatareeveError
from datareeve.core.ledger import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from datareeve.systems.mover import Mover
    from datareeve.systems.pipeline_desk import Shop
    from datareeve.systems.row_source import Part

SAMPLE = "pipelines.load_share"
SAMPLED_SECONDS = 10.0
TELLING = 0.02  # less of the whole says little about the rest


class Following:
    """One load, by its parts. They weigh what they are said to hold: rows, else bytes, else one as much as the other."""

    def __init__(
        self, parts: Sequence[Part], left: Sequence[Part], rows: int, tell: Callable[[Amount], None] | None
    ) -> None:
        self._tell = tell
        self._weights = _weights(parts)
        self._whole = sum(self._weights.values()) or 1.0
        self._share = 1.0 - sum(self._weights[part.id] for part in left) / self._whole  # an earlier worker's
        self._rows = rows
        self._first = (time.monotonic(), self._share, rows)

    @contextmanager
    def of(self, part: Part, mover: Mover) -> Iterator[None]:
        """While a part is taken."""
        weight = self._weights[part.id] / self._whole

        most = 0.0  # statements around the one that takes the rows begin at nothing

        def tell(now: float) -> None:
            nonlocal most
            most = share = max(most, now)
            rows = None if part.rows is None else self._rows + round(part.rows * share)
            self._told(self._share + weight * share, rows)

        with mover.watched(tell if self._tell else None):
            yield

    def done(self, part: Part, rows: int) -> None:
        """A part is committed."""
        self._share += self._weights[part.id] / self._whole
        self._rows += rows

    def _told(self, share: float, rows: int | None) -> None:
        if self._tell is None:
            return
        began, share_then, rows_then = self._first
        seconds, done = time.monotonic() - began, share - share_then
        left = seconds * (1 - share) / done if done >= TELLING else None
        rate = (rows - rows_then) / seconds if rows is not None and seconds else None
        self._tell(Amount(min(1.0, share), rows, rate, left))


def telling(shop: Shop, system: str, pipeline: str, load: str) -> Callable[[Amount], None]:
    """Whoever watches is told each time; the ledger once in ten seconds, for `pipelines.status`."""
    watching, sampled = watcher(), [time.monotonic()]

    def tell(done: Amount) -> None:
        if watching:
            watching(done)
        if time.monotonic() - sampled[0] >= SAMPLED_SECONDS:
            sampled[0] = time.monotonic()
            labels = {
                "run": shop.run,
                "pipeline": pipeline,
                "load": load,
                "rows": done.rows,
                "seconds_left": done.seconds_left,
            }
            sample = Sample(
                at=clock.stamp(), system=system, name=SAMPLE, value=round(done.share, 4), labels=labels
            )
            with suppress(DatareeveError):  # the load goes on though nobody can be told of it
                shop.ledger().add_samples([sample])

    return tell


def _weights(parts: Sequence[Part]) -> dict[str, float]:
    for figure in ("rows", "bytes"):
        found = {part.id: getattr(part, figure) for part in parts}
        if all(one is not None for one in found.values()):
            return {name: float(one) for name, one in found.items()}
    return dict.fromkeys((part.id for part in parts), 1.0)
