"""`ai.plan-model-migration`: models that end are replaced in the routes before they do."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - pydantic reads it
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai import keys, migrating, model_ends, periods
from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.declared import Change, Declared, declared, fields
from datareeve.capabilities.ai.migrating import Known, Moving, NotKnown, Use
from datareeve.capabilities.ai.operations.set_up_gateway import PROCESS
from datareeve.capabilities.ai.pricing import KINDS, Pricing, money
from datareeve.capabilities.ai.setting import ASKED
from datareeve.core import clock
from datareeve.core.errors import DatareeveError
from datareeve.core.figures import percent
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

USED_DAYS = 30.0
CRITICAL_DAYS = 14
SHADOW_LEAST = 20  # prompts that a comparison needs to say something


class PlanModelMigrationFacts(Value):
    """What ends, where it is named, and what takes its place."""

    declared: Declared
    movings: tuple[Moving, ...] = ()
    watched: tuple[Moving, ...] = ()  # the same without the limit of days: for the warnings ahead
    left_open: tuple[NotKnown, ...] = ()  # models whose end could not be looked up
    version: str = ""  # of the catalogue
    not_known: bool = False  # the model that was named has no known end
    today: date
    running: bool = False


class PlanModelMigration(Operation[PlanModelMigrationFacts]):
    """Plan the migration from models that end to their replacements.

    Looks where the routes and the requests of the last 30 days name models that have ended or end within `days`, by the catalogue of end dates
    (with the maker's page for each; a project's own ai-models.yaml and the dates that a provider lists come first), and puts the maker's
    replacement, or `to`, in their place: in routes, in budgets, and as a route under the old name where applications ask for it
    themselves, so that they need no change. Each with the difference in price, at what was really used, and the shadow comparison of
    ai.replay where there is one. What another server than its maker's serves (Azure, a proxy, your own) has dates of its own: of that it is
    said that it is not known here, unless `prices_as` says whose it is or ai-models.yaml gives its dates. `claude-3-sonnet`, for one, has been retired since 2025-07-21; its name is mapped to its replacement.
    Applications are better off with a name of yours, such as `chat`, than with a dated model. Undo puts back what stood there.
    """

    name: ClassVar[str] = "ai.plan-model-migration"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "plan migration to new model versions",
        "API deprecation: plan migration to new versions",
        "which of our models are retired or deprecated",
        "replace claude-3-sonnet",
        "move off a model before its shutdown date",
        "version API integrations",
        "model end of life",
    )

    model: str | None = Field(
        None,
        description="only this one: a model, provider/model, or a name that applications ask for; default: all that end",
    )
    to: str | None = Field(
        None,
        description="what takes its place: a model or provider/model; default: what its maker recommends",
    )
    days: int = Field(90, ge=0, le=3650, description="models that end within so many days are moved now")
    aliases: bool = Field(
        default=True, description="keep old names that applications ask for working, as routes"
    )
    ask: bool = Field(
        default=True, description="ask the providers for the end dates that they list themselves"
    )

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> PlanModelMigrationFacts:
        """The catalogue, the routes, what was asked lately, prices, and replays."""
        stands, today = declared(systems), clock.now().date()
        catalogue = self._catalogue(systems, stands)
        known = Known(
            declared=stands,
            catalogue=catalogue,
            uses=tuple(_uses(systems)),
            today=today,
            days=self.days,
            model=self.model or "",
            to=self.to or "",
        )
        records = systems[keys.SYSTEM].read("replays")
        pricing = Pricing(stands)

        def replay_of(old: str, new: str) -> dict[str, Any] | None:
            return next((one for one in records if one["target"] == new and old in one["models"]), None)

        found = migrating.movings(known, pricing, replay_of)
        later = migrating.movings(known.model_copy(update={"days": 3650}), pricing, replay_of)
        return PlanModelMigrationFacts(
            declared=stands,
            movings=found,
            watched=tuple(one for one in later if _key(one) not in {_key(m) for m in found}),
            left_open=migrating.not_known(known),
            version=catalogue.version,
            not_known=bool(self.model) and not found,
            today=today,
            running=systems[PROCESS].read("running"),
        )

    def _catalogue(self, systems: Systems, stands: Declared) -> model_ends.Catalogue:
        """Ours; the project's own before it; what providers list before both."""
        found = model_ends.catalogue(systems["files"].read("text", path=model_ends.OWN_FILE))
        for name, entry in stands.providers.items() if self.ask else ():
            if whose := model_ends.dates_of(name, entry):
                found = found.with_dates(whose, _listed(systems, name))
        return found

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: PlanModelMigrationFacts) -> Plan:
        """A change for each route, name and budget."""
        changes = list(self._changes(facts))
        steps = tuple(change.step() for change in changes if not change.is_there)
        followed = bool(steps) and facts.running
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=self._summary(facts, changes),
            nothing_to_do="" if steps else self._quiet(facts),
            requirements=tuple(change.stood() for change in changes if not change.is_there),
            steps=(*steps, keys.follow("the estate", estate=True)) if followed else steps,
            checks=(
                *(c.stands() for c in changes),
                *((keys.followed(estate=True), ASKED) if followed else ()),
            ),
            findings=tuple(_findings(facts)),
            figures=_figures(facts),
        )

    def _changes(self, facts: PlanModelMigrationFacts) -> Iterator[Change]:
        if facts.declared.gateway is None:
            return
        new = {one.target: one for one in facts.movings if one.replacement}
        yield from self._routes(facts, new)
        if self.aliases:
            yield from (
                self._alias(one, facts.today) for one in facts.movings if one.asked and one.replacement
            )
        for name, budget in (facts.declared.gateway.get("budgets") or {}).items():
            if one := new.get(budget.get("model") or ""):
                why = f"{one.target} is served by {one.replacement} from now on: a budget for the old one would hold nothing."
                yield fields(
                    f"budget {name}", ("gateway", "budgets", name), budget, {"model": one.replacement}, why
                )

    def _routes(self, facts: PlanModelMigrationFacts, new: dict[str, Moving]) -> Iterator[Change]:
        for name, route in ((facts.declared.gateway or {}).get("models") or {}).items():
            moved = [new[target] for target in route["targets"] if target in new]
            if moved:
                targets = dict.fromkeys(new[t].replacement if t in new else t for t in route["targets"])
                why = " ".join(_why(one, facts.today) for one in moved)
                yield fields(
                    f"route {name}", ("gateway", "models", name), route, {"targets": list(targets)}, why
                )

    @staticmethod
    def _alias(one: Moving, today: date) -> Change:
        why = f"Applications ask for {one.asked}, which {_ended(one, today)}: under its name {one.replacement} answers, and they need no change."
        return fields(
            f"name {one.asked}", ("gateway", "models", one.asked), None, {"targets": [one.replacement]}, why
        )

    # -- telling -------------------------------------------------------------------------------------------------------------------

    def _summary(self, facts: PlanModelMigrationFacts, changes: list[Change]) -> str:
        if not facts.movings:
            return self._quiet(facts)
        parts = [
            f"{one.asked or one.target} ({_ended(one, facts.today)}) → {one.replacement or 'no replacement is known'}"
            for one in facts.movings
        ]
        left = (
            ""
            if changes or facts.declared.gateway is not None
            else "; there is no gateway whose routes could be changed"
        )
        return " ".join(filter(None, (f"{'; '.join(parts)}{left}.", _said_open(facts))))

    def _quiet(self, facts: PlanModelMigrationFacts) -> str:
        if facts.movings and facts.declared.gateway is None:
            return "There is no gateway that could answer under the old name: `datareeve run ai.set-up-gateway` sets one up. Applications must change it themselves."
        if facts.movings and not any(one.replacement for one in facts.movings):
            return "No replacement is known: give one with --to provider/model."
        if facts.movings:
            return "With --no-aliases nothing here names what ends: applications must change it themselves."
        return " ".join(filter(None, (_said_open(facts), self._nothing_ends(facts))))

    def _nothing_ends(self, facts: PlanModelMigrationFacts) -> str:
        """Said of what was looked up, and of nothing else; '' where nothing could be."""
        open_ = {one.target for one in facts.left_open}
        route = facts.declared.settings.models.get(self.model or "")
        if facts.not_known and route:
            left = f"No {'other ' if open_ else ''}model behind {self.model} has an announced end (catalogue {facts.version})."
            return left if set(route.targets) - open_ else ""
        if facts.not_known:
            return (
                ""
                if open_
                else f"No end of {self.model} is announced, as far as the catalogue knows ({facts.version})."
            )
        which = "another model" if open_ else "a model"
        return f"No route or request names {which} that ends within {self.days} days (catalogue {facts.version})."


def _key(one: Moving) -> tuple[str, str]:
    return one.target, one.asked


def _uses(systems: Systems) -> Iterator[Use]:
    period = periods.last_days(USED_DAYS, clock.now())
    for row in systems[keys.SYSTEM].read("usage", by=["asked", "model"], **period.arguments):
        if row["model"].endswith("/-"):
            continue  # for a file or a batch: of no model
        yield Use(
            asked=row["asked"],
            target=row["model"],
            requests=row["requests"],
            cost_microusd=row["cost_microusd"],
            tokens={kind: row[kind] for kind in KINDS},
        )


def _listed(systems: Systems, provider: str) -> dict[str, str]:
    """The end dates that a provider lists; {} where it cannot be asked, which is told elsewhere."""
    try:
        known = systems[keys.SYSTEM].read("provider_keys", provider=provider)
        active = next((key["id"] for key in known if key["state"] == "active"), None)
        found: dict[str, str] = (
            systems[keys.SYSTEM].read("probe", provider=provider, key=active)["ends"] if active else {}
        )
    except DatareeveError:
        return {}
    return found


def _is_over(one: Moving, today: date) -> bool:
    return one.end.ends is not None and one.end.ends <= today


def _ended(one: Moving, today: date) -> str:
    """'was retired on 2025-07-21'."""
    return f"{'was retired' if _is_over(one, today) else 'ends'} on {one.end.ends}"


def _why(one: Moving, today: date) -> str:
    price = (
        f", {percent(one.change_percent, sign=True)} % in cost for the same tokens"
        if one.change_percent is not None
        else ""
    )
    return f"{one.target} {_ended(one, today)} and requests to it fail from then on; {one.replacement} takes its place{price}."


def _said_open(facts: PlanModelMigrationFacts) -> str:
    """Of which models it is not known when they end, and why; '' where all were looked up."""
    if not facts.left_open:
        return ""
    models = ", ".join(one.target for one in facts.left_open)
    at = {one.provider: one.host for one in facts.left_open}
    where = ", ".join(f"{name} is at {host}" for name, host in at.items())
    return f"When {models} end{'s' if len(facts.left_open) == 1 else ''} is not known here: {where}, which has dates of its own."


def _figures(facts: PlanModelMigrationFacts) -> dict[str, Any]:
    return {
        "models_not_known": len(facts.left_open),
        "models_ended": sum(_is_over(one, facts.today) for one in facts.movings),
        "models_ending": sum(not _is_over(one, facts.today) for one in facts.movings),
        "migration": [_row(one) for one in facts.movings],
        "catalogue": facts.version,
    }


def _row(one: Moving) -> dict[str, Any]:
    told = {
        "model": one.asked or one.target,
        "ends": str(one.end.ends),
        "replacement": one.replacement,
        "requests_30_days": one.requests,
        "usd_30_days": one.usd,
        "usd_30_days_then": one.usd_then,
        "price": {kind: one.price[kind] for kind in ("input", "output") if kind in one.price},
        "price_then": {kind: one.price_then[kind] for kind in ("input", "output") if kind in one.price_then},
        "change_percent": one.change_percent,
        "source": one.end.source,
        "seen": str(one.end.seen or ""),
    }
    return {**told, **({"replay": one.replay["figures"]} if one.replay else {})}


def _findings(facts: PlanModelMigrationFacts) -> Iterator[Finding]:
    for one in facts.movings:
        yield _ends(one, facts)
        if one.replacement and one.note:
            yield _changes_more(one)
        own = facts.declared.settings.prices
        if one.target in own and one.replacement and one.replacement not in own:
            yield _own_price(one)
        if (
            one.replacement
            and not (one.replay and one.replay["figures"]["prompts"] >= SHADOW_LEAST)
            and (one.routes or one.requests)
        ):
            yield _not_compared(one)
    for one in facts.watched:
        yield _later(one, facts)
    yield from (_not_looked_up(one, facts) for one in facts.left_open)


def _ends(one: Moving, facts: PlanModelMigrationFacts) -> Finding:
    ended = _is_over(one, facts.today)
    where = (
        f"routes {', '.join(one.routes)}"
        if one.routes
        else f"applications that ask for {one.asked}"
        if one.requests
        else "nothing here"
    )
    name = one.asked or one.target
    dated = f" ({one.end.model})" if not name.endswith(one.end.model) else ""
    price = ""
    if one.usd_then is not None and one.usd:
        price = f" What cost {money(one.usd)} in {USED_DAYS:g} days would cost {money(one.usd_then)}."
    return Finding(
        rule="model-ended" if ended else "model-ends",
        subject=name,
        what=f"{name}{dated} {_ended(one, facts.today)}; {where} name{'s' if where == 'nothing here' else ''} it.{price}",
        why="Requests to it fail from that day on.",
        instead=f"{one.replacement} takes its place."
        if one.replacement
        else f"Give a replacement: `{command('ai.plan-model-migration', model=name, to='PROVIDER/MODEL')}`",
        severity=_severity(one, facts),
        figures={"source": one.end.source, "requests": one.requests},
        mended_by=PlanModelMigration.name,
    )


def _severity(one: Moving, facts: PlanModelMigrationFacts) -> Severity:
    left = one.end.days_left(facts.today) or 0
    if not one.routes and not one.requests:
        return Severity.INFO
    return Severity.CRITICAL if left <= CRITICAL_DAYS else Severity.WARNING


def _changes_more(one: Moving) -> Finding:
    return Finding(
        rule="replacement-differs",
        subject=one.replacement,
        what=f"{one.replacement} differs in more than its name: {one.note}",
        instead=f"Try your own prompts on it before: `{command('ai.replay', model=one.replacement)}`",
        figures={"source": one.note_source},
    )


def _own_price(one: Moving) -> Finding:
    return Finding(
        rule="own-price-left",
        subject=one.replacement,
        what=f"The estate has a price of its own for {one.target}; {one.replacement} will have that of the list.",
        instead=f"Where you have a price of your own for it too: gateway.prices: {{{one.replacement}: {{input: …, output: …}}}}.",
        severity=Severity.INFO,
    )


def _not_compared(one: Moving) -> Finding:
    return Finding(
        rule="not-compared",
        subject=one.replacement,
        what=f"Answers of {one.replacement} were not compared with those of {one.target} on recorded prompts.",
        instead=f"`{_replay(one)}`; it needs gateway.privacy.keep_prompts.",
        severity=Severity.INFO,
    )


def _replay(one: Moving) -> str:
    asked = one.asked or (one.routes[0] if one.routes else one.target)
    return command("ai.replay", model=one.replacement, asked=asked)


def _later(one: Moving, facts: PlanModelMigrationFacts) -> Finding:
    left = one.end.days_left(facts.today)
    return Finding(
        rule="model-ends-later",
        subject=one.asked or one.target,
        what=f"{one.asked or one.target} ends on {one.end.ends}, in {left} days.",
        instead=f"Its maker recommends {one.replacement}." if one.replacement else "",
        severity=Severity.INFO,
        figures={"source": one.end.source, "days": left},
    )


def _not_looked_up(one: NotKnown, facts: PlanModelMigrationFacts) -> Finding:
    """With its maker's own date, where there is one, and how the right ones are given."""
    theirs = ""
    if one.end is not None:
        ended = one.end.ends is not None and one.end.ends <= facts.today
        theirs = f" At {one.maker}'s own API {one.end.model} {'was retired' if ended else 'ends'} on {one.end.ends}."
    own = f"{{source: URL, provider: {one.provider}, seen: {facts.today}, models: {{{one.target.partition('/')[2]}: {{ends: DATE, replacement: OTHER}}}}}}"
    return Finding(
        rule="model-end-not-known",
        subject=one.target,
        what=f"When {one.target} ends is not known here: {one.provider} is at {one.host}, which is not its maker and has dates of its own.{theirs}",
        why="A model that ends unnoticed takes its requests down with it.",
        instead=f"Where {one.provider} only passes on to {one.maker}, say so in estate.yaml, and {one.maker}'s dates hold: systems.{one.provider}.prices_as: {one.maker}. "
        f"Else give its dates in {model_ends.OWN_FILE}, under pages: {own}",
        severity=Severity.WARNING if one.end is not None else Severity.INFO,
        figures={"requests": one.requests, **({"source": one.end.source} if one.end else {})},
    )
