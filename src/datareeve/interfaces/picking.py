"""Plans and runs by the start of their name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from datareeve.app import App
    from datareeve.core.operation import Plan

SHORTEST_FINGERPRINT = 8


def kept_plan(app: App, start: str) -> Plan:
    """The plan that was kept under a fingerprint, or the only one that begins so. Errors: `BadInput` `plan.unknown`, `plan.ambiguous`."""
    found = {entry.subject for entry in app.ledger.entries("plan") if entry.subject.startswith(start)}
    if len(start) < SHORTEST_FINGERPRINT or len(found) > 1:
        raise BadInput(
            "plan.ambiguous",
            f"{start} is not enough of a fingerprint.",
            "Give more of it: the whole one is sure.",
        )
    return app.stored_plan(found.pop() if found else start)


def run_named(app: App, start: str) -> str:
    """The run of that name, or the only one whose name begins so. Errors: `BadInput` `run.ambiguous`; an unknown one is told by the ledger."""
    names = [run.run for run in app.runs()]
    found = [name for name in names if name.startswith(start)] if start not in names else [start]
    if len(found) > 1:
        raise BadInput(
            "run.ambiguous",
            f"{len(found)} runs begin with {start}.",
            "Give more of the name; `datareeve runs` lists them.",
        )
    return found[0] if found else start
