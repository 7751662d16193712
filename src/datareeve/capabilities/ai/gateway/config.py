"""What the gateway works by, in memory: one immutable `Config`, made of the estate and the store, replaced as a whole when either changes.

No request ever waits for a file or a database to know who may do what.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datareeve.core.estate_gateway import GatewaySettings, ModelRoute, SpendBudget
    from datareeve.core.secrets import Secret

Protocol = Literal["openai", "anthropic"]
KeyState = Literal["active", "draining", "retired", "revoked"]


@dataclass(frozen=True, slots=True, eq=False)
class ProviderKey:
    """One key of a provider. `draining`: finishes what it began and is given nothing new while another is active."""

    id: str  # 'pk_…', or 'estate:0' for the first reference in the estate
    provider: str
    secret: Secret
    state: KeyState = "active"
    expires_at: float | None = None  # Unix seconds


@dataclass(frozen=True, slots=True, eq=False)
class Provider:
    """A provider as the estate declares it, with its usable keys (active ones first)."""

    name: str
    protocol: Protocol
    base_url: str  # openai: with /v1; anthropic: without
    keys: tuple[ProviderKey, ...]
    auth: Literal["bearer", "api-key", "none", "x-api-key"] = "bearer"
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    requests_per_minute: int | None = None  # of each key
    tokens_per_minute: int | None = None
    connect_seconds: float = 5.0
    first_byte_seconds: float = 120.0
    idle_seconds: float = 60.0
    prices_as: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a request may go: a provider and its own name of the model."""

    provider: str
    model: str

    def __str__(self) -> str:
        return f"{self.provider}/{self.model}"


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """A model name that applications use, and its targets in order."""

    name: str
    targets: tuple[Target, ...]
    settings: ModelRoute


@dataclass(frozen=True, slots=True, eq=False)
class VirtualKey:
    """What an application or a person shows. The text is 'dr-<id>-<secret>'; only its SHA-256 is kept."""

    id: str  # 12 characters, public: stands in usage rows and in front of the text
    digest: bytes  # SHA-256 of the whole text
    name: str
    team: str = ""
    models: tuple[str, ...] = ("*",)  # names asked for; * at the end matches the rest
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    max_parallel: int | None = None
    expires_at: float | None = None
    revoked: bool = False
    cache: bool = True  # False: neither asks the cache nor fills it
    admin: bool = False  # may read the gateway's status and metrics over HTTP


@dataclass(frozen=True, slots=True, eq=False)
class Config:
    """Everything at one revision."""

    revision: int  # of the store; gateways say which one they work by
    settings: GatewaySettings
    providers: Mapping[str, Provider]
    routes: Mapping[str, Route]
    virtual_keys: Mapping[str, VirtualKey]  # by id
    budgets: Mapping[str, SpendBudget]
