"""Snapshots of a workload's counters, small enough to take every five minutes: who counts what was taken, read and written here.

The one idea: a snapshot holds numbers only, in columns, and names a family by its place in one list (`NAMES`) that a system has. A query id
is looked up once in its life: its text is read, its family is written into the list, and from then on only counters travel.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from datareeve.core import clock
from datareeve.core.errors import Failed
from datareeve.systems import workload_statistics as statistics
from datareeve.systems.workload_source import shape_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.core.snapshots import Snapshots
    from datareeve.systems.postgres import Postgres
    from datareeve.systems.workload_source import Recording

KIND = "workload"  # of the snapshots
NAMES = "workload-names"  # one body: {families: [[fingerprint, sql, is_write, parsed, tables, nested, first_at]], ids: {query id: place}}
FAMILIES_AT_MOST = 200  # by time; the rest is one sum, but for those that the snapshot before had
OURS_TO_SKIP = -1  # the place of a query id that is no workload: our own, a catalog's, BEGIN
# The columns of a snapshot. The first seven describe the distribution of times; `since` and `minmax_since` are 17's.
COLUMNS = (
    "calls",
    "total_ms",
    "squares",
    "min_ms",
    "max_ms",
    "since",
    "minmax_since",
    *tuple(statistics.ADDED)[2:],
)
LEAST_AND_MOST = {"min_ms": min, "max_ms": max, "since": min, "minmax_since": max}


def read_counters(system: Postgres, known: list[str], keep: list[str]) -> dict[str, Any]:
    """What the workload's source has counted: {source, reset, started, dealloc, track, rows, shapes}.

    `rows`: counters as `workload_statistics.counters` gives them; `shapes`: for each id not among `known` its family, None where it is no
    workload. Errors: `Failed` `workload.no-source`, `workload.not-counted`.
    """
    source = system.entry.workload
    if source is not None and source.kind != "pg_stat_statements" and source.path is not None:
        from datareeve.systems import workload_replay  # noqa: PLC0415 - it parses; not needed for counters

        return _of_recording(workload_replay.recording(system))
    if source is not None and source.kind == "activity":
        raise Failed(
            "workload.not-counted",
            f"The workload of {system.name} is sampled from pg_stat_activity, which counts nothing from one moment to the next.",
            "Give a source that counts: pg_stat_statements, or the server's log.",
        )
    return _of_statistics(system, known, keep)


def _of_statistics(system: Postgres, known: list[str], keep: list[str]) -> dict[str, Any]:
    view = statistics.view_of(system)
    if view is None or view.track is None:
        raise Failed(
            "workload.no-source",
            f"{system.name} counts no statements.",
            statistics.NO_STATISTICS if view is None else statistics.NOT_LOADED,
        )
    rows = statistics.counters(system, view, limit=FAMILIES_AT_MOST, keep=keep)
    new = sorted({row["id"] for row in rows if row["id"] is not None} - set(known))
    texts = statistics.texts_of(system, view, new)
    started = system.query(
        "SELECT extract(epoch FROM pg_postmaster_start_time())::float8 AS started", shape="scalar"
    )
    shapes = {key: _shape(text) for key, text in texts.items() if text != statistics.HIDDEN}
    return {
        "source": "pg_stat_statements",
        "started": started,
        "track": view.track,
        **statistics.info(system, view),
        "rows": rows,
        "shapes": shapes,
    }


def _shape(text: str) -> dict[str, Any] | None:
    """A family's name, without any value; None where a statement is none of the application's."""
    shape = shape_of(text)
    if statistics.is_our_own(text) or shape.kind not in {"read", "write"}:
        return None
    return {
        "fingerprint": shape.fingerprint,
        "sql": shape.sql,
        "is_write": shape.kind == "write",
        "parsed": shape.parsed,
        "tables": list(shape.tables),
    }


def _of_recording(recording: Recording) -> dict[str, Any]:
    """A file's families as counters: it grows as a server's counters do, and begins anew where it is another file."""
    families = sorted(recording.families.values(), key=lambda f: (-f.total_ms, f.shape.fingerprint))
    rows = [
        {
            "id": family.shape.fingerprint if place < FAMILIES_AT_MOST else None,
            "hidden": False,
            "toplevel": True,
            "calls": family.calls,
            "total_ms": family.total_ms,
            "squares": family.squares,
            "rows": family.rows,
            "min_ms": family.min_ms if family.timed else 0.0,
            "max_ms": family.max_ms,
            "since": None,
            "minmax_since": None,
        }
        for place, family in enumerate(families)
    ]
    shapes = {
        f.shape.fingerprint: {
            "fingerprint": f.shape.fingerprint,
            "sql": f.shape.sql,
            "is_write": f.shape.kind == "write",
            "parsed": f.shape.parsed,
            "tables": list(f.shape.tables),
        }
        for f in families[:FAMILIES_AT_MOST]
    }
    reset = recording.began()
    return {"source": recording.kind, "reset": None if math.isnan(reset) else reset, "started": None, "dealloc": None, "track": "",
            "rows": rows, "shapes": shapes}  # fmt: skip


# -- the ledger's side ------------------------------------------------------------------------------------------------------------


def record(kept: Snapshots, system: Postgres, run: str) -> dict[str, int]:
    """Take one snapshot of a system into the ledger, and thin out old ones; gives {families, bytes, thinned}."""
    names = _names(kept, system.name)
    last = kept.get(system.name, KIND, limit=1)
    keep = _ids_of(names, last[0].body["places"]) if last else []
    read = read_counters(system, list(names["ids"]), keep)
    at = clock.stamp()
    if _learn(names, read, at):
        kept.put(system.name, NAMES, names, run="", at="")
    body = body_of(read, names["ids"])
    size = kept.put(system.name, KIND, body, run=run, at=at)
    return {"families": len(body["places"]), "bytes": size, "thinned": kept.thin(system.name, KIND)}


def _names(kept: Snapshots, system: str) -> dict[str, Any]:
    found = kept.get(system, NAMES, limit=1)
    return found[0].body if found else {"families": [], "ids": {}}


def _ids_of(names: dict[str, Any], places: Iterable[int]) -> list[str]:
    wanted = set(places)
    return [key for key, place in names["ids"].items() if place in wanted]


def _learn(names: dict[str, Any], read: dict[str, Any], at: str) -> bool:
    """Write families that are new into the list; gives whether there were any."""
    place_of = {entry[0]: place for place, entry in enumerate(names["families"])}
    new = {key: shape for key, shape in read["shapes"].items() if key not in names["ids"]}
    nested = {row["id"] for row in read["rows"] if not row["toplevel"]}
    for key, shape in new.items():
        if shape is None:
            names["ids"][key] = OURS_TO_SKIP
            continue
        place = place_of.setdefault(shape["fingerprint"], len(names["families"]))
        if place == len(names["families"]):
            names["families"].append([*shape.values(), key in nested, at])
        names["ids"][key] = place
    return bool(new)


def body_of(read: dict[str, Any], ids: dict[str, int]) -> dict[str, Any]:
    """A snapshot: counters of each family in columns, and of the rest, of what is hidden, and of what is nested in functions."""
    families: dict[int, dict[str, float]] = {}
    others: dict[str, dict[str, float]] = {"rest": {}, "hidden": {}}
    for row in read["rows"]:
        place = ids.get(row["id"] or "")
        if row["hidden"] or row["id"] is None or place is None:
            _merge(others["hidden" if row["hidden"] else "rest"], row)
        elif place != OURS_TO_SKIP:
            _merge(families.setdefault(place, {}), row)
    return {
        **{name: read[name] for name in ("source", "reset", "started", "dealloc", "track")},
        "places": list(families),
        "columns": {
            name: [_short(name, one.get(name)) for one in families.values()]
            for name in COLUMNS
            if any(one.get(name) for one in families.values())
        },
        **{key: {name: _short(name, value) for name, value in sums.items()} for key, sums in others.items() if sums},
    }  # fmt: skip


def _merge(into: dict[str, float], row: dict[str, Any]) -> None:
    for name in COLUMNS:
        value = row.get(name)
        if value is None or (name in {"min_ms", "max_ms"} and not row["max_ms"]):
            continue
        if name not in into:
            into[name] = float(value)
        elif name in LEAST_AND_MOST:
            into[name] = LEAST_AND_MOST[name](into[name], float(value))
        else:
            into[name] += float(value)


def _short(name: str, value: float | None) -> float | int | None:
    """A counter with as many digits as it has meaning: squares keep all, for two of them are subtracted."""
    if value is None or name == "squares":
        return value
    rounded = round(value, 6)
    return int(rounded) if rounded == int(rounded) else rounded
