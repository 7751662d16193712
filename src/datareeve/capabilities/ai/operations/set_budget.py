"""`ai.set-budget`: what may be spent on AI, and who is told before it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.ai import budget_alerts, periods
from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.declared import Change
from datareeve.capabilities.ai.operations.set_up_gateway import PROCESS
from datareeve.capabilities.ai.setting import Setting, SettingFacts
from datareeve.core import clock
from datareeve.core.estate_gateway import SpendBudget
from datareeve.core.figures import money
from datareeve.core.operation import Effect, Finding, Severity, Systems

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LOOKED_BACK_DAYS = 30.0  # for models that were asked for
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
        alerts = {one["name"]: one for one in systems["estate"].read("get", where=["alerts"]) or []}
        facts = (
            super()
            .observe(systems)
            .model_copy(update={"there_are": self._there_are(systems), "alerts": alerts})
        )
        if self.usd is not None or facts.set_up is not None:
            return facts
        return facts.model_copy(update={"spent_usd": systems[PROCESS].read("last_month_usd")})

    def _there_are(self, systems: Systems) -> dict[str, tuple[str, ...]]:
        """Names of virtual keys that are not revoked, all teams of keys, and names that were asked for lately, each where it is needed."""
        reader = systems["gateway"]
        found: dict[str, tuple[str, ...]] = {}
        if self.key is not None or self.team is not None:
            issued = reader.read("virtual_keys")
            found["key"] = tuple(dict.fromkeys(k["name"] for k in issued if k["state"] != "revoked"))
            found["team"] = tuple(dict.fromkeys(k["team"] for k in issued if k["team"]))
        if self.model is not None:
            period = periods.last_days(LOOKED_BACK_DAYS, clock.now())
            rows = reader.read("usage", by=["asked", "model"], **period.arguments)
            found["model"] = tuple({name for row in rows for name in (row["asked"], row["model"]) if name})
        return found

    def asks_providers(self) -> bool:
        """Which models there are, where one is named."""
        return self.model is not None

    def blockers(self, facts: SettingFacts) -> list[str]:
        """A budget for what does not exist would hold nothing, and nobody would notice."""
        found = []
        names = facts.there_are.get("key", ())
        if self.key not in (None, "*", *names):
            issue = command(
                "ai.issue-virtual-key", for_name=self.key, usd_per_month=f"{self.amount(facts):g}"
            )
            found.append(
                f"There is no virtual key named {self.key!r}: there {_are(names)}. To issue it with a budget: `{issue}`"
            )
        if self.model is not None and self._has(self.model, facts) is False:
            routes = tuple((facts.after.gateway or {}).get("models") or {})
            found.append(
                f"No route, provider or request of the last {LOOKED_BACK_DAYS:g} days has a model {self.model!r}: the routes {_are(routes)}; "
                f"others are named provider/model, of {', '.join(facts.after.providers) or 'no provider'}."
            )
        return found

    @staticmethod
    def _has(model: str, facts: SettingFacts) -> bool | None:
        """Whether there is such a model; None where a provider that may have it does not list its models."""
        after = facts.after
        if model in ((after.gateway or {}).get("models") or {}) or model in facts.there_are.get("model", ()):
            return True
        provider, _, rest = model.partition("/")
        asked = (provider,) if rest and provider in after.providers else tuple(after.providers)
        name = rest if rest and provider in after.providers else model
        listed = [facts.answers[one].models if one in facts.answers else () for one in asked]
        if any(name in models for models in listed):
            return True
        return None if any(not models for models in listed) else False

    def _scope(self) -> dict[str, str]:
        scope = {"budget": self.budget, "key": self.key, "team": self.team, "model": self.model}
        return {name: value for name, value in scope.items() if value}

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
        """One entry of `gateway.budgets`, and its alerts, which are judged once the gateway is watched."""
        after = self._after(facts)
        how = "is refused before it is sent" if after["hard"] else "is told of, and goes on"
        alerts = ", ".join(map(str, after["alert_percent"]))
        why = f"Spending beyond {money(after['usd'])} a {after['period']} {how}; alerts come at {alerts} %."
        return [
            Change(
                id=f"budget {self.named()}",
                where=("gateway", "budgets", self.named()),
                before=self._standing(facts),
                after=after,
                why=why,
            ),
            *budget_alerts.changes(self.named(), SpendBudget(**after), facts.alerts),
        ]

    def _after(self, facts: SettingFacts) -> dict[str, Any]:
        """As it shall stand: of a budget that is there only what was given changes."""
        standing = self._standing(facts) or {}
        hard = (
            self.hard
            if self.hard is not None
            else standing.get("hard", True)
            if standing
            else self.usd is not None
        )
        given = self.model_fields_set if standing else set(type(self).model_fields)
        usual = {"period": self.period, "alert_percent": list(self.alert_percent)}
        scope = {"key": self.key, "team": self.team, "model": self.model}
        return {
            **usual,
            **standing,
            **{name: value for name, value in usual.items() if name in given},
            **{name: value for name, value in scope.items() if value is not None},
            "usd": self.amount(facts),
            "hard": hard,
        }

    def _standing(self, facts: SettingFacts) -> dict[str, Any] | None:
        found: dict[str, Any] | None = ((facts.after.gateway or {}).get("budgets") or {}).get(self.named())
        return found

    def summary(self, facts: SettingFacts) -> str:
        """The budget in words."""
        after = self._after(facts)
        how = "Hard" if after["hard"] else "Soft"
        return f"{how} budget {self.named()}: {money(after['usd'])} a {after['period']}."

    def findings(self, facts: SettingFacts) -> list[Finding]:
        """Where the amount is ours, not somebody's; where nobody is known yet whom it holds."""
        found = [*self._nobody_yet(facts)]
        if self.usd is not None or self._standing(facts):
            return found
        basis = (
            f"last month's {money(facts.spent_usd)} and a tenth"
            if facts.spent_usd
            else "a usual amount, for nothing was spent last month"
        )
        return [
            *found,
            Finding(
                rule="budget-not-given",
                subject=self.named(),
                what=f"No amount was given: {money(self.amount(facts))} is {basis}, and nothing is refused beyond it.",
                instead=f"Give yours: `{command('ai.set-budget', **self._scope(), period=self.period, usd=200, hard=True)}`",
                severity=Severity.INFO,
                figures={"usd": self.amount(facts)},
            ),
        ]

    def _nobody_yet(self, facts: SettingFacts) -> Iterator[Finding]:
        teams = facts.there_are.get("team", ())
        if self.team not in (None, "*", *teams):
            yield Finding(
                rule="team-not-known",
                subject=self.team or "",
                what=f"No virtual key is of team {self.team!r}, so this budget holds nobody yet: the teams {_are(teams)}.",
                instead=f"Issue one: `{command('ai.issue-virtual-key', for_name='NAME', team=self.team)}`",
            )
        if self.model is not None and self._has(self.model, facts) is None:
            yield Finding(
                rule="model-not-known",
                subject=self.model,
                what=f"Whether there is a model {self.model!r} is not known: its provider does not list its models.",
                instead=f"Compare its name with what is asked for: `{command('ai.usage', by='asked,model')}`",
            )

    def figures(self, facts: SettingFacts) -> dict[str, Any]:
        """The amount."""
        return {"budget_usd": self.amount(facts)}


def _are(names: Iterable[str]) -> str:
    """'are a, b', 'are none'."""
    return f"are {', '.join(sorted(names)) or 'none'}"
