"""`ai.add-provider`: a provider is declared, with its first key."""

from __future__ import annotations

from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from datareeve.capabilities.ai import keys
from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.declared import Answered, Change
from datareeve.capabilities.ai.gateway_findings import not_tried
from datareeve.capabilities.ai.keys import ProviderFacts  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.ai.operations.add_key import AddKey, AddKeyFacts
from datareeve.core.errors import DatareeveError
from datareeve.core.estate_gateway import AnthropicSystem, OpenaiSystem, SecretReference
from datareeve.core.operation import Effect, Finding, Operation, Plan, Severity, Systems
from datareeve.core.value import Value

ADDRESSES = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com"}
OURS = (
    "estate",
    "files",
    "gateway",
    "gateway-process",
    "host",
    "ledger",
    "documenter",
)  # systems that are always there
CREDENTIALS = ("authorization", "proxy-authorization", "x-api-key", "api-key", "cookie")
LOOPBACK = ("localhost", "127.0.0.1", "::1")


class AddProviderFacts(Value):
    """What add-provider looks at."""

    standing: dict[str, Any] | None = None  # what is declared under that name
    provider: ProviderFacts
    found: str | None = None  # the id under which the key is kept already
    answer: Answered = Answered()


class AddProvider(Operation[AddProviderFacts]):
    """Add an AI provider: OpenAI, Anthropic, or a server that speaks one of their protocols.

    Declares it in estate.yaml (Azure, vLLM, Ollama and llama.cpp speak OpenAI's protocol), tries its key, and seals it in the gateway's store,
    or with --by-reference names only where it stands. Running gateways send to it within a second. A key is shown to an address that is
    neither the provider's own nor on this machine only after a person has approved that. Undo takes declaration and key out again.
    """

    name: ClassVar[str] = "ai.add-provider"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "add Anthropic as an AI provider",
        "integrate Claude API",
        "declare our Azure OpenAI deployment",
        "connect a self-hosted vLLM or Ollama server",
        "add a second LLM provider",
    )

    kind: Literal["openai", "anthropic"] = Field(description="the protocol it speaks")
    provider: str | None = Field(
        None, pattern=r"^[a-z][a-z0-9-]{0,39}$", description="its name in the estate; default: the kind"
    )
    base_url: str | None = Field(
        None,
        description="where it is: openai up to and with /v1, anthropic without; default: the official address",
    )
    key: SecretReference | None = Field(
        None,
        description="where its first key stands: env:NAME, file:path or keyring:service/name; none: it asks for none",
    )
    by_reference: bool = Field(
        default=False, description="do not seal the key: gateways read it where it stands"
    )
    auth: Literal["bearer", "api-key"] = Field(
        "bearer", description="how an openai one is shown the key; api-key: Azure"
    )
    query: dict[str, str] = Field(
        default_factory=dict, description="sent with every request: Azure's api-version"
    )
    headers: dict[str, str] = Field(default_factory=dict, description="sent with every request to it")
    requests_per_minute: int | None = Field(None, gt=0, description="of each key; its own headers lower it")
    tokens_per_minute: int | None = Field(None, gt=0, description="of each key")
    probe_model: str | None = Field(
        None,
        min_length=1,
        description="try the key by asking this model for a few tokens, not by listing models",
    )

    @field_validator("provider")
    @classmethod
    def _not_ours(cls, name: str | None) -> str | None:
        if name in OURS:
            raise ValueError(f"{name} is the name of a system that is always there")
        return name

    @field_validator("headers")
    @classmethod
    def _no_key_in_a_header(cls, headers: dict[str, str]) -> dict[str, str]:
        if shown := [name for name in headers if name.lower() in CREDENTIALS]:
            raise ValueError(
                f"the header {shown[0]} shows a key, and none is written down: give it by reference, as key"
            )
        return headers

    @model_validator(mode="after")
    def _can_be_declared(self) -> AddProvider:
        try:
            (OpenaiSystem if self.kind == "openai" else AnthropicSystem).model_validate(self.entry())
        except ValidationError as error:
            problem = error.errors()[0]
            where = ".".join(str(part) for part in problem["loc"])
            raise ValueError(f"{where}: {problem['msg'].removeprefix('Value error, ')}") from None
        return self

    @property
    def called(self) -> str:
        """Its name in the estate."""
        return self.provider or self.kind

    @property
    def trusted(self) -> bool:
        """Whether it is at its official address or on this machine: a key shown there goes to nobody else."""
        return self.base_url in (None, ADDRESSES[self.kind]) or urlsplit(self.base_url).hostname in LOOPBACK

    def entry(self) -> dict[str, Any]:
        """As it will stand in the estate, defaults left out."""
        given: dict[str, Any] = {
            "base_url": self.base_url,
            "keys": [self.key] if self.key and self.by_reference else None,
            "headers": self.headers or None,
            "requests_per_minute": self.requests_per_minute,
            "tokens_per_minute": self.tokens_per_minute,
        }
        if self.kind == "openai":
            auth = "none" if self.key is None else self.auth
            given |= {"auth": auth if auth != "bearer" else None, "query": self.query or None}
        return {"kind": self.kind, **{name: value for name, value in given.items() if value is not None}}

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def observe(self, systems: Systems) -> AddProviderFacts:
        """What is declared under that name, and what the address says to the key."""
        standing = systems["estate"].read("get", where=["systems", self.called])
        facts = keys.look(systems, self.called)
        found = None
        if self.key and standing is not None and facts.name:
            found = systems[keys.SYSTEM].read("find_key", provider=self.called, reference=self.key)
        named = facts.model_copy(
            update={"name": self.called, "base_url": self.base_url or ADDRESSES[self.kind]}
        )
        return AddProviderFacts(standing=standing, provider=named, found=found, answer=self._answer(systems))

    def _answer(self, systems: Systems) -> Answered:
        """What it says before anything is approved: asked only where the owner could mean no other address."""
        if not self.trusted:
            return Answered(verdict="not asked before it is approved")
        try:
            return keys.answered(
                systems, self.called, reference=self.key, entry=self.entry(), model=self.probe_model
            )
        except DatareeveError as error:
            if error.code.startswith(("secret.", "key.")):
                raise
            return Answered(verdict=error.code)

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: AddProviderFacts) -> Plan:
        """Declare it, then take its key in as `ai.add-key` does."""
        change = self._declare(facts)
        if change.is_there and (not self.key or self.by_reference or facts.found):
            return keys.quiet(self, f"{self.called} is declared so.")
        if why := self._blocker(facts, change):
            return keys.quiet(self, blocker=why)
        sealing = self._sealing(facts)
        asks_person = {"needs_person": self.key is not None and not self.trusted}
        declaring = () if change.is_there else (change.step().model_copy(update=asks_person),)
        key = facts.provider.new_id() if sealing else ""
        asked = keys.taken(self.called, self.key, self.probe_model, self.entry()) if self.key else None
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Add {self.called} ({self.kind}) at {facts.provider.base_url}"
            + (f", with its key {key}." if key else "."),
            requirements=(self._stands(change), *((asked,) if asked else ())),
            steps=(
                *declaring,
                *sealing,
                *(() if sealing else (keys.follow(f"{self.called} declared", estate=True),)),
            ),
            checks=(
                change.stands(),
                *((keys.state_is(self.called, key, "active"),) if key else ()),
                keys.followed((key,) if key else (), estate=True),
            ),
            findings=(*keys.no_gateway(facts.provider.gateways), *self._findings(facts)),
            figures={"models": len(facts.answer.models), "gateways": facts.provider.gateways},
        )

    def _declare(self, facts: AddProviderFacts) -> Change:
        return Change(
            id=f"declare {self.called}",
            where=("systems", self.called),
            before=facts.standing,
            after=self.entry(),
            why=f"Gateways may send to {facts.provider.base_url}, and to no address that is not declared.",
        )

    def _sealing(self, facts: AddProviderFacts) -> tuple[Any, ...]:
        if self.key is None or self.by_reference:
            return ()
        adding = AddKey(provider=self.called, key=self.key, probe_model=self.probe_model)
        what = AddKeyFacts(provider=facts.provider, answer=facts.answer)
        return adding.steps(what, facts.provider.new_id())

    def _stands(self, change: Change) -> Any:
        text = f"systems.{self.called} stands in estate.yaml as it was looked at"
        return change.stands().model_copy(update={"text": text, "expected": change.before})

    def _blocker(self, facts: AddProviderFacts, change: Change) -> str:
        if facts.standing is not None and not change.is_there:
            other = ", ".join(sorted(_differs(facts.standing, self.entry())))
            return f"systems.{self.called} is declared with another {other}: change that in estate.yaml, or choose another --provider."
        if self.key is None and self.kind == "anthropic":
            return "Anthropic's protocol asks for a key: give --key."
        if self.key is None and facts.answer.ok is False:
            said = f"{facts.answer.verdict}, status {facts.answer.status}"
            return f"{self.called} asks for a key ({said}): say where one stands, --key env:NAME."
        why = keys.refused(self.called, facts.answer, self.key) if self.key and self.trusted else ""
        return why or ("" if self.by_reference or not self.key else keys.kek_blocker(facts.provider.kek))

    def _findings(self, facts: AddProviderFacts) -> tuple[Finding, ...]:
        parts = urlsplit(facts.provider.base_url)
        found = []
        if parts.scheme == "http" and parts.hostname not in LOOPBACK:
            what = f"{facts.provider.base_url} is not encrypted: whoever is on the way reads prompts and the key."
            found.append(
                Finding(
                    rule="provider-not-encrypted", subject=self.called, what=what, instead="Use https://."
                )
            )
        if not self.trusted and self.key:
            what = f"The key at {self.key} is shown to {parts.hostname} once this is approved."
            found.append(
                Finding(
                    rule="key-to-new-address",
                    subject=self.called,
                    what=what,
                    instead="Approve only an address that you know.",
                )
            )
        elif not self.key and not facts.answer.ok:
            what = f"{self.called} did not list its models ({facts.answer.verdict}): it may not run yet."
            later = f"Once it runs: `{command('ai.providers-status', probe=True)}`"
            found.append(not_tried(self.called, what, later, Severity.INFO))
        return tuple(found)


def _differs(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
