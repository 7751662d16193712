"""Runs of some operations with what became of them, read from the ledger in few queries however many there are."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from datareeve.core.value import canonical

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve.core.ledger import Ledger

WELL = ("done", "nothing to do")


def runs_of(
    ledger: Ledger, operations: Sequence[str], since: str, parts: int, limit: int
) -> list[dict[str, Any]]:
    """See `LedgerSystem.runs_of`."""
    found = list(_runs(ledger, operations, since, limit))
    open_ = [run for run in found if not run["ended_at"]]
    at_work = ledger.at_work() if open_ else set()
    for run in open_:
        run["status"] = "under way" if run["run"] in at_work else "interrupted"
    told: Counter[str] = Counter()
    for run in reversed(found):
        key = canonical(run["inputs"])
        told[key] += 1
        if told[key] <= parts or run["status"] not in WELL:
            run["parts"] = [e.body for e in ledger.entries("part", run=run["run"]) if "status" in e.body]
    return found


def _runs(ledger: Ledger, operations: Sequence[str], since: str, limit: int) -> Iterator[dict[str, Any]]:
    plans: dict[str, dict[str, Any]] = {}
    runs: dict[str, dict[str, Any]] = {}
    for entry in ledger.entries("run", limit=limit):
        if entry.body["state"] == "started" and entry.at >= since:
            plan = entry.body["plan"]
            if plan not in plans:
                kept = ledger.entries("plan", subject=plan, limit=1)
                plans[plan] = kept[0].body["plan"] if kept else {}
            if plans[plan].get("operation") in operations:
                inputs = plans[plan].get("inputs", {})
                runs[entry.run] = {"run": entry.run, "inputs": inputs, "by": entry.body["by"], "status": "", "started_at": entry.at, "ended_at": "", "parts": []}  # fmt: skip
        elif entry.run in runs:
            ended = entry.body["state"] == "ended"
            runs[entry.run] |= {
                "status": entry.body.get("status", ""),
                "ended_at": entry.at if ended else "",
            }
    yield from runs.values()
