"""What a request used, and the row that is kept of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(slots=True)
class Tokens:
    """Tokens by kind as the provider reports them. `input` counts all of the prompt, cached parts included, on both protocols."""

    input: int = 0
    output: int = 0  # reasoning included
    cache_read: int = 0  # of input: taken from the provider's prompt cache
    cache_write: int = 0  # of input: written to it (five minutes)
    cache_write_1h: int = 0  # of input: written for an hour
    reasoning: int = 0  # of output


Status = Literal[
    "ok",  # answered in full
    "error",  # the provider's last answer was an error, or there was none
    "refused",  # by the gateway: key, scope, limit, budget, bad input; nothing was sent
    "disconnected",  # the client left; what the provider had used until then is counted
    "broken",  # the stream broke after its first token
    "interrupted",  # by the gateway itself, which was killed, stopped, or failed: an estimate of what was used
]


@dataclass(slots=True)
class UsageRow:
    """One row a request: who, what, how it went, what it cost. No text of prompt or answer."""

    id: str  # also the request id that the client is told
    at: float  # Unix seconds when it came
    virtual_key: str  # id; '' where none was recognised
    key_name: str
    team: str
    endpoint: str  # the path: '/v1/chat/completions'
    asked_model: str
    provider: str
    provider_key: str
    model: str  # as served; '' where nothing was sent
    status: Status
    http_status: int
    attempts: int
    stream: bool
    cached: bool  # answered from the gateway's cache
    tokens: Tokens
    estimated: bool  # tokens are our estimate: the provider did not say (a broken stream, a kill)
    first_ms: float | None  # to the first token, or the first byte of an answer
    total_ms: float
    cost_microusd: int
    saved_microusd: int  # what a cached answer would have cost
    price_version: str  # '' where no price is known
    error: str  # a stable code, '' where ok
    digest: str  # of the request's meaning, keyed: equal requests are found by it
    prefix: str  # of its cacheable prefix (system, tools), keyed
    prefix_tokens: int  # estimated length of that prefix
