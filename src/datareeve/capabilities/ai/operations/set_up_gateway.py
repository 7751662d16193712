"""`ai.set-up-gateway`: providers, routes and the running gateway in front of them."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.declared import (
    USUAL_ADDRESSES,
    USUAL_KEYS,
    Addition,
    Answered,
    Change,
    Declared,
    declared,
    fields,
    proposed,
    proposed_chat,
    proposed_routes,
)
from datareeve.capabilities.ai.gateway_findings import behind, not_tried
from datareeve.core.errors import DatareeveError
from datareeve.core.estate_gateway import DEFAULT_PORT, GatewaySettings
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Severity, Step, Systems
from datareeve.core.value import Value

PROCESS = "gateway-process"
PORTS_TRIED = 10
PASTE = (
    "No AI provider is declared, and neither OPENAI_API_KEY nor ANTHROPIC_API_KEY is set here. Set one and plan again, "
    "or paste into estate.yaml: systems: {openai: {kind: openai, keys: [env:OPENAI_API_KEY]}}"
)
FORWARD = (
    "A provider that is declared without a key is one that asks for none, or whose keys ai.add-key sealed."
)


class SetUpGatewayFacts(Value):
    """What set-up-gateway looks at."""

    declared: Declared
    proposed: dict[str, dict[str, Any]] = Field(default_factory=dict)  # where none is declared
    answers: dict[str, Answered] = Field(default_factory=dict)  # by provider
    running: bool = False
    current: bool = False  # it works by the estate as it stands
    free_port: int | None = DEFAULT_PORT  # None: none was found


class SetUpGateway(Operation[SetUpGatewayFacts]):
    """Set up the AI gateway: one address for all AI providers.

    Declares the providers whose usual key variable is set here (OPENAI_API_KEY, ANTHROPIC_API_KEY) where estate.yaml declares none, gives
    applications the names `chat` and `embeddings` instead of a provider's dated models, starts the gateway on this machine, and asks it
    whether it is well. Each provider's key is tried beforehand by listing its models, which costs nothing; a key that is refused stops the
    plan. Applications keep their official SDK and change its base URL. Undo stops the gateway and takes out what was put in:
    what a person added there since stays, and so does what one changed, which is told.
    """

    name: ClassVar[str] = "ai.set-up-gateway"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "create abstraction layer for API calls",
        "set up the AI gateway",
        "one endpoint for OpenAI and Anthropic",
        "integrate the OpenAI API",
        "integrate Claude and GPT behind one endpoint",
        "configure AI service connections",
        "start an LLM gateway",
        "one base URL for all AI providers",
    )

    model: str = Field(
        "",
        description="the model behind the name `chat`: its name, or provider/model; default: an able one of the first provider",
    )
    listen: str | None = Field(
        None,
        pattern=r"^\S+:\d+$",
        description=f"host:port; default: 127.0.0.1 and the first free port from {DEFAULT_PORT} on",
    )

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> SetUpGatewayFacts:
        """What is declared or could be, what the providers say to their keys, and whether the gateway runs."""
        process, stands = systems[PROCESS], declared(systems)
        coming: dict[str, dict[str, Any]] = {}
        if not stands.providers:
            is_set = process.read("variables", names=list(USUAL_KEYS.values()))
            coming = proposed(is_set, process.read("addresses", names=list(USUAL_ADDRESSES.values())))
        answers = {name: answered(systems, name) for name in stands.providers}
        answers |= {
            name: _tried(systems, name, entry=entry, reference=entry["keys"][0])
            for name, entry in coming.items()
        }
        running = process.read("running")
        return SetUpGatewayFacts(
            declared=stands,
            proposed=coming,
            answers=answers,
            running=running,
            current=running and process.read("works_by_the_estate"),
            free_port=self._free_port(systems, stands),
        )

    def _free_port(self, systems: Systems, stands: Declared) -> int | None:
        if self.listen or stands.gateway is not None:
            host, port = GatewaySettings(listen=self.listen or stands.settings.listen).address
            return port if port == 0 or systems[PROCESS].read("free", listen=f"{host}:{port}") else None
        ports = range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TRIED)
        return next(
            (port for port in ports if systems[PROCESS].read("free", listen=f"127.0.0.1:{port}")), None
        )

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: SetUpGatewayFacts) -> Plan:
        """A step for each provider, one for `gateway:`, one that starts the process."""
        if blockers := tuple(self._blockers(facts)):
            return Plan(operation=self.name, inputs=self.inputs(), summary=blockers[0], blockers=blockers)
        changes = [change for change in self.changes(facts) if not change.is_there]
        starting = () if facts.running else (self._start(),)
        steps = (*(change.step() for change in changes), *starting)
        providers = ", ".join(self.after(facts).providers)
        listen = self.after(facts).settings.listen
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Set up the gateway at {listen} in front of {providers}."
            if steps
            else f"The gateway at {listen} is set up and runs.",
            nothing_to_do="" if steps else f"It runs in front of {providers} and works by estate.yaml.",
            requirements=tuple(change.stood() for change in changes),
            steps=steps,
            checks=self._checks(facts),
            findings=tuple(self._findings(facts)),
            figures={
                "gateway_address": f"http://{listen}",
                "providers": len(self.after(facts).providers),
                **{f"{name}_key": answer.verdict for name, answer in facts.answers.items() if answer.verdict},
            },
        )

    def after(self, facts: SetUpGatewayFacts) -> Declared:
        """The AI part of the estate as it will stand once this is done; other operations plan upon it."""
        providers = facts.declared.providers or _usable(facts)
        gateway = dict(facts.declared.gateway or {"listen": f"127.0.0.1:{facts.free_port}"})
        if self.listen:
            gateway["listen"] = self.listen
        standing = gateway.get("models") or {}
        if self.model or not standing:
            routes = {**proposed_routes(providers, facts.answers, self.model), **standing}
            if self.model:
                routes.update(proposed_chat(providers, facts.answers, self.model, standing))
            gateway.update({"models": routes} if routes else {})
        return Declared(providers=providers, gateway=gateway)

    def changes(self, facts: SetUpGatewayFacts) -> list[Change]:
        """What is put into estate.yaml."""
        after, stands = self.after(facts), facts.declared
        found: list[Change] = [
            (Change if name in stands.providers else Addition)(
                id=f"provider {name}",
                where=("systems", name),
                before=stands.providers.get(name),
                after=entry,
                why=f"The gateway sends to {name} with the key at {', '.join(entry.get('keys', ())) or 'no place'}; the key itself is not written down.",
            )
            for name, entry in after.providers.items()
        ]
        why = "Applications ask for a name such as `chat`; which provider and model answers is decided here, in one place."
        wanted = after.gateway or {}
        if stands.gateway is None:
            return [*found, Addition(id="gateway", where=("gateway",), after=wanted, why=why, depth=2)]
        new = {key: value for key, value in wanted.items() if stands.gateway.get(key) != value}
        return [*found, fields("gateway", ("gateway",), stands.gateway, new, why)] if new else found

    def _blockers(self, facts: SetUpGatewayFacts) -> list[str]:
        """Where there is no provider that may take its key, nowhere to listen, or no such model."""
        if not facts.declared.providers and not facts.proposed:
            return [PASTE]
        refused = {name: answer for name, answer in facts.answers.items() if answer.ok is False}
        if refused and len(refused) == len(facts.answers):
            return [_refused(name, facts) for name in refused]
        listens = facts.declared.settings.listen
        if facts.running and self.listen not in (None, listens):
            return [f"The gateway runs at {listens}: stop it before it is given another address."]
        if facts.free_port is None and not facts.running:
            return [
                f"Another program listens at {self.listen or listens}: give another one: `datareeve run ai.set-up-gateway --listen 127.0.0.1:4142`"
            ]
        after = self.after(facts)
        if self.model and not proposed_chat(after.providers, facts.answers, self.model, {}):
            return [
                f"No provider has a model {self.model!r}: name it as its provider lists it, or as provider/model."
            ]
        return []

    def _start(self) -> Step:
        return Step(
            id="start",
            call=Call(system=PROCESS, action="start"),
            why="Applications reach it from now on; it takes later changes of estate.yaml by itself.",
            effect=Effect.REVERSIBLE,
            probe=Claim(text="The gateway answers", call=Call(system=PROCESS, action="answers")),
            undo=(Call(system=PROCESS, action="stop"),),
            touches=("gateway:process",),
        )

    def _checks(self, facts: SetUpGatewayFacts) -> tuple[Claim, ...]:
        """What is so however its routes are changed later: who the providers are, and that it runs and follows the estate."""
        providers = (
            Claim(
                text=f"{name} is declared as a provider",
                call=Call(
                    system="estate",
                    action="has",
                    arguments={"where": ["systems", name], "values": {"kind": entry["kind"]}},
                ),
            )
            for name, entry in self.after(facts).providers.items()
        )
        return (
            *providers,
            Claim(text="The gateway answers over HTTP", call=Call(system=PROCESS, action="answers")),
            Claim(
                text="The gateway works by estate.yaml",
                call=Call(system=PROCESS, action="works_by_the_estate"),
            ),
        )

    # -- telling -------------------------------------------------------------------------------------------------------------------

    def _findings(self, facts: SetUpGatewayFacts) -> list[Finding]:
        found = [_untried(name, answer) for name, answer in facts.answers.items() if answer.ok is None]
        found += [_left_out(name, facts) for name, answer in facts.answers.items() if answer.ok is False]
        if facts.running and not facts.current:
            found.append(behind("the one that runs here does not work by estate.yaml", Severity.CRITICAL))
        if not (self.after(facts).gateway or {}).get("models"):
            found.append(_no_route(next(iter(self.after(facts).providers))))
        if not facts.running:
            found.append(_not_a_service())
        return found


def _usable(facts: SetUpGatewayFacts) -> dict[str, dict[str, Any]]:
    """Of the proposed providers those that did not refuse their key: an old variable that somebody left set keeps nothing from being set up."""
    return {
        name: entry
        for name, entry in facts.proposed.items()
        if facts.answers.get(name, Answered()).ok is not False
    }


def _refused(provider: str, facts: SetUpGatewayFacts) -> str:
    """Nothing was done; what to do, and the command that goes on."""
    said, place = _said(provider, facts), _place(provider, facts)
    if place:
        return f"{said}: put a valid one at {place}, then again: `{command('ai.set-up-gateway')}`"
    adding = command("ai.add-key", provider=provider, key="env:NAME")
    return f"{said}: `{adding}`, then again: `{command('ai.set-up-gateway')}`"


def _said(provider: str, facts: SetUpGatewayFacts) -> str:
    answer = facts.answers[provider]
    return f"{provider} does not take its key ({answer.verdict}, status {answer.status})"


def _place(provider: str, facts: SetUpGatewayFacts) -> str:
    """Where the estate says that its key stands, or would say; '' of a sealed one."""
    entry = facts.declared.providers.get(provider) or facts.proposed.get(provider) or {}
    return str((entry.get("keys") or [""])[0])


def answered(systems: Systems, provider: str) -> Answered:
    """What a declared provider says to its first active key, or to none where it has none."""
    try:
        keys = systems["gateway"].read("provider_keys", provider=provider)
    except DatareeveError as error:
        return Answered(verdict=error.code)
    active = next((key["id"] for key in keys if key["state"] == "active"), None)
    return _tried(systems, provider, key=active)


def _tried(systems: Systems, provider: str, **how: Any) -> Answered:
    """That it cannot be asked is an answer, no error."""
    try:
        told = systems["gateway"].read("probe", provider=provider, **how)
    except DatareeveError as error:
        return Answered(verdict=error.code)
    return Answered(**{name: told[name] for name in ("ok", "verdict", "status", "models")})


def _untried(provider: str, answer: Answered) -> Finding:
    what = f"Whether {provider} takes its key is not known: {answer.verdict or 'it was not asked'}."
    later = command("ai.check-keys", provider=provider)
    return not_tried(provider, what, f"Once it can be reached: `{later}`. {FORWARD}")


def _left_out(provider: str, facts: SetUpGatewayFacts) -> Finding:
    stands = provider in facts.declared.providers
    return Finding(
        rule="key-refused",
        subject=provider,
        what=_said(provider, facts) + ("." if stands else ": it is left out."),
        instead=_go_on(provider, facts),
        severity=Severity.CRITICAL,
    )


def _go_on(provider: str, facts: SetUpGatewayFacts) -> str:
    """How it comes in later. What was left out a second run does not add: where providers are declared, they are the owner's choice."""
    place = _place(provider, facts)
    if provider in facts.declared.providers:
        adding = command("ai.add-key", provider=provider, key="env:NAME")
        return f"Put a valid one at {place}." if place else f"Give it another: `{adding}`"
    entry = facts.proposed[provider]
    at = {"base_url": entry["base_url"]} if entry.get("base_url") else {}
    return f"Put a valid one at {place}, then: `{command('ai.add-provider', kind=entry['kind'], **at, key=place)}`"


def _no_route(provider: str) -> Finding:
    return Finding(
        rule="no-route",
        subject=provider,
        what=f"{provider} did not list its models, so no name such as `chat` is given to any.",
        instead=f"Give the model: `{command('ai.set-up-gateway', model=f'{provider}/NAME')}`. Until then applications name its models themselves.",
    )


def _not_a_service() -> Finding:
    return Finding(
        rule="not-a-service",
        subject="gateway",
        what="The gateway runs until it is stopped or this machine is started anew; nothing starts it again then.",
        instead="Have it started at boot by a systemd unit, with the variables that hold keys: ExecStart=`datareeve gateway --project FOLDER`",
        severity=Severity.INFO,
    )
