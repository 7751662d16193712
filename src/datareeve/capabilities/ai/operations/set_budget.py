"""`ai.set-budget`: what may be spent on AI, and who is told before it is."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.ai.declared import Change
from datareeve.capabilities.ai.operations.set_up_gateway import PROCESS
from datareeve.capabilities.ai.setting import Setting, SettingFacts
from datareeve.core.figures import money
from datareeve.core.operation import Effect, Finding, Severity, Systems

GROWTH = 1.10  # the service level: at most a tenth more than last month
USUAL_USD = 100.0  # a month, where nothing was spent yet and nobody said


class SetBudget(Setting):
    """Set a budget for AI, with alerts.

    A budget holds for a virtual key, a team, a model or everything, for a day or a calendar month (UTC). A hard one is enforced on every
    endpoint by reservation: a request is refused before it is sent when it could go beyond. A soft one only tells. Alerts come at given
    shares of it. Without `usd`, last month's spending and a tenth is taken, as a soft budget, because nobody has said that work shall stop
    there. Undo gives back what stood in estate.yaml.
    """

    name: ClassVar[str] = "ai.set-budget"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "set a budget of 200 dollars a month for AI",
        "limit what a team may spend on models",
        "billing alerts at 80 percent of the budget",
        "stop spending on the AI API when the budget is used up",
        "cap the monthly OpenAI bill",
        "daily spending limit for a virtual key",
    )

    usd: float | None = Field(
        None, gt=0, description="US dollars; default: last month's spending and a tenth, soft"
    )
    period: Literal["day", "month"] = Field("month", description="a day or a calendar month, in UTC")
    key: str | None = Field(None, description="the virtual key's name; * for each by itself")
    team: str | None = Field(None, description="the team; * for each by itself")
    model: str | None = Field(None, description="the name asked for, or provider/model")
    hard: bool | None = Field(None, description="refuse beyond it; default: yes where `usd` is given")
    alert_percent: tuple[int, ...] = Field(
        (50, 80, 100), description="shares of it at which somebody is told"
    )
    budget: str = Field("", description="its name; default: made of what it is for")

    def observe(self, systems: Systems) -> SettingFacts:
        """And what was spent last month, where no amount is given."""
        facts = super().observe(systems)
        if self.usd is not None or facts.set_up is not None:
            return facts
        return facts.model_copy(update={"spent_usd": systems[PROCESS].read("last_month_usd")})

    def named(self) -> str:
        """The given name, or one such as 'team-research-month'."""
        of = (
            f"{kind}-{value}"
            for kind, value in (("key", self.key), ("team", self.team), ("model", self.model))
            if value
        )
        words = "-".join((*of, self.period)).replace("*", "each").replace("/", "-")
        return self.budget or (words if "-" in words else f"all-{words}")

    def amount(self, facts: SettingFacts) -> float:
        """As given; as it stands; from last month's; else a usual one."""
        standing = self._standing(facts)
        if self.usd is not None:
            return self.usd
        if standing:
            return float(standing["usd"])
        return round(facts.spent_usd * GROWTH, 2) if facts.spent_usd else USUAL_USD

    def changes(self, facts: SettingFacts) -> list[Change]:
        """One entry of `gateway.budgets`."""
        standing = self._standing(facts)
        hard = (
            self.hard
            if self.hard is not None
            else bool((standing or {}).get("hard", True))
            if standing
            else self.usd is not None
        )
        scope = {"key": self.key, "team": self.team, "model": self.model}
        wanted = {
            "usd": self.amount(facts),
            "period": self.period,
            **scope,
            "hard": hard,
            "alert_percent": list(self.alert_percent),
        }
        how = "is refused before it is sent" if hard else "is told of, and goes on"
        why = f"Spending beyond {money(self.amount(facts))} a {self.period} {how}; alerts come at {', '.join(map(str, self.alert_percent))} %."
        where = ("gateway", "budgets", self.named())
        return [
            Change(
                id=f"budget {self.named()}",
                where=where,
                before=standing,
                after={
                    key: value for key, value in {**(standing or {}), **wanted}.items() if value is not None
                },
                why=why,
            )
        ]

    def _standing(self, facts: SettingFacts) -> dict[str, Any] | None:
        found: dict[str, Any] | None = ((facts.after.gateway or {}).get("budgets") or {}).get(self.named())
        return found

    def summary(self, facts: SettingFacts) -> str:
        """The budget in words."""
        hard = self.changes(facts)[0].after["hard"]
        return f"{'Hard' if hard else 'Soft'} budget {self.named()}: {money(self.amount(facts))} a {self.period}."

    def findings(self, facts: SettingFacts) -> list[Finding]:
        """Where the amount is ours, not somebody's."""
        if self.usd is not None or self._standing(facts):
            return []
        basis = (
            f"last month's {money(facts.spent_usd)} and a tenth"
            if facts.spent_usd
            else "a usual amount, for nothing was spent last month"
        )
        return [
            Finding(
                rule="budget-not-given",
                subject=self.named(),
                what=f"No amount was given: {money(self.amount(facts))} is {basis}, and nothing is refused beyond it.",
                instead="Give yours: usd=200 hard=true.",
                severity=Severity.INFO,
                figures={"usd": self.amount(facts)},
            )
        ]

    def figures(self, facts: SettingFacts) -> dict[str, Any]:
        """The amount."""
        return {"budget_usd": self.amount(facts)}
