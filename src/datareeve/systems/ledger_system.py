"""The ledger as a system: operations read its history through it, and record samples as a journalled step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.core.ledger import Sample
from datareeve.core.snapshots import Snapshots
from datareeve.systems.adapter import Adapter, effects, reads
from datareeve.systems.ledger_runs import runs_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datareeve.core.ledger import Ledger
    from datareeve.core.operation import Plan, Systems


class LedgerSystem(Adapter):
    """History, and the taking of samples. `preview` runs a read operation by name."""

    kind = "ledger"

    def __init__(
        self,
        ledger: Ledger,
        preview: Callable[[str, dict[str, Any]], Plan],
        systems: Systems | None = None,
    ) -> None:
        super().__init__("ledger")
        self._ledger = ledger
        self._preview = preview
        self._systems = systems  # whose readings are kept

    @reads
    def samples(
        self, system: str, name: str | None = None, since: str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Samples of a system, oldest first."""
        return [s.model_dump() for s in self._ledger.samples(system, name=name, since=since, limit=limit)]

    @reads
    def hourly(self, system: str, names: list[str], since: str) -> list[dict[str, Any]]:
        """The mean of each hour's samples of some names, oldest first."""
        return [s.model_dump() for s in self._ledger.hourly(system, names, since)]

    @reads
    def entries(self, kind: str, limit: int = 100) -> list[dict[str, Any]]:
        """The newest entries of a kind, newest last."""
        return [e.model_dump() for e in self._ledger.entries(kind, limit=limit)]

    @reads
    def last_change(self, resources: list[str], limit: int = 200) -> dict[str, dict[str, str]]:
        """The newest of the last runs that changed each resource ('app:public.flights'): {resource: {run, operation, summary, at}}."""
        runs = [
            one for one in self._ledger.entries("run", limit=2 * limit) if one.body.get("state") == "started"
        ]
        # Most runs touch none of them: the ledger leaves their plans out before they are read.
        plans = self._ledger.plans_naming([one.body["plan"] for one in runs], resources)
        touched = {one.subject: list(_touched(one.body["plan"])) for one in plans}
        found: dict[str, dict[str, str]] = {}
        for run in runs:  # the newest is told
            for resource, operation in touched.get(run.body["plan"], ()):
                if resource in resources:
                    told = {
                        "run": run.run,
                        "operation": operation,
                        "summary": run.body["summary"],
                        "at": run.at,
                    }
                    found[resource] = told
        return found

    @reads
    def entries_since(self, kind: str, since: str, limit: int = 20_000) -> list[dict[str, Any]]:
        """The entries of a kind since a moment, newest last."""
        return [e.model_dump() for e in self._ledger.entries(kind, limit=limit) if e.at >= since]

    @reads
    def runs_of(
        self, operations: list[str], since: str, parts: int = 30, limit: int = 20_000
    ) -> list[dict[str, Any]]:
        """Runs of some operations that began since a moment, oldest first: [{run, inputs, by, status, started_at, ended_at, parts}].

        `parts`, as outcomes have them, are told of the newest so many of the same inputs, and of all that were not done.
        """
        return runs_of(self._ledger, operations, since, parts, limit)

    @reads
    def sampled(self, system: str, name: str | None = None, run: str | None = None) -> bool:
        """Whether there is a sample of that system: of that name, or taken by that run."""
        found = self._ledger.samples(system, name=name, limit=None if run else 1)
        return any(run is None or s.labels.get("run") == run for s in found)

    @reads
    def readings(self, kind: str, system: str, limit: int = 200) -> list[dict[str, Any]]:
        """The newest readings of a kind that are kept of a system, oldest first: [{at, run, reading}]."""
        found = self._ledger.entries(kind, subject=system, limit=limit)
        return [{"at": e.at, "run": e.body["by_run"], "reading": e.body["reading"]} for e in found]

    @reads
    def kept(self, kind: str, system: str, run: str) -> bool:
        """Whether that run kept a reading of a kind of a system."""
        return any(one["run"] == run for one in self.readings(kind, system))

    @effects
    def keep(
        self, kind: str, system: str, action: str, arguments: dict[str, Any], *, run: str
    ) -> dict[str, Any]:
        """Take one of a system's published reads now, and keep its answer as an entry of `kind`."""
        if self._systems is None:
            raise BadInput(
                "ledger.no-systems", "No system is known to be read.", "Open the project as an App."
            )
        reading = self._systems[system].read(action, **arguments)
        self._ledger.append(kind, {"by_run": run, "reading": reading}, subject=system)
        return {}

    # -- snapshots of counters: see core.snapshots and systems.workload_history -----------------------------------------------------

    @reads
    def snapshots(
        self, system: str, kind: str = "workload", since: str | None = None, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """Snapshots of a system, oldest first: [{at, run, body}]; with `since`, from the last one before it on."""
        return [s.model_dump() for s in Snapshots(self._ledger).get(system, kind, since=since, limit=limit)]

    @reads
    def snapshot_moments(self, system: str, kind: str = "workload", run: str | None = None) -> list[str]:
        """When snapshots of a system were taken, by one run or any."""
        return Snapshots(self._ledger).moments(system, kind, run=run)

    @reads
    def snapshot_taken(self, system: str, run: str, kind: str = "workload") -> bool:
        """Whether that run took a snapshot."""
        return bool(Snapshots(self._ledger).moments(system, kind, run=run))

    @effects
    def record_workload(self, system: str, *, run: str) -> dict[str, Any]:
        """Take one snapshot of a system's workload. Gives {families, bytes, thinned}."""
        from datareeve.systems import workload_history  # noqa: PLC0415 - it parses statements

        if self._systems is None:
            raise BadInput(
                "ledger.no-systems", "No system is known to be read.", "Open the project as an App."
            )
        return workload_history.record(Snapshots(self._ledger), self._systems[system], run)  # type: ignore[arg-type]

    @effects
    def forget_snapshots(self, system: str, by_run: str, kind: str = "workload") -> dict[str, Any]:
        """Forget the snapshots that a run took; quiet where there are none."""
        kept = Snapshots(self._ledger)
        return {"rows": kept.forget(system, kind, kept.moments(system, kind, run=by_run))}

    @effects
    def add_samples(
        self, system: str, figures: dict[str, float], *, run: str, labels: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Record figures as they are given."""
        self._add(system, figures, {**(labels or {}), "run": run})
        return {}

    @effects
    def sample(
        self, operation: str, inputs: dict[str, Any], *, run: str, prefix: str = "", system: str = ""
    ) -> dict[str, Any]:
        """Run a read operation now and record its numeric figures; they are the step's result too, each with `prefix` before its name.

        They are kept under its input `system`; under `system` where it has none.
        """
        plan = self._preview(operation, inputs)
        figures = {f"{prefix}{key}": float(value) for key, value in plan.figures.items() if _is_number(value)}
        self._add(str(inputs.get("system") or system), figures, {"run": run, "operation": operation})
        return {f"{prefix}{key}": value for key, value in plan.figures.items()}

    def _add(self, system: str, figures: dict[str, float], labels: dict[str, Any]) -> None:
        at = clock.stamp()
        self._ledger.add_samples(
            [
                Sample(at=at, system=system, name=name, value=value, labels=labels)
                for name, value in figures.items()
            ]
        )


def _touched(plan: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What the steps of a stored plan touch, with the operation that does."""
    for part in plan.get("parts") or ():
        yield from _touched(part)
    for step in plan.get("steps") or ():
        yield from ((resource, plan["operation"]) for resource in step.get("touches") or ())


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
