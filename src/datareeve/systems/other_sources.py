"""Sources that are no database: files, HTTP APIs, Python generators, dlt's connectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from datareeve.core.errors import BadInput
from datareeve.systems.secret_references import resolver

if TYPE_CHECKING:
    from pathlib import Path

    from datareeve.systems.folder import Folder
    from datareeve.systems.registry import Registry
    from datareeve.systems.row_source import RowSource


def open_source(systems: Registry, project: Path, spool: Path, load: dict[str, Any]) -> RowSource:
    """The source of a load, given as the JSON of `spec.Load`. Errors: `BadInput` `pipelines.source-kind`."""
    source = load["source"]
    if source.get("files"):
        return _files(systems, project, spool, load)
    return _fetched(project, spool, load)


def _fetched(project: Path, spool: Path, load: dict[str, Any]) -> RowSource:
    """What is fetched to the spool before it is read."""
    from datareeve.systems.dlt_source import open_dlt  # noqa: PLC0415 - only where they are read
    from datareeve.systems.http_source import open_http  # noqa: PLC0415
    from datareeve.systems.python_source import open_python  # noqa: PLC0415

    source, cursor, secret = load["source"], _cursor(load), resolver(project)
    if source.get("http"):
        return open_http(source["http"], secret=secret, spool=spool, cursor=cursor)
    if source.get("python"):
        return open_python(source["python"], project=project, spool=spool, cursor=cursor)
    return open_dlt(source["dlt"], project=project, spool=spool, secret=secret, cursor=cursor)


def _cursor(load: dict[str, Any]) -> dict[str, Any] | None:
    """The cursor, by its name at the source."""
    cursor = load.get("cursor")
    if not cursor:
        return None
    column = (load.get("columns") or {}).get(cursor["column"]) or {}
    return {"column": column.get("source") or cursor["column"], "start": cursor.get("start")}


def _files(systems: Registry, project: Path, spool: Path, load: dict[str, Any]) -> RowSource:
    from datareeve.systems.file_source import open_files  # noqa: PLC0415 - only where files are read

    source, root = load["source"], project
    if name := source.get("system"):
        system = systems[name]
        if system.kind != "folder":
            raise BadInput(
                "pipelines.source-kind",
                f"{name} is of kind {system.kind}, which has no files.",
                "Name a system of kind folder, or none: then the paths begin at the project.",
            )
        root = cast("Folder", system).root
    return open_files(
        source.get("read_as") or {}, source["files"], root, mode=load.get("mode") or "full", spool=spool
    )
