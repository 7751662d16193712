"""`ai.check-keys`: every key of providers and of applications: where it stands, whether it works, when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai import keys
from datareeve.capabilities.ai.key_findings import Bounds, KeysSeen, findings, place
from datareeve.core import clock
from datareeve.core.errors import BadInput, DatareeveError
from datareeve.core.operation import Effect, Operation, Plan, Systems
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Sized

    from datareeve.capabilities.ai.declared import Answered


class CheckKeysFacts(Value):
    """What check-keys looks at."""

    seen: KeysSeen


class CheckKeys(Operation[CheckKeysFacts]):
    """Check all API keys: do they work, when do they end, who uses them.

    Lists the keys of every provider with their state, tries each of them (which is free), also those that were revoked: it tells when one is
    dead at its provider, or still alive. Warns of keys that end soon, that cannot be read, that nobody uses, and of virtual keys without a
    limit. Changes nothing, and shows no key.
    """

    name: ClassVar[str] = "ai.check-keys"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "check our API keys",
        "which keys expire soon",
        "list the provider keys and their health",
        "does the OpenAI key still work",
        "find unused API keys",
        "is the revoked key dead",
    )

    provider: str | None = Field(None, description="only this provider; default: all of them")
    probe: bool = Field(default=True, description="try each key at its provider")
    probe_model: str | None = Field(
        None,
        min_length=1,
        description="try them by asking this model for a few tokens, not by listing models",
    )
    warn_days: int = Field(30, ge=1, description="an end nearer than this is told")
    unused_days: int = Field(30, ge=1, description="a key that was not used for so long is told")
    old_days: int = Field(180, ge=1, description="a key in use for longer is told")

    def observe(self, systems: Systems) -> CheckKeysFacts:
        """Every key, and what its provider says to it."""
        reader = systems[keys.SYSTEM]
        names = [one["name"] for one in reader.read("providers")]
        if self.provider is not None and self.provider not in names:
            raise BadInput(
                "provider.unknown",
                f"The estate has no AI provider {self.provider!r}.",
                f"It has: {', '.join(names) or 'none yet'}.",
            )
        providers = tuple(keys.look(systems, name) for name in names if self.provider in (None, name))
        budgets = systems["estate"].read("get", where=["gateway", "budgets"]) or {}
        answers, unread = self._asked(systems, providers)
        seen = KeysSeen(
            at=clock.now().timestamp(),
            providers=providers,
            answers=answers,
            unread=unread,
            used=reader.read("key_use", of="provider", days=self.unused_days),
            virtual=tuple(reader.read("virtual_keys")),
            virtual_used=reader.read("key_use", of="virtual", days=self.unused_days),
            budgeted=tuple(budget["key"] for budget in budgets.values() if budget.get("key")),
            gateways=tuple(reader.read("gateways")),
        )
        return CheckKeysFacts(seen=seen)

    def _asked(
        self, systems: Systems, providers: tuple[keys.ProviderFacts, ...]
    ) -> tuple[dict[str, Answered], dict[str, str]]:
        answers, unread = {}, {}
        sealed_shut = systems[keys.SYSTEM].read("unopened")
        for provider in providers:
            for key in provider.keys:
                if key.id in sealed_shut:
                    unread[place(key)] = sealed_shut[key.id]
                elif self.probe:
                    try:
                        answers[place(key)] = keys.answered(
                            systems, provider.name, key=key.id, model=self.probe_model
                        )
                    except DatareeveError as error:
                        unread[place(key)] = f"{error.code}: {error.what}"
        return answers, unread

    def plan(self, facts: CheckKeysFacts) -> Plan:
        """Nothing is done; everything is told."""
        seen = facts.seen
        found = tuple(findings(seen, Bounds(warn=self.warn_days, unused=self.unused_days, old=self.old_days)))
        every = [key for provider in seen.providers for key in provider.keys]
        active = [key for key in every if key.state == "active"]
        working = [key for key in active if (answer := seen.answers.get(place(key))) and answer.ok]
        valid = [key for key in seen.virtual if key["state"] == "valid"]
        tried = f"{len(working)} of {len(active)} in use work" if self.probe else f"{len(active)} in use"
        summary = (
            f"{_count(every, 'key')} of {_count(seen.providers, 'provider')}, {tried}; "
            f"{_count(valid, 'virtual key')} valid; {_count(found, 'finding')}."
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do="Looking changes nothing.",
            findings=found,
            figures={
                "keys_in_use": len(active),
                **({"keys_working": len(working)} if self.probe else {}),
                "virtual_keys_valid": len(valid),
                **({"keys": [self._row(key, seen) for key in every]} if every else {}),
                **(
                    {"virtual_keys": [self._virtual_row(k, seen) for k in seen.virtual]}
                    if seen.virtual
                    else {}
                ),
            },
        )

    def _row(self, key: keys.Key, seen: KeysSeen) -> dict[str, Any]:
        return {
            "id": key.id,
            "provider": key.provider,
            "label": key.name,
            "state": key.state,
            "says": _verdict(key, seen),
            "ends": _end(key.expires_at),
            **self._used(seen.used.get(key.id)),
        }

    def _virtual_row(self, key: dict[str, Any], seen: KeysSeen) -> dict[str, Any]:
        return {
            "id": key["id"],
            "name": key["name"],
            "team": key["team"],
            "state": key["state"],
            "models": " ".join(key["models"]),
            "ends": _end(key["expires_at"]),
            **self._used(seen.virtual_used.get(key["id"])),
        }

    def _used(self, use: dict[str, Any] | None) -> dict[str, Any]:
        """Within `unused_days`."""
        return {"requests": use["requests"] if use else 0, "failed": use["failed"] if use else 0}


def _verdict(key: keys.Key, seen: KeysSeen) -> str:
    return (
        "unread"
        if place(key) in seen.unread
        else seen.answers[place(key)].verdict
        if place(key) in seen.answers
        else ""
    )


def _end(at: float | None) -> str:
    return keys.day_of(at) if at else ""


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}" + ("" if len(things) == 1 else "s")
