"""What a bill is made of, what changed, and whether the provider counted the same.

Two decompositions, both exact: a bill by kinds of token (at the price list; what is left is long prompts, batches and prices that were others
then), and a change by its causes: more requests at the old cost of one, and a request that costs more than it did.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.ai.pricing import KINDS, Pricing, usd
from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Row = dict[str, Any]
CENTS = 100
COUNTED = ("requests", "input", "output", "cache_read", "cache_write", "usd")


class Driver(Value):
    """What one key, team or model adds to a change, in US dollars: `usd` = `by_requests` + `by_each`."""

    dimension: str
    name: str
    usd_before: float
    usd_now: float
    usd: float
    by_requests: float  # more or fewer requests, at what one cost before
    by_each: float  # a request costs more or less than it did
    requests_before: int
    requests_now: int


def drivers(dimension: str, before: Iterable[Row], now: Iterable[Row]) -> list[Driver]:
    """What each value of a dimension adds to the change, the largest change first."""
    old = {row[dimension]: row for row in before}
    new = {row[dimension]: row for row in now}
    found = [_driver(dimension, name, old.get(name), new.get(name)) for name in dict.fromkeys([*new, *old])]
    return sorted((one for one in found if one.usd), key=lambda one: (-abs(one.usd), one.name))


def _driver(dimension: str, name: str, old: Row | None, new: Row | None) -> Driver:
    n0, c0 = (old["requests"], old["cost_microusd"]) if old else (0, 0)
    n1, c1 = (new["requests"], new["cost_microusd"]) if new else (0, 0)
    # What is new, or gone, has no cost of one before, or after: all of it is requests.
    by_requests = (n1 - n0) * c0 / n0 if n0 and n1 else c1 - c0
    change = c1 - c0
    return Driver(
        dimension=dimension,
        name=name,
        usd_before=usd(c0),
        usd_now=usd(c1),
        usd=usd(change),
        by_requests=usd(by_requests),
        by_each=usd(change - by_requests),
        requests_before=n0,
        requests_now=n1,
    )


def composition(models: Iterable[Row], pricing: Pricing) -> Row:
    """A bill in US dollars by kind of token at today's list, and `other`: what that does not explain. `input` is without cached parts."""
    parts = dict.fromkeys((*KINDS, "other"), 0.0)
    for row in models:
        rates = pricing.usd_per_million(row["model"]) if row["model"] else {}
        tokens = {
            **row,
            "input": row["input"] - row["cache_read"] - row["cache_write"] - row["cache_write_1h"],
            "output": row["output"] - row["reasoning"],
        }
        costs = {kind: max(tokens[kind], 0) * rates.get(kind, 0.0) for kind in KINDS}
        for kind, cost in costs.items():
            parts[kind] += cost
        parts["other"] += row["cost_microusd"] - sum(costs.values())
    return {kind: usd(amount) for kind, amount in parts.items()}


# -- what the provider counted -----------------------------------------------------------------------------------------------------


class Count(Value):
    """A provider's own count: from when to when (Unix seconds), and by model ('' where it does not say) what it counted."""

    since: float
    until: float
    models: dict[str, dict[str, float]]
    kinds: tuple[str, ...]  # which of requests, input, output, … and usd it tells


def parsed_count(text: str, name: str) -> Count:
    """A saved answer of OpenAI's or Anthropic's usage or cost report. Errors: `BadInput` `bill.count`.

    Sources: https://platform.openai.com/docs/api-reference/usage (completions, costs),
    https://docs.anthropic.com/en/api/admin-api/usage-cost/get-messages-usage-report and get-cost-report (amounts in cents).
    """
    try:
        document = json.loads(text)
        buckets = document["data"]
        spans = [_span(bucket) for bucket in buckets]
        found: dict[str, dict[str, float]] = {}
        for bucket in buckets:
            for result in bucket["results"]:
                counted = found.setdefault(str(result.get("model") or ""), dict.fromkeys(COUNTED, 0.0))
                for kind, amount in _counted(result).items():
                    counted[kind] += amount
        kinds = tuple(k for k in COUNTED if any(k in _counted(r) for b in buckets for r in b["results"]))
        return Count(
            since=min(s for s, _ in spans), until=max(u for _, u in spans), models=found, kinds=kinds
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BadInput(
            "bill.count",
            f"{name} is no usage or cost report of a provider.",
            "Save the JSON of GET /v1/organization/costs or /v1/organization/usage/completions (OpenAI), or of "
            "GET /v1/organizations/cost_report or /v1/organizations/usage_report/messages (Anthropic), all pages in one `data`.",
        ) from None


def _span(bucket: Mapping[str, Any]) -> tuple[float, float]:
    if "start_time" in bucket:
        return float(bucket["start_time"]), float(bucket["end_time"])
    return _moment(bucket["starting_at"]), _moment(bucket["ending_at"])


def _moment(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _counted(result: Mapping[str, Any]) -> dict[str, float]:
    if isinstance(result.get("amount"), dict):  # OpenAI's costs: dollars
        return {"usd": float(result["amount"]["value"])}
    if "amount" in result:  # Anthropic's: cents, as text
        return {"usd": float(result["amount"]) / CENTS}
    if "uncached_input_tokens" in result:
        written = result.get("cache_creation") or {}
        write = float(sum(written.values()))
        read = float(result.get("cache_read_input_tokens") or 0)
        return {
            "input": float(result["uncached_input_tokens"]) + read + write,
            "output": float(result["output_tokens"]),
            "cache_read": read,
            "cache_write": write,
        }
    return {
        "requests": float(result["num_model_requests"]),
        "input": float(result["input_tokens"]),
        "output": float(result.get("output_tokens") or 0),
        "cache_read": float(result.get("input_cached_tokens") or 0),
    }


def reconciled(count: Count, ours: Iterable[Row]) -> list[Row]:
    """Beside each figure of the provider ours, and the difference in percent of theirs; over all models, and by model where it says them."""
    by_model: dict[str, dict[str, float]] = {}
    for row in ours:
        model = row["model"].partition("/")[2]
        if model:
            added = by_model.setdefault(model, dict.fromkeys(COUNTED, 0.0))
            for kind in COUNTED:
                added[kind] += _ours(row, kind)
    compared = [("all", _summed(count.models.values()), _summed(by_model.values()))]
    if set(count.models) - {""}:
        compared += [
            (m, count.models.get(m, {}), by_model.get(m, {}))
            for m in sorted({*count.models, *by_model} - {""})
        ]
    return [
        _beside(name, kind, theirs.get(kind, 0.0), mine.get(kind, 0.0))
        for name, theirs, mine in compared
        for kind in count.kinds
    ]


def _ours(row: Row, kind: str) -> float:
    if kind == "usd":
        return float(row["cost_microusd"]) / 1e6
    if kind == "cache_write":
        return float(row["cache_write"] + row["cache_write_1h"])
    if kind == "requests":  # a provider counts what it answered: each attempt may be one
        return float(row["requests"] - row["cached"])
    return float(row[kind])


def _summed(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    total = dict.fromkeys(COUNTED, 0.0)
    for part in parts:
        for kind, amount in part.items():
            total[kind] += amount
    return total


def _beside(name: str, kind: str, theirs: float, mine: float) -> Row:
    digits = 6 if kind == "usd" else 0
    percent = round(100 * (mine - theirs) / theirs, 2) if theirs else (0.0 if not mine else None)
    return {
        "model": name,
        "of": kind,
        "provider": round(theirs, digits),
        "gateway": round(mine, digits),
        "difference_percent": percent,
    }
