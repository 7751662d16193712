"""A contract's file as a step: written where it is wanted, and given back as it stood."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Prediction, Step, Systems

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = "contracts"


def name_of(wanted: str) -> str:
    """A name that a file can have. Errors: `BadInput` `contract.name`."""
    name = re.sub(r"[^\w.-]+", "-", wanted.strip()).strip("-.")
    if not name or len(name) > 100:  # noqa: PLR2004 - a file's name
        raise BadInput(
            "contract.name",
            "A contract needs a name of letters, digits and hyphens.",
            "Give one: --contract orders.",
        )
    return name


def standing(systems: Systems, name: str) -> tuple[str, str | None, str | None]:
    """(the path, the text that stands there, its digest)."""
    path = f"{FOLDER}/{name}.yaml"
    files = systems["files"]
    return path, files.read("text", path=path), files.read("digest", path=path)


def plan(  # noqa: PLR0913 - a plan's parts
    operation: Operation[Any],
    path: str,
    text: str,
    before: str | None,
    *,
    standing: str | None,
    replace: bool,
    summary: str,
    why: str,
    findings: Sequence[Finding] = (),
    figures: dict[str, Any] | None = None,
) -> Plan:
    """Write the file; nothing where it is the same already, and a blocker where another one stands that is not to be replaced."""
    base: dict[str, Any] = {
        "operation": operation.name,
        "inputs": operation.inputs(),
        "findings": tuple(findings),
        "figures": figures or {},
    }
    if standing == text:
        return Plan(summary=summary, nothing_to_do=f"{path} says this already.", **base)
    if standing is not None and not replace:
        return Plan(
            summary=f"{path} stands already.",
            blockers=(f"{path} stands already: give another name, or --replace.",),
            **base,
        )
    step = write_step(path, text, before, why)
    return Plan(
        summary=summary, steps=(step,), checks=(step.probe,), requirements=(unchanged(path, before),), **base
    )


def write_step(path: str, text: str, before: str | None, why: str) -> Step:
    """The file, written."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Step(
        id=f"write {path}",
        call=Call(system="files", action="write", arguments={"path": path, "text": text}),
        why=why,
        effect=Effect.REVERSIBLE,
        probe=Claim(
            text=f"{path} is as planned",
            call=Call(system="files", action="digest", arguments={"path": path}),
            expected=digest,
        ),
        undo=(Call(system="files", action="restore", arguments={"path": path, "digest": before}),),
        predicted=Prediction(bytes=len(text.encode()), basis="the text itself"),
        touches=(f"files:{path}",),
        paths=(path,),
    )


def unchanged(path: str, before: str | None) -> Claim:
    """What a plan rests on: the file is what it was when it was looked at, so that nobody's edit is written over."""
    call = Call(system="files", action="digest", arguments={"path": path})
    there = "is as it was looked at" if before else "is not there yet"
    return Claim(text=f"{path} {there}", call=call, expected=before, remedy="Plan again.")
