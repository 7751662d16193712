"""`ai.replay`: recorded prompts on another model, and its answers beside the recorded ones."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai import keys, periods
from datareeve.capabilities.ai.declared import Declared, declared
from datareeve.capabilities.ai.model_ends import maker_by_name, maker_of
from datareeve.capabilities.ai.pricing import Pricing, money, usd
from datareeve.core import clock
from datareeve.core.figures import percent
from datareeve.core.operation import (
    Call,
    Claim,
    Effect,
    Finding,
    Operation,
    Plan,
    Prediction,
    Severity,
    Step,
    Systems,
)
from datareeve.core.value import Value

REPLAYABLE = ("/v1/chat/completions", "/v1/messages", "/v1/responses")
WORSE_PERCENT = 95.0  # of valid answers; below it the other model is told to do worse
SECONDS_EACH = 1.0  # where nothing is known of the response time


class ReplayFacts(Value):
    """What replay looks at."""

    declared: Declared
    target: str = ""  # provider/model
    kept: tuple[dict[str, Any], ...] = ()  # recorded prompts by what they asked for
    usd_now: float | None = None  # what they would cost on the target; None where no price is known
    record: dict[str, Any] | None = None  # of an earlier replay of just this
    gateways: int = 0
    keeps: bool = False  # prompts are recorded

    @property
    def prompts(self) -> int:
        """Recorded prompts that may be sent again."""
        return sum(int(one["prompts"]) for one in self.kept)

    @property
    def usd_before(self) -> float:
        """What they had cost."""
        return usd(sum(int(one["cost_microusd"]) for one in self.kept))


class Replay(Operation[ReplayFacts]):
    """Replay recorded prompts on another model, and compare the answers.

    Sends prompts that were recorded (gateway.privacy.keep_prompts) to another model through the gateway, as an application with a virtual key of
    its own that lives as long as it takes, and holds each answer beside the recorded one: equal, of the same form, valid by the JSON
    schema that the prompt asks for, the same tools called, its length, time and cost. Figures are kept, no text is. It costs what the answers
    cost: the plan says how much, and it ends at `usd_most`. Undo removes the record; the money is spent.
    """

    name: ClassVar[str] = "ai.replay"
    effect: ClassVar[Effect] = Effect.COST
    examples: ClassVar[tuple[str, ...]] = (
        "replay recorded prompts on another model",
        "shadow test of a cheaper model",
        "A/B of two models on our own prompts",
        "would a smaller model answer as well",
        "compare the answers of gpt-4.1 and gpt-6-luna",
    )

    model: str | None = Field(None, description="the model that is tried: its name, or provider/model")
    asked: str | None = Field(
        None, description="only prompts that asked for this name (a route or a model); default: all"
    )
    days: float = Field(30.0, gt=0, le=366, description="how far back prompts are taken, the newest first")
    prompts: int = Field(50, ge=1, le=1000, description="how many at most")
    usd_most: float = Field(5.0, gt=0, description="it ends when so much was spent")
    again: bool = Field(default=False, description="also where the same was replayed before")

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> ReplayFacts:
        """What is recorded, what it would cost, and whether it was done before."""
        stands, reader = declared(systems), systems[keys.SYSTEM]
        target = self._target(stands)
        since = periods.last_days(self.days, clock.now()).since
        kept = tuple(
            one
            for one in reader.read("kept_prompts", since=since)
            if one["endpoint"] in REPLAYABLE and self.asked in (None, one["asked_model"])
        )
        costs = (
            [Pricing(stands).microusd(target, {**one, "requests": one["prompts"]}) for one in kept]
            if target
            else []
        )
        return ReplayFacts(
            declared=stands,
            target=target,
            kept=kept,
            usd_now=usd(sum(cost for cost in costs if cost is not None))
            if costs and None not in costs
            else None,
            record=reader.read("replayed", **self._what(target)) if target else None,
            gateways=len(reader.read("gateways")),
            keeps=stands.settings.privacy.keep_prompts,
        )

    def _target(self, stands: Declared) -> str:
        """provider/model, '' where it is not known which provider is meant."""
        if self.model is None:
            return ""
        provider, _, rest = self.model.partition("/")
        if rest and provider in stands.providers:
            return self.model
        if self.model in stands.settings.models:
            return str(stands.settings.models[self.model].targets[0])
        maker = maker_by_name(self.model)
        fitting = [n for n, entry in stands.providers.items() if maker and maker_of(entry) == maker]
        fitting = fitting or [n for n in stands.providers if len(stands.providers) == 1]
        return f"{fitting[0]}/{self.model}" if fitting else ""

    def _what(self, target: str) -> dict[str, Any]:
        return {"target": target, "asked": self.asked or "", "days": self.days, "most": self.prompts}

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: ReplayFacts) -> Plan:
        """One step that costs money; nothing where just this was replayed before."""
        if facts.record is not None and not self.again:
            return self._known(facts, facts.record)
        blockers = tuple(self._blockers(facts))
        count = min(facts.prompts, self.prompts)
        share = count / facts.prompts if facts.prompts else 0.0
        cost = min(facts.usd_now * share, self.usd_most) if facts.usd_now is not None else self.usd_most
        foretold = (
            f"about {money(cost)}"
            if facts.usd_now is not None
            else f"at most {money(self.usd_most)}, for its price is not known"
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=blockers[0]
            if blockers
            else f"Send {count} recorded prompts to {facts.target}, for {foretold}, and compare the answers.",
            steps=() if blockers else (self._step(facts, count, cost),),
            checks=() if blockers else (self._recorded(facts),),
            figures={
                "recorded_prompts": facts.prompts,
                "usd_before": round(facts.usd_before * share, 6),
                "usd_foretold": round(cost, 6),
            },
            blockers=blockers,
        )

    def _blockers(self, facts: ReplayFacts) -> list[str]:
        if self.model is None:
            return ["Which model shall be tried was not said: give model=provider/model."]
        if not facts.target:
            return [
                f"Which provider has {self.model} is not known: give it with its provider, --model provider/model; the estate has {', '.join(facts.declared.providers) or 'none'}."
            ]
        if not facts.prompts:
            more = (
                ""
                if facts.keeps
                else " Have them kept, encrypted: gateway: {privacy: {keep_prompts: true}} in estate.yaml, and try again when some have come."
            )
            return [
                f"No prompt{f' that asked for {self.asked}' if self.asked else ''} was recorded in {self.days:g} days.{more}"
            ]
        return (
            []
            if facts.gateways
            else [
                "No gateway runs: prompts are replayed through it. `datareeve run ai.set-up-gateway` starts it."
            ]
        )

    def _step(self, facts: ReplayFacts, count: int, cost: float) -> Step:
        arguments = {**self._what(facts.target), "usd_most": self.usd_most}
        return Step(
            id="replay",
            call=Call(system=keys.SYSTEM, action="replay", arguments=arguments),
            why="Whether another model answers as well is known only by asking it what was really asked.",
            effect=Effect.COST,
            probe=self._recorded(facts),
            undo=(Call(system=keys.SYSTEM, action="forget_replay", arguments={"by_run": "{run}"}),),
            predicted=Prediction(
                seconds=count * SECONDS_EACH, basis="a second for each answer, four at a time"
            ),
            touches=("gateway:replay",),
            cost_usd=round(cost, 6),
        )

    def _recorded(self, facts: ReplayFacts) -> Claim:
        call = Call(system=keys.SYSTEM, action="replayed", arguments=self._what(facts.target))
        return Claim(
            text="There is a record of this replay, in figures",
            call=call,
            expected="figures",
            comparison="contains",
        )

    # -- telling -------------------------------------------------------------------------------------------------------------------

    def _known(self, facts: ReplayFacts, record: dict[str, Any]) -> Plan:
        figures = record["figures"]
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=told(record),
            nothing_to_do=f"Replayed on {record['at'][:10]}; with --again they are asked again, and paid again.",
            checks=(self._recorded(facts),),
            findings=tuple(findings(record)),
            figures={f"replay_{name}": value for name, value in figures.items()},
        )


def told(record: dict[str, Any]) -> str:
    """A replay in one sentence."""
    figures = record["figures"]
    parts = [f"{record['target']} answered {figures['answered']} of {figures['prompts']} recorded prompts"]
    for name, words in (
        ("exact_percent", "equal"),
        ("same_form_percent", "of the same form"),
        ("schema_now_percent", "valid by their schema"),
    ):
        if name in figures:
            parts.append(f"{percent(figures[name])} % {words}")
    if "usd_change_percent" in figures:
        parts.append(f"{percent(figures['usd_change_percent'], sign=True)} % in cost")
    return f"{', '.join(parts)}."


def findings(record: dict[str, Any]) -> list[Finding]:
    """What speaks against the other model."""
    figures, target = record["figures"], record["target"]
    found = []
    if figures["answered"] < figures["prompts"]:
        what = f"{target} did not answer {figures['prompts'] - figures['answered']} of {figures['prompts']} prompts."
        found.append(Finding(rule="replay-not-answered", subject=target, what=what, instead="Look at the errors: what it does not take must be changed in the prompts.", figures=figures["errors"]))  # fmt: skip
    now, before = figures.get("schema_now_percent"), figures.get("schema_before_percent")
    if now is not None and now < min(before or 100.0, WORSE_PERCENT):
        what = f"{percent(now)} % of its answers follow the schema that their prompts ask for; of the recorded ones {percent(before or 0.0)} % do."
        found.append(Finding(rule="replay-schema", subject=target, what=what, instead="Do not move prompts that ask for a schema.", figures={"now": now, "before": before}))  # fmt: skip
    if figures.get("empty_percent"):
        found.append(Finding(rule="replay-empty", subject=target, what=f"{percent(figures['empty_percent'])} % of its answers are empty.",
                             why="A model that reasons may use up max_tokens before it says a word.", instead="Raise max_tokens for it.",
                             severity=Severity.WARNING, figures={"percent": figures["empty_percent"]}))  # fmt: skip
    return found
