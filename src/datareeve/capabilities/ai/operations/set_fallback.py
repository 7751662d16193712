"""`ai.set-fallback`: where a request goes when its first target fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai.declared import (
    EMBEDDINGS,
    Answered,
    Change,
    Declared,
    chat_model,
    on_routes,
)
from datareeve.capabilities.ai.setting import Setting, SettingFacts, routes_named
from datareeve.core.operation import Effect, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALLER = {  # of the same provider, where there is no other: another model has capacity of its own
    "gpt-5.4": "gpt-5.4-mini",
    "gpt-5.2": "gpt-5.4-mini",
    "gpt-4.1": "gpt-4.1-mini",
    "gpt-4o": "gpt-4o-mini",
    "gpt-5.1": "gpt-5-mini",
    "gpt-5": "gpt-5-mini",
    "claude-sonnet-4-5": "claude-haiku-4-5",
    "claude-sonnet-4-6": "claude-haiku-4-5",
}


class SetFallback(Setting):
    """Set up fallbacks: the targets that answer when the first one fails.

    A request goes to the first target of its route; when that fails, is throttled or does not answer in time, to the next, at once where
    the circuit breaker of a target is open. Where the next target is of the other protocol, the request is translated; what does not
    translate is refused by name. Without `targets`, each route that has one gets an able model of every other provider, or where there is
    no other provider a smaller model of the same one. Embeddings get none: vectors of two models do not compare. Undo gives back the routes
    as they stood.
    """

    name: ClassVar[str] = "ai.set-fallback"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "set up fallback mechanisms",
        "fall back to Claude when OpenAI is down",
        "failover to another model or provider",
        "fallback strategies",
        "what happens when the AI provider has an outage",
        "fall back from Claude to GPT",
    )

    model: str | None = Field(None, description="the route; default: all of them")
    targets: tuple[str, ...] = Field(
        (), description="provider/model in order, first the preferred one; default: proposed"
    )
    hedge_after_ms: float | None = Field(
        None, gt=0, description="ask the next target too when the first has not begun to answer by then"
    )

    def needs_routes(self) -> bool:
        """Fallbacks are of routes."""
        return True

    def asks_providers(self) -> bool:
        """Their models are proposed."""
        return not self.targets

    def changes(self, facts: SettingFacts) -> list[Change]:
        """Each route with its targets."""
        return [
            change for name in routes_named(facts.after, self.model) for change in self._route(name, facts)
        ]

    def _route(self, name: str, facts: SettingFacts) -> Iterator[Change]:
        wanted: dict[str, Any] = {"targets": list(self.targets_of(name, facts))}
        if self.hedge_after_ms is not None:
            wanted["hedge_after_ms"] = self.hedge_after_ms
        why = f"When {wanted['targets'][0]} fails, the next target answers; applications notice nothing but the model's name."
        yield from on_routes(facts.after, (name,), wanted, why, "fallback of")

    def targets_of(self, name: str, facts: SettingFacts) -> tuple[str, ...]:
        """The given ones; those of a route that has several; else the first and what is proposed behind it."""
        standing = tuple(((facts.after.gateway or {}).get("models") or {})[name]["targets"])
        if self.targets:
            return self.targets
        if len(standing) > 1 or name == EMBEDDINGS or "embed" in standing[0].lower():
            return standing
        return (*standing, *proposals(standing[0], facts.after, facts.answers))

    def summary(self, facts: SettingFacts) -> str:
        """The chains in words."""
        chains = (
            f"{name}: {' → '.join(self.targets_of(name, facts))}"
            for name in routes_named(facts.after, self.model)
        )
        return "; ".join(chains) or "There is no route."

    def findings(self, facts: SettingFacts) -> list[Finding]:
        """Routes that have nowhere to go, or only within one provider."""
        found = []
        for name in routes_named(facts.after, self.model):
            targets = self.targets_of(name, facts)
            embeds = name == EMBEDDINGS or "embed" in targets[0].lower()
            if len({target.partition("/")[0] for target in targets}) == 1 and not embeds:
                found.append(_one_provider(name, targets))
        return found

    def figures(self, facts: SettingFacts) -> dict[str, Any]:
        """How many routes have a fallback."""
        routes = routes_named(facts.after, self.model)
        return {
            "routes_with_fallback": sum(len(self.targets_of(name, facts)) > 1 for name in routes),
            "routes": len(routes),
        }


def proposals(first: str, after: Declared, answers: dict[str, Answered]) -> tuple[str, ...]:
    """What may stand behind a target: a model of each other provider; else another model of its own."""
    provider, _, model = first.partition("/")
    others = [
        f"{name}/{chosen}"
        for name, entry in after.providers.items()
        if name != provider and (chosen := chat_model(entry, _models(name, answers)))
    ]
    if others:
        return tuple(others)
    listed = _models(provider, answers)
    undated = next((name for name in SMALLER if model == name or model.startswith(f"{name}-20")), "")
    smaller = SMALLER.get(undated, "")
    if smaller and (smaller in listed or not listed):
        return (f"{provider}/{smaller}",)
    entry = after.providers.get(provider)
    another = chat_model(entry, [name for name in listed if name != model]) if entry and listed else ""
    return (f"{provider}/{another}",) if another and another in listed and another != model else ()


def _models(provider: str, answers: dict[str, Answered]) -> tuple[str, ...]:
    return answers[provider].models if provider in answers else ()


def _one_provider(route: str, targets: tuple[str, ...]) -> Finding:
    provider = targets[0].partition("/")[0]
    other, variable = (
        ("anthropic", "ANTHROPIC_API_KEY") if provider != "anthropic" else ("openai", "OPENAI_API_KEY")
    )
    return Finding(
        rule="one-provider",
        subject=route,
        what=f"All targets of {route} are {provider}'s: when {provider} is away, nothing answers.",
        instead=f"Declare a second provider and run this again: systems: {{{other}: {{kind: {other}, keys: [env:{variable}]}}}}",
        figures={"targets": len(targets)},
    )
