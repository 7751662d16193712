"""What a run of pipelines read and published, as data for lineage events: from its plan and its outcome. Pure; no value of a row is in either."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from datareeve.capabilities.pipelines.scheduling.endings import WELL, ending_of
from datareeve.capabilities.pipelines.scheduling.publications import PUBLISH
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datareeve.core.operation import Outcome, Plan, Step

    Naming = Callable[[str, str], tuple[str, str]]  # system and table: namespace and name

BUILD = "pipelines.build"


class Told(Value):
    """What is told of one pipeline in a run."""

    pipeline: str
    kind: str  # COMPLETE or FAIL
    error: str = ""  # a code
    inputs: tuple[dict[str, Any], ...] = ()
    outputs: tuple[dict[str, Any], ...] = ()


def told(plan: Plan, outcome: Outcome, naming: Naming) -> tuple[Told, ...]:
    """Of each pipeline that a run built or published: its inputs and outputs with what was counted; none of other runs."""
    steps: dict[str, list[tuple[Step, dict[str, Any]]]] = {}
    results = {
        (part.part_id, step.step): step.result
        for part in outcome.parts
        for step in part.steps
        if step.status == "done"
    }
    for leaf in plan.leaves():
        for step in leaf.steps if leaf.operation in (BUILD, PUBLISH) else ():
            given = step.call.arguments.get("given", {})
            steps.setdefault(str(given.get("key", "")), []).append(
                (step, results.get((leaf.part_id, step.id), {}))
            )
    ending = ending_of(outcome)
    kind, error = ("COMPLETE", "") if ending.status in WELL else ("FAIL", ending.code or "pipelines.failed")
    return tuple(
        Told(
            pipeline=name,
            kind=kind,
            error=error,
            inputs=tuple(_inputs(own, naming)),
            outputs=tuple(_outputs(own, naming)),
        )
        for name, own in steps.items()
        if name
    )


def _inputs(steps: list[tuple[Step, dict[str, Any]]], naming: Naming) -> Iterator[dict[str, Any]]:
    for step, result in steps:
        given = step.call.arguments.get("given", {})
        if "load" in given:
            sources = list(_sources(given["load"].get("source", {}), str(given["name"]), naming))
            counted = (
                {"rows": result["rows"]} if len(sources) == 1 and isinstance(result.get("rows"), int) else {}
            )
            columns = {"columns": result["columns"]} if isinstance(result.get("columns"), dict) else {}
            yield from (
                {"namespace": namespace, "name": name, **counted, **columns} for namespace, name in sources
            )


def _sources(source: dict[str, Any], load: str, naming: Naming) -> Iterator[tuple[str, str]]:
    system = str(source.get("system") or "")
    if source.get("table") or source.get("query"):
        yield naming(system, str(source.get("table") or f"query of {load}"))
    elif source.get("files"):
        files = source["files"]
        yield from (naming(system, str(path)) for path in ([files] if isinstance(files, str) else files))
    elif source.get("http"):
        parts = urlsplit(str(source["http"].get("url", "")))
        yield (
            f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}",
            parts.path.strip("/") or "/",
        )
    elif source.get("python"):
        yield "python", str(source["python"])
    elif source.get("dlt"):
        yield "dlt", str(source["dlt"].get("source", ""))


def _outputs(steps: list[tuple[Step, dict[str, Any]]], naming: Naming) -> Iterator[dict[str, Any]]:
    """A table for each load and each model; how many rows it has then, where that was counted."""
    changes: dict[str, Any] = {}
    for _, result in steps:
        changes |= result.get("changes") or {}
    for step, result in steps:
        given = step.call.arguments.get("given", {})
        if step.call.arguments.get("work") not in ("load", "model"):
            continue
        table = str(
            result.get("table") or given.get("to") or given.get("load", {}).get("to") or given.get("name")
        )
        schema = given.get("schema")
        whole = f"{schema}.{table}" if schema and "." not in table else table
        namespace, name = naming(str(given.get("system", "")), whole)
        rows = changes.get(table, {}).get("rows_after")
        yield {
            "namespace": namespace,
            "name": name,
            **({"rows": rows} if isinstance(rows, int) else {}),
            **({"columns": result["columns"]} if isinstance(result.get("columns"), dict) else {}),
            **({"lineage": _columns(given["lineage"], given, naming)} if given.get("lineage") else {}),
        }


def _columns(
    lineage: dict[str, list[dict[str, str]]], given: dict[str, Any], naming: Naming
) -> dict[str, list[dict[str, str]]]:
    """A model's columns, each with those it is made of."""

    def field(one: dict[str, str]) -> dict[str, str]:
        table, schema = one["table"], given.get("schema")
        whole = f"{schema}.{table}" if schema and "." not in table else table
        namespace, name = naming(str(given.get("system", "")), whole)
        return {"namespace": namespace, "name": name, "field": one["column"]}

    return {column: [field(one) for one in made_of] for column, made_of in lineage.items()}
