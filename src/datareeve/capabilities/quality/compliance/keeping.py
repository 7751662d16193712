"""What a look found stays, as a record that it was looked: a step that looks and keeps the figures, and a claim on them that may not hold.

The step looks again when it is carried out: what is approved is the look, and a figure that changed in the meantime asks for no new approval.
"""

from __future__ import annotations

from typing import Any

from datareeve.core.operation import Call, Claim, Effect, Step

SUBJECT = "compliance"  # what the figures are kept under


def keeping(what: str, operation: str, inputs: dict[str, Any], figure: str) -> Step:
    """Look, and keep the numbers among the figures; `figure` is one that there always is."""
    arguments = {"operation": operation, "inputs": inputs, "system": SUBJECT}
    kept = Call(system=SUBJECT, action="kept_figure", arguments={"name": figure, "run": "{run}"})
    return Step(
        id=f"keep the {what}",
        call=Call(system="ledger", action="sample", arguments=arguments),
        why="That it was looked, when, and what was found, is history: rules ask for it, alerts and auditors too.",
        effect=Effect.READ,
        probe=Claim(text=f"the {what} is kept", call=kept, expected=0, comparison="at_least"),
        shown=(f"{operation}: its figures, as history",),
        no_undo="Nothing is changed; what was found stays, as history.",
    )


def none_of(figure: str, text: str, remedy: str) -> Claim:
    """That a figure which this run kept is zero."""
    call = Call(system=SUBJECT, action="kept_figure", arguments={"name": figure, "run": "{run}"})
    return Claim(text=text, call=call, expected=0, remedy=remedy)
