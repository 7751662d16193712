"""How providers have been doing lately, as a gateway's beat tells it: what a fallback hides from applications is not hidden from their owner."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datareeve.capabilities.ai.gateway.targets import Standing

    Standings = Mapping[tuple[str, str, str], Standing]

MOST = 50  # of providers, and of models by key, that a beat tells: the worst
MOST_LETTERS = 200  # of a model's name, which comes from clients
LEAST_REST = 3.0  # seconds: a rest for a limit that is over before the next beat is not told


def left_alone(standings: Standings, now: float) -> frozenset[tuple[str, str, str]]:
    """Who is not asked, for its failures: told at once where it changes."""
    return frozenset(place for place, one in standings.items() if one.breaker.left_alone(now))


def told(standings: Standings, now: float, wall: float) -> dict[str, list[dict[str, Any]]]:
    """Providers that were asked lately, and the models by key that are in trouble; `wall` is the time of day at `now`."""
    providers: dict[str, dict[str, Any]] = {}
    ill = []
    for (provider, model, key), standing in standings.items():
        one = _one(standing, now, wall)
        if one is None:
            continue
        _add(providers.setdefault(provider, _nothing(provider)), one)
        if one["since"] is not None:
            ill.append({"provider": provider, "model": model[:MOST_LETTERS], "key": key, **one})
    return {
        "providers": [_whole(one) for one in heapq.nlargest(MOST, providers.values(), key=_worse)],
        "in_trouble": heapq.nlargest(MOST, ill, key=_worse),
    }


def _one(standing: Standing, now: float, wall: float) -> dict[str, Any] | None:
    """One model of a provider under one key; None where it was not asked lately."""
    breaker = standing.breaker
    attempts, failed = breaker.lately(now)
    alone = breaker.left_alone(now)
    resting = not alone and breaker.asked and breaker.opens_in(now) >= LEAST_REST
    if not (attempts or alone or resting):
        return None
    is_ill = bool(failed or alone or resting)
    return {
        "alone": int(alone),
        "resting": int(resting),
        "attempts": attempts,
        "failed": failed,
        "since": wall - (now - breaker.since) if is_ill else None,
        "reason": breaker.reason if is_ill else "",
        "saved": standing.saved if is_ill else 0,
        "instead": str(standing.instead or "")[:MOST_LETTERS] if is_ill else "",
    }


def _nothing(provider: str) -> dict[str, Any]:
    sums = dict.fromkeys(("asked", "alone", "resting", "attempts", "failed", "saved"), 0)
    return {"provider": provider, **sums, "since": None, "reason": "", "instead": "", "worst": ()}


def _add(to: dict[str, Any], one: dict[str, Any]) -> None:
    to["asked"] += 1
    for name in ("alone", "resting", "attempts", "failed", "saved"):
        to[name] += one[name]
    if one["since"] is None:
        return
    to["since"] = min(one["since"], to["since"] or one["since"])
    to["instead"] = to["instead"] or one["instead"]
    if _worse(one) > to["worst"]:
        to["worst"], to["reason"] = _worse(one), one["reason"]


def _whole(provider: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in provider.items() if name != "worst"}


def _worse(one: dict[str, Any]) -> tuple[int, int, int, int]:
    return one["alone"], one["failed"], one["resting"], one["attempts"]
