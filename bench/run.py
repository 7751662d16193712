"""`script/bench [NAME ...] [--json | --markdown] [--quick] [--soak [--minutes N]]`: run measurements and print figures beside the peers'.

A measurement is a module `bench/NAME.py` with a docstring and `measure(*, quick: bool) -> Measured`. Medians and ratios go into
`figures`; `peers` holds the same figures of others, measured in the same run on the same machine. A measurement that has `soak` beside
`measure` can be left under load; one that has `markdown` prints its table for the README. `--from FILE` prints what `--json` printed before,
instead of measuring again. `database_health.py` is published as `database-health`, and either spelling is taken.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import platform
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
NOT_MEASUREMENTS = (
    {"run", "peers", "gateway_sides", "gateway_litellm", "pipeline_kills_ours"}
    | {f"quality_{part}" for part in ("checks", "data", "hand", "ours", "sides")}
    | {f"loads_{part}" for part in ("data", "figures", "limits", "sides", "world")}
)


class Measured(TypedDict):
    """What a measurement gives: numbers by name, and those of each peer; a peer that could not be had gives its reason."""

    figures: dict[str, float | None]
    peers: dict[str, dict[str, float | None] | str]
    detail: NotRequired[dict[str, Any]]  # what the figures were made of
    notes: NotRequired[dict[str, str]]  # what each side does, or what a figure means


def names() -> list[str]:
    """Every measurement there is."""
    return sorted(
        path.stem.replace("_", "-") for path in HERE.glob("*.py") if path.stem not in NOT_MEASUREMENTS
    )


def machine() -> dict[str, Any]:
    """Where it was measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": memory,
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
    }


def main() -> int:
    """Run what was asked for, or all."""
    asked = arguments()
    for result in stored(asked) if asked.source else measured(asked):
        print(written(result, asked), flush=True)
    return 0


def arguments() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(
        prog="script/bench", description="Measurements, side by side with peers."
    )
    add = parser.add_argument
    add("names", nargs="*", metavar="NAME", help=f"which: {', '.join(names())} (default: all)")
    add("--json", action="store_true", help="one JSON object a line")
    add("--markdown", action="store_true", help="the table for the README, of what has one")
    add("--from", dest="source", type=Path, metavar="FILE", help="print what --json printed into it before")
    add("--quick", action="store_true", help="fewer repetitions: a look, not a result")
    add("--soak", action="store_true", help="load without end, of what can be soaked: does it stay as it is?")
    add("--minutes", type=float, metavar="N", help="of --soak; default: 30, with --quick 1")
    asked = parser.parse_args()
    asked.names = [name.replace("_", "-") for name in asked.names]
    if unknown := set(asked.names) - set(names()):
        parser.error(f"no measurement {', '.join(sorted(unknown))}; there are: {', '.join(names())}")
    if asked.minutes is not None and not (asked.soak and asked.minutes > 0):
        parser.error("--minutes is of --soak, and more than 0")
    return asked


def measured(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Each measurement's result, one after the other."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that servers are stopped
    for name in asked.names or names():
        measurement = importlib.import_module(name.replace("-", "_"))
        if asked.soak and not hasattr(measurement, "soak"):
            print(f"{name} has nothing to soak", file=sys.stderr)
            continue
        found: Measured = (
            measurement.soak(quick=asked.quick, minutes=asked.minutes)
            if asked.soak
            else measurement.measure(quick=asked.quick)
        )
        yield {"bench": name, **found, "machine": machine()}


def stored(asked: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What `--json` printed before."""
    for line in asked.source.read_text().splitlines():
        result = json.loads(line)
        if not asked.names or result["bench"] in asked.names:
            yield result


def written(result: dict[str, Any], asked: argparse.Namespace) -> str:
    """As it was asked for."""
    if asked.json:
        return json.dumps(result)
    measurement = importlib.import_module(result["bench"].replace("-", "_"))
    if asked.markdown and not asked.soak and hasattr(measurement, "markdown"):
        return str(measurement.markdown(result))
    return table(result)


def table(result: dict[str, Any]) -> str:
    """The result for a person: one figure a line, then each peer's."""
    lines = [f"{result['bench']}  ({result['machine']['cores']} cores, {result['machine']['system']})"]
    for owner, figures in {"datareeve": result["figures"], **result["peers"]}.items():
        if isinstance(figures, str):
            lines.append(f"  {owner:<12} not measured: {figures}")
            continue
        lines += [f"  {owner:<12} {name:<32} {shown(value)}" for name, value in figures.items()]
    for name, found in result.get("detail", {}).items():
        lines += detailed(name, found)
    lines += [f"  {name}: {words}" for name, words in result.get("notes", {}).items()]
    return "\n".join(lines)


def detailed(name: str, found: Any) -> list[str]:
    """A detail for a person: a table where it is figures by side and name, else one line for each side."""
    if not isinstance(found, dict):
        return [f"  {name}: {found}"]
    sides = list(found)
    if not all(isinstance(value, dict) for value in found.values()):
        return [f"  {name}", *(f"    {side}: {value}" for side, value in found.items())]
    rows = list(dict.fromkeys(row for value in found.values() for row in value))
    lines = [
        f"    {row:<8}" + "".join(f"{shown(found[side].get(row)):>14}" for side in sides) for row in rows
    ]
    return [f"  {name}", "    " + " " * 8 + "".join(f"{side[:12]:>14}" for side in sides), *lines]


def shown(value: float | None) -> str:
    """A figure with four significant digits; a dash where there is none."""
    return "-" if value is None else f"{value:,.4g}"


if __name__ == "__main__":
    sys.exit(main())
