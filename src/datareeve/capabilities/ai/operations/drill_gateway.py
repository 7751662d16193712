"""`ai.drill-gateway`: what applications see when a provider fails, tried out."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai.declared import declared
from datareeve.capabilities.ai.operations.set_up_gateway import PROCESS, SetUpGateway
from datareeve.capabilities.ai.setting import SettingFacts, may_plan, routes_named, upon_set_up
from datareeve.core import clock
from datareeve.core.operation import (
    Call,
    Claim,
    Effect,
    Finding,
    Operation,
    Plan,
    Prediction,
    Severity,
    Step,
    Systems,
)
from datareeve.core.value import Value
from datareeve.systems.gateway_drill import NAMES, PATHS


class DrillGatewayFacts(Value):
    """What drill-gateway looks at."""

    setting: SettingFacts
    record: dict[str, Any] | None = None  # of an earlier drill with these very settings
    record_age_hours: float = 0.0


class DrillGateway(Operation[DrillGatewayFacts]):
    """Drill the AI gateway: fail on purpose, and see that errors are handled.

    Starts a scratch gateway with the project's own settings (retries, deadline, queue, breaker), behind it a provider on this machine that
    fails on purpose: throttled with Retry-After, status 500, a request it refuses, no first byte, a stream that breaks before and after its
    first token, an answer that is no HTTP, nobody there; and callers with a wrong key, a broken body, beyond a limit, beyond a budget. For
    each case the record says what had to happen and what the caller saw, in both protocols that the estate's providers speak. Nothing is
    sent to a real provider, and the project's gateway is not touched. Undo removes the record.
    """

    name: ClassVar[str] = "ai.drill-gateway"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "handle error responses gracefully",
        "handle API errors gracefully",
        "test what happens when OpenAI fails",
        "drill the gateway with faults",
        "prove that retries and failover work",
        "chaos test of the AI provider",
    )

    model: str | None = Field(None, description="the route whose settings are drilled; default: the first")
    max_age_hours: float = Field(
        168.0, ge=0, description="a younger drill with the same settings is enough; 0 always drills"
    )
    even_if_current: bool = Field(
        default=False, description="drill although a younger drill held: settings are changed beforehand"
    )

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> DrillGatewayFacts:
        """What is declared, and the record of a drill with the settings as they are."""
        stands = declared(systems)
        first = None if stands.is_set_up else SetUpGateway().observe(systems)
        setting = SettingFacts(declared=stands, set_up=first)
        record = systems[PROCESS].read("drilled", route=self.model) if first is None else None
        age = (clock.now() - datetime.fromisoformat(record["at"])).total_seconds() / 3600 if record else 0.0
        return DrillGatewayFacts(setting=setting, record=record, record_age_hours=age)

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: DrillGatewayFacts) -> Plan:
        """One step, and a check for each case; nothing where the same was drilled lately and held."""
        return upon_set_up(self, facts.setting, self._own(facts) if may_plan(facts.setting) else None)

    def _own(self, facts: DrillGatewayFacts) -> Plan:
        routes_named(facts.setting.after, self.model)
        protocols = self._protocols(facts)
        quiet = self._quiet(facts)
        cases = len(NAMES) * len(protocols)
        summary = f"Drill the gateway: {cases} cases of failure in {' and '.join(protocols)}."
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=quiet or summary,
            nothing_to_do=quiet,
            steps=() if quiet else (self._step(cases),),
            checks=tuple(self._held(case, protocol) for protocol in protocols for case in NAMES),
            findings=tuple(
                _not_held(case) for case in (facts.record or {}).get("cases", ()) if not case["held"]
            ),
            figures={
                "drill_cases": cases,
                **({"drill_cases_held": facts.record["held"]} if quiet and facts.record else {}),
            },
        )

    def _protocols(self, facts: DrillGatewayFacts) -> list[str]:
        kinds = {entry["kind"] for entry in facts.setting.after.providers.values()}
        return sorted(kinds) or sorted(PATHS)

    def _quiet(self, facts: DrillGatewayFacts) -> str:
        record = facts.record
        if (
            record is None
            or self.even_if_current
            or record["held"] < len(record["cases"])
            or facts.record_age_hours >= self.max_age_hours
        ):
            return ""
        return f"Drilled with these settings on {record['at'][:10]}: all {record['held']} cases held."

    def _step(self, cases: int) -> Step:
        return Step(
            id="drill",
            call=Call(system=PROCESS, action="drill", arguments={"route": self.model}),
            why="What a caller sees when a provider fails is known only by trying; here nobody is harmed by it and nothing is paid.",
            effect=Effect.REVERSIBLE,
            probe=Claim(
                text="There is a record of a drill with these settings",
                call=Call(system=PROCESS, action="drilled", arguments={"route": self.model}),
                expected="cases",
                comparison="contains",
            ),
            undo=(Call(system=PROCESS, action="forget_drill", arguments={"by_run": "{run}"}),),
            predicted=Prediction(
                seconds=cases * 0.8, basis="on this machine; most of it is waiting as Retry-After says"
            ),
            touches=("gateway:drill",),
        )

    def _held(self, case: str, protocol: str) -> Claim:
        arguments = {"case": case, "protocol": protocol, "route": self.model}
        return Claim(
            text=f"{case} ({protocol}): {SENTENCES[case]}",
            call=Call(system=PROCESS, action="drill_held", arguments=arguments),
        )


SENTENCES = {  # what holds, for the evidence
    "throttled": "a 429 with Retry-After is waited for and tried again",
    "throttled-long": "a Retry-After beyond the deadline is passed on at once",
    "error-once": "a passing error 500 is tried again",
    "error": "a lasting error 500 falls back to the next target",
    "breaker": "a target that keeps failing is left alone, and callers are answered",
    "refused": "a refused request is passed on as the provider said it, and not tried again",
    "slow": "a target that does not begin to answer falls back to the next",
    "cut-before": "a stream that breaks before its first token is taken over by the next target",
    "cut-after": "a stream that breaks later ends with an error event, and its tokens are counted",
    "garbage": "an answer that is no HTTP falls back to the next target",
    "away": "a provider that is away falls back to the next target",
    "wrong-key": "a wrong key is refused in the protocol's shape",
    "no-json": "a broken body is refused in the protocol's shape",
    "limited": "beyond a limit a request is refused with Retry-After, unsent",
    "budget": "beyond a budget a request is refused, unsent",
    "cached": "an equal question is answered without the provider",
}


def _not_held(case: dict[str, Any]) -> Finding:
    return Finding(
        rule="drill-case-failed",
        subject=f"{case['case']} ({case['protocol']})",
        what=f"{case['done']}: expected was that it is {case['expected']}; {case['saw']}.",
        instead="Look at retries, deadline and targets of the route, then drill again.",
        severity=Severity.WARNING,
        figures=case["figures"],
    )
