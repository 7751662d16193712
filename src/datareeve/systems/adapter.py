"""What every adapter shares: publishing actions, and turning a `Call` into a method."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    FunctionT = TypeVar("FunctionT", bound=Callable[..., Any])


def reads(function: FunctionT) -> FunctionT:
    """Publish a method as a read: it changes nothing, and gives JSON."""
    function.publishes = "read"  # type: ignore[attr-defined]
    return function


def effects(function: FunctionT) -> FunctionT:
    """Publish a method as an effect: only the runner calls it; it gives a dict of figures for the outcome."""
    function.publishes = "effect"  # type: ignore[attr-defined]
    return function


class Adapter:
    """A system of the estate. Subclasses publish actions; `identity` and `settle` have quiet defaults."""

    kind = ""

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, action: str, /, **arguments: Any) -> Any:
        """The answer of a published read."""
        return self._published(action, "read")(**arguments)

    def perform(
        self, action: str, /, *, run: str, connection: Any = None, fence: Any = None, **arguments: Any
    ) -> dict[str, Any]:
        """Carry out a published effect.

        Methods that can work inside the ledger's transaction take `connection`; those that mark
        what they start take `run`; those that are fenced where they commit take `fence`.
        """
        method = self._published(action, "effect")
        wanted = inspect.signature(method).parameters
        extra = {
            key: value
            for key, value in (("run", run), ("connection", connection), ("fence", fence))
            if key in wanted
        }
        return method(**arguments, **extra) or {}

    def identity(self) -> str:
        """What this really is; the name where nothing better is known."""
        return f"{self.kind}:{self.name}"

    def settle(self, run: str) -> None:
        """Nothing of an earlier worker can still be going on here."""
        del run

    def close(self) -> None:
        """Let go of connections."""

    def _published(self, action: str, wanted: str) -> Callable[..., Any]:
        method = getattr(self, action, None)
        if getattr(method, "publishes", None) != wanted:
            raise BadInput(
                "system.action",
                f"{self.kind} {self.name!r} has no {wanted} {action!r}.",
                "This plan was made by another version: plan again.",
            )
        assert method is not None  # noqa: S101 - published, so it is there; for the type checker
        return method  # type: ignore[no-any-return]
