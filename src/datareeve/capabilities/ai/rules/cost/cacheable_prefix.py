"""Beginnings of prompts (system, tools) that are sent again and again and read from the provider's prompt cache too seldom.

Sources: https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching (asked for by cache_control, five minutes from the last use, a least
length by model), https://platform.openai.com/docs/guides/prompt-caching (by itself from 1024 tokens on, five to ten minutes).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.ai.costs import Seen, query, saving, within
from datareeve.capabilities.ai.rules.cost.duplicate_calls import quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.operation import Finding

KEPT_SECONDS = 300.0
OPENAI_LEAST = 1024
ANTHROPIC_LEAST = (  # tokens; what is not named needs the most
    ("claude-opus-5", 512), ("claude-fable-5", 512), ("claude-mythos-5", 512),
    ("claude-opus-4-8", 1024), ("claude-opus-4-1", 1024), ("claude-opus-4-2", 1024), ("claude-sonnet-5", 1024), ("claude-sonnet-4-5", 1024),
    ("claude-sonnet-4-2", 1024), ("claude-sonnet-4-6", 2048), ("claude-opus-4-7", 2048),
)  # fmt: skip
MOST_LEAST = 4096


def find(seen: Seen) -> Iterator[Finding]:
    """Each prefix that would have cost less from the cache."""
    for row in seen.prefixes:
        target = f"{row['provider']}/{row['model']}"
        prices, maker = seen.prices.get(target), seen.makers.get(row["provider"], "")
        if not prices or row["prefix_tokens"] < least(maker, row["model"]):
            continue
        writes = row["writes"]
        saved = cost_now(row, prices) - cost_then(row, prices, writes, writes_cost=maker == "anthropic")
        if seen.matters(saved):
            yield _finding(seen, row, target, maker=maker, writes=writes, saved=saved)


def _finding(  # noqa: PLR0913 - what is told
    seen: Seen, row: dict[str, Any], target: str, *, maker: str, writes: int, saved: float
) -> Finding:
    share = 100 * row["cache_read"] / max(row["requests"] * row["prefix_tokens"], 1)
    mark = "Mark the end of the system prompt or the tools with cache_control: {type: ephemeral}; the gateway passes it on unchanged."
    keep = "Put what stays the same first (system, tools, examples) and what changes last, and give prompt_cache_key: then the provider finds it again."
    where = f"{within(seen.period)} AND prefix = '{quoted(row['prefix'])}' AND status = 'ok'"
    return saving(
        seen,
        "cacheable-prefix",
        f"{row['key_name'] or row['asked_model']} {row['prefix'][:12]}",
        what=f"One beginning of about {row['prefix_tokens']:,} tokens was sent to {target} {row['requests']:,} times; {min(share, 100):.0f} % of it was read from the provider's cache.",
        why=f"Sent as it was, {row['requests'] - writes:,} of {row['requests']:,} requests came within five minutes of one before: what is read from the cache costs a fraction.",
        instead=mark if maker == "anthropic" else keep,
        microusd=saved,
        computed="the provider's cache was replayed over the times of these requests (five minutes from the last use); tokens of the prefix are the gateway's estimate",
        proof=query(
            "count(*) AS requests, max(prefix_tokens) AS tokens, sum(cache_read) AS cache_read, sum(cache_write) AS cache_write",
            "usage",
            where,
        ),
        figures={
            "requests": row["requests"],
            "prefix_tokens": row["prefix_tokens"],
            "writes": writes,
            "read_percent": round(min(share, 100.0), 1),
        },
    )


def cost_now(row: dict[str, Any], prices: dict[str, float]) -> float:
    """What the prefix cost, in micro-dollars; of the cached tokens as many as it may have had."""
    whole = row["requests"] * row["prefix_tokens"]
    read = min(row["cache_read"], whole)
    write = min(row["cache_write"], whole - read)
    return float(
        (whole - read - write) * prices["input"] + read * prices["cache_read"] + write * prices["cache_write"]
    )


def cost_then(row: dict[str, Any], prices: dict[str, float], writes: int, *, writes_cost: bool) -> float:
    """What it would have cost, in micro-dollars."""
    writing = prices["cache_write"] if writes_cost else prices["input"]
    reads = max(row["requests"] - writes, 0)
    return float(
        row["prefix_tokens"] * (min(writes, row["requests"]) * writing + reads * prices["cache_read"])
    )


def least(maker: str, model: str) -> int:
    """The fewest tokens that the provider caches."""
    if maker != "anthropic":
        return OPENAI_LEAST
    return next((tokens for name, tokens in ANTHROPIC_LEAST if model.startswith(name)), MOST_LEAST)
