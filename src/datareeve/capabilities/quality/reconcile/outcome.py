"""A reconciliation as a piece of work of the quality desk: run, told as findings, kept as a document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.counting import counted
from datareeve.capabilities.quality.reconcile.reconciling import reconcile
from datareeve.core import clock
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.systems.quality_desk import Desk

WORK = "reconcile"
NAMED = 10  # columns in one finding
FIGURES = (
    "rows_left", "rows_right", "segments", "segments_differing", "only_left", "only_right", "differing", "lagging", "repeated_keys", "statements",
    "seconds", "seconds_left", "seconds_right", "bytes_fetched",
)  # fmt: skip


def document(run: str, left: str, right: str) -> str:
    """What the record of a reconciliation is called."""
    return f"{run} {left} | {right}"


def work(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    """Reconcile as the step says; gives the figures and findings, and keeps them. Errors: those of `reconcile`."""
    compared = given["compared"]
    left, right = compared["left"], compared["right"]
    told = reconcile(desk.systems[left["system"]], desk.systems[right["system"]], compared)
    name = document(desk.run, left["label"], right["label"])
    place = f"{left['label']} | {right['label']}"
    desk.store.put_document(
        WORK, name, run=desk.run, at=clock.stamp(), subject=place, told={"compared": True, **told}
    )
    findings = [
        finding.model_dump(mode="json") for finding in findings_of(told, left["label"], right["label"])
    ]
    return {
        **{name: told[name] for name in FIGURES},
        "until": told["until"],
        "snapshots": told["snapshots"],
        "findings": findings,
    }


def findings_of(told: dict[str, Any], left: str, right: str) -> Iterator[Finding]:
    """What was found, in words: rows by their keys, and never another value."""
    place = f"{left} and {right}"
    for kind, words in (
        ("only_left", f"only in {left}"),
        ("only_right", f"only in {right}"),
        ("differing", "in both, and not the same"),
    ):
        if told[kind]:
            differing = kind == "differing"
            yield Finding(
                rule=f"rows-{kind.replace('_', '-')}",
                subject=place,
                what=f"{'' if told['exact'] else 'At least '}{counted(told[kind], 'row')} {'is' if told[kind] == 1 else 'are'} {words}.{_columns(told) if differing else ''}",
                severity=Severity.CRITICAL,
                figures={kind: told[kind], "keys": told["keys"].get(kind, []), **({"columns": told["columns"]} if differing else {})},
            )  # fmt: skip
    if told["equal"] and told["not_compared"]:
        some = told["not_compared"]
        yield Finding(rule="equal-but-for", subject=place, what=f"They are equal but for {counted(len(some), 'column')} that {'was' if len(some) == 1 else 'were'} not compared: {', '.join(some[:NAMED])}{' and others' if len(some) > NAMED else ''}.", instead="Pair them by columns, make them readable, or name them in leave_out, if they do not matter.")  # fmt: skip
    yield from _remarks(told, place)


def _remarks(told: dict[str, Any], place: str) -> Iterator[Finding]:
    if told["repeated_keys"]:
        yield Finding(rule="repeated-keys", subject=place, what=f"{counted(told['repeated_keys'], 'key')} that {'differs has' if told['repeated_keys'] == 1 else 'differ have'} more than one row.", instead="A key tells rows apart: name other columns as the key.", figures={"keys": told["keys"].get("repeated", [])})  # fmt: skip
    rest = told["not_looked_into"]
    if rest["segments"]:
        yield Finding(rule="not-looked-into", subject=place, what=f"{counted(rest['segments'], 'more segment')} {'differs' if rest['segments'] == 1 else 'differ'} ({counted(rest['rows_left'], 'row')} beside {rest['rows_right']:,}) and {'was' if rest['segments'] == 1 else 'were'} not looked into: the counts are lower bounds.", instead="Give max_differing more, or mend what was found first.", figures=rest)  # fmt: skip
    undated = told["undated"]
    if any(undated.values()):
        yield Finding(rule="rows-without-a-moment", subject=place, what=f"{counted(undated['left'], 'row')} on the left and {undated['right']:,} on the right have no moment in until_column: they are compared, whenever they came.", instead="A late copy of such a row is told as a difference: look again later.", severity=Severity.INFO, figures=undated)  # fmt: skip
    if told["lagging"]:
        yield Finding(rule="one-side-is-late", subject=place, what=f"{counted(told['lagging'], 'row')} differed at first and not at the second look: one side is behind the other.", instead="Name until_column to compare up to one moment.", severity=Severity.INFO, figures={"lagging": told["lagging"]})  # fmt: skip


def _columns(told: dict[str, Any]) -> str:
    if not told["columns"]:
        return ""
    named = ", ".join(f"{name} in {count:,}" for name, count in list(told["columns"].items())[:10])
    return f" Of {counted(told['columns_of_rows'], 'row')} looked at by column: {named}."
