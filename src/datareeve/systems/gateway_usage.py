"""What passed through the gateway, asked of its store: sums by key, team, model or day, what repeats, and a person's own SQL.

All of it are reads of the system `gateway`; Rows of usage hold no text of
prompt or answer: two questions are known to be equal by a keyed digest. Sums are of whole hours (UTC): `since` and `until` are taken down to one.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.systems import usage_sql
from datareeve.systems.adapter import reads
from datareeve.systems.gateway_opened import OpenedGateway
from datareeve.systems.store_database import named_statements

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from datareeve.systems.gateway_store import GatewayStore
    from datareeve.systems.store_database import Transaction

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
KEPT_SECONDS = 300.0  # in a provider's cache, from the last use
REPEATS_MOST, MOST = 200, 50  # rows that are told
Row = dict[str, Any]
# What stands in braces in some statements: all rows, or on SQLite those of `again`, made beforehand.
WHOLE = {"dear": f"({SQL['dear']})", "usage": "usage", "often": ""}
AGAIN = {
    "dear": "dear_again",
    "usage": "again",
    "often": "AND digest IN (SELECT digest FROM often WHERE times >= :crowd)",
}


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
        with self._asking() as t:
            return _repeats(t, WHOLE, since=since, until=until, most=most) if t else []

    @reads
    def prefixes(self, since: float, until: float, kept: float = KEPT_SECONDS, most: int = 50) -> list[Row]:
        """Beginnings of prompts that are sent again and again: {provider, model, prefix, prefix_tokens, requests, …, writes}.

        `writes`: how often a provider's cache would have been written that keeps them for `kept` seconds from their last use.
        """
        with self._asking() as t:
            return _prefixes(t, since=since, until=until, kept=kept, most=most) if t else []

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
    def repetition(  # noqa: PLR0913 - what each of them is asked with
        self, since: float, until: float, *, crowd: int, loop: int, fail: int, kept: float
    ) -> dict[str, list[Row]]:
        """All of it in one look: {repeats, loops, failing, prefixes, bulk}, each as the read of its name gives it."""
        store = self._reading
        if store is None:
            return {name: [] for name in ("repeats", "loops", "failing", "prefixes", "bulk")}
        span = {"since": since, "until": until}
        # Two halves of about one length, at once: while the database is at it, nobody needs the interpreter.
        with ThreadPoolExecutor(1) as beside, store.reading() as t:
            questions = beside.submit(_questions, store, loop=loop, fail=fail, **span)
            prefixes = _prefixes(t, kept=kept, most=MOST, **span)
            bulk = _told_rows(t, "bulk", crowd=crowd, most=MOST, since=since, until=until)
            return {**questions.result(), "prefixes": prefixes, "bulk": bulk}

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

    def _rows(self, name: str, **values: object) -> list[Row]:
        with self._asking() as t:
            return _told_rows(t, name, **values) if t else []

    @contextmanager
    def _asking(self) -> Iterator[Transaction | None]:
        store = self._reading
        if store is None:
            yield None
            return
        with store.reading() as transaction:
            yield transaction


def _told_rows(
    t: Transaction, name: str, words: Mapping[str, str] | None = None, /, **values: object
) -> list[Row]:
    return [_whole(row) for row in t.rows(_spelled(name, words or WHOLE), **values)]


def _spelled(name: str, words: Mapping[str, str]) -> str:
    """A statement with our own words for what stands in braces."""
    statement = SQL[name]
    for word, text in words.items():
        statement = statement.replace(f"{{{word}}}", text)
    return statement


def _repeats(t: Transaction, told: Mapping[str, str], *, since: float, until: float, most: int) -> list[Row]:
    found: dict[tuple[str, str], list[list[Any]]] = {}
    asked = {"since": since, "until": until, "most": most}
    for row in _told_rows(t, "repeated_at", told, moments=MOST_MOMENTS, **asked):
        moment = [row["at"], row["total_ms"], row["cost_microusd"]]
        found.setdefault((row["digest"], row["team"]), []).append(moment)
    rows = _told_rows(t, "repeats", told, **asked)
    return [{**row, "asked": found.get((row["digest"], row["team"]), [])} for row in rows]


def _questions(
    store: GatewayStore, *, loop: int, fail: int, since: float, until: float
) -> dict[str, list[Row]]:
    """Questions that came more than once: {repeats, loops, failing}."""
    span = {"since": since, "until": until}
    with (
        store.reading() as t,
        _in_passing(t, ("often", "again", "dear_again"), most=REPEATS_MOST, **span) as made,
    ):
        told = AGAIN if made else WHOLE
        return {
            "repeats": _repeats(t, told, most=REPEATS_MOST, **span),
            "loops": _told_rows(t, "loops", told, crowd=loop, most=MOST, since=since, until=until),
            "failing": _told_rows(t, "failing", told, crowd=fail, most=MOST, since=since, until=until),
        }


def _prefixes(t: Transaction, *, since: float, until: float, kept: float, most: int) -> list[Row]:
    with _in_passing(t, ("prefix_sums",)) as made:
        if not made:
            return _told_rows(t, "prefixes", since=since, until=until, kept=kept, most=most)
        t.run(SQL["add_prefixes"], since=since, until=until, kept=kept)
        return _told_rows(t, "summed_prefixes", most=most)


@contextmanager
def _in_passing(t: Transaction, tables: tuple[str, ...], **values: float) -> Iterator[bool]:
    """Temporary tables, on SQLite; PostgreSQL has its own ways to group, and makes none in a transaction that reads."""
    if t.dialect != "sqlite":
        yield False
        return
    for name in tables:
        t.run(_spelled(name, {"dear": SQL["dear"], "usage": "again"}), **values)
    yield True
    for name in tables:
        t.run(f"DROP TABLE temp.{name}")


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
