"""What `script/bench loads` makes of its runs: ratios to the limits, rates, growth; and the tables for the README."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from loads import Sizes
    from quality_sides import Run
    from run import Measured

ENGINES = ("limit: scanner", "limit: scanner_parquet")  # the engine's own way where the limit is raw COPY
OURS = "datareeve"


def told(
    runs: dict[str, dict[str, Run]], missing: dict[str, str], sizes: Sizes, growth: dict[int, Run]
) -> Measured:
    """All figures."""
    own: dict[str, float | None] = {}
    for name, by_side in runs.items():
        if name != "fixed" and " of " not in name:
            rows = sizes.rows // 10 if name.startswith("upsert") else sizes.rows
            own |= of_route(name, by_side, rows)
    fixed = runs.get("fixed", {}).get(OURS)
    every = [by_side[OURS].peak_mb for by_side in runs.values() if OURS in by_side]
    own |= {"peak_mb": max([*every, *(run.peak_mb for run in growth.values())], default=None),
            "fixed_s": fixed.wall_s if fixed else None, "fixed_cpu_s": fixed.own_cpu_s if fixed else None}  # fmt: skip
    own |= of_growth(growth)
    detail = {name: {side: shown(run) for side, run in by_side.items()} for name, by_side in runs.items()}
    detail |= {"growth": {f"{rows:,}": shown(run) for rows, run in growth.items()}}
    notes = {"not compared": "; ".join(f"{name}: {why}" for name, why in missing.items())} if missing else {}
    others = {name: of_peer(name, runs, missing, sizes.peers) for name in ("dlt", "sling")}
    others["datareeve, on as many rows as they"] = small(OURS, runs, sizes.peers)
    return {"figures": own, "peers": others, "detail": {"rows": {"whole": sizes.rows, "peers": sizes.peers}, "missing": missing, **detail}, "notes": notes}  # fmt: skip


def of_route(name: str, by_side: dict[str, Run], rows: int) -> dict[str, float | None]:
    """Of ours on one route."""
    own, limit, engine = by_side.get(OURS), limit_of(by_side), quickest(by_side, ENGINES)
    return {
        f"{name}_ratio_limit": ratio(own, limit),
        **({f"{name}_ratio_engine": ratio(own, engine)} if engine else {}),
        f"{name}_ratio_limit_work": own.wall_s / limit.work_s if own and limit else None,
        f"{name}_rows_per_s": rows / own.wall_s if own else None,
        f"{name}_s": own.wall_s if own else None,
        f"{name}_load_s": own.told["load_s"] if own else None,
        f"{name}_limit_s": limit.wall_s if limit else None,
    }


def limit_of(by_side: dict[str, Run]) -> Run | None:
    """Raw COPY where there is one; else the quickest of the engine's own."""
    limits = [side for side in by_side if side.startswith("limit: ") and not side.startswith(ENGINES)]
    return quickest(by_side, tuple(limits)) if limits else None


def quickest(by_side: dict[str, Run], beginnings: tuple[str, ...]) -> Run | None:
    """Of the sides whose names begin so."""
    those = [run for side, run in by_side.items() if beginnings and side.startswith(beginnings)]
    return min(those, key=lambda run: run.wall_s, default=None)


def ratio(one: Run | None, other: Run | None) -> float | None:
    """Wall time over wall time, of whole processes."""
    return one.wall_s / other.wall_s if one and other else None


def of_growth(growth: dict[int, Run]) -> dict[str, float | None]:
    """Whether all sizes lie on one line: seconds over rows, and the rate of the most over that of the least."""
    if len(growth) < 2:  # noqa: PLR2004 - two points
        return {}
    found = {f"growth_{rows // 1_000_000}m_rows_per_s": rows / run.wall_s for rows, run in growth.items()}
    least, most = min(growth), max(growth)
    points = [(float(rows), run.wall_s) for rows, run in growth.items()]
    return {
        **found,
        "growth_ratio": (most / growth[most].wall_s) / (least / growth[least].wall_s),
        "growth_r2": r2(points),
    }


def r2(points: Iterable[tuple[float, float]]) -> float | None:
    """The share of the variance that a straight line explains; None where there is none to explain."""
    points = list(points)
    many = len(points)
    x_mean, y_mean = sum(x for x, _ in points) / many, sum(y for _, y in points) / many
    xx, yy = sum((x - x_mean) ** 2 for x, _ in points), sum((y - y_mean) ** 2 for _, y in points)
    xy = sum((x - x_mean) * (y - y_mean) for x, y in points)
    return xy * xy / (xx * yy) if xx and yy else None


def shown(run: Run) -> dict[str, float | None]:
    """A run, for the detail; with ours' steps."""
    steps = {f"step {name}": seconds for name, seconds in run.told.get("steps", {}).items()}
    return {
        "wall s": run.wall_s,
        "cpu s": run.cpu_s,
        "own cpu s": run.own_cpu_s,
        "MB": run.peak_mb,
        "work s": run.work_s,
        **steps,
    }


# -- peers -------------------------------------------------------------------------------------------------------------------------


def of_peer(
    name: str, runs: dict[str, dict[str, Run]], missing: dict[str, str], rows: int
) -> dict[str, float | None] | str:
    """A peer's figures, on its own number of rows; or why there are none."""
    found = small(name, runs, rows)
    reasons = dict.fromkeys(why for what, why in missing.items() if what.startswith(name))
    return found or "; ".join(reasons) or "not run"


def small(name: str, runs: dict[str, dict[str, Run]], rows: int) -> dict[str, float | None]:
    """Of a side, on as many rows as the peers have: its quickest way, and `_default` where it has another by default."""
    found: dict[str, float | None] = {}
    for what, by_side in runs.items():
        route, _, few = what.partition(" of ")
        if not few and what != "fixed":
            continue
        best, default = quickest(by_side, (name,)), by_side.get(f"{name}, sqlalchemy")
        if best and what == "fixed":
            found |= {"fixed_s": best.wall_s, "fixed_cpu_s": best.own_cpu_s}
        elif best:
            limit = limit_of(by_side)
            found |= {
                f"{route}_ratio_limit": ratio(best, limit),
                f"{route}_rows_per_s": rows / best.wall_s,
                f"{route}_peak_mb": best.peak_mb,
            }
            if default:
                found |= {
                    f"{route}_ratio_limit_default": ratio(default, limit),
                    f"{route}_rows_per_s_default": rows / default.wall_s,
                }
    return found


# -- for the README ----------------------------------------------------------------------------------------------------------------

WORDS = {
    "postgres": "PostgreSQL",
    "duckdb": "DuckDB",
    "csv": "CSV",
    "jsonl": "JSON lines",
    "parquet": "Parquet",
}
LIMIT_OF = {"postgres": "COPY", "csv": "its reader", "jsonl": "its reader", "parquet": "its reader"}


def named(route: str) -> str:
    """A route in words."""
    one, other = route.split("_")
    return f"upsert of a tenth, {WORDS[other]}" if one == "upsert" else f"{WORDS[one]} → {WORDS[other]}"


def limit_named(route: str) -> str:
    """What its limit is."""
    one, other = route.split("_")
    if one == "upsert":
        return "COPY and MERGE"
    return "COPY" if other == "postgres" else LIMIT_OF[one]


def markdown(result: dict[str, Any]) -> str:
    """Three tables: the routes, the peers on their rows, and what is of no route."""
    own, rows = result["figures"], result["detail"]["rows"]
    routes = [name.removesuffix("_ratio_limit") for name in own if name.endswith("_ratio_limit")]
    lines = [
        f"| {rows['whole']:,} rows of 18 columns | rows/s | seconds | limit | times the limit |",
        "| --- | ---: | ---: | --- | ---: |",
    ]
    lines += [
        f"| {named(route)} | {short(own[f'{route}_rows_per_s'])} | {short(own[f'{route}_s'])} | {limit_named(route)} | {short(own[f'{route}_ratio_limit'])} |"
        for route in routes
        if own[f"{route}_s"] is not None
    ]
    return "\n".join(
        [*lines, "", *of_peers_table(result, rows["peers"]), "", *of_none(own), "", *reasons(result)]
    )


def of_peers_table(result: dict[str, Any], rows: int) -> list[str]:
    """The peers on their rows, ours beside."""
    found = {name: one for name, one in result["peers"].items() if not isinstance(one, str)}
    found = {OURS: found.pop("datareeve, on as many rows as they", {}), **found}
    routes = list(
        dict.fromkeys(
            key.removesuffix("_ratio_limit")
            for one in found.values()
            for key in one
            if key.endswith("_ratio_limit")
        )
    )
    lines = [
        f"| {rows:,} rows: times the limit (rows/s) | " + " | ".join(found) + " |",
        "| --- |" + " ---: |" * len(found),
    ]
    for route in routes:
        for suffix, words in (("", ""), ("_default", ", its default")):
            cells = [
                pair(one.get(f"{route}_ratio_limit{suffix}"), one.get(f"{route}_rows_per_s{suffix}"))
                for one in found.values()
            ]
            if any(cell != "-" for cell in cells):
                lines.append(f"| {named(route)}{words} | " + " | ".join(cells) + " |")
    fixed = " | ".join(short(one.get("fixed_s")) for one in found.values())
    return [*lines, f"| a thousand rows, start to end, s | {fixed} |"]


def of_none(own: dict[str, float | None]) -> list[str]:
    """What is of no route."""
    words = {"peak_mb": "Memory at most, MB", "fixed_s": "A thousand rows, start to end, s", "fixed_cpu_s": "of CPU, s",
             "growth_ratio": "rows/s at the most rows, times that at the least", "growth_r2": "seconds on one line over rows, R²"}  # fmt: skip
    return [
        "| | datareeve |",
        "| --- | ---: |",
        *(f"| {text} | {short(own.get(key))} |" for key, text in words.items()),
    ]


def reasons(result: dict[str, Any]) -> list[str]:
    """Why something was not compared."""
    return [f"- {name}: not compared: {why}" for name, why in result["detail"].get("missing", {}).items()]


def pair(times: float | None, rate: float | None) -> str:
    """'12.3 (8,000)'."""
    return "-" if rate is None else f"{short(times)} ({short(rate)})"


def short(value: float | None) -> str:
    """Three significant digits; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - the words say it
