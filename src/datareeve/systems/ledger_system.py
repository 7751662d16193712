"""The ledger as a system: operations read its history through it, and record samples as a journalled step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.core import clock
from datareeve.core.ledger import Sample
from datareeve.systems.adapter import Adapter, effects, reads

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.core.ledger import Ledger
    from datareeve.core.operation import Plan


class LedgerSystem(Adapter):
    """History, and the taking of samples. `preview` runs a read operation by name."""

    kind = "ledger"

    def __init__(self, ledger: Ledger, preview: Callable[[str, dict[str, Any]], Plan]) -> None:
        super().__init__("ledger")
        self._ledger = ledger
        self._preview = preview

    @reads
    def samples(
        self, system: str, name: str | None = None, since: str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Samples of a system, oldest first."""
        return [s.model_dump() for s in self._ledger.samples(system, name=name, since=since, limit=limit)]

    @reads
    def entries(self, kind: str, limit: int = 100) -> list[dict[str, Any]]:
        """The newest entries of a kind, newest last."""
        return [e.model_dump() for e in self._ledger.entries(kind, limit=limit)]

    @reads
    def sampled(self, system: str, name: str | None = None, run: str | None = None) -> bool:
        """Whether there is a sample of that system: of that name, or taken by that run."""
        found = self._ledger.samples(system, name=name, limit=None if run else 1)
        return any(run is None or s.labels.get("run") == run for s in found)

    @effects
    def add_samples(
        self, system: str, figures: dict[str, float], *, run: str, labels: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Record figures as they are given."""
        self._add(system, figures, {**(labels or {}), "run": run})
        return {}

    @effects
    def sample(self, operation: str, inputs: dict[str, Any], *, run: str, prefix: str = "") -> dict[str, Any]:
        """Run a read operation now and record its numeric figures; they are the step's result too, each with `prefix` before its name."""
        plan = self._preview(operation, inputs)
        figures = {f"{prefix}{key}": float(value) for key, value in plan.figures.items() if _is_number(value)}
        self._add(str(inputs.get("system", "")), figures, {"run": run, "operation": operation})
        return {f"{prefix}{key}": value for key, value in plan.figures.items()}

    def _add(self, system: str, figures: dict[str, float], labels: dict[str, Any]) -> None:
        at = clock.stamp()
        self._ledger.add_samples(
            [
                Sample(at=at, system=system, name=name, value=value, labels=labels)
                for name, value in figures.items()
            ]
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
