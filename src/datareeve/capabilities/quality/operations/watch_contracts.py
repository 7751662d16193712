"""`quality.watch-contracts`: schedules that check contracts by themselves, and alert rules for what they find."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.quality import contract_files
from datareeve.capabilities.quality.operations.check_contract import CheckContract
from datareeve.capabilities.quality.operations.report import Report
from datareeve.core.errors import BadInput
from datareeve.core.estate import AlertRule
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Severity, Step, Systems
from datareeve.core.value import Value
from datareeve.systems.notify import Told  # noqa: TC001 - the type of a field, which pydantic reads

SUBJECT = Report.sampled_as
SAMPLES = "watch-quality"
EVERY_FIVE_MINUTES = "*/5 * * * *"
SILENT_SECONDS = 1800.0


class WatchContractsFacts(Value):
    """The contracts, the target, and what stands in the estate already."""

    contracts: tuple[str, ...]
    target: float
    alerts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    schedules: dict[str, Any] = Field(default_factory=dict)


def proposals(target: float) -> dict[str, dict[str, Any]]:
    """The alert rules by key, without name and system."""
    return {
        "no-data": {"sample": "contracts", "silent_seconds": SILENT_SECONDS, "severity": Severity.CRITICAL,
                    "advice": "Nobody looks at the data: see whether `datareeve serve` runs, and what its log says."},
        "incidents": {"sample": "incidents_open", "above": 0, "for_samples": 1, "tells": ("rules_failed",),
                      "advice": "`datareeve run quality.report` names each, since when, what it touches and what likely did it."},
        "rules-fail": {"sample": "rules_failed", "above": 0, "for_samples": 1, "severity": Severity.CRITICAL, "tells": ("incidents_open",),
                       "advice": "`datareeve run quality.report` names the rules, and the checks the rows by their keys."},
        "rules-not-run": {"sample": "rules_not_run", "above": 0, "for_samples": 1,
                          "advice": "What is not run is not known: `datareeve run quality.report` says why."},
        "pass-rate": {"sample": "pass_percent_period", "below": target, "for_samples": 3,
                      "advice": "The service level of validation is missed: the worst offenders stand in `datareeve run quality.report`."},
    }  # fmt: skip


class WatchContracts(Operation[WatchContractsFacts]):
    """Check data contracts by themselves, and tell when data breaks.

    Puts a schedule for each contract into estate.yaml (hourly, unless `cron` says otherwise), one that samples how the data stands every five minutes, and alert
    rules: an incident, rules that fail, rules that could not be run, a pass rate below the target, nobody looking. They run while `datareeve serve` does. What
    its owner has set already stays as it is. Undo takes out what was put in.
    """

    name: ClassVar[str] = "quality.watch-contracts"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "monitor data freshness",
        "run the data quality checks every hour",
        "alert me when data quality drops",
        "schedule the data contracts",
        "monitor data quality continuously",
        "tell the team when a table is stale or broken",
    )

    contracts: tuple[str, ...] = Field((), description="which; default: all of the project")
    cron: str = Field("17 * * * *", description="when they are checked, five fields in UTC")
    notify: Told = ()

    def observe(self, systems: Systems) -> WatchContractsFacts:
        """The contracts by name, and the estate as it stands. Errors: `BadInput` `contract.unknown`."""
        names = self.contracts or tuple(contract_files.paths(systems))
        for name in names:
            contract_files.load(systems, name)  # a schedule of a damaged contract would only fail
        estate = systems["estate"]
        alerts = estate.read("get", where=["alerts"]) or []
        return WatchContractsFacts(
            contracts=names,
            target=systems["quality"].read("settings")["pass_percent"],
            alerts={one["name"]: one for one in alerts},
            schedules=estate.read("get", where=["schedules"]) or {},
        )

    def plan(self, facts: WatchContractsFacts) -> Plan:
        """A step for each schedule and rule that is missing or different."""
        if not facts.contracts:
            raise BadInput(
                "contract.none",
                "There is no contract to watch.",
                "`datareeve run quality.propose-contract` drafts one.",
            )
        wanted = [*self._schedules(facts), *self._alerts(facts)]
        steps = tuple(step for step, there in wanted if not there)
        told = any(
            one.get("notify") for name, one in facts.alerts.items() if name.startswith(f"{SUBJECT}-")
        ) or bool(self.notify)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Check {', '.join(facts.contracts)} by schedule ({self.cron}), with {len(proposals(facts.target))} alert rules."
            if steps
            else "The contracts are watched.",
            nothing_to_do="" if steps else "Their schedules and alert rules are there.",
            steps=steps,
            checks=tuple(step.probe for step, _ in wanted),
            findings=() if told else (_nobody_is_told(),),
        )

    def _schedules(self, facts: WatchContractsFacts) -> list[tuple[Step, bool]]:
        looks = {
            SAMPLES: {"operation": Report.name, "inputs": {"coverage": False}, "cron": EVERY_FIVE_MINUTES}
        }
        looks |= {
            f"check-{name}": {
                "operation": CheckContract.name,
                "inputs": {"contract": name},
                "cron": self.cron,
            }
            for name in facts.contracts
        }
        why = "What is checked by hand is checked when somebody thinks of it."
        return [
            _put(["schedules", name], facts.schedules.get(name) or value, facts.schedules.get(name), why)
            for name, value in looks.items()
        ]

    def _alerts(self, facts: WatchContractsFacts) -> list[tuple[Step, bool]]:
        return [
            self._alert(f"{SUBJECT}-{key}", fields, facts.alerts.get(f"{SUBJECT}-{key}"))
            for key, fields in proposals(facts.target).items()
        ]

    def _alert(self, name: str, fields: dict[str, Any], standing: dict[str, Any] | None) -> tuple[Step, bool]:
        given = {"notify": self.notify} if self.notify else {}
        rule = AlertRule(**{**(standing or {"name": name, "system": SUBJECT, **fields}), **given})
        same = (
            standing is not None and AlertRule(**standing) == rule
        )  # compared as rules: an owner may have written defaults out
        value = standing if same else rule.model_dump(mode="json", exclude_defaults=True)
        return _put(["alerts", name], value, standing, rule.advice)


def _put(where: list[str], value: Any, standing: Any, why: str) -> tuple[Step, bool]:
    """The step that puts a value into the estate, and whether it stands there already."""

    def call(content: Any) -> Call:
        return Call(system="estate", action="put", arguments={"where": where, "value": content})

    step = Step(
        id=" ".join(where),
        call=call(value),
        why=why,
        effect=Effect.REVERSIBLE,
        probe=Claim(
            text=f"{where[1]} stands under {where[0]} in estate.yaml",
            call=Call(system="estate", action="get", arguments={"where": where}),
            expected=value,
        ),
        undo=(call(standing),),
        touches=(f"estate:{'.'.join(where)}",),
        paths=("estate.yaml",),
    )
    return step, value == standing


def _nobody_is_told() -> Finding:
    return Finding(
        rule="nobody-is-told",
        subject=SUBJECT,
        what="No alert names anyone to tell: events are written into the ledger only.",
        instead="Give `notify`: file:data/alerts.jsonl, exec:/path/program or webhook:env:NAME.",
        severity=Severity.INFO,
    )
