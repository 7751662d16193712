"""`compliance.check-rules`: the rules of the laws that the estate is held to, each with what was found."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.quality.compliance import facts as looking
from datareeve.capabilities.quality.compliance.checks import CHECKS, Result
from datareeve.capabilities.quality.compliance.facts import ComplianceFacts
from datareeve.capabilities.quality.compliance.keeping import SUBJECT, keeping, none_of
from datareeve.capabilities.quality.compliance.packs import Pack, PackRule, pack
from datareeve.core.estate import AlertRule
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Severity, Step, Systems
from datareeve.systems.notify import Told  # noqa: TC001 - the type of a field, which pydantic reads

SCHEDULE = "watch-compliance"
DAILY = "17 5 * * *"
SHOWN = 20  # datasets or systems that one finding names
ALERTS: dict[str, dict[str, Any]] = {
    "violation": {"sample": "compliance_critical", "above": 0, "for_samples": 1, "severity": Severity.CRITICAL, "escalates_as": "compliance-violation", "tells": ("compliance_violations",),
                  "advice": "`datareeve run compliance.check-rules` names the article, the dataset and what mends it."},
    "no-data": {"sample": "compliance_violations", "silent_seconds": 2 * 86_400, "severity": Severity.WARNING,
                "advice": "Nobody checks: look whether `datareeve serve` runs."},
}  # fmt: skip


class CheckCompliance(Operation[ComplianceFacts]):
    """Check the estate against GDPR, CCPA, PCI DSS or HIPAA.

    Runs the rules of the packs that estate.yaml names (`packs`): each names its article, looks at the declared data, the catalogs, the rights,
    the servers' settings, backups and drills, and passes, fails, is not applicable or was not run, with the reason. The run fails where a
    critical rule is violated. Changes nothing but that its figures are kept; of a column of card numbers some thousand values are tried inside
    the database's adapter, and only counted. With `watch` it is scheduled daily, and a critical violation escalates to whom `notify` names;
    undo takes that out. It is no legal advice.
    """

    name: ClassVar[str] = "compliance.check-rules"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "are we GDPR compliant",
        "run the compliance checks",
        "check PCI DSS requirements for card data",
        "HIPAA safeguards check of the patient tables",
        "which rules of the CCPA do we break",
        "tell me about compliance violations",
        "compliance report with articles",
    )
    sampled_as: ClassVar[str] = SUBJECT

    packs: tuple[Literal["gdpr", "ccpa", "pci", "hipaa"], ...] = Field((), description="which rules; default: the estate's packs")  # fmt: skip
    values: bool = Field(default=True, description="try values of card-number columns, inside the database's adapter")  # fmt: skip
    watch: bool = Field(default=False, description="check daily while `datareeve serve` runs, and escalate critical violations")  # fmt: skip
    notify: Told = ()

    def observe(self, systems: Systems) -> ComplianceFacts:
        """Everything that the rules look at, once."""
        return looking.look(systems, numbers=self.values)

    def plan(self, facts: ComplianceFacts) -> Plan:
        """A finding for each rule that fails or was not run, and figures of all."""
        packs = [pack(name) for name in self.packs or facts.declared.packs]
        found = [
            (one, rule, CHECKS[rule.check](facts, **rule.arguments)) for one in packs for rule in one.rules
        ]
        figures = self._figures(found)
        looked = (keeping("findings", self.name, self.inputs(), "compliance_critical"),) if packs else ()
        steps = self._steps(facts) if self.watch else looked
        claims = tuple(step.probe for step in steps) if self.watch else _claims(found)
        summary = f"{figures['compliance_passed']} of {len(found)} rules pass, {figures['compliance_violations']} fail, {figures['compliance_not_run']} were not run, {figures['compliance_not_applicable']} do not apply."
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary
            if packs
            else "No pack is named: give packs in estate.yaml (gdpr, ccpa, pci, hipaa).",
            nothing_to_do="" if steps else "It is watched." if self.watch else "There is no rule to look at.",
            steps=steps,
            checks=claims,
            findings=tuple(finding for one in found if (finding := _finding(*one)) is not None),
            figures=figures,
        )

    @staticmethod
    def _figures(found: list[tuple[Pack, PackRule, Result]]) -> dict[str, Any]:
        says = Counter(result.says for _, _, result in found)
        critical = sum(
            result.says == "fail" and rule.severity is Severity.CRITICAL for _, rule, result in found
        )
        run = says["pass"] + says["fail"]
        return {
            "compliance_rules": len(found),
            "compliance_passed": says["pass"],
            "compliance_violations": says["fail"],
            "compliance_critical": critical,
            "compliance_not_run": says["not run"],
            "compliance_not_applicable": says["not applicable"],
            **({"compliance_pass_percent": round(100 * says["pass"] / run, 1)} if run else {}),
            "rules": {f"{one.name}/{rule.id}": {"article": rule.article, "says": result.says} for one, rule, result in found},
        }  # fmt: skip

    # -- watching -------------------------------------------------------------------------------------------------------------------

    def _steps(self, facts: ComplianceFacts) -> tuple[Step, ...]:
        made = [
            self._alert(key, fields, facts.alerts.get(f"{SUBJECT}-{key}")) for key, fields in ALERTS.items()
        ]
        schedule = {
            "operation": self.name,
            "inputs": {"packs": list(self.packs)} if self.packs else {},
            "cron": DAILY,
        }
        if facts.schedule is None:
            made.append(_put("schedule", ["schedules", SCHEDULE], schedule, None, "Violations are found on the day that they come."))  # fmt: skip
        return tuple(step for step in made if step is not None)

    def _alert(self, key: str, fields: dict[str, Any], standing: dict[str, Any] | None) -> Step | None:
        rule = AlertRule(**{**(standing or {"name": f"{SUBJECT}-{key}", "system": SUBJECT, **fields}), **({"notify": self.notify} if self.notify else {})})  # fmt: skip
        if standing is not None and AlertRule(**standing) == rule:
            return None
        value = rule.model_dump(mode="json", exclude_defaults=True)
        return _put(f"alert {key}", ["alerts", rule.name], value, standing, rule.advice)


def _put(step: str, where: list[str], value: Any, standing: Any, why: str) -> Step:
    def call(content: Any) -> Call:
        return Call(system="estate", action="put", arguments={"where": where, "value": content})

    return Step(
        id=step,
        call=call(value),
        why=why,
        effect=Effect.REVERSIBLE,
        probe=Claim(text=f"{where[1]} stands under {where[0]} in estate.yaml", call=Call(system="estate", action="get", arguments={"where": where}), expected=value),
        undo=(call(standing),),
        touches=(f"estate:{'.'.join(where)}",),
        paths=("estate.yaml",),
    )  # fmt: skip


def _claims(found: list[tuple[Pack, PackRule, Result]]) -> tuple[Claim, ...]:
    if not found:
        return ()
    names = ", ".join(dict.fromkeys(one.name for one, _, _ in found))
    return (none_of("compliance_critical", f"the critical rules of {names} hold", "The findings name the article, the dataset and what mends it."),)  # fmt: skip


def _told(told: dict[str, str]) -> tuple[str, str]:
    """What fails, each reason once with the datasets that have it; and that there is more."""
    by_reason: dict[str, list[str]] = {}
    for name, why in list(told.items())[:SHOWN]:
        by_reason.setdefault(why, []).append(name)
    names = "; ".join(f"{', '.join(some)}: {why}" for why, some in by_reason.items())
    return names, f"; and {len(told) - SHOWN} more" if len(told) > SHOWN else ""


def _finding(one: Pack, rule: PackRule, result: Result) -> Finding | None:
    """What fails, and what was not looked at; nothing for what passes or does not apply."""
    if result.says in ("pass", "not applicable"):
        return None
    failing = result.says == "fail"
    told = result.failing if failing else result.not_run
    names, more = _told(told)
    unseen = f" Not looked at: {', '.join(result.not_run)}." if failing and result.not_run else ""
    return Finding(
        rule=f"{one.name}-{rule.id}",
        subject=f"{one.title}, {rule.article}",
        what=f"{'Violated' if failing else 'Not run'}: {rule.title}. {names}{more}.{unseen}",
        why=rule.article,
        instead=rule.remedy,
        severity=rule.severity if failing else Severity.INFO,
        figures={"says": result.says, "failing": len(result.failing), "passed": len(result.passed), "not_run": len(result.not_run)},
    )  # fmt: skip
