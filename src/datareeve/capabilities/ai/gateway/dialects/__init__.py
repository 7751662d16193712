"""Dialects: what the gateway must know of each endpoint to count it and to end it well; all else passes through as it came.

One module a dialect: chat, responses, embeddings, messages, and the rest that only passes through.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.ai.gateway.usage import Tokens


@dataclass(slots=True)
class Asked:
    """What a request asks for, as far as the gateway must know. `body` is the parsed JSON, `raw` the bytes as they came."""

    raw: bytes
    body: dict[str, Any]
    model: str  # '' where the endpoint names none
    stream: bool = False
    max_output: int | None = None  # tokens, as the client bounds them (times `n`); None: not said
    input_estimate: int = 0  # tokens, from its length: never below what a tokenizer would give by much
    prefix_estimate: int = 0  # tokens of the cacheable prefix (system, tools)
    deterministic: bool = False  # temperature 0, or embeddings
    adds_usage: bool = False  # we ask the stream for its usage; the client did not: that event is taken out
    batch: bool = False  # half price, counted when its results are read
    answers: int = 1  # of a batch: its requests
    named: tuple[tuple[str, str], ...] = ()  # of a batch's file: what its lines name (`references`)


@dataclass(frozen=True, slots=True)
class Problem:
    """An error to be told in the protocol's own shape."""

    status: int  # HTTP
    kind: Literal[
        "bad_request",
        "authentication",
        "permission",
        "not_found",
        "too_large",
        "rate_limit",
        "budget",
        "overloaded",
        "timeout",
        "upstream",
        "internal",
    ]
    code: str  # stable, ours: 'gateway.budget'
    message: str  # what is wrong and what to do; never a value of the request
    retry_after: float | None = None  # seconds
    headers: tuple[tuple[str, str], ...] = field(default=())


class StreamScanner(Protocol):
    """Follows one answer's event stream as its bytes pass by."""

    tokens: Tokens | None  # None until the provider said any; kept up to date with partial figures
    began: bool  # a token (text, tool call, reasoning) has come: from now on it cannot fail over
    complete: bool  # the protocol's own end was seen: [DONE], message_stop, response.completed
    failed: str  # the type of an error event that the provider sent within the stream, else ''
    answer_id: str  # as the provider says it, where it says one

    @property
    def output_chars(self) -> int:
        """Text so far, in bytes of UTF-8: the estimate where the usage never comes. Counted when asked for."""

    def feed(self, data: bytes) -> bytes:
        """Take bytes as they came; gives those to send on: the same, except for events that we asked for and the client did not."""

    def flush(self) -> bytes:
        """What is still held back of an unfinished event, at the end."""


class Dialect(Protocol):
    """One endpoint's way of speaking."""

    name: str  # 'chat', 'responses', 'embeddings', 'messages', ...
    protocol: Literal["openai", "anthropic"]
    reads_json: bool  # the body is a JSON object; else it is nothing, or a form
    no_output: bool  # what it gives back is not counted in tokens
    free: bool  # nothing is charged for it
    local: (
        Callable[[str, list[str], str], tuple[int, bytes]] | None
    )  # the gateway answers itself: path, models, request id

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Read a request. Errors: `Refusal` with a `Problem` naming the field that is wrong."""

    def outgoing(self, asked: Asked, model: str) -> bytes:
        """The body to send for that model: `raw` itself where nothing must change, else with only those bytes changed."""

    def tokens(self, answer: bytes) -> Tokens | None:
        """What a whole answer says it used; None where it does not say."""

    def failed(self, answer: bytes) -> str:
        """The type of the error that an answer of status 200 is instead of one; '' where it is none."""

    def kept(self, asked: Asked) -> bool:
        """Whether the provider keeps the answer, to be had again by its id."""

    def scanner(self, asked: Asked) -> StreamScanner:
        """A scanner for one streamed answer."""

    def error(self, problem: Problem, request_id: str) -> bytes:
        """The JSON body of an error, as the official SDK expects it."""

    def stream_error(self, problem: Problem, request_id: str) -> bytes:
        """The event(s) that end a stream that broke, as the official SDK raises on it."""


class Refusal(Exception):
    """The gateway refuses a request; nothing was sent."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem
