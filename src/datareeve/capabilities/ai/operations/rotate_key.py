"""`ai.rotate-key`: another key takes a provider's requests over, while they go on."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from datareeve.capabilities.ai import keys
from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.declared import Change
from datareeve.capabilities.ai.operations.add_key import AddKey, AddKeyFacts
from datareeve.core.estate_gateway import SecretReference  # noqa: TC001 - pydantic reads it
from datareeve.core.operation import Claim, Effect, Operation, Plan, Step, Systems
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.capabilities.ai.keys import Key, ProviderFacts

SPARE_SECONDS = 30.0  # beyond the longest a request may take


class RotateKeyFacts(Value):
    """What rotate-key looks at."""

    new: AddKeyFacts
    references: tuple[str, ...] = ()  # the keys that the estate names, as they stand there
    longest_seconds: float = 300.0  # that a request may take, by the routes


class RotateKey(Operation[RotateKeyFacts]):
    """Rotate an API key of a provider without a failed request.

    The new key is sealed and tried at the provider first. Then it is put to use, and only when every running gateway works by it is the old
    one drained: it gets nothing new, and what is under way with it ends. Then it is retired; delete it at the provider after that. A gateway
    that cannot read the new key, or does not follow, stops the rotation, and the old key goes on. Undo puts the old key back, after trying it.
    """

    name: ClassVar[str] = "ai.rotate-key"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "rotate the API key",
        "replace the OpenAI key without downtime",
        "implement API key rotation",
        "roll over the Anthropic credentials",
        "swap the provider key while traffic goes on",
    )

    provider: str | None = Field(None, description="the provider's name in the estate; default: the only one")
    new: SecretReference = Field(
        description="where the new key stands: env:NAME, file:path or keyring:service/name"
    )
    old: str | None = Field(
        None, description="the id or label of the key to retire; default: the only one in use"
    )
    label: str = Field("", pattern=r"^[\w .@/+-]{0,80}$", description="the new key's name for people")
    probe_model: str | None = Field(
        None,
        min_length=1,
        description="try the new key by asking this model for a few tokens, not by listing models",
    )
    drain_seconds: float | None = Field(
        None,
        gt=0,
        description="how long requests with the old key may take to end; default: the longest that a route allows",
    )

    def observe(self, systems: Systems) -> RotateKeyFacts:
        """The provider's keys, what it says to the new one, and how long requests may take."""
        new = self._adding().observe(systems)
        estate = systems["estate"]
        routes = (estate.read("get", where=["gateway", "models"]) or {}).values()
        longest = max((route.get("deadline_seconds", 300.0) for route in routes), default=300.0)
        listed = estate.read("get", where=["systems", new.provider.name, "keys"]) if new.provider.name else ()
        return RotateKeyFacts(new=new, references=tuple(listed or ()), longest_seconds=max(longest, 300.0))

    def plan(self, facts: RotateKeyFacts) -> Plan:
        """New key first, then the old one's way out; each change is followed by a wait for the gateways."""
        provider = facts.new.provider
        known = provider.key(facts.new.found)
        old = self._old(facts)
        if reason := self._done(known, old):
            return keys.quiet(self, reason)
        if (why := self._blocker(facts, old)) or old is None:
            return keys.quiet(self, blocker=why)
        new = known.id if known else provider.new_id()
        coming = () if known and known.state == "active" else self._adding().steps(facts.new, new, old.id)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Rotate {provider.name} from {old.id} to the key at {self.new} ({new}).",
            requirements=(
                keys.state_is(provider.name, new, known.state if known else None),
                keys.state_is(provider.name, old.id, old.state),
                keys.taken(provider.name, self.new, self.probe_model),
            ),
            steps=(*coming, *self._leaving(facts, old, new)),
            checks=tuple(self._checks(provider, old, new)),
            findings=(*keys.no_gateway(provider.gateways), keys.delete_there(provider, old)),
            figures={"gateways": provider.gateways},
        )

    def _adding(self) -> AddKey:
        return AddKey(provider=self.provider, key=self.new, label=self.label, probe_model=self.probe_model)

    # -- which one goes --------------------------------------------------------------------------------------------------------

    def _old(self, facts: RotateKeyFacts) -> Key | None:
        provider = facts.new.provider
        if self.old is not None:
            return provider.key(self.old)
        going = [
            key for key in provider.keys if key.state in ("active", "draining") and key.id != facts.new.found
        ]
        return going[0] if len(going) == 1 else None

    def _done(self, known: Key | None, old: Key | None) -> str:
        """Why nothing is left to do: the key given as new is in use, and the other one is not."""
        if known is None or known.state != "active" or known == old:
            return ""
        gone = old is None if self.old is None else old is None or old.state in ("retired", "revoked")
        return f"{known.id} is in use, and no other key is to be retired." if gone else ""

    def _blocker(self, facts: RotateKeyFacts, old: Key | None) -> str:
        provider = facts.new.provider
        if why := self._adding()._blocker(facts.new):  # noqa: SLF001 - what stands in the way of adding it
            return why
        if old is None and self.old:
            return f"{provider.name} has no key {self.old}; it has {_names(provider.keys)}."
        if old is None and provider.active:
            return f"Several keys of {provider.name} are in use: name the one to retire with --old: {_names(provider.active)}."
        if old is None:
            return f"{provider.name} has no key in use that could be replaced; this adds one: `{command('ai.add-key', provider=provider.name, key=self.new)}`"
        if old.id == facts.new.found:
            return f"The key at {self.new} is {old.id} itself: give another one."
        return "" if old.state in ("active", "draining") else f"{old.id} is {old.state} already."

    # -- the old key's way out -----------------------------------------------------------------------------------------------------

    def _leaving(self, facts: RotateKeyFacts, old: Key, new: str) -> tuple[Step, ...]:
        provider = facts.new.provider
        seconds = self.drain_seconds or facts.longest_seconds + SPARE_SECONDS
        drained = {"drained": old.id, "drain_seconds": seconds, "keys": (new,)}
        if old.reference:
            change = _without(provider, old, facts.references)
            return (change.step(), keys.follow(f"{old.id} drained", estate=True, **drained))  # type: ignore[arg-type]
        draining = (keys.drain(provider, old.id),) if old.state == "active" else ()
        return (
            *draining,
            keys.follow(f"{old.id} drained", **drained),  # type: ignore[arg-type]
            keys.retire(provider, old.id),
            keys.follow(f"{old.id} retired", keys=(new,)),
        )

    @staticmethod
    def _checks(provider: ProviderFacts, old: Key, new: str) -> Iterable[Claim]:
        yield keys.state_is(provider.name, new, "active")
        yield keys.state_is(provider.name, old.id, None if old.reference else "retired")
        yield keys.followed((new,), estate=bool(old.reference))


def _without(provider: ProviderFacts, old: Key, references: tuple[str, ...]) -> Change:
    """The estate no longer names the old key."""
    left = [reference for reference in references if reference != old.reference]
    return Change(
        id=f"drain {old.id}",
        where=("systems", provider.name, "keys"),
        before=list(references),
        after=left or None,
        why=f"{old.id} is given no new request; what is under way with it ends in its own time.",
    )


def _names(found: Iterable[Key]) -> str:
    return ", ".join(f"{key.id} ({key.name})" if key.name else key.id for key in found) or "none"
