"""When each pipeline was last published, by whomever it was run: read from the runs of the ledger."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from datareeve.core.errors import DatareeveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from datareeve.core.ledger import Ledger
    from datareeve.core.operation import Plan

PUBLISH: Final = "pipelines.publish"
RUN: Final = "pipelines.run"
FILES: Final = (".yaml", ".yml", ".py")
RECENT = 2000  # entries about runs


class Publications:
    """What it has read of a run once is remembered: ended runs do not change, but by being taken back."""

    def __init__(self, ledger: Ledger, plan_of: Callable[[str], Plan]) -> None:
        self._ledger = ledger
        self._plan_of = plan_of
        self._parts: dict[
            str, tuple[tuple[str, str], ...]
        ] = {}  # run: the pipelines published in it, and when
        self._names: dict[str, dict[str, str]] = {}  # plan: part: the pipeline that it publishes

    def latest(self) -> dict[str, str]:
        """The newest publication of each pipeline, as a moment in UTC. One that was taken back is none."""
        found: dict[str, str] = {}
        for run, body in self._ended().items():
            if body["status"] in ("done", "partly done") and run not in self._parts:
                self._parts[run] = tuple(self._published(run))
            for name, at in self._parts.get(run, ()) if body["status"] != "undone" else ():
                found[name] = max(found.get(name, ""), at)
        return found

    def _ended(self) -> dict[str, dict[str, Any]]:
        last = {entry.run: entry.body for entry in self._ledger.entries("run", limit=RECENT)}
        return {run: body for run, body in last.items() if body["state"] == "ended"}

    def _published(self, run: str) -> Iterator[tuple[str, str]]:
        names: dict[str, str] | None = None
        for entry in self._ledger.entries("part", run=run):
            if entry.body.get("operation") == PUBLISH and entry.body.get("status") == "done":
                names = self._named(run) if names is None else names
                if entry.subject in names:
                    yield names[entry.subject], entry.at

    def _named(self, run: str) -> dict[str, str]:
        """Which pipeline each part of a run publishes."""
        plan = str(self._ledger.entries("run", run=run)[0].body.get("plan", ""))
        if plan not in self._names:
            self._names[plan] = self._read(plan)
        return self._names[plan]

    def _read(self, fingerprint: str) -> dict[str, str]:
        try:
            plan = self._plan_of(fingerprint)
        except DatareeveError:  # kept by another version: it cannot be read, and is passed over
            return {}
        leaves = (leaf for leaf in plan.leaves() if leaf.operation == PUBLISH)
        return {leaf.part_id: name for leaf in leaves if (name := pipeline_of(leaf.inputs, None))}


def pipeline_of(inputs: Mapping[str, Any], environment: str | None, default: str | None = None) -> str:
    """The pipeline that an operation with such inputs is about, where it is about that environment; else ''. `default`: the estate's own."""
    named = str(inputs.get("pipeline") or "")
    if (inputs.get("environment") or default) != (environment or default):
        return ""
    return PurePosixPath(named).stem if named.endswith(FILES) else named
