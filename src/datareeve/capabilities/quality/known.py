"""What contracts and catalogs know by name, for whoever reads a task's words. What cannot be read is not known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality import contract_files, engines
from datareeve.core.errors import DatareeveError
from datareeve.core.yaml_text import parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.operation import Systems

_MOMENTS = ("date", "timestamp", "time")


def contracts(systems: Systems) -> Iterator[dict[str, Any]]:
    """Every contract: {name, systems, tables: [{name, names, moments}]}. A damaged one has a name alone."""
    try:
        paths = contract_files.paths(systems)
    except DatareeveError:
        return  # whoever works on contracts tells
    for name, path in paths.items():
        try:
            data = parse(systems["files"].read("text", path=path) or "", name).data
        except DatareeveError:
            data = None
        whole = data if isinstance(data, dict) else {}
        servers = (str(one.get("server") or "") for one in _mappings(whole.get("servers")))
        yield {
            "name": name,
            "systems": tuple(dict.fromkeys(server for server in servers if server in systems.names())),
            "tables": tuple(_table(one) for one in _mappings(whole.get("schema")) if one.get("name")),
        }


def tables(systems: Systems, system: str) -> tuple[str, ...] | None:
    """A system's tables as schema.table; None where it does not answer."""
    try:
        reader = systems[system]
        if reader.kind not in engines.KINDS:
            return ()
        return tuple(".".join(place[-2:]) for place in engines.tables_of(reader))
    except DatareeveError:
        return None


def _table(one: dict[str, Any]) -> dict[str, Any]:
    physical = str(one.get("physicalName") or one["name"])
    names = (str(one["name"]), physical, physical.rpartition(".")[2] if "/" not in physical else physical)
    moments = (
        str(column.get("physicalName") or column.get("name"))
        for column in _mappings(one.get("properties"))
        if column.get("logicalType") in _MOMENTS
    )
    return {
        "name": names[0],
        "names": tuple(dict.fromkeys(name.casefold() for name in names)),
        "moments": tuple(moments),
    }


def _mappings(entries: Any) -> list[dict[str, Any]]:
    return [one for one in entries if isinstance(one, dict)] if isinstance(entries, list) else []
