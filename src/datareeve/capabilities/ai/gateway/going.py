"""A coroutine that begins at once and goes as far as it can without waiting.

A task begins with the loop's next turn and is registered with the process until it is gone, which for a request that waits once costs more than
its waiting. Python 3.12 knows eager tasks; this is what a request needs of them. It is no task: `asyncio.timeout` and its like want one, so what
uses them is awaited as a task of its own.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine


class Going:
    """A coroutine on its way. It has begun when this is made; what it raises is told to the loop."""

    __slots__ = ("_coroutine", "_stops", "_waits_for", "ended")

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        self._coroutine = coroutine
        self._waits_for: asyncio.Future[Any] | None = None
        self._stops = False
        self.ended = False
        self._go_on()

    def cancel(self) -> None:
        """Raise `CancelledError` where it waits."""
        if self._waits_for is None or not self._waits_for.cancel():
            self._stops = True

    def _go_on(self, _: asyncio.Future[Any] | None = None) -> None:
        """To where it waits next, or to its end."""
        self._waits_for = None
        stops, self._stops = self._stops, False
        try:
            waits_for = (
                self._coroutine.throw(asyncio.CancelledError()) if stops else self._coroutine.send(None)
            )
        except (StopIteration, asyncio.CancelledError):
            self.ended = True
        except Exception as error:  # noqa: BLE001 - nobody awaits it
            self.ended = True
            told = {"message": "A request ended with an exception.", "exception": error}
            asyncio.get_running_loop().call_exception_handler(told)
        else:
            if waits_for is None:  # it only lets others go first
                asyncio.get_running_loop().call_soon(self._go_on)
            else:
                waits_for._asyncio_future_blocking = False  # noqa: SLF001 - how a future is told that it is awaited (PEP 3156)
                self._waits_for = waits_for
                waits_for.add_done_callback(self._go_on)
