"""`ai.add-key`: a provider's key is taken in, sealed, tried and put to use."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - pydantic reads it
from typing import ClassVar

from pydantic import Field

from datareeve.capabilities.ai import keys
from datareeve.capabilities.ai.declared import Answered
from datareeve.capabilities.ai.keys import ProviderFacts  # noqa: TC001 - pydantic reads it
from datareeve.core.estate_gateway import SecretReference  # noqa: TC001 - pydantic reads it
from datareeve.core.operation import Effect, Operation, Plan, Step, Systems
from datareeve.core.value import Value


class AddKeyFacts(Value):
    """What add-key looks at."""

    provider: ProviderFacts
    found: str | None = None  # the id under which this very key is kept already
    answer: Answered = Answered()


class AddKey(Operation[AddKeyFacts]):
    """Add an API key of a provider, sealed.

    Takes the key from where its reference says (a variable, a file, the keyring), seals it with AES-256-GCM in the gateway's store, tries it
    at the provider, and has every running gateway use it beside the ones it has: several keys share the load. Its text is never written
    down anywhere. A key that the provider does not take is not taken in. Undo takes it out again, unless requests rest on it alone.
    """

    name: ClassVar[str] = "ai.add-key"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "add an API key",
        "store the OpenAI API key securely",
        "implement API key management",
        "encrypt our provider credentials",
        "keep a second Anthropic key to share the load",
        "secure API key storage",
    )

    provider: str | None = Field(None, description="the provider's name in the estate; default: the only one")
    key: SecretReference = Field(
        description="where the key stands: env:NAME, file:path or keyring:service/name"
    )
    label: str = Field(
        "", pattern=r"^[\w .@/+-]{0,80}$", description="a name for people: whose it is, what it is for"
    )
    expires: date | None = Field(
        None, description="the day on which the provider lets it end; ai.check-keys warns before"
    )
    probe_model: str | None = Field(
        None,
        min_length=1,
        description="try the key by asking this model for a few tokens, not by listing models",
    )

    def observe(self, systems: Systems) -> AddKeyFacts:
        """The provider's keys, whether this one is among them, and what the provider says to it."""
        facts = keys.look(systems, self.provider)
        if keys.blocked(facts, self.provider):
            return AddKeyFacts(provider=facts)
        found = systems[keys.SYSTEM].read("find_key", provider=facts.name, reference=self.key)
        answer = keys.answered(systems, facts.name, reference=self.key, model=self.probe_model)
        return AddKeyFacts(provider=facts, found=found, answer=answer)

    def plan(self, facts: AddKeyFacts) -> Plan:
        """Seal, try, activate, and wait for the gateways; a key that was set aside is tried and activated again."""
        provider = facts.provider
        if why := self._blocker(facts):
            return keys.quiet(self, blocker=why)
        known = provider.key(facts.found)
        if known and known.state == "active":
            return keys.quiet(self, f"{known.id} is that key, and is in use.")
        key = known.id if known else provider.new_id()
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Put the key at {self.key} to use for {provider.name}, as {key}.",
            requirements=(
                keys.state_is(provider.name, key, known.state if known else None),
                keys.taken(provider.name, self.key, self.probe_model),
            ),
            steps=self.steps(facts, key),
            checks=(keys.state_is(provider.name, key, "active"), keys.followed((key,))),
            findings=keys.no_gateway(provider.gateways),
            figures={"keys": len(provider.active) + 1, "gateways": provider.gateways},
        )

    def steps(self, facts: AddKeyFacts, key: str, replaces: str = "") -> tuple[Step, ...]:
        """From where the key stands to requests that are sent with it."""
        provider = facts.provider
        what = {"name": self.label, "expires_at": keys.ends_at(self.expires), "replaces": replaces}
        known = provider.key(key)
        taking = () if known else (*keys.make_kek(provider.kek), keys.seal(provider, key, self.key, **what))
        return (
            *taking,
            keys.try_it(provider, key, self.probe_model),
            keys.activate(provider, key),
            keys.follow(f"{key} in use", keys=(key,)),
        )

    def _blocker(self, facts: AddKeyFacts) -> str:
        provider = facts.provider
        known = provider.key(facts.found)
        return (
            keys.blocked(provider, self.provider)
            or (
                f"The key at {self.key} was revoked, as {known.id}: make a new one at {provider.console}."
                if known and known.state == "revoked"
                else ""
            )
            or (
                f"The key at {self.key} is {known.id}, which is being drained."
                if known and known.state == "draining"
                else ""
            )
            or keys.refused(provider.name, facts.answer, self.key)
            or keys.kek_blocker(provider.kek)
        )
