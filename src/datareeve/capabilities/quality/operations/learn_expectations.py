"""`quality.learn-expectations`: rules whose bounds are learned from a table's own past."""

from __future__ import annotations

import hashlib
import math
import re
from typing import Any, ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.quality import contract_files
from datareeve.capabilities.quality.contracts import storing
from datareeve.capabilities.quality.contracts.read import read
from datareeve.capabilities.quality.contracts.write import changed, entry_of
from datareeve.capabilities.quality.learned import baseline, reading
from datareeve.capabilities.quality.learned.backtesting import Backtest, backtest, is_noisy, warm_up
from datareeve.capabilities.quality.learned.points import Nature, Point, Settings
from datareeve.capabilities.quality.learned.series import SECONDS, Metric
from datareeve.capabilities.quality.rule import Bounds, Rule
from datareeve.core.errors import BadInput
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Severity, Step, Systems
from datareeve.core.value import Value


class Learned(Value):
    """A metric, with what its past would have been like under a rule that learns."""

    metric: Metric
    rule: Rule | None = None  # None: not enough history
    points: int = 0
    needed: int = 0
    past: Backtest | None = None
    noisy: bool = False


class LearnFacts(Value):
    """The contract's text, and what was learned of the table."""

    path: str
    text: str
    digest: str | None
    table: str  # the contract's own name of it
    learned: tuple[Learned, ...]
    settles_known: bool = False
    settles: int = 0


class LearnExpectations(Operation[LearnFacts]):
    """Learn what a table's metrics are expected to be, and write it into its contract as rules.

    Reads the table's own past by a time column, in one statement: rows, nulls of each column, and what else is asked for, by the day or hour. For each
    metric a rule of kind `learned` is written, with that past as its baseline, so that it judges from the first day on; each check adds a figure. A
    rule learns the hour, the day of the week, the turn of the month, trend and level by itself; its one setting is how many false alarms a year are
    accepted. Columns that never had a NULL get no rule unless they
    are asked for: not-null says more. A metric whose own past would have raised more than twelve alarms a year gets no rule, and is named. Of personal columns nothing but
    the share of nulls and the number of distinct values is measured. Undo restores the contract's file as it was.
    """

    name: ClassVar[str] = "quality.learn-expectations"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "learn what is normal for this table",
        "set up anomaly detection on row counts and nulls",
        "learn thresholds from history",
        "monitor volume and null rate with seasonality",
        "watch the table for unusual days",
        "add learned expectations to the contract",
    )

    contract: str = Field(min_length=1, description="the contract's name, where the rules are written to")
    table: str = Field(min_length=1, description="the table, by its name in the contract")
    system: str = Field(min_length=1, description="where its past is read")
    time: str = Field(min_length=1, description="its time column: when what a row tells of happened")
    loaded: str | None = Field(
        None,
        description="the column that says when a row was loaded: how long late rows come is learned from it",
    )
    metrics: tuple[str, ...] = Field(
        (),
        description="row-count, null-percent:COLUMN, distinct:COLUMN, mean:COLUMN, sum:COLUMN; default: rows, and nulls of every column that may have some",
    )
    every: Literal["hour", "day"] = Field("day", description="how long a bucket is")
    zone: str = Field("UTC", description="the time zone of hours and days: America/New_York")
    false_alarms_per_year: float = Field(
        2.0, gt=0, le=10_000, description="how many are accepted of each rule: the sensitivity"
    )
    severity: Literal["error", "warning"] = Field("warning", description="of an alarm")

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> LearnFacts:
        """The contract, the table's past, and how rules would have done on it."""
        path = contract_files.path_of(systems, self.contract)
        text, digest = (
            systems["files"].read("text", path=path) or "",
            systems["files"].read("digest", path=path),
        )
        found = next(
            (one for one in read(text, self.contract).tables if self.table in (one.name, one.physical_name)),
            None,
        )
        if found is None:
            raise BadInput(
                "contract.no-table",
                f"The contract {self.contract} has no table {self.table!r}.",
                "Give the name that stands in it.",
            )
        physical = found.physical_name
        seen = reading.read_table(
            systems, self.system, physical, self.time, reading.metrics_of(self.metrics), every=self.every, zone=self.zone, loaded=self.loaded
        )  # fmt: skip
        settles = math.ceil(seen.settles_seconds / SECONDS[self.every])
        personal = {*found.personal, *seen.personal}
        kept = [
            one
            for one in seen.seen
            if (one.metric.of not in reading.OF_VALUES or one.metric.column not in personal)
            and (self.metrics or one.metric.of == "row-count" or any(value for _, value in one.points))
        ]
        return LearnFacts(
            path=path,
            text=text,
            digest=digest,
            table=found.name,
            learned=tuple(self._learned(found.name, one, settles) for one in kept),
            settles_known=seen.settles_known,
            settles=settles,
        )

    def _learned(self, table: str, one: reading.Seen, settles: int) -> Learned:
        metric, series = one.metric, one.series
        settings = Settings(
            nature=_nature(metric, series), zone=self.zone, false_alarms_per_year=self.false_alarms_per_year
        )
        needed = warm_up(SECONDS[self.every], settings)
        there = sum(point.value is not None for point in series)
        if there < needed:
            return Learned(metric=metric, points=there, needed=needed)
        found = backtest(series, settings, trials=0)
        arguments = {
            "metric": metric.of, "nature": settings.nature, "time": self.time, "per": self.every, "zone": self.zone, "settles": settles,
            "false_alarms_per_year": self.false_alarms_per_year, "baseline": baseline.told(series, self.every, self.zone),
        }  # fmt: skip
        rule = Rule(
            id=re.sub(
                r"[^A-Za-z0-9_-]+", "_", "-".join(filter(None, (table, metric.column, "learned", metric.of)))
            ),
            kind="learned",
            table=table,
            columns=(metric.column,) if metric.column else (),
            arguments=arguments,
            bounds=Bounds(),
            unit="percent" if metric.of == "null-percent" else "value",
            severity=self.severity,
            text=f"{metric.words} of the last {self.every} that is whole, beside what its past lets one expect",
        )
        return Learned(
            metric=metric,
            rule=rule,
            points=there,
            needed=needed,
            past=found,
            noisy=is_noisy(found, self.false_alarms_per_year),
        )

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: LearnFacts) -> Plan:
        """One step: the contract's file with the rules in it."""
        good = [one for one in facts.learned if one.rule is not None and not one.noisy]
        text = self._written(facts, good)
        figures = {"learned": [_row(one) for one in good]}
        base: dict[str, Any] = {
            "operation": self.name, "inputs": self.inputs(), "findings": (*self._findings(facts),),
            "figures": {**figures, "rules": len(good), "late_buckets": facts.settles},
        }  # fmt: skip
        if not good:
            return Plan(
                summary=f"Nothing was learned of {facts.table}.",
                nothing_to_do="The findings say why of each metric.",
                **base,
            )
        if text == facts.text:
            return Plan(
                summary=f"What is expected of {facts.table} is known.",
                nothing_to_do="The contract has these very rules.",
                **base,
            )
        summary = f"Write {len(good)} learned rules of {facts.table} into {facts.path}."
        step = self._step(facts, text)
        unchanged = storing.unchanged(facts.path, facts.digest)
        return Plan(summary=summary, steps=(step,), checks=(step.probe,), requirements=(unchanged,), **base)

    def _written(self, facts: LearnFacts, good: list[Learned]) -> str:
        """The contract's text with the rules, each where it belongs; one of the same id gives way."""
        rules = [one.rule for one in good if one.rule is not None]

        def change(data: dict[str, Any]) -> None:
            table = next(one for one in data["schema"] if one.get("name") == facts.table)
            for rule in rules:
                _put(table, rule)

        return changed(facts.text, change)

    def _step(self, facts: LearnFacts, text: str) -> Step:
        there = Call(system="files", action="digest", arguments={"path": facts.path})
        return Step(
            id=f"write {facts.path}",
            call=Call(system="files", action="write", arguments={"path": facts.path, "text": text}),
            why="What is expected stands in the contract, where it is read, reviewed and changed like any other rule.",
            effect=Effect.REVERSIBLE,
            probe=Claim(
                text=f"{facts.path} holds the learned rules",
                call=there,
                expected=hashlib.sha256(text.encode()).hexdigest(),
            ),
            undo=(
                Call(
                    system="files", action="restore", arguments={"path": facts.path, "digest": facts.digest}
                ),
            ),
            touches=(f"files:{facts.path}",),
            paths=(facts.path,),
        )

    def _findings(self, facts: LearnFacts) -> list[Finding]:
        found = []
        for one in facts.learned:
            subject = f"{facts.table}: {one.metric.words}"
            if one.rule is None:
                found.append(Finding(rule="not-enough-history", subject=subject, severity=Severity.INFO,
                                     what=f"There is not enough history ({one.points} of {one.needed} {self.every}s).", instead="Learn again later."))  # fmt: skip
            elif one.noisy and one.past is not None:
                found.append(Finding(rule="noisy-expectation", subject=subject,
                                     what=f"Its own past would have raised {one.past.alarms_a_year:.0f} alarms a year; no rule is written.",
                                     why="Who is called too often stops looking.",
                                     instead="Give it a fixed bound, or accept fewer false alarms."))  # fmt: skip
        return found


def _row(one: Learned) -> dict[str, Any]:
    """How it would have done on its own past; of a short one that says little, and between what the true number lies says how little."""
    told: dict[str, Any] = {"metric": one.metric.words, "points": one.points}
    if one.past is None or not one.past.tested:
        return told
    least, most = one.past.alarms_a_year_between
    a_year = {"alarms_a_year": one.past.alarms_a_year, "at_least": least, "at_most": most}
    return {**told, "alarms": one.past.alarms, **{name: round(value, 2) for name, value in a_year.items()}}


def _nature(metric: Metric, series: tuple[Point, ...]) -> Nature:
    if metric.of == "sum" and all((point.value or 0.0) >= 0 for point in series):
        return "amount"
    return metric.nature


def _put(table: dict[str, Any], rule: Rule) -> None:
    """At the property that it is about; at the table, where the contract does not list it."""
    entry, column = entry_of(rule), rule.columns[0] if rule.columns else ""
    listed = [
        one
        for one in table.get("properties") or ()
        if column and column in (one.get("physicalName"), one.get("name"))
    ]
    if column and not listed:
        entry["implementation"]["columns"] = [column]
    entries = (listed[0] if listed else table).setdefault("quality", [])
    place = next((n for n, one in enumerate(entries) if one.get("id") == rule.id), len(entries))
    entries[place : place + 1] = [entry]
