"""A system of the estate as the standard describes a server: where it is, and neither who reads it nor by what secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.core.operation import Systems

PORTS = {"postgresql": 5432, "mysql": 3306}
FORMATS = {"parquet": "parquet", "pq": "parquet", "csv": "csv", "tsv": "csv", "json": "json", "jsonl": "json", "ndjson": "json"}  # fmt: skip


def of_system(systems: Systems, name: str, tables: Iterable[str] = ()) -> dict[str, Any]:
    """The entry of `servers` for a system; `tables`: those of a folder that the contract is about."""
    kind = systems[name].kind
    entry: dict[str, Any] = systems["estate"].read("get", where=["systems", name]) or {}
    if kind in PORTS:
        return described(kind, entry)
    patterns = systems[name].read("patterns") if kind == "folder" else {}
    return described(kind, entry, [pattern for table, pattern in patterns.items() if table in tables])


def described(kind: str, entry: dict[str, Any], patterns: Iterable[str] = ()) -> dict[str, Any]:
    """The standard's word for a kind of system, with all that the standard asks of one; `custom` where that is not known."""
    path = str(entry.get("path") or "")
    if kind in PORTS and entry.get("url"):
        return _database(kind, str(entry["url"]))
    if kind == "duckdb" and path:
        return {"type": "duckdb", "database": path, "schema": "main"}
    if kind == "folder" and path:
        return _files(path, list(patterns))
    return {"type": "custom", **({"path": path} if path else {})}


def _database(kind: str, url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    place = (parts.netloc.rpartition("@")[2] or options.get("host", "")).split(",")[0]  # the first of several
    host, port = _host(place)
    database = unquote(parts.path.strip("/")) or options.get("dbname", "") or unquote(parts.username or "")
    said = {
        "type": kind,
        "host": host or "localhost",
        "port": int(port or options.get("port", "").split(",")[0] or PORTS[kind]),
        "database": database or kind,
    }
    return {**said, "schema": "public"} if kind == "postgresql" else said


def _host(place: str) -> tuple[str, str]:
    """Host and port of 'db.internal:5432', of '[::1]:5432', and of a folder of sockets, which stands for this machine."""
    if place.startswith("/"):
        return "localhost", ""
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = unquote(place).partition(":")
    return ("localhost", "") if host.startswith("/") else (host, port if port.isdigit() else "")


def _files(path: str, patterns: list[str]) -> dict[str, Any]:
    format_ = next((FORMATS[part] for one in patterns for part in reversed(one.lower().split(".")) if part in FORMATS), "parquet")  # fmt: skip
    return {
        "type": "local",
        "path": f"{path.rstrip('/')}/{patterns[0] if len(patterns) == 1 else '*'}",
        "format": format_,
    }
