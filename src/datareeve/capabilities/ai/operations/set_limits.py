"""`ai.set-limits`: rates, retries, deadlines, the queue and the breaker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai.declared import Change, Declared, fields, on_routes
from datareeve.capabilities.ai.setting import Setting, SettingFacts, routes_named
from datareeve.core.errors import BadInput
from datareeve.core.operation import Effect, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

RUNAWAY_REQUESTS = (
    600  # a minute on one route: ten a second is more than people do, and less than a loop does
)
RUNAWAY_TOKENS = 2_000_000
RETRIES, DEADLINE_SECONDS, QUEUE_SECONDS = 3, 120.0, 10.0


class SetLimits(Setting):
    """Set rate limits and retries for AI requests.

    Limits requests and tokens per minute of a route, or of each key of a provider; says how often a failed request is tried again (with
    full-jitter backoff that honours Retry-After, within the deadline and a retry budget), how long a request waits in the queue for room
    under a limit instead of an error 429, and when a failing target is left alone. Tokens are reserved before a request is sent and settled
    from what the provider counted; the providers' own rate-limit headers lower the limits by themselves. Where nothing is said, each route
    gets limits that stop a runaway loop, and three retries. Undo gives back what stood in estate.yaml.
    """

    name: ClassVar[str] = "ai.set-limits"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "implement rate limiting and retry logic",
        "limit requests per minute to the AI API",
        "set tokens per minute limits",
        "retry failed AI calls with exponential backoff",
        "rate limit handling",
        "implement backoff and queueing",
        "implement rate limiting and quotas",
        "stop runaway loops and excessive API calls",
    )

    model: str | None = Field(None, description="the route; default: all of them")
    provider: str | None = Field(None, description="limit each key of this provider, instead of a route")
    requests_per_minute: int | None = Field(
        None, gt=0, description=f"default for a route that has none: {RUNAWAY_REQUESTS}"
    )
    tokens_per_minute: int | None = Field(
        None, gt=0, description=f"default for a route that has none: {RUNAWAY_TOKENS}"
    )
    retries: int | None = Field(
        None, ge=0, le=10, description=f"further attempts on one target; default: {RETRIES}"
    )
    deadline_seconds: float | None = Field(
        None, gt=0, description=f"of the whole request, waiting included; default: {DEADLINE_SECONDS:g}"
    )
    queue_seconds: float | None = Field(
        None, ge=0, le=600, description=f"wait so long for room under a limit; default: {QUEUE_SECONDS:g}"
    )
    failures: int | None = Field(
        None, ge=1, description="failures in a row after which a target is left alone"
    )
    open_seconds: float | None = Field(None, gt=0, description="for how long, at first")

    def needs_routes(self) -> bool:
        """Limits of routes are; those of a provider's keys are not."""
        return self.provider is None

    def changes(self, facts: SettingFacts) -> list[Change]:
        """The provider's entry, or each route's; and the breaker."""
        after = facts.after
        found = [*self._provider(after)] if self.provider else [*self._routes(after)]
        return [*found, *self._breaker(after)]

    def _provider(self, after: Declared) -> Iterator[Change]:
        standing = after.providers.get(self.provider or "")
        if standing is None:
            known = ", ".join(after.providers) or "none"
            raise BadInput(
                "gateway.provider", f"The estate has no provider {self.provider!r}.", f"It has: {known}."
            )
        wanted = _given(
            requests_per_minute=self.requests_per_minute, tokens_per_minute=self.tokens_per_minute
        )
        why = "No key of it is asked for more than this in a minute; what its own headers say lowers it further."
        yield fields(f"limits of {self.provider}", ("systems", self.provider or ""), standing, wanted, why)

    def _routes(self, after: Declared) -> Iterator[Change]:
        models = (after.gateway or {}).get("models") or {}
        why = "A loop is stopped at the limit, a failure of a moment is tried again, and nobody waits longer than the deadline."
        for name in routes_named(after, self.model):
            yield from on_routes(after, (name,), self._wanted(models.get(name) or {}), why, "limits of")

    def _wanted(self, standing: dict[str, Any]) -> dict[str, Any]:
        """What is given; else what stands; else what is usual."""
        usual = {
            "requests_per_minute": RUNAWAY_REQUESTS,
            "tokens_per_minute": RUNAWAY_TOKENS,
            "retries": RETRIES,
            "deadline_seconds": DEADLINE_SECONDS,
            "queue_seconds": QUEUE_SECONDS,
        }
        given = _given(**{name: getattr(self, name) for name in usual})
        return {name: given.get(name, standing.get(name, value)) for name, value in usual.items()}

    def _breaker(self, after: Declared) -> Iterator[Change]:
        wanted = _given(failures=self.failures, open_seconds=self.open_seconds)
        standing = (after.gateway or {}).get("breaker")
        if wanted:
            why = (
                "A target that fails is left alone for a while, so that requests go to the next one at once."
            )
            yield fields("breaker", ("gateway", "breaker"), standing, wanted, why)

    def summary(self, facts: SettingFacts) -> str:
        """The limits in words."""
        if self.provider:
            return f"Each key of {self.provider} has limits of its own."
        routes = routes_named(facts.after, self.model)
        if not routes:
            return "There is no route to limit."
        wanted = self._wanted(((facts.after.gateway or {}).get("models") or {}).get(routes[0]) or {})
        return (
            f"{', '.join(routes)}: {wanted['requests_per_minute']:,} requests and {wanted['tokens_per_minute']:,} tokens a minute, "
            f"{wanted['retries']} retries within {wanted['deadline_seconds']:g} s, {wanted['queue_seconds']:g} s in the queue."
        )

    def quiet(self, facts: SettingFacts) -> str:
        """It is so, or there is nothing that could be limited."""
        if not self.provider and not routes_named(facts.after, self.model):
            return "There is no route yet: limits of a provider's keys are set with provider=…, of a virtual key when it is issued."
        return super().quiet(facts)

    def findings(self, facts: SettingFacts) -> list[Finding]:
        """Where the limits are usual ones, not somebody's."""
        del facts
        if self.requests_per_minute or self.tokens_per_minute or self.provider:
            return []
        return [
            Finding(
                rule="usual-limits",
                subject="gateway",
                what="No limits were given: routes without any get those that stop a loop, not those of your contract.",
                instead="Give yours: requests_per_minute=…, tokens_per_minute=…, for a provider's keys with provider=….",
                severity=Severity.INFO,
            )
        ]

    def figures(self, facts: SettingFacts) -> dict[str, Any]:
        """How many routes are limited."""
        return {"routes_limited": len(routes_named(facts.after, self.model))}


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
