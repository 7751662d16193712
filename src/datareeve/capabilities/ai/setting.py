"""What operations that set something of the gateway share: they plan upon what is declared, or upon what set-up-gateway will declare first."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.ai import keys
from datareeve.capabilities.ai.declared import CHAT, Answered, Declared, declared
from datareeve.capabilities.ai.operations.set_up_gateway import (
    PROCESS,
    SetUpGateway,
    SetUpGatewayFacts,
    answered,
)
from datareeve.core.errors import BadInput
from datareeve.core.operation import Call, Claim, Finding, Operation, Plan, Systems
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.ai.declared import Change


ASKED = Claim(
    text="The gateway of this machine says so itself", call=Call(system=PROCESS, action="works_by_the_estate")
)


class SettingFacts(Value):
    """What such an operation looks at."""

    declared: Declared
    set_up: SetUpGatewayFacts | None = None  # where the gateway is not set up yet
    running: bool = False
    answers: dict[str, Answered] = Field(default_factory=dict)  # by provider, where the operation asks them
    there_are: dict[str, tuple[str, ...]] = Field(
        default_factory=dict
    )  # by field: names, where it asks for them
    spent_usd: float | None = None  # in the last whole month, where the operation asks for it
    alerts: dict[str, dict[str, Any]] = Field(default_factory=dict)  # by name, where the operation asks

    @property
    def after(self) -> Declared:
        """What stands in the estate once the gateway is set up."""
        return SetUpGateway().after(self.set_up) if self.set_up else self.declared


class Setting(Operation[SettingFacts]):
    """The shape of them: `changes` and `findings` say what is particular."""

    def observe(self, systems: Systems) -> SettingFacts:
        """What is declared, and where that is not enough, what set-up-gateway sees."""
        stands = declared(systems)
        lacking = self.needs_routes() and not (stands.gateway or {}).get("models")
        first = SetUpGateway().observe(systems) if lacking or not stands.is_set_up else None
        asked = self.asks_providers() and first is None
        return SettingFacts(
            declared=stands,
            set_up=first,
            running=systems[PROCESS].read("running"),
            answers={name: answered(systems, name) for name in stands.providers}
            if asked
            else first.answers
            if first
            else {},
        )

    def needs_routes(self) -> bool:
        """Whether it sets something of routes, so that there must be some."""
        return False

    def asks_providers(self) -> bool:
        """Whether it needs to know which models the providers have."""
        return False

    def plan(self, facts: SettingFacts) -> Plan:
        """Its changes of estate.yaml; as a second part where the gateway must be set up first."""
        return upon_set_up(self, facts, self._own(facts) if may_plan(facts) else None)

    def _own(self, facts: SettingFacts) -> Plan:
        blockers = self.blockers(facts)
        changes = [] if blockers else list(self.changes(facts))
        steps = tuple(change.step() for change in changes if not change.is_there)
        follows = facts.running or facts.set_up is not None
        told = self.summary(facts)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=blockers[0] if blockers else told,
            nothing_to_do="" if steps or blockers else self.quiet(facts),
            requirements=tuple(
                change.stood() for change in changes if not change.is_there and facts.set_up is None
            ),
            steps=(*steps, keys.follow("the estate", estate=True)) if steps and follows else steps,
            checks=(
                *(change.stands() for change in changes),
                *((keys.followed(estate=True), ASKED) if changes and follows else ()),
            ),
            findings=tuple(self.findings(facts)),
            figures=self.figures(facts),
            blockers=tuple(blockers),
        )

    # -- what is particular --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def changes(self, facts: SettingFacts) -> Sequence[Change]:
        """What shall stand in estate.yaml, whether it does already or not."""

    @abstractmethod
    def summary(self, facts: SettingFacts) -> str:
        """One sentence: what will be so."""

    def quiet(self, facts: SettingFacts) -> str:
        """Why there is nothing to do."""
        return f"It is so already: {self.summary(facts)}"

    def blockers(self, facts: SettingFacts) -> list[str]:
        """What stands in the way."""
        del facts
        return []

    def findings(self, facts: SettingFacts) -> list[Finding]:
        """What was noticed."""
        del facts
        return []

    def figures(self, facts: SettingFacts) -> dict[str, Any]:
        """For the report."""
        del facts
        return {}


def may_plan(facts: SettingFacts) -> bool:
    """Whether there is a gateway, or will be one."""
    return facts.set_up is None or not SetUpGateway().plan(facts.set_up).blockers


def upon_set_up(operation: Operation[Any], facts: SettingFacts, own: Plan | None) -> Plan:
    """`own`, after set-up-gateway's plan where the gateway is not set up yet; that plan's blockers where it cannot be."""
    if facts.set_up is None and own is not None:
        return own
    first = SetUpGateway().plan(facts.set_up or SetUpGatewayFacts(declared=facts.declared))
    named: dict[str, Any] = {"operation": operation.name, "inputs": operation.inputs()}
    if own is None:
        return Plan(**named, summary=first.summary, blockers=first.blockers)
    return Plan(**named, summary=own.summary, parts=(first.labelled("1"), own.labelled("2", needs=("1",))))


def routes_named(after: Declared, model: str | None) -> tuple[str, ...]:
    """The route of that name, or all. Errors: `BadInput` `gateway.model` where there is none of that name."""
    routes = tuple((after.gateway or {}).get("models") or {})
    if model is None or model in routes:
        return routes if model is None else (model,)
    known = ", ".join(routes) or "none yet"
    raise BadInput(
        "gateway.model",
        f"The gateway has no route {model!r}.",
        f"It has: {known}. A new one is a line under gateway.models in estate.yaml: {{{model}: {{targets: [provider/model]}}}}",
    )


__all__ = ("CHAT", "Setting", "SettingFacts", "routes_named")
