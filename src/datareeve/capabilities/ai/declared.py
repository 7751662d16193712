"""What the estate declares for AI, and what is proposed where it declares nothing: providers by their usual variables, routes by their models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.core.estate_gateway import GatewaySettings
from datareeve.core.operation import Call, Claim, Effect, Step
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from datareeve.core.operation import Systems

KINDS = ("openai", "anthropic")
USUAL_KEYS = {
    "openai": "OPENAI_API_KEY",
    "anthropic": "ANTHROPIC_API_KEY",
}  # as the official SDKs look for them
USUAL_ADDRESSES = {"openai": "OPENAI_BASE_URL", "anthropic": "ANTHROPIC_BASE_URL"}
OFFICIAL = {"openai": "api.openai.com", "anthropic": "api.anthropic.com"}

# Which of a provider's models stands behind a name of ours, the first that it lists: able and steady ones whose end is not announced first
# (models.yaml; a test holds them against each other), no previews, none that is dated. They are a proposal, shown in the plan, and an owner changes one line of estate.yaml to have another.
CHAT_MODELS = {
    "openai": ("gpt-5.4", "gpt-5.2", "gpt-5.1", "gpt-4.1", "gpt-4o", "gpt-5", "gpt-4.1-mini", "gpt-4o-mini", "gpt-4"),
    "anthropic": ("claude-sonnet-4-6", "claude-sonnet-5", "claude-sonnet-4-5", "claude-haiku-4-5", "claude-opus-4-5"),
}  # fmt: skip
EMBEDDING_MODELS = ("text-embedding-3-small", "text-embedding-3-large", "text-embedding-ada-002")
NO_CHAT = ("embed", "whisper", "tts", "image", "audio", "realtime", "moderation", "transcribe", "rerank")
CHAT, EMBEDDINGS = "chat", "embeddings"


class Answered(Value):
    """What a provider said when its key was tried: the verdict of `probe`, and its models where it lists them."""

    ok: bool | None = None  # None: nothing is known of the key
    verdict: str = ""
    status: int | None = None
    models: tuple[str, ...] = ()


class Declared(Value):
    """The AI part of estate.yaml as it is written there, defaults left out."""

    providers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    gateway: dict[str, Any] | None = None

    @property
    def settings(self) -> GatewaySettings:
        """`gateway:` with its defaults."""
        return GatewaySettings.model_validate(self.gateway or {})

    @property
    def is_set_up(self) -> bool:
        """Whether there is a gateway with a provider behind it."""
        return bool(self.providers) and self.gateway is not None

    def kind(self, target: str) -> str:
        """The protocol of a target 'provider/model'."""
        return str(self.providers.get(target.partition("/")[0], {}).get("kind", ""))


def declared(systems: Systems) -> Declared:
    """What estate.yaml says now."""
    estate = systems["estate"]
    entries = estate.read("get", where=["systems"]) or {}
    providers = {name: entry for name, entry in entries.items() if entry.get("kind") in KINDS}
    return Declared(providers=providers, gateway=estate.read("get", where=["gateway"]))


def proposed(is_set: Mapping[str, bool], addresses: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """The providers whose usual key variable is set, as entries of `systems`. The key stays where it is; only its place is written down."""
    found = {}
    for kind, variable in USUAL_KEYS.items():
        if is_set.get(variable):
            address = addresses.get(USUAL_ADDRESSES[kind], "")
            found[kind] = {
                "kind": kind,
                "keys": [f"env:{variable}"],
                **({"base_url": address} if address else {}),
            }
    return found


def chat_model(entry: Mapping[str, Any], models: Iterable[str]) -> str:
    """The model behind `chat`: a preferred one that the provider lists, else the first that can chat; '' where nothing is known.

    Where an official provider could not be asked, the first preferred one is taken; what another server has cannot be guessed.
    """
    listed = [model for model in models if not any(word in model.lower() for word in NO_CHAT)]
    preferred = CHAT_MODELS[entry["kind"]]
    for name in preferred:
        if name in listed:
            return name
        if dated := [model for model in listed if model.startswith(f"{name}-20")]:
            return max(dated)
    return listed[0] if listed else preferred[0] if _is_official(entry) else ""


def embedding_model(entry: Mapping[str, Any], models: Iterable[str]) -> str:
    """The model behind `embeddings`, '' where there is none."""
    listed = list(models)
    wanted = [name for name in EMBEDDING_MODELS if name in listed] or [
        m for m in listed if "embed" in m.lower()
    ]
    official = entry["kind"] == "openai" and not listed and _is_official(entry)
    return wanted[0] if wanted else EMBEDDING_MODELS[0] if official else ""


def proposed_routes(
    providers: Mapping[str, Mapping[str, Any]], answers: Mapping[str, Answered], model: str = ""
) -> dict[str, dict[str, Any]]:
    """The names that applications use, each with its first target. `model`: 'provider/model' or a model's name, for `chat`."""
    routes: dict[str, dict[str, Any]] = {}
    for name, entry in providers.items():
        models = answers[name].models if name in answers else ()
        chosen = _given(name, model, models) or ("" if model else chat_model(entry, models))
        if chosen and CHAT not in routes:
            routes[CHAT] = {"targets": [f"{name}/{chosen}"]}
        if (embedding := embedding_model(entry, models)) and EMBEDDINGS not in routes:
            routes[EMBEDDINGS] = {"targets": [f"{name}/{embedding}"]}
    return routes


def proposed_chat(
    providers: Mapping[str, Mapping[str, Any]],
    answers: Mapping[str, Answered],
    model: str,
    standing: Mapping[str, Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """The route `chat` with that model first, everything else of it as it stands; {} where no provider has the model."""
    for name in providers:
        models = answers[name].models if name in answers else ()
        if chosen := _given(name, model, models):
            return {CHAT: {**standing.get(CHAT, {}), "targets": [f"{name}/{chosen}"]}}
    return {}


def _given(provider: str, model: str, models: tuple[str, ...]) -> str:
    """The model that was asked for by name, where this provider has it or may have it."""
    first, _, rest = model.partition("/")
    if first == provider and rest:
        return rest
    return model if model and (model in models or (not models and not rest)) else ""


def _is_official(entry: Mapping[str, Any]) -> bool:
    return OFFICIAL[entry["kind"]] in str(entry.get("base_url", OFFICIAL[entry["kind"]]))


# -- changing it -------------------------------------------------------------------------------------------------------------------


class Change(Value):
    """One place in estate.yaml: what stands there, what shall stand there, and why."""

    id: str
    where: tuple[str, ...]
    before: Any = None
    after: Any = None
    why: str

    @property
    def is_there(self) -> bool:
        """Whether nothing is left to do."""
        return bool(self.before == self.after)

    def stands(self) -> Claim:
        """That it stands there as wanted."""
        reading = Call(system="estate", action="get", arguments={"where": list(self.where)})
        return Claim(
            text=f"{'.'.join(self.where)} stands in estate.yaml as planned", call=reading, expected=self.after
        )

    def stood(self) -> Claim:
        """That nobody has changed it since it was looked at."""
        reading = Call(system="estate", action="get", arguments={"where": list(self.where)})
        text = f"{'.'.join(self.where)} stands in estate.yaml as it was looked at"
        return Claim(text=text, call=reading, expected=self.before)

    def step(self) -> Step:
        """The step that puts it there; its undo puts back what stood there."""
        return Step(
            id=self.id,
            call=self._put(self.after),
            why=self.why,
            effect=Effect.REVERSIBLE,
            probe=self.stands(),
            undo=(self._put(self.before),),
            touches=(f"estate:{'.'.join(self.where)}",),
            paths=("estate.yaml",),
        )

    def _put(self, value: Any) -> Call:
        return Call(system="estate", action="put", arguments={"where": list(self.where), "value": value})


class Addition(Change):
    """Something new at a place. Its undo takes out what it put and leaves what somebody added or changed there since, which is told.

    `depth`: how many levels of mappings are looked into; what is deeper is one thing, taken out only as it was put.
    """

    depth: int = 0

    def stands(self) -> Claim:
        """That all of it stands there."""
        return Claim(
            text=f"{'.'.join(self.where)} stands in estate.yaml as planned",
            call=self._of("holds"),
            expected=True,
        )

    def stood(self) -> Claim:
        """That nobody has put anything in its place."""
        return Claim(
            text=f"nothing of what is put at {'.'.join(self.where)} stands in estate.yaml otherwise",
            call=self._of("lacks"),
            expected=True,
        )

    def step(self) -> Step:
        """The step that adds it."""
        return super().step().model_copy(update={"call": self._of("add"), "undo": (self._of("take_out"),)})

    def _of(self, action: str) -> Call:
        arguments = {"where": list(self.where), "value": self.after, "depth": self.depth}
        return Call(system="estate", action=action, arguments=arguments)


class Merge(Change):
    """Some keys of one place, the others stay as whoever else sets them: `before` and `after` have the same keys, None where there is none.

    Two operations of one task change the same route: neither may write down what it saw of the other's part.
    """

    def stands(self) -> Claim:
        """That those keys stand there as wanted."""
        return self._has(self.after, f"{'.'.join(self.where)} has {_told(self.after)}")

    def stood(self) -> Claim:
        """That nobody has changed those keys since they were looked at."""
        return self._has(self.before, f"{'.'.join(self.where)} has {_told(self.before)}, as it was looked at")

    def _has(self, values: dict[str, Any], text: str) -> Claim:
        arguments = {"where": list(self.where), "values": values}
        return Claim(text=text, call=Call(system="estate", action="has", arguments=arguments))

    def _put(self, value: Any) -> Call:
        arguments = {"where": list(self.where), "values": value, "keep": 1}
        return Call(system="estate", action="merge", arguments=arguments)


def _told(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {'not set' if value is None else value}" for key, value in values.items())


def fields(
    id_: str, where: tuple[str, ...], standing: Mapping[str, Any] | None, wanted: Mapping[str, Any], why: str
) -> Merge:
    """The change of some fields of an entry that stands, or will."""
    before = {key: (standing or {}).get(key) for key in wanted}
    return Merge(id=id_, where=where, before=before, after=dict(wanted), why=why)


def on_routes(
    declared: Declared, names: Iterable[str], wanted: Mapping[str, Any], why: str, word: str
) -> Iterator[Change]:
    """The same fields on several routes."""
    models = (declared.gateway or {}).get("models") or {}
    for name in names:
        yield fields(f"{word} {name}", ("gateway", "models", name), models.get(name), wanted, why)
