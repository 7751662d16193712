"""`ai.revoke-virtual-key`: an application's or a person's key opens nothing any more."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai import keys
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Step, Systems
from datareeve.core.value import Value


class RevokeVirtualKeyFacts(Value):
    """What revoke-virtual-key looks at."""

    found: tuple[dict[str, Any], ...] = ()  # by id, or all of that name
    gateways: int = 0


class RevokeVirtualKey(Operation[RevokeVirtualKeyFacts]):
    """Revoke the key of an application or a person.

    Every running gateway refuses it within a second; requests under way with it end as they would. Its usage stays in the ledger. The key is
    not shown again, and a new one is issued with `ai.issue-virtual-key`. Undo makes it valid again.
    """

    name: ClassVar[str] = "ai.revoke-virtual-key"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "revoke the virtual key of an application",
        "lock a service out of the AI gateway",
        "a developer has left, withdraw their gateway key",
        "disable the key of the checkout service",
    )

    key: str = Field(min_length=1, description="the key's id, or the name it was issued for")

    def observe(self, systems: Systems) -> RevokeVirtualKeyFacts:
        """The keys that are meant."""
        reader = systems[keys.SYSTEM]
        found = tuple(one for one in reader.read("virtual_keys") if self.key in (one["id"], one["name"]))
        return RevokeVirtualKeyFacts(found=found, gateways=len(reader.read("gateways")))

    def plan(self, facts: RevokeVirtualKeyFacts) -> Plan:
        """One step a key; an expired one is revoked as well, so that nobody prolongs it."""
        if not facts.found:
            return keys.quiet(
                self,
                blocker=f"No key has the id or the name {self.key}; `datareeve run ai.check-keys` lists them.",
            )
        living = [one for one in facts.found if one["state"] != "revoked"]
        if not living:
            return keys.quiet(self, f"{self.key} is revoked.")
        names = ", ".join(one["id"] for one in living)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Revoke {names} of {living[0]['name']}.",
            requirements=tuple(_state(one["id"], one["state"]) for one in living),
            steps=(*(_revoke(one) for one in living), keys.follow(f"{names} revoked")),
            checks=(*(_state(one["id"], "revoked") for one in living), keys.followed()),
            findings=keys.no_gateway(facts.gateways),
        )


def _revoke(one: dict[str, Any]) -> Step:
    return Step(
        id=f"revoke {one['id']}",
        call=_call("revoke_virtual_key", one["id"]),
        why=f"{one['name']} gets no answer from the gateway from now on.",
        effect=Effect.REVERSIBLE,
        probe=_state(one["id"], "revoked"),
        undo=(_call("restore_virtual_key", one["id"]),),
        touches=(f"{keys.SYSTEM}:virtual key {one['id']}",),
    )


def _state(key: str, state: str) -> Claim:
    return Claim(text=f"key {key} is {state}", call=_call("virtual_key_state", key), expected=state)


def _call(action: str, key: str) -> Call:
    return Call(system=keys.SYSTEM, action=action, arguments={"key": key})
