"""What passed through the gateway, asked of its store: sums by key, team, model or day, what repeats, and a person's own SQL.

All of it are reads of the system `gateway`; Rows of usage hold no text of
prompt or answer: two questions are known to be equal by a keyed digest. Sums are of whole hours (UTC): `since` and `until` are taken down to one.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.systems import usage_sql
from datareeve.systems.adapter import reads
from datareeve.systems.gateway_database import named_statements
from datareeve.systems.gateway_opened import OpenedGateway

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from datareeve.systems.gateway_database import Transaction

SQL = named_statements("gateway_usage.sql")
HOUR = 3600
DIMENSIONS = {  # by what usage is summed: our word, and where it stands in `usage_hourly`
    "hour": "hour",
    "day": "hour / 86400 * 86400",
    "month": "hour / 86400 * 86400",  # days, that are put together afterwards: months differ in length
    "key": "key_name",
    "key_id": "virtual_key",
    "team": "team",
    "asked": "asked_model",
    "provider": "provider",
    "provider_key": "provider_key",
    "model": "CASE WHEN model = '' THEN '' ELSE provider || '/' || model END",
    "endpoint": "endpoint",
    "status": "status",
}
TIMES = ("hour", "day", "month")
MOST_MOMENTS = 500_000  # that are replayed; of more the first
CROWD_A_MINUTE = 30
Row = dict[str, Any]


class UsageReads(OpenedGateway):
    """Reads of usage. Where there is no store yet nothing was used."""

    @reads
    def usage(
        self, *, since: float, until: float, by: list[str] | None = None, where: dict[str, str] | None = None
    ) -> list[Row]:
        """Sums of requests, tokens, milliseconds and micro-dollars by the named dimensions, the dearest first; times in order.

        `where` keeps rows of which a dimension has a value. Errors: `BadInput` `usage.dimension`.
        """
        names, kept = by or [], where or {}
        _check([*names, *kept], kept)
        statement = SQL["usage"].format(
            dimensions="".join(f"{DIMENSIONS[name]} AS by_{name}, " for name in names),
            where="".join(f" AND {DIMENSIONS[name]} = :is_{name}" for name in kept),
            group=f"GROUP BY {', '.join(DIMENSIONS[name] for name in dict.fromkeys(names))}" if names else "",
        )
        values = {f"is_{name}": value for name, value in kept.items()}
        with self._asking() as t:
            found = t.rows(statement, since=_hour(since), until=_hour(until), **values) if t else []
        return _in_order([_told(row, names) for row in found], names)

    @reads
    def usage_span(self) -> dict[str, int | None]:
        """The first and the last hour of which usage is known: {first, last}, None where there is none."""
        found = self._rows("span")
        return found[0] if found else {"first": None, "last": None}

    @reads
    def usage_by_sql(self, sql: str, most: int = 1000) -> dict[str, Any]:
        """The answer to a SELECT over usage, usage_hourly and latency_hourly: {columns, rows, more}. See `usage_sql`."""
        store = self._reading
        if store is None:
            return {"columns": [], "rows": [], "more": False}
        return usage_sql.asked(store, sql, most)

    @reads
    def estimated(self, since: float, until: float, provider: str = "") -> dict[str, int]:
        """Requests whose tokens are our estimate, and what they are counted with: {requests, cost_microusd}."""
        found = self._rows("estimated", since=since, until=until, provider=provider)
        return _whole(found[0]) if found else {"requests": 0, "cost_microusd": 0}

    @reads
    def repeats(self, since: float, until: float, most: int = 200) -> list[Row]:
        """Questions that were paid for more than once: {digest, team, …, requests, cost_microusd, asked}, the dearest first.

        `asked`: [at, total_ms, cost_microusd] of each time, in order, for those of them that fit.
        """
        found = self._rows("repeats", since=since, until=until, most=most)
        moments = self._moments("repeated_at", ("digest", "team"), since=since, until=until, most=most)
        return [{**row, "asked": moments.get((row["digest"], row["team"]), [])} for row in found]

    @reads
    def prefixes(self, since: float, until: float, most: int = 50) -> list[Row]:
        """Beginnings of prompts that are sent again and again: {provider, model, prefix, prefix_tokens, requests, …, sent}; `sent`: when."""
        found = self._rows("prefixes", since=since, until=until, most=most)
        key = ("provider", "model", "prefix")
        moments = self._moments("prefixed_at", key, since=since, until=until, most=most)
        return [
            {**row, "sent": [at for (at,) in moments.get(tuple(row[k] for k in key), [])]} for row in found
        ]

    @reads
    def bulk(self, since: float, until: float, crowd: int = CROWD_A_MINUTE, most: int = 50) -> list[Row]:
        """Requests that came in crowds and were not streamed, by key and model, the dearest first."""
        return self._rows("bulk", since=since, until=until, crowd=crowd, most=most)

    @reads
    def loops(self, since: float, until: float, crowd: int = 20, most: int = 50) -> list[Row]:
        """One question of one key that came at least `crowd` times within ten minutes."""
        return self._rows("loops", since=since, until=until, crowd=crowd, most=most)

    @reads
    def failing(self, since: float, until: float, crowd: int = 10, most: int = 50) -> list[Row]:
        """One question of one key that was refused for its own sake, and came at least `crowd` times."""
        return self._rows("failing", since=since, until=until, crowd=crowd, most=most)

    @reads
    def outages(self, since: float, until: float) -> dict[str, int]:
        """Requests that got no answer by no fault of theirs or the gateway's, by provider ('' where none was reached)."""
        return {row["provider"]: row["requests"] for row in self._rows("outages", since=since, until=until)}

    @reads
    def excused(self, since: float, until: float) -> dict[str, dict[str, int]]:
        """Requests whose end says nothing of their provider: {provider: {requests, own}}; `own`: faults of the gateway, the rest left."""
        found = self._rows("excused", since=since, until=until)
        return {row["provider"]: {"requests": row["requests"], "own": row["own"]} for row in found}

    @reads
    def latencies(self, since: float, until: float) -> dict[str, dict[str, float]]:
        """Milliseconds to whole answers by provider: {p50, p95, p99}; each is the upper bound of its class, at most a fifth too high."""
        classes: dict[str, list[tuple[float, int]]] = {}
        for row in self._rows("latencies", since=_hour(since), until=_hour(until)):
            if row["measure"] == "total":
                classes.setdefault(row["provider"], []).append((row["up_to_ms"], row["requests"]))
        return {
            name: {f"p{share}": _percentile(counted, share / 100) for share in (50, 95, 99)}
            for name, counted in classes.items()
        }

    @reads
    def busiest_minute(self, since: float, until: float) -> list[Row]:
        """The most attempts and tokens of each provider's key in a minute: [{provider, provider_key, requests, tokens}]."""
        return self._rows("busiest_minute", since=since, until=until)

    @reads
    def kept_prompts(self, since: float) -> list[Row]:
        """How many recorded prompts there are by what they asked for: [{asked_model, provider, model, endpoint, prompts, …, latest}]."""
        return self._rows("kept_prompts", since=since, now=clock.now().timestamp())

    def _moments(
        self, name: str, key: tuple[str, ...], **values: object
    ) -> dict[tuple[Any, ...], list[list[Any]]]:
        """What is told of each moment, in order, by `key`: one look for all of them."""
        found: dict[tuple[Any, ...], list[list[Any]]] = {}
        for row in self._rows(name, moments=MOST_MOMENTS, **values):
            found.setdefault(tuple(row[k] for k in key), []).append(
                [v for k, v in row.items() if k not in key]
            )
        return found

    def _rows(self, name: str, **values: object) -> list[Row]:
        with self._asking() as t:
            return [_whole(row) for row in t.rows(SQL[name], **values)] if t else []

    @contextmanager
    def _asking(self) -> Iterator[Transaction | None]:
        store = self._reading
        if store is None:
            yield None
            return
        with store.reading() as transaction:
            yield transaction


def _check(names: Iterable[str], kept: Mapping[str, str]) -> None:
    unknown = [name for name in names if name not in DIMENSIONS]
    if unknown or set(kept) & set(TIMES):
        raise BadInput(
            "usage.dimension",
            f"Usage is not counted by {unknown[0]!r}." if unknown else "A time is given by since and until.",
            f"It is by: {', '.join(DIMENSIONS)}.",
        )


def _hour(at: float) -> int:
    return int(at) // HOUR * HOUR


def _told(row: Row, names: list[str]) -> Row:
    """A row with times as people write them."""
    whole = _whole(row)
    return {**{name: _written(name, whole.pop(f"by_{name}")) for name in dict.fromkeys(names)}, **whole}


def _written(name: str, value: Any) -> Any:
    if name not in TIMES:
        return value
    form = {"hour": "%Y-%m-%dT%H:00Z", "day": "%Y-%m-%d", "month": "%Y-%m"}[name]
    return datetime.fromtimestamp(value, UTC).strftime(form)


def _in_order(rows: list[Row], names: list[str]) -> list[Row]:
    """By time where one is asked for, else the dearest first; days of one month become one row."""
    times = [name for name in names if name in TIMES]
    if "month" in names:
        rows = _summed(rows, names)
    return sorted(
        rows,
        key=lambda row: (
            *(row[t] for t in times),
            -row["cost_microusd"],
            -row["requests"],
            *(str(row[n]) for n in names),
        ),
    )


def _summed(rows: list[Row], names: list[str]) -> list[Row]:
    found: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        key = tuple(row[name] for name in names)
        before = found.get(key)
        found[key] = (
            row if before is None else {n: v if n in names else v + before[n] for n, v in row.items()}
        )
    return list(found.values())


def _whole(row: Row) -> Row:
    """PostgreSQL sums bigints into numeric: what is a whole number is given as one."""
    return {name: int(value) if isinstance(value, Decimal) else value for name, value in row.items()}


def _percentile(counted: list[tuple[float, int]], share: float) -> float:
    left = sum(requests for _, requests in counted) * share
    for bound, requests in counted:
        left -= requests
        if left <= 0:
            return bound
    return counted[-1][0]
