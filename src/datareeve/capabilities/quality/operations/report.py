"""`quality.report`: how the data stands, as figures, as a page and as Markdown."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.quality import report, report_facts
from datareeve.capabilities.quality.counting import counted
from datareeve.capabilities.quality.report_facts import ReportFacts
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Severity, Step, Systems


class Report(Operation[ReportFacts]):
    """Report how the data stands: pass rate against the target, trend, what is broken, freshness, coverage.

    Of one contract or of all: the newest verdict of every rule, the pass rate of the period against the estate's target (99 %), incidents with since when and
    what they touch, a freshness board, tables under no contract, and columns that no rule names. With `html` or `markdown` the same is written
    as one page that needs no network, or as text; those files are the only effect, and undo takes them back. Looks at no row of any table.
    """

    name: ClassVar[str] = "quality.report"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "report on data quality",
        "show the data quality metrics",
        "which data quality rules are failing",
        "how fresh are the tables",
        "validation pass rate this month",
        "which tables have no data contract",
        "write a data quality page",
    )
    sampled_as: ClassVar[str] = "quality"

    contract: str | None = Field(None, description="only this contract; default: all")
    days: float = Field(30.0, gt=0, le=400, description="the period that the pass rate and the trend are of")
    html: str | None = Field(
        None, description="write a page too, to this file below the project, as data/quality.html"
    )
    markdown: str | None = Field(None, description="write it as Markdown too, as data/quality.md")
    coverage: bool = Field(
        default=True, description="look at the catalogs for tables and columns that nothing is asked of"
    )

    def observe(self, systems: Systems) -> ReportFacts:
        """What the quality store, the contracts and the catalogs tell."""
        facts = report_facts.gather(systems, self.contract, self.days, catalogs=self.coverage)
        digests = {
            path: systems["files"].read("digest", path=path) for path in (self.html, self.markdown) if path
        }
        return facts.model_copy(update={"digests": digests})

    def plan(self, facts: ReportFacts) -> Plan:
        """Figures and findings; a step for each file that is asked for."""
        steps = tuple(
            self._step(path, report.render(facts, kind), facts)
            for path, kind in ((self.html, "html"), (self.markdown, "md"))
            if path
        )
        figures = report.figures(facts)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=_summary(facts, figures),
            nothing_to_do="" if steps else "Looking changes nothing.",
            steps=steps,
            checks=tuple(step.probe for step in steps),
            findings=_findings(facts),
            figures=figures,
        )

    def _step(self, path: str, text: str, facts: ReportFacts) -> Step:
        digest = hashlib.sha256(text.encode()).hexdigest()
        return Step(
            id=f"write {path}",
            call=Call(system="files", action="write", arguments={"path": path, "text": text}),
            why="How the data stands can be kept open, and passed on.",
            effect=Effect.REVERSIBLE,
            probe=Claim(
                text=f"{path} is this report",
                call=Call(system="files", action="digest", arguments={"path": path}),
                expected=digest,
            ),
            undo=(
                Call(
                    system="files",
                    action="restore",
                    arguments={"path": path, "digest": facts.digests.get(path)},
                ),
            ),
            touches=(f"files:{path}",),
            paths=(path,),
        )


def _summary(facts: ReportFacts, figures: dict[str, Any]) -> str:
    if "pass_percent" not in figures:
        return (
            "No contract was checked in this period." if figures["contracts"] else "There is no contract yet."
        )
    verdicts, open_ = counted(figures["verdicts"], "verdict"), figures["incidents_open"]
    now = (
        f"{counted(figures['rules_failed'], 'rule')} {'fails' if figures['rules_failed'] == 1 else 'fail'}",
        f"{figures['rules_not_run']:,} {'is' if figures['rules_not_run'] == 1 else 'are'} not run",
        f"{counted(open_, 'incident')} {'is' if open_ == 1 else 'are'} open",
    )
    return (
        f"The pass rate is {report.percent(figures['pass_percent_period'])} of {verdicts} in {facts.days:g} days: the target, more than {facts.target:g} %, is"
        f" {'met' if figures['pass_target_met'] else 'missed'}. Now {', '.join(now)}."
    )


def _findings(facts: ReportFacts) -> tuple[Finding, ...]:
    found = [_broken(line) for line in report_facts.broken(facts.lines)[: report.WORST_SHOWN]]
    found += [_damaged(name, why) for name, why in facts.damaged.items()]
    found += [_never_run(name) for name in facts.never_run]
    found += [_uncovered(one) for one in facts.coverage if one.without_contract or one.down]
    return tuple(found)


def _broken(line: report_facts.Line) -> Finding:
    severity = Severity.CRITICAL if line.verdict.says == "fail" else Severity.WARNING
    return Finding(rule=f"rule-{line.verdict.says.value.replace(' ', '-')}", subject=f"{line.system}: {line.words}", what=report.sentence(line), severity=severity,
                   why=f"{line.owner} answers for it." if line.owner else "", figures={"rule": line.rule, "contract": line.contract})  # fmt: skip


def _damaged(name: str, why: str) -> Finding:
    return Finding(
        rule="contract-damaged",
        subject=name,
        what=f"The contract cannot be read: {why}",
        instead="Correct it: its rules are not run.",
        severity=Severity.CRITICAL,
    )


def _never_run(name: str) -> Finding:
    return Finding(rule="contract-never-run", subject=name, what="No run of this contract is known in this period.",
                   instead=f"`datareeve run quality.check-contract --contract {name}`; `quality.watch-contracts` does it by itself.")  # fmt: skip


def _uncovered(one: report_facts.Coverage) -> Finding:
    if one.down:
        return Finding(
            rule="coverage-unknown",
            subject=one.system,
            what=f"Its tables could not be listed: {one.down.rstrip('.')}.",
        )
    few = len(one.without_contract)
    many = f"{few} of {counted(one.tables, 'table')} {'is' if few == 1 else 'are'} under no contract"
    shown = ", ".join(one.without_contract[:5]) + (" …" if len(one.without_contract) > 5 else "")  # noqa: PLR2004 - a line's worth
    return Finding(rule="no-contract", subject=one.system, what=f"{many}: {shown}.", severity=Severity.INFO,
                   instead=f"`datareeve run quality.propose-contract --system {one.system}` drafts one from what is there.")  # fmt: skip
