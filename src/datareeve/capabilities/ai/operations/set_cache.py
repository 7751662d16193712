"""`ai.set-cache`: equal questions are answered from earlier answers."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.ai.declared import Change, fields, on_routes
from datareeve.capabilities.ai.setting import Setting, SettingFacts, routes_named
from datareeve.core.operation import Effect

HOUR = 3600.0


class SetCache(Setting):
    """Set up the cache of AI answers.

    An equal question within the given time is answered from the earlier answer, in under a millisecond and for nothing; a streamed answer is
    replayed as a stream, and of equal questions at the same moment one is sent. Equal is what means the same: the model and everything that
    shapes the answer. By default only requests whose answer should not vary are kept (temperature 0, embeddings), for an hour. A virtual key
    can be issued without the cache. Hits and the money saved are counted. Undo gives back what stood in estate.yaml.
    """

    name: ClassVar[str] = "ai.set-cache"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "create API response caching strategy",
        "cache responses appropriately",
        "response caching",
        "cache the model's answers for an hour",
        "do not pay twice for the same prompt",
        "cache embeddings",
        "turn the AI cache off",
    )

    seconds: float = Field(HOUR, ge=0, description="how long an answer is good; 0: no cache")
    max_mb: int | None = Field(None, gt=0, description="in memory, of each process; default: 64")
    where: Literal["memory", "store", "redis"] | None = Field(
        None, description="store: kept in the gateway's database as well; redis: shared; default: memory"
    )
    only_deterministic: bool = Field(
        default=True, description="only requests with temperature 0, and embeddings"
    )
    model: str | None = Field(None, description="only this route's time is set, the rest stays")

    def changes(self, facts: SettingFacts) -> list[Change]:
        """`gateway.cache`, or one route's time."""
        if self.model is not None:
            why = f"Answers to {self.model} are good for {self.seconds:g} s."
            names = routes_named(facts.after, self.model)
            return list(on_routes(facts.after, names, {"cache_seconds": self.seconds}, why, "cache of"))
        standing = (facts.after.gateway or {}).get("cache")
        wanted = {"seconds": self.seconds, "only_deterministic": self.only_deterministic, **self._given()}
        why = "The same question is not paid for twice, and its answer comes at once."
        return [fields("cache", ("gateway", "cache"), standing, wanted, why)]

    def _given(self) -> dict[str, Any]:
        given = {"max_mb": self.max_mb, "where": self.where}
        return {name: value for name, value in given.items() if value is not None}

    def blockers(self, facts: SettingFacts) -> list[str]:
        """Redis must be declared."""
        if self.where == "redis" and not facts.after.settings.shared:
            return ["A cache in Redis needs gateway.shared in estate.yaml: redis://host:6379/0."]
        return []

    def summary(self, facts: SettingFacts) -> str:
        """What is kept, in words."""
        del facts
        if not self.seconds:
            return f"No answers {f'of {self.model} ' if self.model else ''}are kept."
        what = "answers that should not vary" if self.only_deterministic else "answers"
        return f"Keep {what}{f' of {self.model}' if self.model else ''} for {self.seconds:g} s."

    def figures(self, facts: SettingFacts) -> dict[str, Any]:
        """How long."""
        del facts
        return {"cache_seconds": self.seconds}
