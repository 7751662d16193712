"""A model of a build: its unit tests, its rows beside what is published, and what its publication would change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.pipelines.flow import names
from datareeve.capabilities.pipelines.flow.building import own_build, settle
from datareeve.capabilities.pipelines.flow.merging import Change, Merging
from datareeve.capabilities.pipelines.models.incremental import before, floor, from_on
from datareeve.capabilities.pipelines.spec import Load
from datareeve.core.errors import Failed
from datareeve.systems.mover import identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datareeve.systems.destination import Destination, Held
    from datareeve.systems.pipeline_desk import Shop


def model(shop: Shop, given: dict[str, Any]) -> dict[str, Any]:
    """Build one model beside what is published, and find what it changes."""
    if given.get("engine"):
        from datareeve.capabilities.pipelines.flow import handing  # noqa: PLC0415 - only where another engine builds

        return handing.model(shop, given)
    with shop.destination(given["system"]) as there:
        held = own_build(shop, there, given)
        tested(lambda statement: there.run(statement)[0], given)
        with there.commit(held):
            change = _built(there, held, given)
            record(there, held, given, change)
    return figures(given, change)


def record(there: Destination, held: Held, given: dict[str, Any], change: Change) -> None:
    """Say that a model is built, in the open transaction."""
    settle(there, held, change)
    known = {"target": given["table"], "mode": given["materialized"]}
    others = [one for one in held.build["changes"] if one["table"] != given["table"]]
    build = {
        **held.build,
        "models": {**held.build["models"], given["name"]: known},
        "changes": [*others, change.model_dump(mode="json")],
    }
    there.record(held, build=build)


def figures(given: dict[str, Any], change: Change) -> dict[str, Any]:
    """What is told of a model that is built."""
    told = change.model_dump(include={"added", "changed", "removed", "rows_before", "rows_after"})
    return {
        "rows": change.rows_after,
        "table": given["table"],
        "tests": len(given["tests"]),
        "changes": {given["table"]: told},
    }


def tested(answer: Callable[[str], Sequence[Any]], given: dict[str, Any]) -> None:
    """Run a model's unit tests, where it will be built. Errors: `Failed` `pipelines.unit-test`, with counts only."""
    for name, statement in given["tests"].items():
        missing, unexpected = (int(count or 0) for count in answer(statement)[:2])
        if missing or unexpected:
            raise Failed("pipelines.unit-test", f"{given['name']}: its unit test {name!r} fails: {missing} rows that were expected are missing, {unexpected} were not expected.",
                         "Correct the model, or the test.")  # fmt: skip


def way(there: Destination, given: dict[str, Any]) -> tuple[str, str]:
    """How a model's rows come to what is published, and from what moment on where they are not all: ('full', ''), ('upsert', ''), ('append', since)."""
    kind = there.kind_of(given.get("schema"), given["table"])
    if given["materialized"] == "incremental" and kind == "TABLE":
        return ("upsert", "") if given["incremental"]["by"] == "key" else ("append", _since(there, given))
    if kind == "VIEW":
        raise Failed(
            "pipelines.was-a-view",
            f"{given['table']} is published as a view, and the model is a table now.",
            "Drop the view, or give the model another `to`.",
        )
    return "full", ""


def _built(there: Destination, held: Held, given: dict[str, Any]) -> Change:
    schema, table, select = given.get("schema"), given["table"], given["select"]
    for beside in (names.next_, names.incoming):
        there.remove(schema, beside(table))
    if given["materialized"] == "view":
        return _view(there, given)
    mode, since = way(there, given)
    made = (names.next_ if mode == "full" else names.incoming)(table)
    if since:
        column = given["incremental"]["column"]
        select = from_on(select, column, there.columns(schema, table)[column], since, there.dialect)
    there.run(f"CREATE TABLE {there.table(schema, made)} AS {select}")
    first = mode == "full" and not there.kind_of(schema, table)
    return merged(there, held, given, mode=mode, first=first, made=made, since=since)


def _view(there: Destination, given: dict[str, Any]) -> Change:
    schema, table = given.get("schema"), given["table"]
    if there.kind_of(schema, table) == "TABLE":
        raise Failed(
            "pipelines.was-a-table",
            f"{table} is published as a table, and the model is a view now.",
            "Drop the table, or give the model another `to`.",
        )
    there.run(f"CREATE VIEW {there.table(schema, names.next_(table))} AS {given['select']}")
    former = there.view_text(schema, table)
    return Change(
        table=table,
        how="view",
        first=not former,
        select=given["published"],
        former_select=former,
        compared=False,
    )


def _since(there: Destination, given: dict[str, Any]) -> str:
    """From where on the model is built anew: the interval of its newest row, less the lag."""
    how = given["incremental"]
    ((newest,),) = there.run(
        f"SELECT max({identifier(how['column'])}) FROM {there.table(given.get('schema'), given['table'])}"
    )
    if newest is None:
        return "0001-01-01"
    return before(floor(newest, how["interval"]), how["interval"], how["lag"]).isoformat(sep=" ")


def merged(  # noqa: PLR0913 - what a change is found by
    there: Destination,
    held: Held,
    given: dict[str, Any],
    *,
    mode: str,
    first: bool,
    made: str,
    since: str = "",
) -> Change:
    """What a model's rows, made as `made`, change of what is published."""
    schema, table = given.get("schema"), given["table"]
    columns = [
        {"name": name, "source": name, "read": type_, "type": type_}
        for name, type_ in there.columns(schema, made).items()
    ]
    published = there.columns(schema, table)
    added = [one["name"] for one in columns if published and one["name"] not in published]
    load: dict[str, Any] = {"source": {"python": "a:model"}, "mode": mode, "keys": given["keys"], "to": table}
    if since:
        load["cursor"] = given["incremental"]["column"]
    window = {"since": since, "until": ""} if since else None
    known = {
        "first": first,
        "table": made,
        "mode": mode,
        "shape": {"columns": columns, "added": added},
        "window": window,
    }
    return Merging(
        there,
        name=table,
        load=Load.model_validate(load),
        schema=schema,
        known=known,
        moment=held.build["moment"],
    ).run()
