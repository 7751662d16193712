"""`ai.rewrap-keys`: another key seals the keys, with no moment in which a gateway stands without them."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai import keys
from datareeve.capabilities.ai.declared import Change
from datareeve.capabilities.ai.keys import Kek
from datareeve.core.estate_gateway import SecretReference  # noqa: TC001 - pydantic reads it
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Severity, Step, Systems
from datareeve.core.value import Value

USED = ("active", "draining")
STANDING = "gateway.kek stands in estate.yaml as it was looked at"


class RewrapKeysFacts(Value):
    """What rewrap-keys looks at."""

    declared: str | None  # gateway.kek as it stands in the estate; None: the default
    old: Kek
    new: Kek
    sealed: int = 0  # keys in the store
    used: tuple[str, ...] = ()  # ids of those that gateways open
    only_new: bool = False  # all of them are sealed with the new one alone
    unopened: dict[str, str] = Field(default_factory=dict)  # by id: why
    gateways: int = 0


class RewrapKeys(Operation[RewrapKeysFacts]):
    """Change the key that seals the providers' keys (the key-encryption key).

    Makes the new one where it is to be a file that is not there. Each sealed key is wrapped for both, then estate.yaml names the new one, and
    only when every running gateway works by it and reads its keys is the old wrap dropped. No provider key changes, no request fails. The old
    sealing key stays where it is: it opens older backups of the store. Undo wraps for the old one again and puts estate.yaml back.
    """

    name: ClassVar[str] = "ai.rewrap-keys"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "rotate the key encryption key",
        "change the master key that seals our API keys",
        "re-wrap the sealed keys under a new KEK",
        "move the sealing key into the keyring",
    )

    to: SecretReference = Field(
        description="where the new sealing key stands, 32 bytes in base64, or is to be made: file:.datareeve/gateway-2.kek"
    )

    def observe(self, systems: Systems) -> RewrapKeysFacts:
        """Both sealing keys, and which keys each of them opens."""
        reader = systems[keys.SYSTEM]
        stored = [key for key in reader.read("provider_keys") if key["where"] == "store"]
        return RewrapKeysFacts(
            declared=systems["estate"].read("get", where=["gateway", "kek"]),
            old=Kek(**reader.read("kek")),
            new=Kek(**reader.read("kek", reference=self.to)),
            sealed=len(stored),
            used=tuple(key["id"] for key in stored if key["state"] in USED),
            only_new=reader.read("wrapped", reference=self.to, only=True),
            unopened=reader.read("unopened"),
            gateways=len(reader.read("gateways")),
        )

    def plan(self, facts: RewrapKeysFacts) -> Plan:
        """Wrap for both, name the new one, wait for the gateways, drop the old wrap."""
        if facts.old.reference == self.to and facts.only_new:
            return keys.quiet(self, f"All {facts.sealed} keys are sealed with {self.to}.")
        if why := self._blocker(facts):
            return keys.quiet(self, blocker=why)
        naming, opens = (
            self._naming(facts),
            Claim(text="every sealed key opens", call=_call("unopened"), expected={}),
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Seal {facts.sealed} keys with {self.to} instead of {facts.old.reference}.",
            requirements=(
                opens,
                naming.stands().model_copy(update={"text": STANDING, "expected": facts.declared}),
            ),
            steps=(
                *keys.make_kek(facts.new),
                self._wrap_also(facts),
                naming.step(),
                keys.follow("the new sealing key", keys=facts.used, estate=True),
                self._wrap_only(facts),
                keys.follow("the old wrap dropped", keys=facts.used, estate=True),
            ),
            checks=(naming.stands(), self._wrapped(only=True), opens, keys.followed(facts.used, estate=True)),
            findings=(*keys.no_gateway(facts.gateways), self._keep_old(facts)),
            figures={"keys": facts.sealed, "gateways": facts.gateways},
        )

    def _naming(self, facts: RewrapKeysFacts) -> Change:
        return Change(
            id="name the new sealing key",
            where=("gateway", "kek"),
            before=facts.declared,
            after=self.to,
            why="Gateways open keys with the new one from now on; they could still use the old one.",
        )

    def _blocker(self, facts: RewrapKeysFacts) -> str:
        if facts.unopened:
            told = "; ".join(f"{key}: {why}" for key, why in sorted(facts.unopened.items()))
            return f"Not every key opens with {facts.old.reference}: {told}"
        if facts.sealed and facts.old.id is None:
            return keys.kek_blocker(facts.old) or f"No sealing key stands at {facts.old.reference}."
        if facts.new.id and facts.new.id == facts.old.id and facts.old.reference != self.to:
            return f"The key at {self.to} is the same as at {facts.old.reference}: give another one (openssl rand -base64 32)."
        return keys.kek_blocker(facts.new)

    def _wrapped(self, *, only: bool) -> Claim:
        words = "alone" if only else "as well"
        return Claim(
            text=f"{self.to} opens every sealed key {words}",
            call=_call("wrapped", reference=self.to, only=only),
        )

    def _wrap_also(self, facts: RewrapKeysFacts) -> Step:
        return Step(
            id="wrap for both",
            call=_call("wrap_also", reference=self.to),
            why="Each key can be opened with the old and with the new sealing key, so that no gateway stands without.",
            effect=Effect.REVERSIBLE,
            probe=self._wrapped(only=False),
            undo=(_call("wrap_only", reference=facts.old.reference),) if facts.old.id else (),
            no_undo="" if facts.old.id else "No key is sealed yet: nothing is wrapped.",
            touches=(f"{keys.SYSTEM}:kek",),
        )

    def _wrap_only(self, facts: RewrapKeysFacts) -> Step:
        return Step(
            id="drop the old wrap",
            call=_call("wrap_only", reference=self.to),
            why=f"Whoever holds {facts.old.reference} opens nothing in the store any more.",
            effect=Effect.REVERSIBLE,
            probe=self._wrapped(only=True),
            undo=(_call("wrap_also", reference=facts.old.reference),) if facts.old.id else (),
            no_undo="" if facts.old.id else "No key is sealed yet: nothing was wrapped.",
            touches=(f"{keys.SYSTEM}:kek",),
        )

    def _keep_old(self, facts: RewrapKeysFacts) -> Finding:
        return Finding(
            rule="old-sealing-key-stays",
            subject=facts.old.reference,
            what=f"{facts.old.reference} stays where it is: it opens backups of the gateway's store from before.",
            instead="Destroy it when those are gone. If it has leaked, the providers' keys have to be replaced as well: `datareeve run ai.check-keys` lists them.",
            severity=Severity.INFO,
        )


def _call(action: str, /, **arguments: Any) -> Call:
    return Call(system=keys.SYSTEM, action=action, arguments=arguments)
