"""Equal questions that were paid for more than once: the response cache, replayed over the recorded requests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.costs import Seen, query, saving, within

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from datareeve.core.operation import Finding

TIMES = (300.0, 3600.0, 86_400.0)  # how long an answer is kept, in seconds
ENOUGH = 0.9  # of what the longest of them saves


def find(seen: Seen) -> Iterator[Finding]:
    """By the name that was asked for."""
    by_asked: dict[str, list[dict[str, Any]]] = {}
    for row in seen.repeats:
        by_asked.setdefault(row["asked_model"], []).append(row)
    for asked, rows in by_asked.items():
        seconds, hits, saved = best([row["asked"] for row in rows])
        if not seen.matters(saved):
            continue
        where = f"{within(seen.period)} AND asked_model = '{quoted(asked)}' AND digest <> '' AND status = 'ok' AND NOT cached"
        yield saving(
            seen,
            "duplicate-calls",
            asked,
            what=f"{len(rows):,} question{'s' if len(rows) != 1 else ''} to {asked} came again, equal in meaning, within {words(seconds)} of their answer: {hits:,} times.",
            why="An equal question gets the earlier answer from the response cache: at once, and for nothing.",
            instead=_cached(seen, asked, seconds),
            microusd=saved,
            computed=f"the cache was replayed over these requests by their digests: an answer kept for {seconds:g} s, within a team, one flight for questions at once",
            proof=query(
                "digest, team, count(*) AS times, sum(cost_microusd) - max(cost_microusd) AS microusd",
                "usage",
                where,
                "GROUP BY digest, team HAVING count(*) > 1 ORDER BY 4 DESC",
            ),
            figures={"hits": hits, "questions": len(rows), "seconds": seconds},
            mended_by="ai.set-cache",
        )


def best(questions: Sequence[Sequence[Sequence[float]]]) -> tuple[float, int, float]:
    """The shortest time that saves nearly all that a day would: (seconds, hits, micro-dollars)."""
    tried = [(seconds, *replayed(questions, seconds)) for seconds in TIMES]
    most = tried[-1][2]
    return next(one for one in tried if one[2] >= ENOUGH * most)


def replayed(questions: Iterable[Sequence[Sequence[float]]], seconds: float) -> tuple[int, float]:
    """How many of the recorded requests a cache would have answered, and what these had cost in micro-dollars.

    A question is [at, total_ms, cost] of each time it was asked, in order. Those that come while the first is under way wait for its answer.
    """
    hits, saved = 0, 0.0
    for asked in questions:
        good_until = float("-inf")
        for at, total_ms, cost in asked:
            if at < good_until:
                hits, saved = hits + 1, saved + cost
            else:
                good_until = at + total_ms / 1000 + seconds
    return hits, saved


def words(seconds: float) -> str:
    """A time for people."""
    return {300.0: "5 minutes", 3600.0: "an hour", 86_400.0: "a day"}.get(seconds, f"{seconds:g} s")


def _cached(seen: Seen, asked: str, seconds: float) -> str:
    """The command that has these answers kept: of the route, or where the name has none of everything."""
    if asked in seen.declared.settings.models:
        kept = command("ai.set-cache", model=asked, seconds=f"{seconds:g}")
        return f"`{kept}`; answers that shall differ each time: leave that route out."
    every = command("ai.set-cache", seconds=f"{seconds:g}", only_deterministic=False)
    return f"`{every}`: {asked} has no route, so this is for everything; answers that shall differ each time need a route with cache_seconds: 0."


def quoted(text: str) -> str:
    """A name within a text of SQL, in a command of a shell."""
    return "".join(sign for sign in text.replace("'", "''") if sign.isprintable() and sign not in '"`$\\')
