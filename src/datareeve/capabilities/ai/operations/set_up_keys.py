"""`ai.set-up-keys`: the management of keys as a whole: where they are sealed, who may use the gateway, and who is warned before one ends."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai import keys
from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.declared import Change, declared
from datareeve.capabilities.ai.operations.issue_virtual_key import IssueVirtualKey, IssueVirtualKeyFacts
from datareeve.capabilities.ai.operations.set_up_gateway import SetUpGateway
from datareeve.capabilities.ai.setting import SettingFacts, may_plan, upon_set_up
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

DAILY = "0 7 * * *"
CHECK = "ai.check-keys"
SCHEDULE = "check-keys"


class SetUpKeysFacts(Value):
    """What set-up-keys looks at."""

    setting: SettingFacts
    kek: keys.Kek
    provider_keys: tuple[keys.Key, ...] = ()
    virtual: IssueVirtualKeyFacts
    schedule: dict[str, Any] | None = None


class SetUpKeys(Operation[SetUpKeysFacts]):
    """Set up the management of AI API keys.

    Makes the key that seals provider keys (AES-256-GCM, in a file that only its owner reads), issues a first virtual key for applications so
    that none of them holds a provider's key, and schedules a daily look at every key: whether its provider still takes it, when it ends,
    whether anybody uses it. Adding, rotating and revoking are operations of their own, each without a failed request. Undo takes out what was
    made, as long as nothing rests on it.
    """

    name: ClassVar[str] = "ai.set-up-keys"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "set up API key management system",
        "manage API keys",
        "handle API key management and rotation",
        "keep provider keys out of our applications",
        "secure API key management",
        "set up key management for OpenAI and Claude",
    )

    for_name: str = Field(
        "applications", pattern=r"^\w[\w .@/+-]{0,79}$", description="who the first virtual key is for"
    )
    cron: str = Field(DAILY, description="when keys are looked at: five fields")

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> SetUpKeysFacts:
        """What is declared, the sealing key, and the keys there are."""
        stands, control = declared(systems), systems[keys.SYSTEM]
        first = None if stands.is_set_up else SetUpGateway().observe(systems)
        return SetUpKeysFacts(
            setting=SettingFacts(declared=stands, set_up=first),
            kek=keys.Kek(**control.read("kek")),
            provider_keys=tuple(keys.Key(**key) for key in control.read("provider_keys")),
            virtual=self._issuing().observe(systems),
            schedule=systems["estate"].read("get", where=["schedules", SCHEDULE]),
        )

    def _issuing(self) -> IssueVirtualKey:
        return IssueVirtualKey(for_name=self.for_name)

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: SetUpKeysFacts) -> Plan:
        """The sealing key and the schedule, then the virtual key; after the gateway, where there is none yet."""
        if not may_plan(facts.setting):
            return upon_set_up(self, facts.setting, None)
        parts = [self._own(facts)]
        if facts.virtual.valid is None:
            issuing = self._issuing().plan(facts.virtual)
            # That no gateway runs yet is no news where one is set up first.
            parts.append(issuing.model_copy(update={"findings": ()}) if facts.setting.set_up else issuing)
        if facts.setting.set_up is not None:
            parts.insert(0, SetUpGateway().plan(facts.setting.set_up))
        if len(parts) == 1:
            return parts[0]
        labelled = tuple(
            part.labelled(str(n), needs=(str(n - 1),) if n > 1 else ()) for n, part in enumerate(parts, 1)
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Manage keys: seal them, issue one for {self.for_name}, look at them daily.",
            parts=labelled,
        )

    def _own(self, facts: SetUpKeysFacts) -> Plan:
        if why := keys.kek_blocker(facts.kek):
            return keys.quiet(self, blocker=why)
        changes = self._changes(facts)
        steps = (*keys.make_kek(facts.kek), *(change.step() for change in changes if not change.is_there))
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary="Make the key that seals keys, and look at all keys daily."
            if steps
            else "Keys are managed.",
            nothing_to_do="" if steps else "The sealing key is there, and keys are looked at daily.",
            steps=steps,
            checks=(self._sealing(facts), *(change.stands() for change in changes)),
            findings=tuple(self._findings(facts)),
            figures={"provider_keys": len(facts.provider_keys), "virtual_keys_for": self.for_name},
        )

    def _changes(self, facts: SetUpKeysFacts) -> tuple[Change, ...]:
        value = {"operation": CHECK, "inputs": {}, "cron": self.cron}
        why = "A key that its provider no longer takes, or that ends soon, is noticed before applications notice."
        return (
            Change(
                id="schedule",
                where=("schedules", SCHEDULE),
                before=facts.schedule,
                after=facts.schedule or value,
                why=why,
            ),
        )

    @staticmethod
    def _sealing(facts: SetUpKeysFacts) -> Claim:
        call = Call(system=keys.SYSTEM, action="kek_there", arguments={"reference": facts.kek.reference})
        return Claim(text=f"A usable sealing key stands at {facts.kek.reference}", call=call)

    def _findings(self, facts: SetUpKeysFacts) -> list[Finding]:
        in_variables = [key for key in facts.provider_keys if key.reference.startswith("env:")]
        return [
            Finding(
                rule="key-in-environment",
                subject=f"{key.provider} {key.reference}",
                what="The gateway reads this key from its environment: whoever may see that may see it, and it changes with a restart.",
                instead=f"Have the next one sealed; it takes over without a failed request: `{_rotate(key)}`",
                severity=Severity.INFO,
            )
            for key in in_variables
            if key.state == "active"
        ]


def _rotate(key: keys.Key) -> str:
    return command("ai.rotate-key", provider=key.provider, old=key.id, new="env:NEW_KEY")
