"""`databases.watch`: alert rules for a server, and the schedule that feeds them."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases.alerts import WatchFacts, proposals
from datareeve.core.errors import BadInput
from datareeve.core.estate import AlertRule, Targets
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Severity, Step, Systems
from datareeve.systems.notify import Told  # noqa: TC001 - the type of a field, which pydantic reads

CHECK = "databases.check-health"
EVERY_MINUTE = "* * * * *"


class Watch(Operation[WatchFacts]):
    """Configure monitoring and alerting for a PostgreSQL database.

    Puts alert rules into estate.yaml, with thresholds from the server's own limits and the estate's targets, and a schedule that checks
    health every minute while `datareeve serve` runs; records the first sample. An alert that stands there already is left as its owner
    set it, unless `thresholds` names it. Undo takes out what was put in.
    """

    name: ClassVar[str] = "databases.watch"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "configure monitoring and alerting",
        "set up monitoring and alerts",
        "alert me when the disk is full or archiving fails",
        "watch the database every minute",
        "tell me when connections run out",
        "add alert rules and escalations",
        "send notifications to a webhook",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    notify: Told = ()
    thresholds: dict[str, float] = Field(
        default_factory=dict, description="levels other than the proposed, by alert: {'disk': 90}"
    )

    def observe(self, systems: Systems) -> WatchFacts:
        """Limits of the server, targets, and what is in the estate already."""
        reader, estate = systems[self.system], systems["estate"]
        server = reader.read("server")
        row = reader.read("query", sql=sql.load("health_limits"), shape="row")
        alerts = estate.read("get", where=["alerts"]) or []
        return WatchFacts(
            disk_is_local=server["local_control"] and server["data_directory"] is not None,
            targets=Targets(**(estate.read("get", where=["targets"]) or {})),
            alerts={entry["name"]: entry for entry in alerts},
            schedule=estate.read("get", where=["schedules", self._schedule_name()]),
            sampled=systems["ledger"].read("sampled", system=self.system, name="up"),
            **row,
        )

    def plan(self, facts: WatchFacts) -> Plan:
        """A step for each rule that is missing or different, one for the schedule, one for the first sample."""
        rules = self.rules(facts)
        self._refuse_unknown(rules)
        wanted = [self._alert(key, rule, facts.alerts.get(rule.name)) for key, rule in rules.items()]
        wanted += [self._schedule(facts.schedule), self._sample(facts.sampled)]
        steps = tuple(step for step, is_there in wanted if not is_there)
        told = any(rule.notify for rule in rules.values())
        every_minute = f"Watch {self.system} every minute with {len(rules)} alert rules."
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=every_minute if steps else f"{self.system} is watched.",
            nothing_to_do="" if steps else "Its alert rules, its schedule and a first sample are there.",
            steps=steps,
            checks=tuple(step.probe for step, _ in wanted),
            findings=() if told else (self._nobody_is_told(),),
            figures={"alert_rules": len(rules)},
        )

    # -- what is wanted --------------------------------------------------------------------------------------------------------

    def rules(self, facts: WatchFacts) -> dict[str, AlertRule]:
        """The alert rules by key, as they shall stand: the owner's where there are some, else ours."""
        return {key: self._settled(key, fields, facts) for key, fields in proposals(facts).items()}

    def _settled(self, key: str, fields: dict[str, Any], facts: WatchFacts) -> AlertRule:
        name = f"{self.system}-{key}"
        rule = facts.alerts.get(name) or {"name": name, "system": self.system, **fields}
        if key in self.thresholds:
            # It ends at the threshold itself: our distance between the two may make no sense at another level.
            level = next(name for name in ("above", "below", "silent_seconds") if name in fields)
            rule = {**rule, level: self.thresholds[key], "clear": None}
        return AlertRule(**{**rule, **({"notify": self.notify} if self.notify else {})})

    def _refuse_unknown(self, rules: dict[str, AlertRule]) -> None:
        for key in self.thresholds.keys() - rules.keys():
            raise BadInput(
                "watch.threshold",
                f"There is no alert {key!r} for {self.system}.",
                f"There are {', '.join(rules)}.",
            )

    # -- steps, each with whether it is there already --------------------------------------------------------------------------

    def _alert(self, key: str, rule: AlertRule, standing: dict[str, Any] | None) -> tuple[Step, bool]:
        # Compared as rules, for an owner may have written defaults out.
        same = standing is not None and AlertRule(**standing) == rule
        value = standing if same else rule.model_dump(mode="json", exclude_defaults=True)
        why = rule.advice or f"Whoever is responsible is told when {rule.sample} is out of bounds."
        return self._put(f"alert {key}", ["alerts", rule.name], value, standing, why)

    def _schedule(self, standing: dict[str, Any] | None) -> tuple[Step, bool]:
        value = {"operation": CHECK, "inputs": self._look(), "cron": EVERY_MINUTE}
        why = "The alerts are judged on samples that check-health takes every minute."
        return self._put("schedule", ["schedules", self._schedule_name()], standing or value, standing, why)

    def _put(self, step: str, where: list[str], value: Any, standing: Any, why: str) -> tuple[Step, bool]:
        def call(content: Any) -> Call:
            return Call(system="estate", action="put", arguments={"where": where, "value": content})

        reading = Call(system="estate", action="get", arguments={"where": where})
        stands = f"{where[1]} stands under {where[0]} in estate.yaml"
        made = Step(
            id=step,
            call=call(value),
            why=why,
            effect=Effect.REVERSIBLE,
            probe=Claim(text=stands, call=reading, expected=value),
            undo=(call(standing),),
            touches=(f"estate:{'.'.join(where)}",),
            paths=("estate.yaml",),
        )
        return made, value == standing

    def _sample(self, sampled: bool) -> tuple[Step, bool]:  # noqa: FBT001 - a fact, passed once
        reading = Call(system="ledger", action="sampled", arguments={"system": self.system, "name": "up"})
        arguments = {"operation": CHECK, "inputs": self._look()}
        made = Step(
            id="first sample",
            call=Call(system="ledger", action="sample", arguments=arguments),
            why="Rates and growth are measured from one sample to the next.",
            effect=Effect.REVERSIBLE,
            probe=Claim(text=f"There is a sample of {self.system}'s health", call=reading),
            no_undo="A measurement stays in the ledger; nothing is changed by it.",
        )
        return made, sampled

    def _look(self) -> dict[str, Any]:
        return {"system": self.system, "sampling": True}

    def _schedule_name(self) -> str:
        return f"watch-{self.system}"

    def _nobody_is_told(self) -> Finding:
        return Finding(
            rule="nobody-is-told",
            subject=self.system,
            what="No alert names anyone to tell: events are written into the ledger only.",
            instead="Give `notify`: file:data/alerts.jsonl, exec:/path/program or webhook:env:NAME.",
            severity=Severity.INFO,
        )
