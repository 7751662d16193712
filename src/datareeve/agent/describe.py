"""A plan as plain text: what a person reads before approving, in the order of carrying out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.operation import Plan, Prediction, Step

_UNITS = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "kB"))


def describe(plan: Plan) -> str:
    """The plan as lines of text, for the command line and for MCP: everything that would happen, and the fingerprint to approve."""
    return "\n".join([*_lines(plan), "", f"Effect: {plan.effect}. Fingerprint: {plan.fingerprint}"])


def size(number: float) -> str:
    """Bytes for people: 7.2 MB."""
    for unit, name in _UNITS:
        if abs(number) >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number:.0f} bytes"


def predicted(prediction: Prediction) -> str:
    """A prediction in words, '' where nothing is known."""
    known = (
        f"{prediction.rows:,} rows" if prediction.rows is not None else "",
        size(prediction.bytes) if prediction.bytes is not None else "",
        f"{prediction.seconds:.3g} s" if prediction.seconds is not None else "",
        f"lock {prediction.lock}" if prediction.lock else "",
    )
    words = ", ".join(word for word in known if word)
    return f"{words} ({prediction.basis})" if words and prediction.basis else words


def nodes(plan: Plan) -> Iterator[Plan]:
    """The plan and every part of it at any depth, in order."""
    yield plan
    for part in plan.parts:
        yield from nodes(part)


def _lines(plan: Plan) -> Iterator[str]:
    if not plan.parts and plan.operation != "task":
        yield from _part(plan)
        return
    yield plan.summary
    yield from (f"  ! {blocker}" for blocker in plan.blockers)
    bullet = ""
    for part in plan.parts:
        if part.serves and part.serves != bullet:
            bullet = part.serves
            yield from ("", f"{part.part_id.partition('.')[0]}. {bullet}")
        for node in nodes(part):
            yield from _part(node)
    if plan.nothing_to_do:
        yield from ("", f"Nothing to do: {plan.nothing_to_do}")


def _part(part: Plan) -> Iterator[str]:
    name = f"{part.part_id} {part.operation}".strip()
    needs = f" (after {', '.join(part.needs)})" if part.needs else ""
    yield f"  {name}{needs}: {part.summary}"
    if part.nothing_to_do:
        yield f"      nothing to do: {part.nothing_to_do}"
    for number, step in enumerate(part.steps, 1):
        yield from _step(number, step)
    if part.requirements or part.checks:
        yield f"      requirements: {len(part.requirements)}, checks afterwards: {len(part.checks)}"
    for finding in part.findings:
        instead = f" {finding.instead}" if finding.instead else ""
        told = f"{finding.severity}: {finding.subject}: {finding.what}{instead}"
        yield "      " + told.rstrip().replace("\n", "\n        ")
    yield from (f"      ! {blocker}" for blocker in part.blockers)


def _step(number: int, step: Step) -> Iterator[str]:
    undo = "can be undone" if step.undo else f"no way back: {step.no_undo or 'none is known'}"
    yield f"    {number}. {step.id}: {step.why}"
    restart = ", interrupts the service for a moment" if step.restarts else ""
    cost = f", {step.cost_usd:.2f} USD" if step.cost_usd else ""
    expected = predicted(step.predicted)
    yield f"       {step.effect}{restart}{cost}; {undo}" + (f"; expected {expected}" if expected else "")
