"""What the AI gateway costs: one process on one core, with virtual keys, limits, a budget, the breaker and the usage ledger on.

In front of one upstream (bench/gateway/upstream.c, which is never the limit), in turn, in the same run: `datareeve gateway`; nginx, which only
passes bytes on, with connections to the upstream kept (`nginx`) and as its `proxy_pass` comes, a connection a request (`nginx default`);
LiteLLM's proxy with one worker, its master key and nothing else (its virtual keys and ledger need a database: it does less). Each gateway has
the first core for itself, the load (wrk) and the upstream share the second. Medians of five rounds.

    rps, stream_rps       requests, and streams of 35 chunks, a second at 64 connections; the upstream writes each chunk by itself, without a pause
    rps_ratio_litellm, stream_ratio_litellm      those, ours / LiteLLM's        stream_ratio_litellm_paced   CPU of a stream whose chunks come
                          2 ms apart, so that each is a read and a write of its own: LiteLLM's / ours
    cpu_us, cpu_ratio_nginx, cpu_ratio_nginx_default      CPU microseconds of a request (`/proc/PID/stat`); ours / nginx's
    stream_cpu_us, paced_cpu_us   of a stream
    p50_ms, added_p50_ms  at one connection; more than without anything in between
    failover_open_breaker_ms     p50 at one connection of a route whose first choice is dead and whose breaker is open, less that of the route without
    cache_hit_p50_ms      at one connection, of an answer from the memory cache
    ready_s               from the start of the process, with its bytecode there, until it answers a request
    rss_mb, rss_growth_mb        resident memory of all its processes after a million requests (`--quick`: after all of these); since a quarter of them
    ledger_difference     rows of sent requests in the usage ledger after a clean stop, less what the upstream was asked with our key

`--soak`: half an hour of all kinds of requests at 64 connections; memory, open files and the ledger's difference at its end.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peers
from gateway_sides import (
    Load,
    NotPossible,
    asked,
    datareeve,
    direct,
    litellm,
    load,
    needed,
    nginx,
    upstream,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway_sides import Side, Upstream

    import ai_rig

PACE_US = 2000
MILLION = 1_000_000
SOAK_MINUTES, QUICK_SOAK_MINUTES = 30.0, 1.0
SENT = "SELECT coalesce(sum(requests), 0) FROM usage WHERE model <> '' AND NOT cached"
Result = dict[str, Any]


def measure(*, quick: bool) -> Result:
    """All sides in turn, then what is asked of ours alone."""
    rounds, seconds = (1, 2.0) if quick else (5, 5.0)
    with scratch() as folder, ExitStack() as stack:
        fast, paced = (stack.enter_context(upstream(folder, pace)) for pace in (0, PACE_US))
        ours, running = stack.enter_context(datareeve(folder, fast, paced))
        proxies = stack.enter_context(nginx(folder, fast, paced))
        sides = {side.name: side for side in (ours, direct(fast), *proxies)}
        missing = enter_litellm(stack, sides, folder, fast, paced)
        rates = {}
        for kind in ("plain", "stream", "paced"):
            rates[kind] = medians(kind, sides, missing, rounds, seconds)
        waits = latencies(sides, rounds, seconds, quick=quick)
        million = None if quick else fill(ours, fast)
        figures = per_side(rates, waits)
        alone = own_figures(ours, figures, waits, million)
        running.stop()
        alone["ledger_difference"] = sent(running) - fast.count()["asked"] - paced.count()["asked"]
    alone["ready_s"] = statistics.median(starts(rounds))
    others = {name: found for name, found in figures.items() if name != "datareeve"}
    return {"figures": {**compared(figures), **alone, **figures["datareeve"]}, "peers": others | missing}


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder of its own. Errors: `SystemExit` where this machine cannot measure it."""
    try:
        needed("wrk", "nginx", "taskset", "cc")
    except NotPossible as error:
        raise SystemExit(str(error)) from None
    folder = Path(tempfile.mkdtemp(prefix="datareeve-bench-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def progress(text: str) -> None:
    """A line for whoever waits: this takes a quarter of an hour."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def enter_litellm(
    stack: ExitStack, sides: dict[str, Side], folder: Path, fast: Upstream, paced: Upstream
) -> dict[str, str]:
    """Add LiteLLM to the sides, or give the reason why it is not there."""
    try:
        sides["litellm"] = stack.enter_context(litellm(folder, fast, paced))
    except (peers.NotInstalled, RuntimeError) as error:
        return {"litellm": str(error)}
    return {}


# -- all sides ---------------------------------------------------------------------------------------------------------------------


def medians(
    kind: str, sides: dict[str, Side], missing: dict[str, str], rounds: int, seconds: float
) -> dict[str, Load]:
    """The median of each side's loads of that kind at 64 connections, by requests a second; the sides in turn.

    A peer that does not answer well is taken out of `sides`, and `missing` says why.
    """
    found: dict[str, list[Load]] = {
        name: [] for name, side in sides.items() if kind in side.kinds and name != "direct"
    }
    for number in range(rounds):
        for name in [name for name in found if name in sides]:
            try:
                one = load(sides[name], kind, seconds)
            except RuntimeError as error:
                if name == "datareeve":
                    raise
                missing[name] = str(error)
                del sides[name], found[name]
                continue
            found[name].append(one)
            progress(
                f"{kind} {number + 1}/{rounds} {name}: {one.per_second:,.0f}/s, {one.cpu_us:,.0f} us CPU"
            )
    return {name: sorted(loads, key=lambda one: one.per_second)[rounds // 2] for name, loads in found.items()}


def latencies(
    sides: dict[str, Side], rounds: int, seconds: float, *, quick: bool
) -> dict[tuple[str, str], float]:
    """The median p50 in milliseconds at one connection, by side and kind of request."""
    wanted = [
        (name, kind)
        for name, side in sides.items()
        for kind in ("plain", "failover", "cached")
        if kind in side.kinds
    ]
    slow = ("litellm", "failover")  # seconds a request: once, not when --quick
    wanted = [one for one in wanted if one != slow or not quick]
    open_breaker(sides["datareeve"])
    found: dict[tuple[str, str], list[float]] = {one: [] for one in wanted}
    for number in range(rounds):
        for name, kind in wanted:
            if (name, kind) == slow and number:
                continue
            try:
                p50 = load(sides[name], kind, seconds, connections=1).p50_ms
            except RuntimeError as error:
                if name == "datareeve":
                    raise
                progress(str(error))
                continue
            found[name, kind].append(p50)
            progress(f"{kind} at one connection {number + 1}/{rounds} {name}: p50 {p50:.3f} ms")
    return {one: statistics.median(values) for one, values in found.items() if values}


def open_breaker(ours: Side) -> None:
    """Ask the route with the dead first choice until the breaker leaves it alone; fill the cache."""
    for kind in ("failover", "cached"):
        for _ in range(50):
            status, said = asked(ours, kind)
            if status != 200:  # noqa: PLR2004 - OK
                raise RuntimeError(f"{kind}: {status} {said[-300:]}")


def per_side(
    rates: dict[str, dict[str, Load]], waits: dict[tuple[str, str], float]
) -> dict[str, dict[str, float | None]]:
    """The same figures of each side."""
    bare = waits["direct", "plain"]
    result: dict[str, dict[str, float | None]] = {}
    for name in rates["paced"]:
        plain = rates["plain"][name]
        stream, paced, p50 = rates["stream"][name], rates["paced"][name], waits.get((name, "plain"))
        dead = waits.get((name, "failover"))
        result[name] = {
            "rps": plain.per_second,
            "stream_rps": stream.per_second,
            "cpu_us": plain.cpu_us,
            "stream_cpu_us": stream.cpu_us,
            "paced_cpu_us": paced.cpu_us,
            "p50_ms": p50,
            "p99_ms_64": plain.p99_ms,
            "added_p50_ms": None if p50 is None else p50 - bare,
            "failover_ms": None if dead is None or p50 is None else dead - p50,
        }
    return result


def compared(figures: dict[str, dict[str, float | None]]) -> dict[str, float | None]:
    """Ours beside the peers'."""

    def ratio(figure: str, above: str, below: str) -> float | None:
        top, bottom = figures.get(above, {}).get(figure), figures.get(below, {}).get(figure)
        return top / bottom if top and bottom else None

    return {
        "rps_ratio_litellm": ratio("rps", "datareeve", "litellm"),
        "stream_ratio_litellm": ratio("stream_rps", "datareeve", "litellm"),
        "stream_ratio_litellm_paced": ratio("paced_cpu_us", "litellm", "datareeve"),
        "cpu_ratio_nginx": ratio("cpu_us", "datareeve", "nginx"),
        "cpu_ratio_nginx_default": ratio("cpu_us", "datareeve", "nginx default"),
    }


# -- ours alone --------------------------------------------------------------------------------------------------------------------


def fill(ours: Side, fast: Upstream) -> tuple[float, float]:
    """Ask until a million requests were answered; memory after a quarter of them, and at the end."""
    quarter = 0.0
    while (done := fast.count()["requests"]) < MILLION:
        load(ours, "plain", 10)
        if not quarter and done >= MILLION / 4:
            quarter = ours.rss_mb()
        progress(f"{done:,} requests, {ours.rss_mb():.0f} MB")
    return quarter or ours.rss_mb(), ours.rss_mb()


def own_figures(
    ours: Side,
    figures: dict[str, dict[str, float | None]],
    waits: dict[tuple[str, str], float],
    million: tuple[float, float] | None,
) -> dict[str, float | None]:
    """What only ours is asked for."""
    quarter, end = million or (None, ours.rss_mb())
    return {
        "failover_open_breaker_ms": figures["datareeve"].pop("failover_ms"),
        "cache_hit_p50_ms": waits["datareeve", "cached"],
        "rss_mb": end,
        "rss_growth_mb": None if quarter is None else end - quarter,
    }


def sent(stopped: ai_rig.Gateway) -> int:
    """Requests that were sent to the upstream, as the usage ledger has them."""
    store = sqlite3.connect(stopped.project / ".datareeve" / "gateway.sqlite")
    try:
        return int(store.execute(SENT).fetchone()[0])
    finally:
        store.close()


def starts(times: int) -> list[float]:
    """Seconds from the start of the process until it answers a request, of new projects."""
    found = []
    for _ in range(times):
        with scratch() as folder, upstream(folder) as fast, datareeve(folder, fast, fast) as (_, running):
            found.append(running.ready_s)
    return found


# -- half an hour ------------------------------------------------------------------------------------------------------------------


def soak(*, quick: bool) -> Result:
    """All kinds of requests in turn for half an hour: what grew meanwhile."""
    minutes = QUICK_SOAK_MINUTES if quick else SOAK_MINUTES
    with scratch() as folder, upstream(folder) as fast, datareeve(folder, fast, fast) as (ours, running):
        open_breaker(ours)
        answered, samples = 0, []
        began = time.monotonic()
        while (at := (time.monotonic() - began) / 60) < minutes:
            answered += sum(load(ours, kind, 2 if quick else 6).requests for kind in ours.kinds)
            samples.append((at, ours.rss_mb(), ours.handles()))
            progress(f"{at:.1f} min, {answered:,} requests, {ours.rss_mb():.1f} MB, {ours.handles()} open")
        running.stop()
        difference = sent(running) - fast.count()["asked"]
        stored = sum(
            path.stat().st_size for path in (running.project / ".datareeve").rglob("*") if path.is_file()
        )
    settled = samples[len(samples) // 5 :]  # the first fifth: caches and pools fill
    figures = {
        "minutes": samples[-1][0],
        "requests": float(answered),
        "rss_mb_first": samples[0][1],
        "rss_mb_most": max(one[1] for one in samples),
        "rss_mb_last": samples[-1][1],
        "rss_mb_an_hour": slope(settled) * 60,
        "handles_most": float(max(one[2] for one in samples)),
        "ledger_difference": float(difference),
        "stored_mb": stored / 1e6,
    }
    return {"figures": figures, "peers": {}}


def slope(samples: list[tuple[float, float, int]]) -> float:
    """Megabytes a minute, by least squares."""
    if len(samples) < 2:  # noqa: PLR2004 - no line through one point
        return 0.0
    return statistics.linear_regression([one[0] for one in samples], [one[1] for one in samples]).slope
