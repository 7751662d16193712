"""Requests that ask for far more tokens at most than they get: room in limits and budgets is held for nothing."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.costs import Seen, saving
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.operation import Finding

LEAST_PROMPTS = 20
TIMES = 4  # the longest answer
LEAST_TOKENS = 2048


def find(seen: Seen) -> Iterator[Finding]:
    """By the name that was asked for, of recorded prompts."""
    by_asked: dict[str, list[tuple[int, int]]] = {}
    for row in seen.sizes:
        by_asked.setdefault(row["asked_model"], []).append((row["max_tokens"], row["output"]))
    for asked, pairs in by_asked.items():
        usual, longest = median(most for most, _ in pairs), max(output for _, output in pairs)
        if len(pairs) < LEAST_PROMPTS or usual < LEAST_TOKENS or usual < TIMES * max(longest, 1):
            continue
        yield saving(
            seen,
            "oversize-max-tokens",
            asked,
            what=f"Requests to {asked} ask for up to {usual:,.0f} tokens; the longest of {len(pairs)} recorded answers has {longest:,}.",
            why="Until it is answered a request holds what it may use: of tokens a minute, at the provider as well, and of budgets. With less, more of them go at once.",
            instead=f"Set max_tokens near {_round(2 * longest):,}: twice the longest answer.",
            microusd=0,
            computed="median of max_tokens and longest answer of the recorded prompts of this name",
            proof=command("ai.advise-cost", model=asked),
            figures={"max_tokens": usual, "longest": longest, "prompts": len(pairs)},
            severity=Severity.INFO,
        )


def _round(tokens: int) -> int:
    return max(-(-tokens // 256) * 256, 256)
