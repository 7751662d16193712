"""Systems that rules are asked of: each publishes `measure`, and says how it is spoken to while that lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from datareeve.systems.adapter import Adapter, reads

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from datareeve.systems.measure import Engine


class Limited(Protocol):
    """A system's entry in the estate, as far as it says how long a statement may run."""

    @property
    def read_timeout_seconds(self) -> float:
        """The longest that one statement may run."""


class Measured(Adapter):
    """A system whose tables can be measured."""

    entry: Limited

    def measuring(self, sqls: list[str], busy_share: float) -> AbstractContextManager[Engine]:
        """What the statements of one check are asked through, closed at the end."""
        raise NotImplementedError

    @reads
    def measure(
        self,
        statements: list[dict[str, Any]],
        timeout_seconds: float | None = None,
        snapshot_seconds: float | None = None,
        busy_share: float = 1.0,
    ) -> dict[str, Any]:
        """What many statements of a check answer, in one snapshot where the engine has such. See `measure.measure`."""
        from datareeve.systems import measure  # noqa: PLC0415 - asked for by checks only

        with self.measuring([str(one.get("sql")) for one in statements], busy_share) as engine:
            return measure.measure(
                engine,
                statements,
                timeout_seconds=timeout_seconds or self.entry.read_timeout_seconds,
                snapshot_seconds=snapshot_seconds,
                busy_share=busy_share,
            )
