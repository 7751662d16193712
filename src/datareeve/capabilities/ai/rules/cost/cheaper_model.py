"""A cheaper model for a route: proved where recorded prompts were replayed on it, a question where they were not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.costs import Seen, query, saving, within
from datareeve.capabilities.ai.rules.cost.duplicate_calls import quoted
from datareeve.core.figures import percent
from datareeve.core.operation import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.operation import Finding

ENOUGH_PROMPTS = 20
LEAST_CHEAPER = 10.0  # percent
AS_GOOD = 0.98  # of the recorded answers' share


def find(seen: Seen) -> Iterator[Finding]:
    """By the name that was asked for and the model that answered."""
    for row in seen.by_asked:
        if not row["model"] or not row["cost_microusd"]:
            continue
        tried = [one for one in seen.replays if replayed_for(one, row)]
        good = [one for one in tried if as_good(one["figures"])]
        if good:
            yield _proved(seen, row, min(good, key=lambda one: one["figures"]["usd_change_percent"]))
        elif not tried and row["model"] in seen.cheaper:
            found = _open(seen, row, seen.cheaper[row["model"]])
            if found is not None:
                yield found


def replayed_for(record: dict[str, Any], row: dict[str, Any]) -> bool:
    """Whether a replay is of what asked for this name, on another model."""
    return (
        record["asked"] in ("", row["asked"])
        and row["asked"] in record["models"]
        and record["target"] != row["model"]
    )


def as_good(figures: dict[str, Any]) -> bool:
    """Whether nothing that is measured speaks against the model: all answered, as valid, the same tools, none empty, and cheaper."""
    before, now = figures.get("schema_before_percent"), figures.get("schema_now_percent")
    return (
        figures["prompts"] >= ENOUGH_PROMPTS
        and figures["answered"] == figures["prompts"]
        and figures.get("usd_change_percent", 0.0) <= -LEAST_CHEAPER
        and not figures.get("empty_percent")
        and (now is None or before is None or now >= AS_GOOD * before)
        and figures.get("same_form_percent", 0.0) >= 100 * AS_GOOD
        and figures.get("same_tools_percent", 100.0) >= 100 * AS_GOOD
    )


def _proved(seen: Seen, row: dict[str, Any], record: dict[str, Any]) -> Finding:
    figures = record["figures"]
    saved = row["cost_microusd"] * -figures["usd_change_percent"] / 100
    return saving(
        seen,
        "cheaper-model",
        row["asked"],
        what=f"{record['target']} answered {figures['prompts']} recorded prompts of {row['asked']} as well as {row['model']} did, by form, schema and tools, for {percent(figures['usd_change_percent'], sign=True)} %.",
        why="Whether it says the same in other words is not measured: read some of its answers before you change the route.",
        instead=_first(seen, row, record["target"]),
        microusd=saved,
        computed=f"cost of {row['asked']} in this time, times the measured change in cost of the replay of {record['at'][:10]}",
        proof=command(
            "ai.replay", model=record["target"], **({"asked": record["asked"]} if record["asked"] else {})
        ),
        figures={f"replay_{name}": value for name, value in figures.items()},
    )


def _first(seen: Seen, row: dict[str, Any], target: str) -> str:
    """How the cheaper one comes to answer first: in its route, or where there is none by a route of that name."""
    if row["asked"] in seen.declared.settings.models:
        return f"Put it first: `{command('ai.set-fallback', model=row['asked'], targets=[target, row['model']])}`"
    return f"Give the name a route in estate.yaml: gateway.models: {{{row['asked']}: {{targets: [{target}, {row['model']}]}}}}"


def _open(seen: Seen, row: dict[str, Any], cheaper: dict[str, Any]) -> Finding | None:
    saved = row["cost_microusd"] * (1 - cheaper["share"])
    if not seen.matters(saved):
        return None
    where = f"{within(seen.period)} AND asked_model = '{quoted(row['asked'])}'"
    return saving(
        seen,
        "cheaper-model-untried",
        f"{row['asked']} on {row['model']}",
        what=f"{cheaper['target']} would cost {100 * cheaper['share']:.0f} % of {row['model']} for the same tokens; whether it answers {row['asked']} as well is not known.",
        why="A smaller model is enough for much of what is asked of a large one; only your own prompts can tell.",
        instead=f"Try it on recorded prompts: `{command('ai.replay', model=cheaper['target'], asked=row['asked'])}`",
        microusd=saved,
        computed="the tokens of this time at both prices of the list; not proved: another model may use more tokens",
        proof=query(
            "sum(input) AS input, sum(output) AS output, sum(cost_microusd) AS microusd", "usage", where
        ),
        figures={"share": round(cheaper["share"], 3)},
        severity=Severity.INFO,
    )
