"""`ai.providers-status`: how the AI providers are, for the progress report and the service levels."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - the type of a field, which pydantic reads
from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai import keys, model_ends, periods, providers_seen
from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.declared import Declared, declared
from datareeve.capabilities.ai.gateway_findings import cost_grows, growth_percent, provider_not_well
from datareeve.capabilities.ai.operations.set_up_gateway import PROCESS, answered
from datareeve.capabilities.ai.pricing import usd
from datareeve.capabilities.ai.providers_seen import DEGRADED, DOWN, IDLE, LEAST_ANSWERED, UP, Seen
from datareeve.core import clock
from datareeve.core.estate import Targets
from datareeve.core.figures import percent
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value
from datareeve.systems.ai_provider import NOT_WELL, UNREACHABLE

WINDOW_DAYS = 30.0  # of the service levels
FULL_PERCENT = 80.0  # of a rate limit
SOON_DAYS = 30  # a model that ends sooner is told here
FAR_DAYS = 3650  # as far ahead as ends are looked at: said where no end is announced


class Limit(Value):
    """One limit of a provider's key and model, as the provider's own headers told it, reckoned to now."""

    provider: str
    key: str
    model: str
    kind: str  # requests, tokens, input-tokens, output-tokens
    left: int
    limit: int | None = None
    full_in_seconds: float = 0.0
    heard_at: str  # ISO 8601, UTC

    @property
    def used_percent(self) -> float | None:
        """Of the limit; None where its size was not told."""
        return round(100 * (1 - self.left / self.limit), 1) if self.limit else None


class Standing(Value):
    """One provider, in the time that is looked at."""

    provider: str
    requests: int = 0
    unanswered: int = 0  # and not for the caller's own fault
    ms_mean: float | None = None
    ms_p95: float | None = None
    usd: float = 0.0
    limit_used_percent: float | None = (
        None  # of the declared requests or tokens a minute, in the busiest minute of its busiest key
    )
    limits: tuple[Limit, ...] = ()  # as its own headers told them
    key: str = ""  # what the provider said to it, where it was asked
    key_ok: bool | None = None
    seen: Seen = Seen(provider="")  # what running gateways tell of the last minutes

    @property
    def used_percent(self) -> float | None:
        """The most of any limit: the declared ones, and those that the provider tells itself."""
        heard = [one.used_percent for one in self.limits if one.used_percent is not None]
        return max(
            (*heard, *([self.limit_used_percent] if self.limit_used_percent is not None else [])),
            default=None,
        )

    @property
    def answered_percent(self) -> float | None:
        """Of the requests that were sent to it; None where there were none."""
        return round(100 * (1 - self.unanswered / self.requests), 3) if self.requests else None

    @property
    def is_ill(self) -> bool:
        """It was asked now, and does not answer or with an error of its own: what was answered before, or by a fallback, does not hide that."""
        return self.key in (UNREACHABLE, NOT_WELL)

    @property
    def state(self) -> str:
        """up, degraded, down, or idle: nothing was sent to it and nobody asked it. Answers of a fallback are not its own."""
        unanswered = self.requests and self.unanswered >= self.requests
        if self.key_ok is False or self.is_ill or unanswered or self.seen.state == DOWN:
            return DOWN
        if (self.answered_percent or 100.0) < LEAST_ANSWERED or self.seen.state == DEGRADED:
            return DEGRADED
        return UP if self.requests or self.key_ok or self.seen.state == UP else IDLE


class ProvidersStatusFacts(Value):
    """What providers-status looks at."""

    declared: Declared
    targets: Targets = Targets()
    up: bool = False  # a gateway runs
    providers: tuple[Standing, ...] = ()
    words: str = ""
    answered: int = 0  # in the 30 days of the service level
    unanswered: int = 0
    own_faults: int = 0  # in that time, of the gateway itself: nobody's outage, but told
    spending: dict[str, Any] = Field(default_factory=dict)
    ends: tuple[model_ends.ModelEnd, ...] = ()  # of all models in use whose end is announced
    in_trouble: tuple[
        dict[str, Any], ...
    ] = ()  # models by key that failed lately or are left alone, by gateway
    sharing: tuple[dict[str, Any], ...] = ()  # how each running gateway stands with the others over limits
    today: date | None = None

    @property
    def uptime_percent(self) -> float | None:
        """The share of requests that were answered, of those that could be; None where there were none."""
        asked = self.answered + self.unanswered
        return round(100 * self.answered / asked, 4) if asked else None

    @property
    def growth_percent(self) -> float | None:
        """How much more the month will cost than the last; None where that is not known."""
        return growth_percent(self.spending)


class ProvidersStatus(Operation[ProvidersStatusFacts]):
    """Show the status of the AI providers: availability, rate limits, response time, cost.

    For each provider: whether it answers, the share of requests it answered, how near its busiest key came to its limits, response times and
    cost. One that the gateway leaves alone, or whose attempts failed in the last minutes, is down or degraded also where a fallback answered in
    its place: with the reason, since when, and how many requests were answered by what instead. Over 30 days the share of requests that were
    answered (the service level is 99.9 %) with its error budget, and the growth of cost beside last month (at most 10 %). Requests that were
    refused for their own sake, whose client left or that the gateway itself ended are no provider's outage; how many the gateway ended is
    told. Names models that end soon. Changes nothing; with `probe` each provider is asked for its list of models, which costs nothing.
    """

    name: ClassVar[str] = "ai.providers-status"
    effect: ClassVar[Effect] = Effect.READ
    examples: ClassVar[tuple[str, ...]] = (
        "status of the AI providers",
        "is OpenAI up",
        "API availability and uptime of the providers",
        "how close are we to the rate limits",
        "API response time by provider",
        "report API health",
    )

    sampled_as: ClassVar[str] = "gateway"

    minutes: float = Field(
        60.0,
        gt=0,
        le=44_640,
        description="how far back the state of each provider is looked at, from the beginning of an hour",
    )
    probe: bool = Field(default=False, description="ask each provider now, by listing its models")

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> ProvidersStatusFacts:
        """What the gateway counted, and where wanted what the providers say now."""
        now, reader, stands = clock.now(), systems[keys.SYSTEM], declared(systems)
        period = periods.lately(self.minutes, now)
        gateways = reader.read("gateways")
        window = periods.last_days(WINDOW_DAYS, now)
        outages = reader.read("outages", **window.arguments)
        excused = reader.read("excused", **window.arguments).values()
        total = reader.read("usage", **window.arguments)
        unanswered = sum(outages.values())
        sent = sum(row["requests"] - row["refused"] for row in total) - sum(
            one["requests"] for one in excused
        )
        today = now.date()
        used = reader.read("usage", by=["provider", "model"], **window.arguments)
        return ProvidersStatusFacts(
            declared=stands,
            targets=Targets(**(systems["estate"].read("get", where=["targets"]) or {})),
            up=bool(gateways) or systems[PROCESS].read("answers"),
            providers=tuple(self._standings(systems, stands, period, gateways)),
            in_trouble=tuple({"gateway": one["id"], **row} for one in gateways for row in one["in_trouble"]),
            sharing=tuple({"gateway": one["id"], **row} for one in gateways for row in one["sharing"]),
            words=period.words,
            answered=max(sent - unanswered, 0),
            unanswered=unanswered,
            own_faults=sum(one["own"] for one in excused),
            spending=systems[PROCESS].read("figures", seconds=self.minutes * 60)["spending"],
            ends=_ends(systems, stands, used, today),
            today=today,
        )

    def _standings(
        self, systems: Systems, stands: Declared, period: periods.Period, gateways: list[dict[str, Any]]
    ) -> list[Standing]:
        reader, heard = systems[keys.SYSTEM], _heard(gateways)
        lately = providers_seen.seen(gateways, stands.providers)
        rows = {row["provider"]: row for row in reader.read("usage", by=["provider"], **period.arguments)}
        outages, slow = (
            reader.read("outages", **period.arguments),
            reader.read("latencies", **period.arguments),
        )
        excused = reader.read("excused", **period.arguments)
        busy = reader.read("busiest_minute", **period.arguments)
        found = []
        for name, entry in stands.providers.items():
            row = rows.get(name, {})
            requests = row.get("requests", 0) - row.get("cached", 0) - row.get("refused", 0)
            requests -= excused.get(name, {}).get("requests", 0)
            said = answered(systems, name) if self.probe else None
            found.append(Standing(
                provider=name,
                requests=max(requests, 0),
                unanswered=min(outages.get(name, 0), max(requests, 0)),
                ms_mean=round(row["total_ms"] / row["requests"], 1) if row.get("requests") else None,
                ms_p95=slow.get(name, {}).get("p95"),
                usd=usd(row.get("cost_microusd", 0)),
                limit_used_percent=_limit_used(entry, [one for one in busy if one["provider"] == name]),
                limits=tuple(one for one in heard if one.provider == name),
                key=said.verdict if said else "",
                key_ok=said.ok if said else None,
                seen=lately.get(name, Seen(provider=name)),
            ))  # fmt: skip
        return found

    # -- telling -------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: ProvidersStatusFacts) -> Plan:
        """Nothing is done; everything is told."""
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=_summary(facts),
            nothing_to_do="Looking changes nothing.",
            findings=tuple(_findings(facts)),
            figures=figures(facts),
        )


def _limit_used(entry: dict[str, Any], busy: list[dict[str, Any]]) -> float | None:
    """The busiest minute of a key beside what the estate says that a key may have; None where it says nothing."""
    shares = [
        100 * one[kind] / limit
        for kind in ("requests", "tokens")
        if (limit := entry.get(f"{kind}_per_minute"))
        for one in [*busy, {"requests": 0, "tokens": 0}]
    ]
    return round(max(shares), 1) if shares else None


def _ends(
    systems: Systems, stands: Declared, used: list[dict[str, Any]], today: date
) -> tuple[model_ends.ModelEnd, ...]:
    """Models that routes name or that were used, which have ended or end soon."""
    known = model_ends.catalogue(systems["files"].read("text", path=model_ends.OWN_FILE))
    targets = {target for route in stands.settings.models.values() for target in route.targets}
    targets |= {row["model"] for row in used if row["model"] and row["requests"] > row["failed"]}
    named = (target.partition("/")[::2] for target in sorted(targets))
    makers = [(model_ends.dates_of(p, stands.providers[p]), m) for p, m in named if p in stands.providers]
    return tuple(model_ends.ending(known, makers, today, FAR_DAYS))


def _heard(gateways: list[dict[str, Any]]) -> list[Limit]:
    """What providers told of their limits; of what several processes heard, what was heard last."""
    newest: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in (row for one in gateways for row in one["limits"]):
        place = (row["key"], row["model"], row["kind"])
        if place not in newest or newest[place]["heard_at"] < row["heard_at"]:
            newest[place] = row
    return [_limit(row) for row in newest.values()]


def _limit(row: dict[str, Any]) -> Limit:
    provider, _, key = str(row["key"]).partition(":")
    return Limit(
        provider=provider,
        key=key,
        model=row["model"],
        kind=row["kind"],
        left=row["left"],
        limit=row["limit"],
        full_in_seconds=row["full_in"],
        heard_at=providers_seen.iso(row["heard_at"]),
    )


def figures(facts: ProvidersStatusFacts) -> dict[str, Any]:
    """For the report and the service levels; what is not known is left out."""
    asked = [one for one in facts.providers if one.requests]
    total = sum(one.requests for one in asked)
    limits = [one.used_percent for one in facts.providers if one.used_percent is not None]
    allowed = (facts.answered + facts.unanswered) * (100 - facts.targets.api_uptime_percent) / 100
    found = {
        "api_status": _summary(facts),
        "api_availability": _availability(facts),
        "api_uptime_percent": facts.uptime_percent,
        "api_errors_allowed": round(allowed, 1) if facts.uptime_percent is not None else None,
        "api_requests": facts.answered + facts.unanswered,
        "api_errors": facts.unanswered,
        "api_gateway_faults": facts.own_faults,
        "api_saved_by_fallback": sum(one.seen.saved for one in facts.providers) or None,
        "api_limit_used_percent": max(limits, default=None),
        "api_response_ms": round(sum((one.ms_mean or 0) * one.requests for one in asked) / total, 1)
        if total
        else None,
        "api_usd_month": facts.spending.get("usd_month"),
        "ai_cost_growth_percent": facts.growth_percent,
        "model_days_left": _days_left(facts),
        "limits_shared": _shared(facts),
        "providers": [
            {
                **one.model_dump(exclude={"limits", "seen"}),
                **_lately(one),
                "state": one.state,
                "answered_percent": one.answered_percent,
            }
            for one in facts.providers
        ],
        "provider_limits": [
            {**limit.model_dump(), "used_percent": limit.used_percent}
            for one in facts.providers
            for limit in one.limits
        ]
        or None,
        "in_trouble": [_trouble(row) for row in facts.in_trouble] or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _lately(one: Standing) -> dict[str, Any]:
    """What gateways have seen of it in the last minutes; nothing where they did not ask it."""
    if one.seen.state == IDLE:
        return {}
    told: dict[str, Any] = {"attempts": one.seen.attempts, "attempts_failed": one.seen.failed}
    if one.seen.is_ill:
        told |= {"reason": one.seen.reason, "left_alone": one.seen.alone, "answered_instead": one.seen.instead, "saved_by_fallback": one.seen.saved}  # fmt: skip
        told |= {"since": providers_seen.iso(one.seen.since)} if one.seen.since else {}
    return told


def _trouble(row: dict[str, Any]) -> dict[str, Any]:
    """A model by key as people read it."""
    since = {"since": providers_seen.iso(row["since"])} if row.get("since") else {}
    told = ("gateway", "provider", "model", "key", "reason", "attempts", "failed", "instead", "saved")
    state = "left alone" if row.get("alone") else "resting" if row.get("resting") else "failing"
    return {**{name: row.get(name) for name in told}, "state": state, **since}


def _days_left(facts: ProvidersStatusFacts) -> int | None:
    """Until the first model in use ends; `FAR_DAYS` where no end is announced, so that an alert on it ends; None where nothing is in use, or nothing could be looked up."""
    in_use = facts.declared.settings.models or facts.answered or facts.unanswered
    looked_up = facts.ends or any(model_ends.maker_of(one) for one in facts.declared.providers.values())
    if facts.today is None or not in_use or not looked_up:
        return None
    left = [one.days_left(facts.today) for one in facts.ends]
    return min((days for days in left if days is not None), default=FAR_DAYS)


def _alone(facts: ProvidersStatusFacts) -> list[dict[str, Any]]:
    return [one for one in facts.sharing if one.get("alone_since")]


def _shared(facts: ProvidersStatusFacts) -> str | None:
    """By how many processes limits are shared, or since when one is alone; None where no gateway said so."""
    if alone := _alone(facts):
        since = providers_seen.iso(min(one["alone_since"] for one in alone))
        return f"{len(alone)} of {len(facts.sharing)} alone since {since}: each goes on with its part of every limit"
    most = max((one.get("instances", 1) for one in facts.sharing), default=None)
    return None if most is None else f"by {most} process{'es' if most != 1 else ''}"


def _availability(facts: ProvidersStatusFacts) -> str:
    if not facts.declared.providers or facts.declared.gateway is None:
        return "not configured"
    return providers_seen.availability(one.state for one in facts.providers) if facts.up else DOWN


def _summary(facts: ProvidersStatusFacts) -> str:
    if not facts.declared.providers or facts.declared.gateway is None:
        return "No AI provider is behind a gateway here: `datareeve run ai.set-up-gateway` sets one up."
    if not facts.up:
        return f"{DOWN}: no gateway runs"
    parts = [f"{one.provider} {one.state}{_in_brackets(one)}" for one in facts.providers]
    uptime = (
        f"; {percent(facts.uptime_percent)} % of requests answered in {WINDOW_DAYS:g} days"
        if facts.uptime_percent is not None
        else ""
    )
    return f"{_availability(facts)}: {', '.join(parts)}{uptime}"


def _in_brackets(one: Standing) -> str:
    """What its state rests on: what is going on now, else the share that was answered."""
    if one.seen.is_ill:
        return f" ({one.seen.briefly})"
    return f" ({percent(one.answered_percent)} % answered)" if one.answered_percent is not None else ""


def _findings(facts: ProvidersStatusFacts) -> list[Finding]:
    if facts.declared.gateway is None:
        return []
    found = [_not_well(one, facts.words) for one in facts.providers if one.state in (DOWN, DEGRADED)]
    found += [_near(one) for one in facts.providers if (one.used_percent or 0) > FULL_PERCENT]
    found += [_limits_alone(facts)] if _alone(facts) else []
    if facts.uptime_percent is not None and facts.uptime_percent < facts.targets.api_uptime_percent:
        found.append(_missed(facts))
    if facts.own_faults:
        found.append(_own_faults(facts))
    if facts.growth_percent is not None and facts.growth_percent > facts.targets.ai_cost_growth_percent:
        found.append(cost_grows(facts.growth_percent, facts.targets.ai_cost_growth_percent, facts.spending))
    soon = (one for one in facts.ends if facts.today and (one.days_left(facts.today) or 0) <= SOON_DAYS)
    return [*found, *(_ending(one, facts) for one in soon)]


def _not_well(one: Standing, words: str) -> Finding:
    said = (
        f", and does not take its key ({one.key})"
        if one.key_ok is False
        else f"; asked now, it is {one.key}"
        if one.is_ill
        else ""
    )
    counted = f"{one.unanswered:,} of {one.requests:,} requests of {words} were not answered"
    parts = [one.seen.words] * one.seen.is_ill + [counted] * bool(one.requests or not one.seen.is_ill)
    figures = {"requests": one.requests, "unanswered": one.unanswered, **_lately(one)}
    return provider_not_well(one.provider, one.state, f"{'. '.join(parts)}{said}", figures)


def _near(one: Standing) -> Finding:
    return Finding(
        rule="near-rate-limit",
        subject=one.provider,
        what=_nearest(one),
        instead=f"A second key shares the load: `{command('ai.add-key', provider=one.provider, key='env:NAME')}`; who uses most of it: `{command('ai.usage', by='key', provider=one.provider)}`",
        figures={"percent": one.used_percent},
    )


def _nearest(one: Standing) -> str:
    heard = max(one.limits, key=lambda limit: limit.used_percent or 0.0, default=None)
    if heard is not None and heard.used_percent == one.used_percent:
        return f"{one.provider} says that {percent(heard.used_percent or 0.0)} % of the {heard.kind} of {heard.key or 'its limit'} for {heard.model} is used ({heard.heard_at})."
    return f"The busiest key of {one.provider} had {percent(one.limit_used_percent or 0.0)} % of its limit in one minute."


def _limits_alone(facts: ProvidersStatusFacts) -> Finding:
    trouble = ", ".join(sorted({str(one.get("trouble") or "no answer") for one in _alone(facts)}))
    return Finding(
        rule="limits-not-shared",
        subject="gateway",
        what=f"Limits are not shared at the moment ({trouble}): {_shared(facts)}.",
        instead="Look at what they are shared through: gateway.shared, else gateway.store.",
        figures={"alone": len(_alone(facts))},
    )


def _missed(facts: ProvidersStatusFacts) -> Finding:
    return Finding(
        rule="uptime-missed",
        subject="gateway",
        what=f"{percent(facts.uptime_percent or 0.0)} % of requests were answered in {WINDOW_DAYS:g} days; the target is more than {facts.targets.api_uptime_percent:g} %.",
        instead=f"`{command('ai.usage', by='provider,status')}` says where they failed; `{command('ai.set-fallback')}` gives routes a second provider.",
        figures={"answered": facts.answered, "unanswered": facts.unanswered},
    )


def _own_faults(facts: ProvidersStatusFacts) -> Finding:
    return Finding(
        rule="gateway-faults",
        subject="gateway",
        what=f"The gateway itself ended {facts.own_faults:,} requests in {WINDOW_DAYS:g} days: it was killed, stopped while they ran, or failed.",
        why="They are counted against no provider; their cost is estimated.",
        instead="Its log says why: .datareeve/gateway/log. ai.usage --status interrupted --by day says when.",
        figures={"requests": facts.own_faults},
    )


def _ending(one: model_ends.ModelEnd, facts: ProvidersStatusFacts) -> Finding:
    assert facts.today is not None  # noqa: S101 - observed with the ends
    left = one.days_left(facts.today) or 0
    return Finding(
        rule="model-ended" if left <= 0 else "model-ends",
        subject=one.model,
        what=f"{one.model} ended on {one.ends}."
        if left <= 0
        else f"{one.model} ends on {one.ends}, in {left} days.",
        why="Requests to it fail from that day on.",
        instead=f"`{command('ai.plan-model-migration', model=one.model)}` puts its replacement into the routes.",
        severity=Severity.CRITICAL if left <= 7 else Severity.WARNING,  # noqa: PLR2004 - days
        figures={"days": left, "source": one.source},
        mended_by="ai.plan-model-migration",
    )
