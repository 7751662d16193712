"""`ai.usage`: who used how much of what, and what it cost."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from datareeve.capabilities.ai import keys, periods
from datareeve.capabilities.ai.pricing import money, usd
from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

Dimension = Literal[
    "hour",
    "day",
    "month",
    "key",
    "key_id",
    "team",
    "asked",
    "provider",
    "provider_key",
    "model",
    "endpoint",
    "status",
]
NO_NAME = {
    "key": "(no key)",
    "team": "(no team)",
    "model": "(not sent)",
    "asked": "(refused)",
    "provider": "(not sent)",
}
SHOWN = 3  # in the summary


class UsageFacts(Value):
    """What ai.usage looks at."""

    period: periods.Period
    rows: tuple[dict[str, Any], ...] = ()
    total: dict[str, Any] = Field(default_factory=dict)
    answer: dict[str, Any] | None = None  # to a question in SQL


class Usage(Operation[UsageFacts]):
    """Show AI usage and cost, by key, team, model, day or whatever is asked.

    Requests, failures, tokens by kind, cached answers, response times and cost in US dollars, as the gateway counted them: one row a request,
    summed by the hour. Or any SELECT over the tables `usage` (a row a request), `usage_hourly` (sums) and `latency_hourly` (classes of response
    times): only these can be read, and nothing else is in them than figures, names and keyed digests; no prompt, no answer. Changes nothing.
    """

    name: ClassVar[str] = "ai.usage"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "show AI usage by team and model",
        "how many tokens did we use today",
        "usage of each API key this week",
        "who sends the most requests to the models",
        "query AI usage with SQL",
        "tokens and requests per day",
        "how much did a team spend on models",
    )

    by: tuple[Dimension, ...] = Field(
        ("model",), max_length=4, description="what it is summed by, up to four: key, team, model, day …"
    )
    days: float = Field(30.0, gt=0, le=3660, description="how far back, without `since`")
    since: str | None = Field(None, description="the first day, as 2026-11-01 (UTC)")
    until: str | None = Field(None, description="the last day, included; default: now")
    key: str | None = Field(None, description="only this virtual key, by its name")
    team: str | None = Field(None, description="only this team")
    model: str | None = Field(None, description="only this model, as provider/model")
    asked: str | None = Field(None, description="only what asked for this name")
    provider: str | None = Field(None, description="only this provider")
    endpoint: str | None = Field(None, description="only this endpoint, such as /v1/messages")
    status: str | None = Field(
        None, description="only ok, error, refused, disconnected, broken or interrupted"
    )
    sql: str | None = Field(
        None,
        max_length=10_000,
        description="instead of all that: a SELECT over usage, usage_hourly, latency_hourly",
    )
    most: int = Field(100, ge=1, le=10_000, description="rows that are shown")

    def observe(self, systems: Systems) -> UsageFacts:
        """The sums, or the answer to the question in SQL."""
        period = periods.between(self.since, self.until, self.days, clock.now())
        reader = systems[keys.SYSTEM]
        if self.sql is not None:
            return UsageFacts(period=period, answer=reader.read("usage_by_sql", sql=self.sql, most=self.most))
        if not self.by:
            raise BadInput(
                "usage.dimension", "Nothing is named that usage is summed by.", "Give one: --by model"
            )
        where = {name: value for name in KEPT if (value := getattr(self, name)) is not None}
        rows = reader.read("usage", by=list(self.by), where=where, **period.arguments)
        total = reader.read("usage", where=where, **period.arguments)
        return UsageFacts(period=period, rows=tuple(rows), total=total[0] if total else {})

    def plan(self, facts: UsageFacts) -> Plan:
        """Nothing is done; everything is told."""
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=self._asked(facts) if facts.answer is not None else self._summary(facts),
            nothing_to_do="Looking changes nothing.",
            findings=() if facts.answer is not None else tuple(_findings(facts.total)),
            figures={"columns": facts.answer["columns"], "rows": facts.answer["rows"]}
            if facts.answer is not None
            else self._figures(facts),
        )

    def _figures(self, facts: UsageFacts) -> dict[str, Any]:
        return {
            "rows": [told(row, self.by) for row in facts.rows[: self.most]],
            "requests": facts.total.get("requests", 0),
            "usd": usd(facts.total.get("cost_microusd", 0)),
            "usd_saved": usd(facts.total.get("saved_microusd", 0)),
        }

    def _asked(self, facts: UsageFacts) -> str:
        answer = facts.answer or {}
        more = f", of which the first {self.most} are shown" if answer.get("more") else ""
        return f"{len(answer['rows'])} rows{more}."

    def _summary(self, facts: UsageFacts) -> str:
        total = facts.total
        if not total.get("requests"):
            return f"Nothing passed through the gateway in {facts.period.words}."
        most = (f"{_name(row, self.by)} {money(usd(row['cost_microusd']))}" for row in _dearest(facts.rows))
        hidden = len(facts.rows) - self.most
        return (
            f"{total['requests']:,} requests and {money(usd(total['cost_microusd']))} in {facts.period.words}; by {', '.join(self.by)}: "
            f"{', '.join(most)}" + (f"; {hidden:,} more rows are not shown" if hidden > 0 else "") + "."
        )


KEPT = ("key", "team", "model", "asked", "provider", "endpoint", "status")


def told(row: dict[str, Any], by: tuple[str, ...]) -> dict[str, Any]:
    """A row of sums for people: dollars, means, shares."""
    requests = max(row["requests"], 1)
    return {
        **{name: row[name] or NO_NAME.get(name, "") for name in by},
        **{
            name: row[name]
            for name in ("requests", "failed", "refused", "cached", "input", "output", "cache_read")
        },
        "cache_write": row["cache_write"] + row["cache_write_1h"],
        "reasoning": row["reasoning"],
        "usd": usd(row["cost_microusd"]),
        "usd_saved": usd(row["saved_microusd"]),
        "ms_mean": round(row["total_ms"] / requests, 1),
        "first_ms_mean": round(row["first_ms"] / row["firsts"], 1) if row["firsts"] else None,
        **({"unpriced": row["unpriced"]} if row["unpriced"] else {}),
        **({"estimated": row["estimated"]} if row["estimated"] else {}),
        **({"interrupted": row["interrupted"]} if row["interrupted"] else {}),
    }


def _dearest(rows: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
    return sorted(rows, key=lambda row: -row["cost_microusd"])[:SHOWN]


def _name(row: dict[str, Any], by: tuple[str, ...]) -> str:
    return " ".join(str(row[name] or NO_NAME.get(name, "")) for name in by)


def _findings(total: dict[str, Any]) -> list[Finding]:
    found = [_unpriced(total["unpriced"])] if total.get("unpriced") else []
    return [*found, *interrupted(total)]


def _unpriced(requests: int) -> Finding:
    return Finding(
        rule="no-price",
        subject="gateway",
        what=f"{requests:,} requests used models whose price is not known: their cost is not in these figures.",
        instead="Give it: gateway.prices in estate.yaml: {provider/model: {input: 2.0, output: 8.0}}, in USD per million tokens.",
        severity=Severity.WARNING,
        figures={"requests": requests},
    )


def interrupted(total: dict[str, Any]) -> list[Finding]:
    """How many requests the gateway did not see the end of, and that their cost is an estimate; none where there are none."""
    requests, cost = total.get("interrupted", 0), usd(total.get("interrupted_microusd", 0))
    if not requests:
        return []
    one = requests == 1
    return [
        Finding(
            rule="interrupted",
            subject="gateway",
            what=f"{requests:,} request{' was' if one else 's were'} interrupted, and {'its' if one else 'their'} cost of {money(cost)} is estimated.",
            why="The gateway was killed, stopped or failed while a provider was at work on them: they count with their prompt and an answer as is usual there.",
            severity=Severity.INFO,
            figures={"requests": requests, "usd": cost},
        )
    ]
