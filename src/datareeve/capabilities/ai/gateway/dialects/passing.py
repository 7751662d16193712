"""Endpoints that pass through: stored answers, files, images, sound, moderations, and the list of models, which the gateway answers itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import unquote

import orjson

from datareeve.capabilities.ai.gateway.dialects import Asked, Problem, errors, estimate, fields
from datareeve.capabilities.ai.gateway.dialects.base import Speech, parsed, text_of
from datareeve.capabilities.ai.gateway.dialects.reported import openai_tokens
from datareeve.capabilities.ai.gateway.dialects.responses import TypedScanner
from datareeve.capabilities.ai.gateway.sse import payload_of
from datareeve.capabilities.ai.gateway.usage import Tokens

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.dialects import StreamScanner


_ENDED: Final = ("completed", "incomplete", "failed", "cancelled")
AN_IMAGE: Final = 6240  # tokens of the largest and finest picture of gpt-image-1


class PlainScanner:
    """Lets everything through; what is no event stream has no end of its own."""

    __slots__ = ("answer_id", "began", "complete", "failed", "output_chars", "tokens")

    def __init__(self) -> None:
        self.tokens: Tokens | None = None
        self.began = False
        self.complete = True
        self.failed = ""
        self.answer_id = ""
        self.output_chars = 0

    def feed(self, data: bytes) -> bytes:
        """The same bytes."""
        self.began = True
        return data

    def flush(self) -> bytes:
        """Nothing is held."""
        return b""


class Passing(Speech):
    """A request without a body that matters: a stored answer, a batch's state, a file."""

    reads_json = False
    free = True
    no_output = True

    def __init__(self, name: str, protocol: Literal["openai", "anthropic"]) -> None:
        self.name = name
        self.protocol = protocol

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Nothing is asked of a model."""
        return Asked(raw, body, "")

    def outgoing(self, asked: Asked, model: str) -> bytes:
        """As it came: it says no model."""
        del model
        return asked.raw

    def tokens(self, answer: bytes) -> Tokens | None:
        """Nothing is used."""
        del answer
        return Tokens()

    def scanner(self, asked: Asked) -> StreamScanner:
        """Everything goes through."""
        del asked
        return PlainScanner()


class Conversation(Passing):
    """A conversation that is made, or added to: its items name what a provider keeps, as those of a request do."""

    reads_json = True

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Nothing is asked of a model yet. Errors: `Refusal` where it may be read in two ways."""
        fields.unambiguous(raw, body)
        return Asked(raw, body, "")


class KeptAnswer(Passing):
    """An answer that the provider keeps. What one used that was made in the background is known when it is seen finished."""

    def finished(self, answer: bytes) -> tuple[str, Tokens] | None:
        """The model of a finished answer, and what it used; None where it goes on. It may be told as the stream that it was."""
        found = parsed(answer)
        if not found and b"data:" in answer:
            return self._streamed(answer)
        usage = found.get("usage")
        tokens = openai_tokens(usage) if type(usage) is dict and text_of(found, "status") in _ENDED else None
        return (text_of(found, "model"), tokens) if tokens is not None else None

    def _streamed(self, answer: bytes) -> tuple[str, Tokens] | None:
        for event in reversed(answer.replace(b"\r\n", b"\n").split(b"\n\n")):
            if b'"usage"' in event:
                response = parsed(payload_of(event) or b"").get("response")
                return self.finished(orjson.dumps(response)) if type(response) is dict else None
        return None


class Made(Speech):
    """A JSON request that names a model, counted where the answer says what it used, else only written down: images, speech, moderations."""

    def __init__(self, name: str, *, most_each: int | None = None, free: bool = False) -> None:
        self.name = name
        self.free = free
        self._most_each = most_each

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Read a request. What costs names its model, though the provider has a default: else it could not be scoped."""
        fields.unambiguous(raw, body)
        several = fields.count(body, "n") or 1
        return Asked(
            raw,
            body,
            "" if self.free and body.get("model") is None else fields.model(body),
            stream=fields.flag(body, "stream") or body.get("stream_format") == "sse",
            max_output=self._most_each and self._most_each * several,
            input_estimate=estimate.of_inputs(body.get("input", body.get("prompt"))),
        )

    def tokens(self, answer: bytes) -> Tokens | None:
        """As it says; nothing where it does not: its bytes are no text."""
        return super().tokens(answer) or Tokens()

    def scanner(self, asked: Asked) -> StreamScanner:
        """Events with a type."""
        del asked
        return TypedScanner()


class Models(Passing):
    """/v1/models: the names that a key may use, in a shape that both SDKs read."""

    def local(self, path: str, visible: list[str], request_id: str) -> tuple[int, bytes]:
        """The list, or one of it."""
        name = unquote(path.partition("/models")[2].removeprefix("/"))
        if not name:
            return 200, orjson.dumps(_listed(visible))
        if name in visible:
            return 200, orjson.dumps(_model(name))
        problem = Problem(
            404,
            "not_found",
            "gateway.model",
            "This key has no such model. GET /v1/models lists those it has.",
        )
        return 404, errors.either_error(problem, request_id)

    def error(self, problem: Problem, request_id: str) -> bytes:
        """In both shapes."""
        return errors.either_error(problem, request_id)


def _model(name: str) -> dict[str, Any]:
    theirs = {"object": "model", "created": 0, "owned_by": "gateway"}
    return {"id": name, **theirs, "type": "model", "display_name": name, "created_at": "1970-01-01T00:00:00Z"}


def _listed(names: list[str]) -> dict[str, Any]:
    ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
    return {"object": "list", "data": [_model(name) for name in names], "has_more": False, **ends}
