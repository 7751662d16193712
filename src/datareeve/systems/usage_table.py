"""Rows of usage into the store, with their sums, exactly once.

The one idea: a batch of rows, its sums by hour and how far the spool has come are one transaction; so a batch is in, with everything that is
made of it, or is not. A row is a tuple in the order of `COLUMNS`. Many rows are one statement: the interpreter's lock is given away once a
batch, not once a row, and requests go on beside it.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import orjson

from datareeve.core.errors import Failed
from datareeve.systems.gateway_store import SQL

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datareeve.systems.gateway_store import GatewayStore
    from datareeve.systems.store_database import Transaction

UsageTuple = tuple[Any, ...]

TEXT, INT, REAL, BOOL = "text", "bigint", "double precision", "boolean"
USAGE_TYPES = {
    "id": TEXT, "at": REAL, "virtual_key": TEXT, "key_name": TEXT, "team": TEXT, "endpoint": TEXT, "asked_model": TEXT,
    "provider": TEXT, "provider_key": TEXT, "model": TEXT, "status": TEXT, "http_status": INT, "attempts": INT, "stream": BOOL,
    "cached": BOOL, "input": INT, "output": INT, "cache_read": INT, "cache_write": INT, "cache_write_1h": INT, "reasoning": INT,
    "estimated": BOOL, "first_ms": REAL, "total_ms": REAL, "cost_microusd": INT, "saved_microusd": INT, "price_version": TEXT,
    "error": TEXT, "digest": TEXT, "prefix": TEXT, "prefix_tokens": INT, "requests": INT,
}  # fmt: skip
COLUMNS = tuple(USAGE_TYPES)
PLACE = {name: place for place, name in enumerate(COLUMNS)}
KEYS = COLUMNS[PLACE["virtual_key"] : PLACE["status"] + 1]  # what `usage_hourly` is by, beside the hour
_ENDPOINT, _ASKED, _STATUS = KEYS.index("endpoint"), KEYS.index("asked_model"), KEYS.index("status")
KEY_SLICE = slice(PLACE["virtual_key"], PLACE["status"] + 1)
MEASURES = (
    "requests", "attempts", "streams", "cached", "estimated", "unpriced", "input", "output", "cache_read", "cache_write",
    "cache_write_1h", "reasoning", "cost_microusd", "saved_microusd", "total_ms", "first_ms", "firsts",
)  # fmt: skip
HOURLY_TYPES = {
    "hour": INT,
    **dict.fromkeys(KEYS, TEXT),
    **{name: REAL if name.endswith("_ms") else INT for name in MEASURES},
}
LATENCY_TYPES = {
    "hour": INT, "provider": TEXT, "model": TEXT, "stream": BOOL, "measure": TEXT, "up_to_ms": REAL, "requests": INT,
}  # fmt: skip
HOUR = 3600
CLASS_RATIO = 1.2  # each class of latency reaches so much further than the one before
CLASSES = [round(CLASS_RATIO**n, 3) for n in range(101)]  # the last is 23 hours
TEXT_MOST, INT_MOST = 200, 2**43  # 8.8 million dollars, in micro-dollars: beyond it a figure is nonsense
AT_ONCE = 64  # rows a statement on SQLite: 64 x 32 values
SPOOL_MOVED = "gateway-store.spool-moved"
_WORD = re.compile(r"[a-z_]*|v\d+")
_LATENCY = itemgetter(*(PLACE[name] for name in (
    "at", "provider", "model", "status", "stream", "cached", "first_ms", "total_ms", "requests",
)))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Move:
    """A spool that stood at frame `after` stands at `frame` with this batch; `closed`: nothing more will come of it."""

    spool: str
    after: int
    frame: int
    closed: bool = False


def write_usage(store: GatewayStore, rows: Sequence[UsageTuple], move: Move) -> None:
    """Add rows and their sums, and say how far their spool has come, in one transaction.

    Errors: `Failed` `gateway-store.spool-moved` where the spool stood elsewhere (another process drains it, or this very batch is in
    already); those of `store_database.translated`.
    """
    try:
        _write(store, rows, move)
    except (TypeError, ValueError, OverflowError):
        _write(store, [cleaned(row) for row in rows], move)
    except Failed as error:
        if error.code != "gateway-store.statement":
            raise
        _write(store, [cleaned(row) for row in rows], move)


def spool_frame(store: GatewayStore, spool: str) -> tuple[int, bool]:
    """How far a spool has come, and whether it is done with; (0, False) where nothing of it is in yet."""
    with store.reading() as t:
        row = t.one(SQL["spool"], instance=spool)
    return (int(row["frame"]), bool(row["closed"])) if row else (0, False)


def prune_usage(store: GatewayStore, before: float, *, most: int = 5000) -> bool:
    """Remove some thousand rows of requests before a moment (Unix seconds); their sums stay. Gives whether there are more."""
    row = "rowid" if store.dialect == "sqlite" else "ctid"
    with store.transaction() as t:
        found = t.run(SQL["prune_usage"].replace("{row}", row), before=before, most=most)
        if found < most:
            t.run(SQL["forget_spools"], before=t.now() - 7 * 86400)
    return found == most


def _write(store: GatewayStore, rows: Sequence[UsageTuple], move: Move) -> None:
    sums, latencies = hourly(rows), latency_classes(rows)
    with store.transaction() as t:
        if not t.run(
            SQL["move_spool"],
            instance=move.spool,
            frame=move.frame,
            closed=move.closed,
            expected=move.after,
            at=t.now(),
        ):
            raise Failed(
                SPOOL_MOVED,
                "The usage rows of this spool were moved by another process.",
                "Nothing: it goes on behind them.",
            )
        _USAGE.insert(t, rows)
        # In order of their keys: two processes that add to the same sums do not wait for each other in a circle.
        _HOURLY.insert(t, sorted(sums))
        _LATENCY_HOURLY.insert(t, sorted(latencies))


# -- sums --------------------------------------------------------------------------------------------------------------------------


def hourly(rows: Iterable[UsageTuple]) -> list[UsageTuple]:
    """The sums of rows by hour and `KEYS`, in the order of `HOURLY_TYPES`."""
    groups: dict[UsageTuple, list[UsageTuple]] = defaultdict(list)
    for row in rows:
        groups[int(row[1]) // HOUR, *row[KEY_SLICE]].append(row)
    merged: dict[UsageTuple, list[Any]] = {}
    for key, group in groups.items():
        sums = _sums(group)
        known = merged.setdefault(_bounded(key), sums)
        if known is not sums:
            known[:] = [a + b for a, b in zip(known, sums, strict=True)]
    return [(*key, *sums) for key, sums in merged.items()]


def _bounded(key: UsageTuple) -> UsageTuple:
    """The key of a sum, without what anybody can invent anew each time: ids in paths, and names of models that were refused."""
    hour, *names = key
    names[_ENDPOINT] = _endpoint(names[_ENDPOINT])
    if names[_STATUS] == "refused":
        names[_ASKED] = ""
    return (hour * HOUR, *names)


@lru_cache(maxsize=1024)
def _endpoint(path: str) -> str:
    """A path with `*` in place of ids: /v1/batches/*/results."""
    return "/".join(part if _WORD.fullmatch(part) else "*" for part in path.split("/"))


def _sums(group: Sequence[UsageTuple]) -> list[Any]:
    column = dict(zip(COLUMNS, zip(*group, strict=True), strict=True))
    count = column["requests"]
    firsts = [first for first in column["first_ms"] if first is not None]
    unpriced = [
        bool(model) and not version
        for model, version in zip(column["model"], column["price_version"], strict=True)
    ]
    sums = {
        "streams": _counted(column["stream"], count),
        "cached": _counted(column["cached"], count),
        "estimated": _counted(column["estimated"], count),
        "unpriced": _counted(unpriced, count),
        "first_ms": sum(firsts),
        "firsts": len(firsts),
    }
    return [sums[name] if name in sums else sum(column[name]) for name in MEASURES]


def _counted(flags: Sequence[bool], counts: Sequence[int]) -> int:
    return sum(compress(counts, flags))


def latency_classes(rows: Iterable[UsageTuple]) -> list[UsageTuple]:
    """How many whole answers of a provider fell into each class of latency, in the order of `LATENCY_TYPES`."""
    counted: Counter[UsageTuple] = Counter()
    for at, provider, model, status, stream, cached, first_ms, total_ms, requests in map(_LATENCY, rows):
        if status != "ok" or cached or not model or requests != 1:
            continue
        hour = int(at) // HOUR * HOUR
        counted[hour, provider, model, stream, "total", class_of(total_ms)] += 1
        if first_ms is not None:
            counted[hour, provider, model, stream, "first", class_of(first_ms)] += 1
    return [(*key, count) for key, count in counted.items()]


def class_of(ms: float) -> float:
    """The upper bound of a latency's class: 1 ms, then each `CLASS_RATIO` times the one before, to a day."""
    return CLASSES[min(bisect_left(CLASSES, ms), len(CLASSES) - 1)]


# -- rows that no table would take ------------------------------------------------------------------------------------------------


def cleaned(row: UsageTuple) -> UsageTuple:
    """A row that every table takes: texts without NUL and of bounded length, figures that are finite and not beyond reason."""
    return tuple(_CLEAN[USAGE_TYPES[name]](row[place], name) for place, name in enumerate(COLUMNS))


def _clean_text(value: object, _name: str) -> str:
    text = value if isinstance(value, str) else ""
    return text[:TEXT_MOST].replace("\0", "").encode("utf-8", "replace").decode("utf-8")


def _clean_int(value: object, name: str) -> int:
    least = 1 if name == "requests" else 0
    return min(max(int(value), least), INT_MOST) if isinstance(value, int) else least


def _clean_real(value: object, name: str) -> float | None:
    if not isinstance(value, (int, float)) or not math.isfinite(value):
        return None if name == "first_ms" else 0.0
    return min(max(float(value), 0.0), 1e12)


def _clean_bool(value: object, _name: str) -> bool:
    return value is True


_CLEAN = {TEXT: _clean_text, INT: _clean_int, REAL: _clean_real, BOOL: _clean_bool}


# -- many rows in one statement ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Table:
    """A table that batches are put into. `added`: columns that are added to those of the row that has the same key already."""

    name: str
    types: dict[str, str]
    added: tuple[str, ...] = ()

    def spelled(self, values: str) -> str:
        """The statement around its values."""
        conflict = ""
        if self.added:
            keys = ", ".join(name for name in self.types if name not in self.added)
            sums = ", ".join(f"{name} = {self.name}.{name} + excluded.{name}" for name in self.added)
            conflict = f" ON CONFLICT ({keys}) DO UPDATE SET {sums}"
        return f"INSERT INTO {self.name} ({', '.join(self.types)}) {values}{conflict}"

    def insert(self, t: Transaction, rows: Sequence[UsageTuple]) -> None:
        """Insert rows, or add to those that are there."""
        if rows:
            (self._insert_json if t.dialect == "postgresql" else self._insert_values)(t, rows)

    def _insert_json(self, t: Transaction, rows: Sequence[UsageTuple]) -> None:
        """PostgreSQL takes all rows as one JSON text: for the client a twentieth of the work that values one by one are."""
        picked = ", ".join(f"(r->>{place})::{kind}" for place, kind in enumerate(self.types.values()))
        query = self.spelled(
            f"SELECT {picked} FROM jsonb_array_elements(%s::jsonb) WITH ORDINALITY AS e (r, n) ORDER BY n"  # noqa: S608 - our own types
        )
        t.driver.execute(query, (orjson.dumps(rows).decode(),), prepare=True)

    def _insert_values(self, t: Transaction, rows: Sequence[UsageTuple]) -> None:
        """SQLite takes them as lists of values, in chunks of 64, 32, 16 … rows, so that few different statements are prepared."""
        one = f"({', '.join('?' * len(self.types))})"
        start, size = 0, AT_ONCE
        while start < len(rows):
            while size > len(rows) - start:
                size //= 2
            values = [value for row in rows[start : start + size] for value in row]
            t.driver.execute(self.spelled(f"VALUES {', '.join([one] * size)}"), values)
            start += size


_USAGE = _Table("usage", USAGE_TYPES)
_HOURLY = _Table("usage_hourly", HOURLY_TYPES, MEASURES)
_LATENCY_HOURLY = _Table("latency_hourly", LATENCY_TYPES, ("requests",))
