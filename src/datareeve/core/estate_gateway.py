"""The AI part of the estate: providers (systems of kind `openai` and `anthropic`) and `gateway:`, what stands in front of them.

Keys stand here by reference only. Keys that Datareeve keeps itself are sealed in the gateway's store, never here.
"""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from datareeve.core.value import Value

SecretReference = Annotated[
    str,
    Field(pattern=r"^(env|file|keyring|vault):.+", description="env:NAME, file:path or keyring:service/name"),
]
TargetName = Annotated[
    str,
    Field(pattern=r"^[^/\s]+/\S+$", description="provider/model: openai/gpt-5.4, claude/claude-sonnet-4-6"),
]
DEFAULT_PORT = 4141


class _Provider(Value):
    keys: tuple[SecretReference, ...] = Field(
        (), description="keys by reference, beside those that `ai.add-key` sealed in the gateway's store"
    )
    headers: dict[str, str] = Field(default_factory=dict, description="sent with every request to it")
    requests_per_minute: int | None = Field(None, gt=0, description="of each key; its own headers lower it")
    tokens_per_minute: int | None = Field(None, gt=0, description="of each key")
    connect_seconds: float = Field(5.0, gt=0)
    first_byte_seconds: float = Field(120.0, gt=0)
    idle_seconds: float = Field(60.0, gt=0, description="the longest silence within an answer")
    prices_as: str | None = Field(
        None, description="the provider's name in genai-prices; default: by its address"
    )

    @field_validator("headers")
    @classmethod
    def _no_line_breaks(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if any(sign in f"{name}{value}" for sign in "\r\n\0"):
                raise ValueError("a header holds a line break")
        return headers


def _checked(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a base URL starts with http:// or https:// and names a host")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("a base URL holds no user, password, query or fragment: keys go under `keys`")
    return url.rstrip("/")


class OpenaiSystem(_Provider):
    """OpenAI, or anything that speaks its protocol: Azure, vLLM, Ollama, llama.cpp."""

    kind: Literal["openai"]
    base_url: str = Field("https://api.openai.com/v1", description="up to and with the version: …/v1")
    auth: Literal["bearer", "api-key", "none"] = Field("bearer", description="api-key: Azure's header")
    query: dict[str, str] = Field(
        default_factory=dict, description="sent with every request: Azure's api-version"
    )
    _url = field_validator("base_url")(staticmethod(_checked))


class AnthropicSystem(_Provider):
    """Anthropic's API, or anything that speaks its protocol."""

    kind: Literal["anthropic"]
    base_url: str = Field("https://api.anthropic.com", description="up to, without, /v1")
    _url = field_validator("base_url")(staticmethod(_checked))


class ModelRoute(Value):
    """A name that applications use, and what answers to it, in order of preference."""

    targets: tuple[TargetName, ...] = Field(min_length=1)
    retries: int = Field(2, ge=0, le=10, description="further attempts on one target")
    deadline_seconds: float = Field(
        300.0, gt=0, description="of the whole request; a caller may ask for less"
    )
    hedge_after_ms: float | None = Field(
        None,
        gt=0,
        description="a second request when the first has not begun to answer; the slower is dropped",
    )
    queue_seconds: float = Field(
        0.0, ge=0, le=600, description="wait so long for room under a limit, instead of an error 429"
    )
    cache_seconds: float | None = Field(None, ge=0, description="default: that of the cache; 0: never")
    requests_per_minute: int | None = Field(None, gt=0)
    tokens_per_minute: int | None = Field(None, gt=0)


class SpendBudget(Value):
    """What may be spent on AI: by whom, on what, in which time. Enforced on every endpoint, by reservation."""

    usd: float = Field(gt=0)
    period: Literal["day", "month"] = "month"
    key: str | None = Field(None, description="the virtual key's name; * matches each key by itself")
    team: str | None = Field(None, description="* matches each team by itself")
    model: str | None = Field(None, description="the name asked for, or provider/model")
    hard: bool = Field(default=True, description="refuse beyond it; else only tell")
    alert_percent: tuple[int, ...] = (50, 80, 100)


class CacheSettings(Value):
    """Equal questions are answered from earlier answers."""

    seconds: float = Field(0.0, ge=0, description="how long an answer is good; 0: no cache")
    max_mb: int = Field(64, gt=0, description="in memory")
    where: Literal["memory", "store", "redis"] = Field(
        "memory", description="store: kept in the gateway's database as well; redis: shared"
    )
    only_deterministic: bool = Field(
        default=False, description="only requests with temperature 0, and embeddings"
    )


class PrivacySettings(Value):
    """What of prompts leaves, and what is kept."""

    redact: bool = Field(
        default=False, description="personal data in prompts is replaced, and put back in answers"
    )
    columns: tuple[str, ...] = Field(
        (), description="further words taken for personal: values of these keys in structured prompts"
    )
    keep_prompts: bool = Field(default=False, description="kept encrypted, for replay and A/B")
    keep_days: int = Field(30, gt=0)


class PriceOverride(Value):
    """US dollars per million tokens, instead of the price list's."""

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cache_read: float | None = Field(None, ge=0)
    cache_write: float | None = Field(None, ge=0)


class BreakerSettings(Value):
    """When a target is left alone, and for how long."""

    failures: int = Field(5, ge=1, description="in a row, or within the window as the share says")
    window_seconds: float = Field(30.0, gt=0)
    failure_share: float = Field(0.5, gt=0, le=1)
    open_seconds: float = Field(10.0, gt=0, description="doubles with each failed probe, to 16 times")


class GatewaySettings(Value):
    """The AI gateway."""

    listen: str = Field(f"127.0.0.1:{DEFAULT_PORT}", pattern=r"^\S+:\d+$")
    processes: int = Field(1, ge=1, le=64)
    store: str | None = Field(
        None, description="postgresql://… to share it; default: SQLite, .datareeve/gateway.sqlite"
    )
    store_password: SecretReference | None = None
    shared: str | None = Field(None, description="redis://… for limits and cache of several machines")
    shared_password: SecretReference | None = None
    kek: SecretReference = Field(
        "file:.datareeve/gateway.kek", description="the key that seals keys; made where the file is not there"
    )
    max_body_mb: int = Field(32, gt=0, le=512, description="of one request")
    max_held_mb: int = Field(
        512,
        gt=0,
        description="of the bodies of all requests together, in each process, until they are answered",
    )
    common_objects: tuple[str, ...] = Field(
        (),
        description="ids of files, vector stores and the like at a provider that every virtual key may name",
    )
    models: dict[str, ModelRoute] = Field(default_factory=dict)
    other_models: bool = Field(
        default=True,
        description="models without a route go as they are to the provider that speaks the protocol",
    )
    budgets: dict[str, SpendBudget] = Field(default_factory=dict)
    cache: CacheSettings = CacheSettings()
    privacy: PrivacySettings = PrivacySettings()
    breaker: BreakerSettings = BreakerSettings()
    prices: dict[str, PriceOverride] = Field(default_factory=dict, description="by provider/model")
    keep_usage_days: int = Field(400, gt=0)
    header_seconds: float = Field(15.0, gt=0, description="for a client to send its headers")
    body_seconds: float = Field(60.0, gt=0, description="for a client to send its body")
    stalled_seconds: float = Field(
        60.0, gt=0, description="that a client may read nothing of its answer before it is cut off"
    )
    local_figures: bool = Field(
        default=True,
        description="/metrics and /status without a key for programs of this machine; false where a proxy on it passes requests on",
    )
    otlp: str | None = Field(None, description="http://collector:4318: traces of every request")

    @field_validator("store", "shared")
    @classmethod
    def _no_password(cls, url: str | None) -> str | None:
        if url is not None and urlsplit(url).password:
            raise ValueError("the URL holds a password: take it out and give it by reference beside")
        return url

    @model_validator(mode="after")
    def _known_names(self) -> GatewaySettings:
        for name in self.models:
            if not name or any(sign.isspace() for sign in name):
                raise ValueError(f"the model name {name!r} holds a space")
        return self

    @model_validator(mode="after")
    def _holds_one_body(self) -> GatewaySettings:
        if self.max_held_mb < self.max_body_mb:
            raise ValueError("max_held_mb is less than max_body_mb: the largest request could never be taken")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port it listens on."""
        host, _, port = self.listen.rpartition(":")
        return host.strip("[]"), int(port)
