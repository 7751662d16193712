"""Watching a pool: a schedule that looks at SHOW POOLS every minute, and alerts on what it sees. What the owner set already stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases.pool_health import ALERTS
from datareeve.core.estate import AlertRule
from datareeve.core.operation import Call, Claim, Effect, Step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.core.operation import Systems

CHECK = "databases.check-pool"
EVERY_MINUTE = "* * * * *"


def missing(systems: Systems, system: str, pool: str) -> tuple[str, ...]:
    """Which of the entries in estate.yaml are not there yet: 'schedules/watch-app-pool', 'alerts/app-pool-down'."""
    estate = systems["estate"]
    return tuple(path for path in _entries(system, pool) if estate.read("get", where=path.split("/")) is None)


def steps(system: str, pool: str, wanted: Sequence[str]) -> tuple[Step, ...]:
    """A step for each entry that is missing."""
    return tuple(
        _put(path, value, why) for path, (value, why) in _entries(system, pool).items() if path in wanted
    )


def _entries(system: str, pool: str) -> dict[str, tuple[dict[str, Any], str]]:
    """Every entry by its place, with its value and why it is wanted."""
    schedule = {"operation": CHECK, "inputs": {"system": system}, "cron": EVERY_MINUTE}
    entries = {
        f"schedules/watch-{pool}": (
            schedule,
            "SHOW POOLS is looked at every minute while `datareeve serve` runs.",
        )
    }
    for key, fields in ALERTS.items():
        rule = AlertRule(name=f"{pool}-{key.removeprefix('pool-')}", system=system, **fields)
        entries[f"alerts/{rule.name}"] = (rule.model_dump(mode="json", exclude_defaults=True), rule.advice)
    return entries


def _put(path: str, value: dict[str, Any], why: str) -> Step:
    where = path.split("/")
    reading = Call(system="estate", action="get", arguments={"where": where})
    return Step(
        id=f"watch {where[1]}",
        call=Call(system="estate", action="put", arguments={"where": where, "value": value}),
        why=why,
        effect=Effect.REVERSIBLE,
        probe=Claim(text=f"{where[1]} stands under {where[0]} in estate.yaml", call=reading, expected=value),
        undo=(Call(system="estate", action="put", arguments={"where": where, "value": None}),),
        touches=(f"estate:{'.'.join(where)}",),
        paths=("estate.yaml",),
    )
