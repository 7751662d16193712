"""What the AI gateway costs: one process on one core, with virtual keys, limits, a budget, the breaker and the usage ledger on.

In front of one upstream (bench/gateway/upstream.c, which is never the limit), in turn, in the same run, each gateway with the first core for
itself, the load (wrk) and the upstream with the second; medians of five rounds:

    datareeve      `datareeve gateway`, everything on
    litellm        LiteLLM's proxy that does the same kind of work as far as it can without a database server (bench/gateway_litellm.py)
    litellm bare   LiteLLM's proxy with its master key and nothing else: it does less
    nginx          nginx as its `proxy_pass` comes: HTTP/1.0, a connection to the upstream for every request; it only passes bytes on
    nginx kept     nginx with connections to the upstream kept

    rps, stream_rps       requests, and streams of 35 chunks, a second at 64 connections; the upstream writes each chunk by itself, without a pause
    rps_ratio_litellm, stream_ratio_litellm      those, ours / `litellm`'s      rps_ratio_litellm_bare, stream_ratio_litellm_bare   ours / `litellm bare`'s
    stream_ratio_litellm_paced   CPU of a stream whose chunks come 2 ms apart, so that each is a read and a write of its own: `litellm`'s / ours
    cpu_us                CPU microseconds of a request (`/proc/PID/stat`)      stream_cpu_us, paced_cpu_us   of a stream
    cpu_ratio_nginx       ours / `nginx`'s      cpu_ratio_nginx_kept   ours / `nginx kept`'s
    p50_ms, added_p50_ms  at one connection; more than without anything in between
    failover_open_breaker_ms     p50 at one connection of a route whose first choice is dead and whose breaker is open, less that of the route without
    cache_hit_p50_ms      at one connection, of an answer from the memory cache
    ready_s               from the start of the process until it answers a request
    rss_mb, rss_growth_mb        resident memory of all its processes after a million requests (`--quick`: after all of these); since a quarter of them
    ledger_difference     rows of sent requests in the usage ledger (ours: after a clean stop) less what the upstream was asked with its key

`--soak` (`--minutes N`, 30 of them): all kinds of requests at 64 connections; memory at the start, after the first fifth and at the end, its slope
a million requests since the first fifth, open files, the ledger's difference. `flat` is 1 where that slope is below 1 MB, 0 where it is not, and
nothing where fewer than a million requests came since: too few to say.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gateway_litellm
import peers
from gateway_sides import (
    Load,
    NotPossible,
    asked,
    datareeve,
    direct,
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
SOAK_LOADS = 10  # of each kind at least, so that there is a line to draw
FLAT_MB = 1.0  # a million requests
SENT = "SELECT coalesce(sum(requests), 0) FROM usage WHERE model <> '' AND NOT cached"
Result = dict[str, Any]


def measure(*, quick: bool) -> Result:
    """All sides in turn, then what is asked of ours alone."""
    rounds, seconds = (1, 2.0) if quick else (5, 3.0)
    with scratch() as folder, ExitStack() as stack:
        fast, paced = (stack.enter_context(upstream(folder, pace)) for pace in (0, PACE_US))
        ours, running = stack.enter_context(datareeve(folder, fast, paced))
        proxies = stack.enter_context(nginx(folder, fast, paced))
        sides = {side.name: side for side in (ours, direct(fast), *proxies)}
        missing = enter_litellm(stack, sides, folder, fast, paced)
        rates = {}
        for kind in ("plain", "stream", "paced"):
            rates[kind] = medians(kind, sides, missing, rounds, seconds)
        waits = latencies(sides, rounds, seconds)
        million = None if quick else fill(ours, fast)
        figures = per_side(rates, waits)
        compare_litellms_ledger(sides, figures, missing)
        alone = own_figures(ours, figures, waits, million)
        running.stop()
        alone["ledger_difference"] = sent(running) - fast.count()["asked"] - paced.count()["asked"]
    alone["ready_s"] = statistics.median(starts(rounds))
    others = {name: found for name, found in figures.items() if name != "datareeve"}
    return {
        "figures": {**compared(figures), **alone, **figures["datareeve"]},
        "peers": others | missing,
        "notes": NOTES,
    }


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
    """A line for whoever waits: this takes a quarter of an hour and more."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def enter_litellm(
    stack: ExitStack, sides: dict[str, Side], folder: Path, fast: Upstream, paced: Upstream
) -> dict[str, str]:
    """Add both of LiteLLM to the sides, one after the other, or give the reason why one is not there."""
    missing = {}
    for name, side in (
        ("litellm", gateway_litellm.working(folder, pace_us=PACE_US)),
        ("litellm bare", gateway_litellm.bare(folder, fast, paced)),
    ):
        try:
            sides[name] = stack.enter_context(side)
        except (peers.NotInstalled, RuntimeError) as error:
            missing[name] = str(error)
        progress(f"{name}: {missing.get(name, 'ready')}")
    return missing


def compare_litellms_ledger(
    sides: dict[str, Side], figures: dict[str, dict[str, float | None]], missing: dict[str, str]
) -> None:
    """Add its difference; a LiteLLM that lost requests is not reported: it did less than it is said to."""
    side = sides.get("litellm")
    if not isinstance(side, gateway_litellm.Working):
        return
    try:
        figures["litellm"]["ledger_difference"] = side.ledger_difference()
    except gateway_litellm.NotTheSame as error:
        missing["litellm"] = str(error)
        del figures["litellm"]


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


def latencies(sides: dict[str, Side], rounds: int, seconds: float) -> dict[tuple[str, str], float]:
    """The median p50 in milliseconds at one connection, by side and kind of request."""
    wanted = [
        (name, kind)
        for name, side in sides.items()
        for kind in ("plain", "failover", "cached")
        if kind in side.kinds
    ]
    open_breaker(sides["datareeve"])
    found: dict[tuple[str, str], list[float]] = {one: [] for one in wanted}
    for number in range(rounds):
        for name, kind in wanted:
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
        "rps_ratio_litellm_bare": ratio("rps", "datareeve", "litellm bare"),
        "stream_ratio_litellm_bare": ratio("stream_rps", "datareeve", "litellm bare"),
        "cpu_ratio_nginx": ratio("cpu_us", "datareeve", "nginx"),
        "cpu_ratio_nginx_kept": ratio("cpu_us", "datareeve", "nginx kept"),
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


@dataclass(frozen=True)
class Sample:
    """Of a gateway that is left under load."""

    minutes: float
    requests: int  # answered until then
    rss_mb: float
    handles: int


def soak(*, quick: bool, minutes: float | None = None) -> Result:
    """All kinds of requests in turn for half an hour, or so many minutes: what grew meanwhile."""
    minutes = minutes or (QUICK_SOAK_MINUTES if quick else SOAK_MINUTES)
    with scratch() as folder, upstream(folder) as fast, datareeve(folder, fast, fast) as (ours, running):
        started = ours.rss_mb()
        open_breaker(ours)
        samples = list(sampled(ours, minutes))
        running.stop()
        difference = sent(running) - fast.count()["asked"]
        stored = sum(
            path.stat().st_size for path in (running.project / ".datareeve").rglob("*") if path.is_file()
        )
    own = {"ledger_difference": float(difference), "stored_mb": stored / 1e6}
    verdict, memory = grown(started, samples)
    return {"figures": memory | own, "peers": {}, "notes": {"memory": verdict}}


def sampled(ours: Side, minutes: float) -> Iterator[Sample]:
    """How it is after each turn of loads, until the time is over."""
    seconds = min(6.0, max(1.0, minutes * 60 / SOAK_LOADS / len(ours.kinds)))
    answered, began = 0, time.monotonic()
    while (time.monotonic() - began) / 60 < minutes:
        answered += sum(load(ours, kind, seconds).requests for kind in ours.kinds)
        one = Sample((time.monotonic() - began) / 60, answered, ours.rss_mb(), ours.handles())
        progress(f"{one.minutes:.1f} min, {answered:,} requests, {one.rss_mb:.1f} MB, {one.handles} open")
        yield one


def grown(started_mb: float, samples: list[Sample]) -> tuple[str, dict[str, float | None]]:
    """Whether memory stayed flat, in words, and the figures of it. The first fifth is left out: caches and pools fill."""
    settled = samples[len(samples) // 5 :]
    first, last = settled[0], settled[-1]
    requests, slope = last.requests - first.requests, slope_mb_a_million(settled)
    flat = None if requests < MILLION else float(slope < FLAT_MB)
    figures = {
        "minutes": last.minutes,
        "requests": float(last.requests),
        "rss_mb_start": started_mb,
        "rss_mb_warm": first.rss_mb,
        "rss_mb_end": last.rss_mb,
        "rss_mb_most": max(one.rss_mb for one in samples),
        "rss_mb_a_million": slope,
        "flat": flat,
        "handles_most": float(max(one.handles for one in samples)),
    }
    words = {None: "too few requests to say", 0.0: "not flat", 1.0: "flat"}[flat]
    rule = f"{slope:+.2f} MB a million requests since the first fifth of the time; flat is below {FLAT_MB:g}"
    return f"{words}: {rule}, and said of a million requests or more (there were {requests:,})", figures


def slope_mb_a_million(samples: list[Sample]) -> float:
    """By least squares."""
    if len(samples) < 2:  # noqa: PLR2004 - no line through one point
        return 0.0
    requests = [one.requests / MILLION for one in samples]
    return statistics.linear_regression(requests, [one.rss_mb for one in samples]).slope


# -- for the README ----------------------------------------------------------------------------------------------------------------

LITELLM = peers.REQUIREMENTS["litellm"][0].partition("==")[2]
NOTES = {
    "datareeve": "everything on: virtual keys with limits of requests and tokens, limits of models, two hard budgets, breaker, usage ledger",
    "litellm": f"LiteLLM {LITELLM}, one Uvicorn worker, with what it can do of the same without a database server: virtual keys by custom_auth with"
    " limits of requests, tokens and parallel requests and a budget for each model (its own limiters), a budget of the provider, cooldowns as the"
    " breaker, a usage ledger in SQLite by a custom logger in batches. Seen to be at work: one key each is refused, its ledger has a row a request",
    "litellm bare": f"LiteLLM {LITELLM}, one Uvicorn worker, its master key, nothing else: no virtual keys, limits, budgets, breaker, ledger",
    "nginx": "as its proxy_pass comes: HTTP/1.0 and a connection to the upstream for every request; it passes bytes on and does nothing else",
    "nginx kept": "the same with HTTP/1.1 and connections to the upstream kept",
}
ROWS = (
    ("Requests a second", "rps"),
    ("Streams of 35 chunks a second", "stream_rps"),
    ("CPU of a request, µs", "cpu_us"),
    ("CPU of a stream, µs", "stream_cpu_us"),
    ("CPU of a stream whose chunks come 2 ms apart, µs", "paced_cpu_us"),
    ("p99 of a request at 64 connections, ms", "p99_ms_64"),
    ("p50 of a request at one connection, ms", "p50_ms"),
    ("of it added to the upstream's, ms", "added_p50_ms"),
)
OWN = (
    ("Requests a second, times `litellm`'s", "rps_ratio_litellm"),
    ("Requests a second, times `litellm bare`'s", "rps_ratio_litellm_bare"),
    ("Streams a second, times `litellm`'s", "stream_ratio_litellm"),
    ("Streams a second, times `litellm bare`'s", "stream_ratio_litellm_bare"),
    ("CPU of a request, times `nginx`'s", "cpu_ratio_nginx"),
    ("CPU of a request, times `nginx kept`'s", "cpu_ratio_nginx_kept"),
    ("Failover with an open breaker, ms more than without", "failover_open_breaker_ms"),
    ("Cache hit, p50, ms", "cache_hit_p50_ms"),
    ("Ready after, s", "ready_s"),
    ("Ledger's rows less what the upstream was asked", "ledger_difference"),
)


def markdown(result: Result) -> str:
    """What was measured, as two tables and what each side does."""
    found: dict[str, Any] = {"datareeve": result["figures"], **result["peers"]}
    sides = {name: found[name] for name in NOTES if not isinstance(found.get(name, ""), str)}
    rows = [(words, *(one.get(name) for one in sides.values())) for words, name in ROWS]
    own = [(words, result["figures"].get(name)) for words, name in OWN + memory_rows(result["figures"])]
    missing = {name: f"not measured: {why}" for name, why in found.items() if isinstance(why, str)}
    notes = [f"- `{name}`: {words}." for name, words in (result["notes"] | missing).items()]
    return "\n".join([*grid(("64 connections", *sides), rows), "", *grid(("", "datareeve"), own), "", *notes])


def memory_rows(figures: dict[str, float | None]) -> tuple[tuple[str, str], ...]:
    """A look at it asks for less than a million requests, and says nothing about them."""
    if figures.get("rss_growth_mb") is None:
        return (("Memory at the end, MB", "rss_mb"),)
    return (
        ("Memory after a million requests, MB", "rss_mb"),
        ("of it grown since a quarter of them, MB", "rss_growth_mb"),
    )


def grid(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> list[str]:
    """A table's lines."""
    cells = [[words, *(short(value) for value in values)] for words, *values in rows]
    lines = [list(head), ["---", *("---:" for _ in head[1:])], *cells]
    return ["| " + " | ".join(line) + " |" for line in lines]


def short(value: float | None) -> str:
    """Three significant digits, whole from a hundred on; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004 - the words say it
