"""Both sides asked at the same time, each in a snapshot of its own; what takes too long is asked again in smaller pieces."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeVar

from datareeve.core.errors import Failed, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datareeve.capabilities.quality.reconcile.statements import Compared, Side
    from datareeve.core.operation import Reader

Rows = list[dict[str, Any]]
FoundT = TypeVar("FoundT")


class TooLong(Failed):
    """A statement did not end in the time that it was given."""


class TooMany(Failed):
    """A statement gave more rows than one may."""


class Asking:
    """One side's reader, with what it has cost."""

    def __init__(self, reader: Reader, side: Side, compared: Compared) -> None:
        self.reader, self.side, self.compared = reader, side, compared
        self.statements, self.seconds, self.bytes = 0, 0.0, 0
        self.snapshots: list[str] = []

    def rows(self, sql: str) -> Rows:
        """The rows of one statement. Errors: `TooLong`, `TooMany`, `Failed` with the engine's own code; `Unreachable`."""
        began = perf_counter()
        answer = self.reader.read(
            "measure",
            statements=[{"id": "reconcile", "sql": sql}],
            timeout_seconds=self.compared.statement_seconds,
            busy_share=self.compared.busy_share,
        )
        self.statements, self.seconds = self.statements + 1, self.seconds + perf_counter() - began
        self.snapshots.append(answer["snapshot"] or answer["began"])
        found = answer["statements"]["reconcile"]
        if "error" in found:
            raise _failed(found["error"])
        rows: Rows = found["rows"]
        self.bytes += sum(len(str(value)) for row in rows for value in row.values())
        return rows


def _failed(error: dict[str, str]) -> Failed:
    code, what = error["code"], error["what"]
    if error.get("cause") == "timeout" or code.endswith(".timeout"):
        return TooLong(code, what, "Give statement_seconds more, or reconcile in a quieter hour.")
    if code.endswith(".too-many-rows"):
        return TooMany(code, what)
    remedy = "Look at the table and the account's rights, then reconcile again."
    if error.get("cause") == "bad cast":
        remedy = "A value does not fit its column's type there: leave the column out."
    return Failed(code, what, remedy)


class Both:
    """The two sides."""

    def __init__(self, left: Asking, right: Asking) -> None:
        self.left, self.right = left, right
        self._pool: ThreadPoolExecutor | None = None

    @contextmanager
    def at_once(self) -> Iterator[Both]:
        """Within, both are asked at the same time; one after the other where both are one reader."""
        if self.left.reader is self.right.reader:
            yield self
            return
        with ThreadPoolExecutor(2, thread_name_prefix="reconcile") as self._pool:
            yield self

    def rows(self, said: Callable[[Side], str]) -> tuple[Rows, Rows]:
        """What both answer to a statement, each in its own words. Errors: those of `Asking.rows`."""
        return self.each(lambda asking: asking.rows(said(asking.side)))

    def each(self, ask: Callable[[Asking], FoundT]) -> tuple[FoundT, FoundT]:
        """What both give; a connection that is lost is tried once more when the other side is done. Errors: the first that either raises."""
        if self._pool is None:
            return ask(self.left), ask(self.right)
        both = [self._pool.submit(ask, asking) for asking in (self.left, self.right)]
        wait(both)
        left, right = (
            ask(asking) if isinstance(done.exception(), Unreachable) else done.result()
            for asking, done in zip((self.left, self.right), both, strict=True)
        )
        return left, right
