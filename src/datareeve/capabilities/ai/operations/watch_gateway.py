"""`ai.watch-gateway`: alert rules for the gateway, its providers and what they cost, and the schedule that feeds them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai import budget_alerts
from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.declared import Change, declared
from datareeve.capabilities.ai.gateway_findings import LOG
from datareeve.capabilities.ai.operations.check_gateway import (
    ERROR_PERCENT,
    EXPIRY_DAYS,
    SPENT_PERCENT,
    CheckGateway,
)
from datareeve.capabilities.ai.operations.providers_status import ProvidersStatus
from datareeve.capabilities.ai.operations.set_up_gateway import SetUpGateway
from datareeve.capabilities.ai.setting import SettingFacts, may_plan, upon_set_up
from datareeve.core.errors import BadInput
from datareeve.core.estate import AlertRule, Targets
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Severity, Step, Systems
from datareeve.core.value import Value
from datareeve.systems.notify import Told  # noqa: TC001 - the type of a field, which pydantic reads

if TYPE_CHECKING:
    from collections.abc import Mapping

EVERY_MINUTE = "* * * * *"
EVERY_TEN_MINUTES = "*/10 * * * *"  # for what is looked at over 30 days
MODEL_DAYS = 30.0
SILENT_SECONDS = 600.0  # ten looks that did not come
SUBJECT = CheckGateway.sampled_as
SCHEDULE = "watch-gateway"
PROVIDERS = "watch-providers"
LOOKS = {  # by schedule: what looks, when, and why
    SCHEDULE: (CheckGateway.name, EVERY_MINUTE, "The alerts are judged on samples that check-gateway takes every minute."),
    PROVIDERS: (ProvidersStatus.name, EVERY_TEN_MINUTES, "The share of requests that were answered, and models that end, are looked at every ten minutes."),
}  # fmt: skip


class WatchGatewayFacts(Value):
    """What the rules rest on, and what stands in the estate already."""

    setting: SettingFacts
    targets: Targets
    alerts: dict[str, dict[str, Any]] = Field(default_factory=dict)
    schedules: dict[str, dict[str, Any]] = Field(default_factory=dict)  # ours, as they stand
    sampled: bool = False


def proposals(targets: Targets) -> dict[str, dict[str, Any]]:
    """The rules by key, without name and system."""
    outage = {"severity": Severity.CRITICAL, "escalates_as": "ai-outage"}
    return {
        "no-data": {"sample": "up", "silent_seconds": SILENT_SECONDS, "severity": Severity.CRITICAL,
                    "advice": "Nobody is watching: look whether `datareeve serve` runs, and what its log says."},
        "down": {"sample": "up", "below": 1, **outage, "advice": f"`{command('ai.set-up-gateway')}` starts it. Its log is {LOG}."},
        "outage": {"sample": "error_percent", "above": 50, "clear": ERROR_PERCENT, **outage, "tells": ("requests_per_minute",),
                   "advice": f"Look at the provider's status page; `{command('ai.set-fallback')}` gives routes a second provider."},
        "errors": {"sample": "error_percent", "above": ERROR_PERCENT, "clear": 1, "for_samples": 3, "tells": ("requests_per_minute",),
                   "advice": f"`{command('ai.providers-status')}` shows what fails; `{command('ai.check-keys')}` whether keys are taken."},
        "behind": {"sample": "gateways_behind", "above": 0, "for_samples": 3,
                   "advice": "A gateway does not take the estate as it stands: its log says why."},
        "budget": {"sample": "budget_unwatched_percent_most", "above": SPENT_PERCENT, "for_samples": 1, "tells": ("usd_month",),
                   "advice": f"`{command('ai.check-gateway')}` names the budget and how fast it is spent."},
        "budget-spent": {"sample": "budget_unwatched_percent_most", "above": 99.9, "for_samples": 1, "severity": Severity.CRITICAL, "tells": ("usd_month",),
                         "advice": f"Requests under a hard budget are refused now; `{command('ai.check-gateway')}` names it, and the command that raises it."},
        "budget-forecast": {"sample": "budget_forecast_percent_most", "above": 100, "clear": 95, "for_samples": 60,
                            "advice": "At this pace the budget ends before its time: look who spends it."},
        "cost-growth": {"sample": "usd_growth_percent", "above": targets.ai_cost_growth_percent, "for_samples": 60,
                        "advice": "This month costs more than the target allows beside the last."},
        "no-price": {"sample": "unpriced", "above": 0, "for_samples": 5,
                     "advice": "A model without a price counts for nothing in budgets: give it under gateway.prices."},
        "uptime": {"sample": "api_uptime_percent", "below": targets.api_uptime_percent, "for_samples": 3,
                   "advice": f"Fewer requests were answered than the target asks for: `{command('ai.providers-status')}` says by whom."},
        "model-ends": {"sample": "model_days_left", "below": MODEL_DAYS, "for_samples": 1,
                       "advice": f"A model in use ends: `{command('ai.plan-model-migration')}` puts its replacement into the routes."},
        "key-expiry": {"sample": "key_days_left", "below": EXPIRY_DAYS, "for_samples": 1,
                       "advice": f"`{command('ai.check-keys')}` names it, and the command that puts another in its place."},
        "provider-down": {"sample": "providers_down", "above": 0, "for_samples": 3, "severity": Severity.CRITICAL, "tells": ("providers_not_well", "saved_by_fallback"),
                          "advice": f"`{command('ai.check-gateway')}` names it, why, since when, and what answers in its place; `{command('ai.check-keys')}` tries its keys."},
        "provider-not-well": {"sample": "providers_not_well", "above": 0, "for_samples": 10, "tells": ("providers_down", "saved_by_fallback"),
                              "advice": f"Attempts fail, or some of a provider's models or keys are left alone: `{command('ai.check-gateway')}` says which and why."},
    }  # fmt: skip


class WatchGateway(Operation[WatchGatewayFacts]):
    """Watch the AI gateway: usage, billing, outages.

    Writes alert rules into estate.yaml (outage, errors, a provider that is down or not well also where a fallback answers in its place, fewer
    requests answered than the target asks for, budgets used up or about to be, costs that grow beyond the target, a key or a model that ends,
    a model without a price) and two schedules: the gateway is checked every minute, its providers every ten, while `datareeve serve` runs;
    records the first sample. An alert that stands there already is left as its owner set it, unless `thresholds` names it. Undo takes it out again.
    """

    name: ClassVar[str] = "ai.watch-gateway"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "monitor API usage and costs",
        "tell me about AI outages and failing providers",
        "tell me when AI spending grows too fast",
        "watch the AI gateway",
        "usage analytics and cost warnings for AI APIs",
        "warn before an API key expires",
    )

    notify: Told = ()
    thresholds: dict[str, float] = Field(
        default_factory=dict, description="levels other than the proposed, by alert: {'budget': 60}"
    )

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> WatchGatewayFacts:
        """Targets, and what is in the estate already."""
        estate, stands = systems["estate"], declared(systems)
        first = None if stands.is_set_up else SetUpGateway().observe(systems)
        return WatchGatewayFacts(
            setting=SettingFacts(declared=stands, set_up=first),
            targets=Targets(**(estate.read("get", where=["targets"]) or {})),
            alerts={entry["name"]: entry for entry in estate.read("get", where=["alerts"]) or []},
            schedules={
                name: found for name in LOOKS if (found := estate.read("get", where=["schedules", name]))
            },
            sampled=systems["ledger"].read("sampled", system=SUBJECT, name="up"),
        )

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: WatchGatewayFacts) -> Plan:
        """A step for each rule that is missing or different, one for each schedule, one for the first sample."""
        return upon_set_up(self, facts.setting, self._own(facts) if may_plan(facts.setting) else None)

    def _own(self, facts: WatchGatewayFacts) -> Plan:
        rules = self.rules(facts)
        if unknown := self.thresholds.keys() - rules.keys():
            raise BadInput(
                "watch.threshold",
                f"There is no alert {min(unknown)!r} for the gateway.",
                f"There are {', '.join(rules)}.",
            )
        changes = [
            *(self._alert(key, rule, facts.alerts.get(rule.name)) for key, rule in rules.items()),
            *(self._schedule(name, facts.schedules.get(name)) for name in LOOKS),
        ]
        steps = [change.step() for change in changes if not change.is_there]
        steps += [] if facts.sampled else [_first_sample()]
        told = any(rule.notify for rule in rules.values())
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Watch the gateway every minute with {len(rules)} alert rules."
            if steps
            else "The gateway is watched.",
            nothing_to_do="" if steps else "Its alert rules, its schedules and a first sample are there.",
            steps=tuple(steps),
            checks=(*(change.stands() for change in changes), _sampled()),
            findings=() if told else (_nobody_is_told(),),
            figures={"ai_alert_rules": len(rules)},
        )

    def rules(self, facts: WatchGatewayFacts) -> dict[str, AlertRule]:
        """The alert rules by key, as they shall stand: the owner's where there are some, else ours."""
        shares: dict[str, dict[str, Any]] = {
            name.removeprefix(f"{SUBJECT}-"): {}
            for name in facts.alerts
            if budget_alerts.is_of_a_budget(name)
        }
        return {
            key: self._settled(key, fields, facts.alerts)
            for key, fields in {**proposals(facts.targets), **shares}.items()
        }

    def _settled(self, key: str, fields: dict[str, Any], standing: Mapping[str, dict[str, Any]]) -> AlertRule:
        name = f"{SUBJECT}-{key}"
        rule = standing.get(name) or {"name": name, "system": SUBJECT, **fields}
        if key in self.thresholds:
            # It ends at the threshold itself: our distance between the two may make no sense at another level.
            level = next(level for level in ("above", "below", "silent_seconds") if level in rule)
            rule = {**rule, level: self.thresholds[key], "clear": None}
        return AlertRule(**{**rule, **({"notify": self.notify} if self.notify else {})})

    @staticmethod
    def _alert(key: str, rule: AlertRule, standing: dict[str, Any] | None) -> Change:
        # Compared as rules, for an owner may have written defaults out.
        same = standing is not None and AlertRule(**standing) == rule
        value = standing if same else rule.model_dump(mode="json", exclude_defaults=True)
        return Change(
            id=f"alert {key}", where=("alerts", rule.name), before=standing, after=value, why=rule.advice
        )

    @staticmethod
    def _schedule(name: str, standing: dict[str, Any] | None) -> Change:
        operation, cron, why = LOOKS[name]
        value = {"operation": operation, "inputs": {}, "cron": cron}
        return Change(
            id=f"schedule {name}",
            where=("schedules", name),
            before=standing,
            after=standing or value,
            why=why,
        )


def _sampled() -> Claim:
    reading = Call(system="ledger", action="sampled", arguments={"system": SUBJECT, "name": "up"})
    return Claim(text="There is a sample of the gateway's state", call=reading)


def _first_sample() -> Step:
    arguments = {"operation": CheckGateway.name, "inputs": {}, "system": SUBJECT}
    return Step(
        id="first sample",
        call=Call(system="ledger", action="sample", arguments=arguments),
        why="Growth and rates are measured from one sample to the next.",
        effect=Effect.REVERSIBLE,
        probe=_sampled(),
        no_undo="A measurement stays in the ledger; nothing is changed by it.",
    )


def _nobody_is_told() -> Finding:
    return Finding(
        rule="nobody-is-told",
        subject=SUBJECT,
        what="No alert names anyone to tell: events are written into the ledger only.",
        instead=f"Say who: `{command('ai.watch-gateway', notify='file:data/alerts.jsonl')}`; also exec:/path/program, or webhook:env:NAME.",
        severity=Severity.INFO,
    )
