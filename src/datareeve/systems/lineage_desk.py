"""Telling of runs to those who collect: lineage events of what a run read and published, and a trace with a span for each step."""

from __future__ import annotations

import logging
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Protocol, cast

from datareeve.core.errors import DatareeveError
from datareeve.core.estate import STATE_FOLDER
from datareeve.systems.openlineage import Dataset, Lineage, naming, run_event
from datareeve.systems.otlp import Otlp, Span
from datareeve.systems.secret_references import resolver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from datareeve.core.estate import Estate
    from datareeve.core.ledger import Entry, Ledger
    from datareeve.core.operation import Outcome, Plan
    from datareeve.systems.openlineage import Kind

    Naming = Callable[[str, str], tuple[str, str]]

log = logging.getLogger(__name__)
SPOOL = "lineage"
TRACE_SECONDS = 3.0
WELL = ("done", "nothing to do")
COUNTED = ("rows", "rejected", "bytes", "added", "changed", "removed", "parts_read")


class Told(Protocol):
    """What is told of one pipeline in a run."""

    @property
    def pipeline(self) -> str:
        """Its name."""

    @property
    def kind(self) -> str:
        """How it ended: COMPLETE or FAIL."""

    @property
    def error(self) -> str:
        """The code of its failure."""

    @property
    def inputs(self) -> Sequence[dict[str, Any]]:
        """What was read."""

    @property
    def outputs(self) -> Sequence[dict[str, Any]]:
        """What was published."""


def tell(
    estate: Estate,
    project: Path,
    plan: Plan,
    outcome: Outcome,
    told: Callable[[Plan, Outcome, Naming], Iterable[Told]],
) -> None:
    """Tell of a run where the estate says to. Nothing is raised."""
    where = estate.pipelines.lineage
    if where is None:
        return
    try:
        key = resolver(project)(estate.pipelines.lineage_key) if estate.pipelines.lineage_key else None
        lineage = Lineage(where, project=project, spool=project / STATE_FOLDER / SPOOL, key=key)
        for one in told(plan, outcome, lambda system, table: _named(estate, system, table)):
            inputs, outputs = cast("Sequence[Dataset]", one.inputs), cast("Sequence[Dataset]", one.outputs)
            about: dict[str, Any] = {"namespace": estate.name}
            begun = run_event(
                "START", outcome.run, one.pipeline, inputs, outputs, at=outcome.started_at, **about
            )
            kind = cast("Kind", one.kind)
            ended = run_event(
                kind,
                outcome.run,
                one.pipeline,
                inputs,
                outputs,
                error=one.error,
                at=outcome.ended_at,
                **about,
            )
            for event in (begun, ended):
                lineage.tell(event)
    except DatareeveError as error:
        log.warning("The lineage of run %s was not told: %s", outcome.run, error.code)


# -- traces ------------------------------------------------------------------------------------------------------------------------


def trace(collector: str, ledger: Ledger, plan: Plan, outcome: Outcome) -> None:
    """Send the trace of a run, where it was one of pipelines. Nothing is raised; a collector that is away costs a few seconds, and the trace."""
    if not any(leaf.operation.startswith("pipelines.") for leaf in plan.leaves()):
        return
    try:
        spans = list(spans_of(ledger.entries(run=outcome.run), plan, outcome))
    except DatareeveError as error:
        log.warning("The trace of run %s was not sent: %s", outcome.run, error.code)
        return
    sender = Otlp(collector, bounds={}, units={}, service="pipelines")
    sender.offer(spans)
    sender.close(TRACE_SECONDS)
    if sender.dropped:
        log.warning("The trace of run %s did not arrive.", outcome.run)


def spans_of(entries: Iterable[Entry], plan: Plan, outcome: Outcome) -> Iterator[Span]:
    """A span for the run, and one below it for each step that was begun: from its intent to its outcome."""
    id_ = sha256(outcome.run.encode()).hexdigest()[:32]
    about: dict[str, str | bool | int | float] = {
        "datareeve.run": outcome.run,
        "datareeve.operation": plan.operation,
        "datareeve.pipeline": str(plan.inputs.get("pipeline", "")),
        "datareeve.status": outcome.status,
    }
    failed = outcome.status not in WELL
    yield Span(name=plan.operation, trace=id_, start=_nanoseconds(outcome.started_at), end=_nanoseconds(outcome.ended_at),
               failed=failed, attributes=about, inside=True)  # fmt: skip
    begun: dict[str, str] = {}
    for entry in entries:
        if entry.kind != "step":
            continue
        if entry.body["moment"] == "intent":
            begun[entry.subject] = entry.at
        elif entry.body["moment"] == "outcome" and entry.subject in begun:
            yield _step(entry, begun[entry.subject], id_)


def _step(entry: Entry, began: str, trace_id: str) -> Span:
    counted = {f"datareeve.{name}": value for name, value in entry.body.get("result", {}).items() if name in COUNTED and isinstance(value, int)}  # fmt: skip
    error = str(entry.body.get("error", "")).partition(":")[0]
    own = sha256(f"{entry.run} {entry.subject}".encode()).hexdigest()[:16]
    return Span(name=entry.subject, trace=trace_id, start=_nanoseconds(began), end=_nanoseconds(entry.at), failed=entry.body["status"] != "done",
                attributes={"error.type": error, **counted}, id=own, parent=trace_id[16:], inside=True)  # fmt: skip


def _nanoseconds(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1e6) * 1000 if at else 0


def _named(estate: Estate, system: str, table: str) -> tuple[str, str]:
    entry = estate.systems.get(system)
    if entry is None:
        return naming("files", "", table)
    url = str(getattr(entry, "url", "") or getattr(entry, "path", "") or system)
    return naming(entry.kind, url, f"{url.rstrip('/')}/{table}" if entry.kind == "folder" else table)
