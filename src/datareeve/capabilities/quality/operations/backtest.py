"""`quality.backtest`: what watching a series would have been like."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.quality import contract_files
from datareeve.capabilities.quality.learned import reading, slots
from datareeve.capabilities.quality.learned.backtesting import Backtest, Share, backtest, warm_up
from datareeve.capabilities.quality.learned.expecting import settings_of
from datareeve.capabilities.quality.learned.points import Nature, Point, Settings, points
from datareeve.capabilities.quality.rule import COUNTING_KINDS, Rule
from datareeve.core.errors import BadInput
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

MANY_A_YEAR = 12.0  # false alarms: once a month


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
    history of a rule from the quality store. Changes nothing.
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
        """Figures and findings; nothing is done."""
        done = [(one.name, one.result) for one in facts.tested if one.result is not None]
        short = [
            f"{one.name}: {one.points} points, {one.needed} are needed"
            for one in facts.tested
            if one.result is None
        ]
        told = "; ".join(_sentence(name, result) for name, result in done)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=told or f"There is not enough history: {'; '.join(short)}.",
            nothing_to_do="Looking back changes nothing.",
            figures={name: _figures(result) for name, result in done}
            | ({"not_enough_history": "; ".join(short)} if short else {}),
            findings=tuple(
                _noisy(name, result) for name, result in done if result.alarms_a_year > MANY_A_YEAR
            ),
        )


def _nature(rule: Rule) -> Nature:
    """What kind of figure a rule has."""
    if rule.kind in ("learned", "volume"):
        return settings_of(rule).nature
    if rule.unit == "percent":
        return "percent"
    counts = rule.unit == "rows" or rule.kind in COUNTING_KINDS
    return "count" if counts else "lag" if rule.kind == "freshness" else "value"


def _sentence(name: str, result: Backtest) -> str:
    seeded = (
        f", precision {_said(result.precision)}, recall {_said(result.recall)} on {result.recall.of} seeded anomalies"
        if result.recall.of
        else ""
    )
    return f"{name}: {result.alarms_a_year:.1f} alarms a year on {result.tested} points as they are{seeded}"


def _said(share: Share) -> str:
    return "unknown" if share.share is None else f"{share.share:.2f} ({share.low:.2f} to {share.high:.2f})"


def _figures(result: Backtest) -> dict[str, Any]:
    return {
        "points": result.points,
        "alarms_a_year": round(result.alarms_a_year, 2),
        "precision": result.precision.share,
        "recall": result.recall.share,
        "noticed": {kind: f"{share.hits} of {share.of}" for kind, share in result.by_kind.items()},
        "delay_points": result.delay_points,
    }


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
