"""`ai.revoke-key`: a leaked key is out of use at once, with a replacement where one is given."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.ai import keys
from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.declared import Change
from datareeve.capabilities.ai.keys import Key, ProviderFacts  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.ai.operations.add_key import AddKey, AddKeyFacts
from datareeve.core.estate_gateway import SecretReference  # noqa: TC001 - pydantic reads it
from datareeve.core.operation import Call, Effect, Finding, Operation, Plan, Severity, Step, Systems
from datareeve.core.value import Value

NO_UNDO = "A key that may have leaked is not put back: add a new one."


class RevokeKeyFacts(Value):
    """What revoke-key looks at."""

    provider: ProviderFacts
    replacement: AddKeyFacts | None = None
    references: tuple[str, ...] = ()  # the keys that the estate names, as they stand there


class RevokeKey(Operation[RevokeKeyFacts]):
    """Revoke an API key of a provider that has leaked, and replace it in one go.

    With a replacement, that one is sealed, tried and put to use first, which takes seconds; then the leaked key is revoked in every running
    gateway, and is never used again. Where the leaked key is the only one, nothing is revoked before its replacement works, unless you say so
    with --even-last. Needs a person's approval of the plan. There is no undo: make a new key instead. The key must also be deleted at its
    provider, which only its owner can do: the plan says where, and `ai.check-keys` tells when it is dead.
    """

    name: ClassVar[str] = "ai.revoke-key"
    effect: ClassVar[Effect] = Effect.IRREVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "revoke a leaked API key",
        "our OpenAI key was committed to git",
        "an API key is compromised, replace it now",
        "respond to a credential leak",
        "take the Anthropic key out of use immediately",
    )

    provider: str | None = Field(None, description="the provider's name in the estate; default: the only one")
    key: str = Field(min_length=1, description="the id or label of the leaked key; ai.check-keys lists them")
    replacement: SecretReference | None = Field(
        None, description="where a new key stands: env:NAME, file:path or keyring:service/name"
    )
    even_last: bool = Field(
        default=False,
        description="revoke it although no other key is left: the provider's requests fail from then on",
    )
    probe_model: str | None = Field(
        None,
        min_length=1,
        description="try the replacement by asking this model for a few tokens, not by listing models",
    )

    def observe(self, systems: Systems) -> RevokeKeyFacts:
        """The provider's keys, and the replacement."""
        facts = keys.look(systems, self.provider)
        adding = self._adding()
        listed = systems["estate"].read("get", where=["systems", facts.name, "keys"]) if facts.name else ()
        return RevokeKeyFacts(
            provider=facts,
            replacement=adding.observe(systems) if adding and facts.name else None,
            references=tuple(listed or ()),
        )

    def plan(self, facts: RevokeKeyFacts) -> Plan:
        """The replacement as a part of its own, so that it stays whatever becomes of the rest; then the revocation."""
        provider = facts.provider
        leaked = provider.key(self.key)
        if why := keys.blocked(provider, self.provider):
            return keys.quiet(self, blocker=why)
        if leaked is None:
            names = ", ".join(key.id for key in provider.keys) or "none"
            return keys.quiet(self, blocker=f"{provider.name} has no key {self.key}; it has {names}.")
        if leaked.state == "revoked":
            return keys.quiet(
                self, f"{leaked.id} is revoked.", findings=(keys.delete_there(provider, leaked),)
            )
        adding = self._adding()
        first = adding.plan(facts.replacement) if adding and facts.replacement else None
        others = [key for key in provider.active if key.id != leaked.id]
        if not others and not self.even_last and (first is None or first.blockers or first.nothing_to_do):
            return keys.quiet(self, blocker=self._last(provider, leaked, first))
        revocation = self._revocation(facts, leaked)
        if first is None:
            return revocation
        needs = () if others or self.even_last else ("1",)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Replace {leaked.id} of {provider.name} by the key at {self.replacement}, and revoke it.",
            parts=(first.labelled("1"), revocation.labelled("2", needs=needs)),
        )

    def _adding(self) -> AddKey | None:
        if self.replacement is None:
            return None
        return AddKey(provider=self.provider, key=self.replacement, probe_model=self.probe_model)

    @staticmethod
    def _last(provider: ProviderFacts, leaked: Key, first: Plan | None) -> str:
        why = f" ({first.summary})" if first else ""
        return (
            f"{leaked.id} is the only key of {provider.name}{why}: make a new one at {provider.console} and give it with --replacement, "
            "or say --even-last to have its requests fail until there is one."
        )

    def _revocation(self, facts: RevokeKeyFacts, leaked: Key) -> Plan:
        provider = facts.provider
        step = (
            _taken_out(provider, leaked, facts.references) if leaked.reference else _revoked(provider, leaked)
        )
        estate = bool(leaked.reference)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Revoke {leaked.id} of {provider.name} in every gateway.",
            requirements=(keys.state_is(provider.name, leaked.id, leaked.state),),
            steps=(step, keys.follow(f"{leaked.id} revoked", estate=estate)),
            checks=(step.probe, keys.followed(estate=estate)),
            findings=(*keys.no_gateway(provider.gateways), _delete_now(provider, leaked)),
        )


def _revoked(provider: ProviderFacts, leaked: Key) -> Step:
    arguments = {"provider": provider.name, "key": leaked.id, "state": "revoked"}
    return _step(
        provider, leaked, Call(system=keys.SYSTEM, action="set_key_state", arguments=arguments), "revoked"
    )


def _taken_out(provider: ProviderFacts, leaked: Key, references: tuple[str, ...]) -> Step:
    """A key that the estate names is revoked by naming it no longer."""
    left = [reference for reference in references if reference != leaked.reference]
    change = Change(
        id="", where=("systems", provider.name, "keys"), before=list(references), after=left or None, why=""
    )
    return _step(provider, leaked, change.step().call, None)


def _step(provider: ProviderFacts, leaked: Key, call: Call, state: str | None) -> Step:
    return Step(
        id=f"revoke {leaked.id}",
        call=call,
        why=f"Whoever has found {leaked.id} spends your money with it; no gateway uses it from now on.",
        effect=Effect.IRREVERSIBLE,
        probe=keys.state_is(provider.name, leaked.id, state),
        no_undo=NO_UNDO,
        touches=provider.touched,
        needs_person=True,
    )


def _delete_now(provider: ProviderFacts, leaked: Key) -> Finding:
    where = f" and empty {leaked.reference}" if leaked.reference else ""
    return Finding(
        rule="delete-at-provider",
        subject=leaked.id,
        what=f"Revoked here, {leaked.id} still works for whoever has it, until it is deleted at {provider.name}.",
        instead=f"Delete it now at {provider.console}{where}, and look there at what it was used for; `{command('ai.check-keys', provider=provider.name)}` tells when it is dead.",
        severity=Severity.CRITICAL,
    )
