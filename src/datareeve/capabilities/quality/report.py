"""The report of how the data stands, as a page and as Markdown: pass rate against the target, trend, worst offenders, freshness, coverage.

Both are laid out from one `View`, so that they cannot say different things.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.capabilities.quality.checking import said, spell
from datareeve.capabilities.quality.counting import counted, pass_rate
from datareeve.capabilities.quality.report_facts import broken
from datareeve.capabilities.quality.rule import Rule
from datareeve.capabilities.quality.verdicts import Says
from datareeve.systems import pages

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.report_facts import Line, ReportFacts

PACKAGE = "datareeve.capabilities.quality"
WORST_SHOWN, INCIDENTS_SHOWN, STANDINGS_SHOWN, FRESH_SHOWN, TABLES_SHOWN = 25, 16, 40, 20, 30
WIDTH, HEIGHT = 720.0, 150.0
DASH = "\N{EN DASH}"


def figures(facts: ReportFacts) -> dict[str, Any]:
    """The report's figures; those that nothing was measured of are left out."""
    counts = {
        name: sum(getattr(one, name) for one in facts.standings)
        for name in ("passed", "warned", "failed", "not_run")
    }
    ran, young = (
        counts["passed"] + counts["failed"],
        sum(line.verdict.says is Says.NOT_YET for line in facts.lines),
    )
    passed_of, ran_of = (sum(day[n] for day in facts.days_of.values()) for n in (0, 1))
    found: dict[str, Any] = {
        "contracts": len({one.contract for one in facts.standings}) + len(facts.never_run),
        "rules_passed": counts["passed"],
        "rules_warned": counts["warned"],
        "rules_failed": counts["failed"],
        "rules_not_run": counts["not_run"],
        **({"rules_not_yet": young} if young else {}),
        "incidents_open": sum(one.ended is None for one in facts.incidents),
    }
    if ran:
        found |= {
            "pass_percent": pass_rate(counts["passed"], ran),
            "pass_percent_period": pass_rate(passed_of, ran_of, facts.target),
        }
        found |= {"verdicts": ran_of, "verdicts_passed": passed_of}
        found["pass_target_met"] = found["pass_percent_period"] > facts.target
    if facts.coverage:
        found["tables"] = sum(one.tables for one in facts.coverage)
        found["tables_without_contract"] = sum(len(one.without_contract) for one in facts.coverage)
        found["columns_never_checked"] = sum(
            len(left) for one in facts.coverage for left in one.never_checked.values()
        )
    if freshest := [
        line.verdict.figure
        for line in facts.lines
        if line.kind == "freshness" and line.verdict.figure is not None
    ]:
        found["freshness_seconds_most"] = round(max(freshest), 1)
    return found


class Several(NamedTuple):
    """A rule that does not hold, with every system of which the same is said."""

    line: Line
    words: str
    systems: tuple[str, ...]


def render(facts: ReportFacts, kind: str) -> str:
    """The report as 'html' or 'md'."""
    environment = pages.environment(PACKAGE)
    environment.filters |= {
        "when": when,
        "spell": lambda seconds: DASH if seconds is None else spell(seconds),
        "percent": percent,
        "counted": counted,
    }
    if kind == "md":
        environment = environment.overlay(finalize=plain)
    worst = several(broken(facts.lines))
    fresh = sorted(
        (line for line in facts.lines if line.kind == "freshness"),
        key=lambda line: -(line.verdict.figure or 0),
    )
    standings = sorted(
        facts.standings,
        key=lambda one: (-1 if one.pass_percent is None else one.pass_percent, one.contract, one.system),
    )
    incidents = sorted(
        facts.incidents, key=lambda one: (one.ended is not None, one.severity != "error", one.opened)
    )
    return environment.get_template(f"report.{kind}.j2").render(
        facts=facts,
        figures=figures(facts),
        standings=standings[:STANDINGS_SHOWN],
        more_standings=max(len(standings) - STANDINGS_SHOWN, 0),
        worst=worst[:WORST_SHOWN],
        more_worst=max(len(worst) - WORST_SHOWN, 0),
        fresh=fresh[:FRESH_SHOWN],
        more_fresh=max(len(fresh) - FRESH_SHOWN, 0),
        incidents=incidents[:INCIDENTS_SHOWN],
        more_incidents=max(len(incidents) - INCIDENTS_SHOWN, 0),
        chart=chart(facts),
        tables_shown=TABLES_SHOWN,
    )  # fmt: skip


def several(lines: Sequence[Line]) -> list[Several]:
    """Rules that do not hold, the worst first: one that says the same of several systems once."""
    found: dict[tuple[str, str, str, str], Several] = {}
    for line in lines:
        words = sentence(line)
        key = (line.contract, line.rule, line.verdict.says.value, words)
        told = found.get(key)
        found[key] = Several(line, words, (*(told.systems if told else ()), line.system))
    return list(found.values())


MARKDOWN = str.maketrans({"|": r"\|", "<": "&lt;", "[": r"\[", "\n": " ", "\r": " "})


def plain(value: Any) -> Any:
    """What a contract says, in Markdown as it stands: no column more, no HTML, no link."""
    return value.translate(MARKDOWN) if isinstance(value, str) else value


def sentence(line: Line) -> str:
    """A verdict in words; the rule's bounds stand in its words, or are the line's."""
    return said(
        Rule(
            id=line.rule,
            kind=line.kind,
            table=line.table,
            columns=line.columns,
            unit=line.unit,
            bounds=line.bounds,
        ),
        line.verdict,
    )


def percent(value: float | None) -> str:
    """'99.2 %', a dash where there is none: a figure as it is told everywhere (`pass_rate`)."""
    return DASH if value is None else f"{value:.6g} %"


def when(at: str) -> str:
    """A moment as a page that lies about for weeks can say it: '2026-11-23 14:10 UTC'."""
    return f"{at[:16].replace('T', ' ')} UTC"


def chart(facts: ReportFacts) -> dict[str, Any] | None:
    """The pass rate of each day as a line, with the target, in a box of 720 x 150; None for fewer than two days."""
    points = [
        (date.fromisoformat(day), 100.0 * passed / ran)
        for day, (passed, ran) in sorted(facts.days_of.items())
        if ran
    ]
    if len(points) < 2:  # noqa: PLR2004 - one point is no trend
        return None
    least = min([facts.target, *(value for _, value in points)])
    low = max(least - max((100.0 - least) * 0.2, 0.2), 0.0)
    first, last = points[0][0], points[-1][0]
    days = max((last - first) / timedelta(days=1), 1.0)

    def place(day: date, value: float) -> str:
        return f"{(day - first) / timedelta(days=1) / days * WIDTH:.1f},{(100.0 - value) / (100.0 - low) * HEIGHT:.1f}"

    return {
        "line": "M" + " L".join(place(day, value) for day, value in points),
        "target": round((100.0 - facts.target) / (100.0 - low) * HEIGHT, 1),
        "dots": [tuple(place(day, value).split(",")) for day, value in points],
        "low": low,
        "first": first.isoformat(),
        "last": last.isoformat(),
    }


def spark_of(values: Sequence[float]) -> str:
    """A row of blocks for Markdown: '▁▃█'."""
    low, high = min(values, default=0.0), max(values, default=0.0)
    blocks = "▁▂▃▄▅▆▇█"
    return "".join(
        blocks[round((value - low) / (high - low) * 7)] if high > low else blocks[-1] for value in values
    )
