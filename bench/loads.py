"""Rows moved by a pipeline: beside raw COPY, DuckDB's own readers and the hand-written MERGE, and beside dlt and sling.

TPC-H's lineitem with a key and a moment, 18 columns, 5 million rows; every side is a process of its own, run three times, in turn, each time into a
fresh target, and the medians count. A side whose table is not right afterwards is not compared. Ours is the whole command, `datareeve run
pipelines.run --pipeline p --yes --json`, from start to end, with planning, audit, comparison, publication and ledger. `*_ratio_limit` is its wall time
over the limit's process: raw COPY with PostgreSQL (from PostgreSQL into DuckDB: COPY TO STDOUT in binary, thrown away; into PostgreSQL: COPY into COPY by
a pipe; of files: COPY of the same rows as CSV), DuckDB's own reader, or staging by COPY and one MERGE. `*_ratio_engine` is over the engine's own best
way (CREATE TABLE AS over its postgres extension); DuckDB by hand runs with the settings of ours and with its own, and the quicker counts.
dlt and sling are measured on fewer rows, with ours and the limits beside on the same rows. `fixed_s` is the command for a thousand rows.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import loads_figures as figures
import loads_sides as sides
import peers
from loads_world import Route, World, server
from quality_sides import NotComparable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from loads_sides import Side
    from quality_sides import Run
    from run import Measured

ROUNDS = 3
LITTLE = 1_000
ROUTES = (
    Route("postgres", "duckdb"), Route("postgres", "parquet"), Route("postgres", "postgres"),
    *(Route(ending, target) for ending in ("csv", "jsonl", "parquet") for target in ("duckdb", "postgres")),
    Route("postgres", "duckdb", upsert=True), Route("postgres", "postgres", upsert=True),
)  # fmt: skip
OF_PEERS = (
    Route("postgres", "duckdb"),
    Route("postgres", "postgres"),
    Route("csv", "duckdb"),
    Route("parquet", "duckdb"),
)
GROWING = Route("postgres", "duckdb")


@dataclass(frozen=True)
class Sizes:
    """How many rows, and how often."""

    rows: int
    peers: int
    growth: tuple[int, ...]
    rounds: int


FULL = Sizes(5_000_000, 100_000, (1_000_000, 5_000_000, 20_000_000), ROUNDS)
QUICK = Sizes(200_000, 20_000, (), 1)


@dataclass
class Found:
    """Medians by what was measured and side; and why something was not."""

    runs: dict[str, dict[str, Run]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def measure(*, quick: bool) -> Measured:
    """All of it."""
    return measured(QUICK if quick else FULL)


def measured(
    sizes: Sizes, routes: tuple[Route, ...] = ROUTES, others: tuple[Route, ...] = OF_PEERS
) -> Measured:
    """All of it, in these sizes."""
    found = Found()
    with server() as (running, folder):
        whole = World(sizes.rows, running, folder)
        for route in routes:
            found.runs[route.name] = medians(whole, route, found, sizes.rounds)
        whole.drop_sources()
        small = World(sizes.peers, running, folder)
        for route in others:
            found.runs[f"{route.name} of {sizes.peers}"] = medians(
                small, route, found, sizes.rounds, of_peers=True
            )
        small.drop_sources()
        fixed(running, folder, found, sizes)
        growth = grown(running, folder, found, sizes)
    return figures.told(found.runs, found.missing, sizes, growth)


def medians(
    world: World, route: Route, found: Found, rounds: int, *, of_peers: bool = False
) -> dict[str, Run]:
    """The median run of each side of a route, the sides in turn."""
    progress(f"{route.name}: {world.rows:,} rows")
    world.warm(route)
    if not route.upsert:
        others = peers_of(world, route, found) if of_peers else []
        return in_turn(
            route.name, [sides.ours(world, route), *sides.limits(world, route), *others], found, rounds
        )
    try:
        with sides.published(world, route) as base:
            taking = [sides.ours(world, route, base), *sides.limits(world, route, base)]
            return in_turn(route.name, taking, found, rounds)
    except NotComparable as error:
        found.missing[f"datareeve on {route.name}"] = f"what it begins from was not published: {error}"
        return {}


def peers_of(world: World, route: Route, found: Found) -> list[Side]:
    """The two ways of dlt where there are two, and sling; or why not."""
    backends = ("pyarrow", "sqlalchemy") if route.source in {"postgres", "csv"} else ("pyarrow",)
    made: list[tuple[str, Callable[[], Side]]] = [
        ("dlt", partial(sides.dlt, world, route, backend)) for backend in backends
    ]
    if route.source == "postgres":
        made.append(("sling", partial(sides.sling, world, route)))
    taking = []
    for name, make in made:
        try:
            taking.append(make())
        except peers.NotInstalled as error:
            found.missing[f"{name} on {route.name}"] = str(error)[-200:]
    return taking


def in_turn(name: str, taking: list[Side], found: Found, rounds: int) -> dict[str, Run]:
    """The median run of each; a side that fails, or whose table is wrong, is left out with the reason."""
    runs: dict[str, list[Run]] = {}
    for number in range(rounds):
        for side in list(taking):
            try:
                one = side.run()
            except NotComparable as error:
                found.missing[f"{side.name} on {name}"] = str(error)[-300:]
                taking.remove(side)
                runs.pop(side.name, None)
                progress(f"  {side.name}: {error}")
                continue
            runs.setdefault(side.name, []).append(one)
            progress(
                f"  {number + 1}/{rounds} {side.name}: {one.wall_s:.2f} s, {one.cpu_s:.2f} s CPU, {one.peak_mb:.0f} MB"
            )
    return {side: middle(some) for side, some in runs.items()}


def middle(runs: list[Run]) -> Run:
    """The median of each figure; ours says how long its steps took as well."""
    names = ("wall_s", "cpu_s", "own_cpu_s", "peak_mb", "work_s")
    steps = [sides.step_seconds(run.told) for run in runs]
    told = {
        "steps": {step: statistics.median(one.get(step, 0.0) for one in steps) for step in steps[0]},
        "load_s": statistics.median(sides.load_seconds(run.told) for run in runs),
    }
    return replace(
        runs[0], **{name: statistics.median(getattr(run, name) for run in runs) for name in names}, told=told
    )


def fixed(running: Any, folder: Path, found: Found, sizes: Sizes) -> None:
    """What a run costs of which the rows take nothing, and dlt's."""
    world = World(LITTLE, running, folder)
    taking = [sides.ours(world, GROWING), *peers_of(world, GROWING, found)]
    world.warm(GROWING)
    found.runs["fixed"] = in_turn("fixed", taking, found, max(sizes.rounds, ROUNDS))
    world.drop_sources()


def grown(running: Any, folder: Path, found: Found, sizes: Sizes) -> dict[int, Run]:
    """Ours at every size."""
    by_rows = {}
    for rows in sizes.growth:
        world = World(rows, running, folder)
        world.warm(GROWING)
        one = in_turn(f"growth, {rows:,} rows", [sides.ours(world, GROWING)], found, sizes.rounds)
        if one:
            by_rows[rows] = one["datareeve"]
        world.drop_sources()
    return by_rows


def progress(text: str) -> None:
    """A measurement takes long."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def markdown(result: dict[str, Any]) -> str:
    """For the README."""
    return figures.markdown(result)
