"""`quality.backtest`: what watching a series would have been like."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.quality import contract_files
from datareeve.capabilities.quality.learned import reading, slots
from datareeve.capabilities.quality.learned.backtesting import Backtest, Share, backtest, is_noisy, warm_up
from datareeve.capabilities.quality.learned.expecting import settings_of
from datareeve.capabilities.quality.learned.points import Nature, Point, Settings, points
from datareeve.capabilities.quality.rule import COUNTING_KINDS, Rule
from datareeve.core.errors import BadInput
from datareeve.core.operation import (
    Call,
    Claim,
    Effect,
    Finding,
    Operation,
    Plan,
    Severity,
    Step,
    Systems,
)
from datareeve.core.value import Value, fingerprint

KEPT_AS = "backtest"


class Tested(Value):
    """A series, its settings and what came of it."""

    name: str
    points: int
    needed: int
    result: Backtest | None = None  # None: too short


class BacktestFacts(Value):
    """What was replayed."""

    tested: tuple[Tested, ...]


class RunBacktest(Operation[BacktestFacts]):
    """Measure how well learned expectations would have done on the past of a table or a rule.

    Replays each series point by point; what is judged is never in what was learned. Tells how many alarms a year there would have been on the data
    as it is, and, on copies into which anomalies are sown (spikes, drops, level shifts, slow drifts, missing days, doubled batches, bursts of nulls,
    frozen values, a changed season; each of a size that a person would call one), how many were noticed, how soon, and how many of the alarms
    were about one, each with its 95 % interval. The history of a table is read from the table itself, by a time column, in one statement; the
    history of a rule from the quality store. The figures are kept in the quality store; nothing else is written.
    """

    name: ClassVar[str] = "quality.backtest"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "backtest the anomaly detection",
        "how many false alarms would the learned thresholds raise",
        "precision and recall of the volume monitor",
        "would we have noticed a missing day of data",
        "measure anomaly detection on last year's data",
        "replay the history of a metric with seeded anomalies",
    )

    system: str = Field(description="the system's name in the estate")
    table: str | None = Field(
        None, description="the table whose own past is replayed, as the engine names it: public.flights"
    )
    time: str | None = Field(None, description="its time column")
    metrics: tuple[str, ...] = Field(
        ("row-count",), description="row-count, null-percent:COLUMN, distinct:COLUMN, mean:COLUMN, sum:COLUMN"
    )
    every: Literal["hour", "day", "week", "month"] = Field("day", description="how long a bucket is")
    zone: str = Field("UTC", description="the time zone of hours and days: America/New_York")
    contract: str | None = Field(None, description="with rule: replay a rule's stored history instead")
    rule: str | None = Field(None, description="the rule's id")
    false_alarms_per_year: float = Field(
        2.0, gt=0, le=10_000, description="how many are accepted: the sensitivity"
    )
    trials: int = Field(10, ge=0, le=200, description="copies with seeded anomalies")
    seed: int = Field(1, ge=0, description="the same seed gives the same figures")

    def observe(self, systems: Systems) -> BacktestFacts:
        """Read the series and replay them. Errors: `BadInput` `quality.backtest` where neither a table nor a rule is named."""
        slots.zone_of(self.zone)
        if self.contract and self.rule:
            return BacktestFacts(tested=(self._of_rule(systems, self.contract, self.rule),))
        if not (self.table and self.time):
            raise BadInput(
                "quality.backtest",
                "It is not said what is replayed.",
                "Give table and time, or contract and rule.",
            )
        metrics = reading.metrics_of(self.metrics)
        found = reading.read_table(
            systems,
            self.system,
            self.table,
            self.time,
            metrics,
            every=self.every,
            zone=self.zone,
            loaded=None,
        )
        return BacktestFacts(
            tested=tuple(self._test(one.metric.words, one.series, one.metric.nature) for one in found.seen)
        )

    def _of_rule(self, systems: Systems, contract: str, rule: str) -> Tested:
        found = next((one for one in contract_files.load(systems, contract).rules if one.id == rule), None)
        if found is None:
            raise BadInput(
                "contract.no-rule",
                f"The contract {contract} has no rule {rule!r}.",
                "Give the id that stands in it.",
            )
        return self._test(
            rule, points(reading.rule_series(systems, contract, self.system, rule)), _nature(found)
        )

    def _test(self, name: str, series: tuple[Point, ...], nature: Nature) -> Tested:
        """Replay one. A sum that never was below nought is an amount."""
        if name.startswith("sum") and all((point.value or 0.0) >= 0 for point in series):
            nature = "amount"
        settings = Settings(false_alarms_per_year=self.false_alarms_per_year, nature=nature, zone=self.zone)
        needed = warm_up(slots.usual_step([point.at for point in series]), settings)
        if len(series) < needed + 10:
            return Tested(name=name, points=len(series), needed=needed + 10)
        found = backtest(series, settings, trials=self.trials, seed=self.seed)
        return Tested(name=name, points=len(series), needed=needed, result=found)

    def plan(self, facts: BacktestFacts) -> Plan:
        """One step, which keeps the figures; none where no series is long enough."""
        done = [(one.name, one.result) for one in facts.tested if one.result is not None]
        short = "; ".join(
            f"{one.name}: {one.points} of {one.needed} points" for one in facts.tested if one.result is None
        )
        told = ". ".join(self._sentence(name, result) for name, result in done)
        series = [_row(name, result) for name, result in done]
        steps = (self._step(series),) if done else ()
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"{told}." if told else f"There is not enough history ({short}).",
            nothing_to_do="" if done else "A series that is shorter than what is learned before the first day is judged, and ten days more, tells nothing.",
            steps=steps,
            checks=tuple(step.probe for step in steps),
            figures={"series": series, "anomalies": [row for name, result in done for row in _anomalies(name, result)]}
            | ({"not_enough_history": short} if short else {}),
            findings=tuple(
                _noisy(name, result) for name, result in done if is_noisy(result, self.false_alarms_per_year)
            ),
        )  # fmt: skip

    def _step(self, series: list[dict[str, Any]]) -> Step:
        document = f"B-{fingerprint([self.inputs(), series])[:8]}"
        subject = f"{self.system}: {self.table or f'{self.contract} {self.rule}'}"
        kept = {"kind": KEPT_AS, "document": document}
        return Step(
            id=f"keep the backtest of {subject}",
            call=Call(
                system="quality", action="keep", arguments={**kept, "subject": subject, "told": {"series": series, "of": len(series)}}
            ),
            why="What a setting costs is compared with what it would have cost before: the figures are kept beside the verdicts.",
            effect=Effect.READ,
            probe=Claim(
                text=f"{len(series)} series were replayed", call=Call(system="quality", action="told", arguments={**kept, "figure": "of"}), expected=len(series)
            ),
            shown=("counts and shares; no value of a row",),
            no_undo="Nothing is changed; the figures stay, as history.",
        )  # fmt: skip

    def _sentence(self, name: str, result: Backtest) -> str:
        least, most = result.alarms_a_year_between
        seeded = (
            f"; of {result.recall.of} seeded anomalies {_percent(result.recall)} are noticed, of the alarms {_percent(result.precision)} are about one"
            if result.recall.of
            else ""
        )
        alarms = f"{result.alarms} alarm{'' if result.alarms == 1 else 's'} in {result.years:.2g} years as they are"
        return f"{name}: {alarms}, {result.alarms_a_year:.1f} a year ({least:.1f} to {most:.1f}, where {self.false_alarms_per_year:g} are accepted){seeded}"


def _nature(rule: Rule) -> Nature:
    """What kind of figure a rule has."""
    if rule.kind in ("learned", "volume"):
        return settings_of(rule).nature
    if rule.unit == "percent":
        return "percent"
    counts = rule.unit == "rows" or rule.kind in COUNTING_KINDS
    return "count" if counts else "lag" if rule.kind == "freshness" else "value"


def _percent(share: Share) -> str:
    return (
        "unknown"
        if share.share is None or share.low is None or share.high is None
        else f"{share.share:.0%} ({share.low:.0%} to {share.high:.0%})"
    )


def _row(name: str, result: Backtest) -> dict[str, Any]:
    least, most = result.alarms_a_year_between
    return {
        "metric": name,
        "points": result.points,
        "alarms": result.alarms,
        "alarms_a_year": round(result.alarms_a_year, 2),
        "at_least": round(least, 2),
        "at_most": round(most, 2),
        "precision": _rounded(result.precision),
        "recall": _rounded(result.recall),
        "seeded": result.recall.of,
    }


def _rounded(share: Share) -> float | None:
    return None if share.share is None else round(share.share, 3)


def _anomalies(name: str, result: Backtest) -> list[dict[str, Any]]:
    """Of each kind that was sown: how many were noticed, and after how many points."""
    return [
        {"metric": name, "anomaly": kind, "noticed": share.hits, "of": share.of, "delay_points": result.delay_points.get(kind)}
        for kind, share in result.by_kind.items()
    ]  # fmt: skip


def _noisy(name: str, result: Backtest) -> Finding:
    return Finding(
        rule="noisy-expectation",
        subject=name,
        what=f"It would have raised {result.alarms_a_year:.0f} alarms a year on the data as it is.",
        why="Who is called too often stops looking.",
        instead="Look at the days: quality.mark-expected tells those that were right; or accept fewer with false_alarms_per_year.",
        severity=Severity.WARNING,
        figures={"alarms": result.alarms, "years": result.years},
    )
