"""Translation between the protocols of OpenAI and Anthropic, for a request whose fallback is the other provider.

Each protocol is read into what it means and written from that (`conversation`); what the other protocol cannot say is refused by the
client's own name of the field, never dropped. `fields` is the table of every field and what becomes of it. Streams are translated event by
event (`streams`). Requests: chat ↔ messages, responses → messages, responses → chat; answers, streams and errors the other way round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from datareeve.capabilities.ai.gateway.translate import chat, errors, messages, responses
from datareeve.capabilities.ai.gateway.translate.conversation import WRONG_SHAPE
from datareeve.capabilities.ai.gateway.translate.events import Events, Oversized
from datareeve.capabilities.ai.gateway.translate.fields import TABLES, Untranslatable
from datareeve.capabilities.ai.gateway.translate.streams import (
    ChatReader,
    ChatWriter,
    MessagesReader,
    MessagesWriter,
)

__all__ = [
    "TABLES",
    "StreamTranslator",
    "Translated",
    "Untranslatable",
    "answer",
    "can",
    "error",
    "request",
    "translated",
]

Shape = Literal["chat", "responses", "messages", "openai", "anthropic"]
"""A dialect's name; 'openai' is chat, 'anthropic' is messages."""

_SHAPES: Final = {"openai": "chat", "anthropic": "messages"}
_REQUESTS: Final = {
    ("chat", "messages"),
    ("messages", "chat"),
    ("responses", "messages"),
    ("responses", "chat"),
}
_READ_ANSWER: Final = {"chat": chat.read_answer, "messages": messages.read_answer}
_WRITE_ANSWER: Final = {
    "chat": chat.write_answer,
    "messages": messages.write_answer,
    "responses": responses.write_answer,
}
_READERS: Final[dict[str, type[ChatReader | MessagesReader]]] = {
    "chat": ChatReader,
    "messages": MessagesReader,
}
_WRITERS: Final[dict[str, type[ChatWriter | MessagesWriter | responses.ResponsesWriter]]] = {
    "chat": ChatWriter,
    "messages": MessagesWriter,
    "responses": responses.ResponsesWriter,
}


@dataclass(frozen=True, slots=True)
class Translated:
    """A request in the other protocol. `left_out`: fields that have no counterpart there and do not touch the answer (the cache's hints)."""

    body: dict[str, Any]
    left_out: tuple[str, ...]


def translated(from_: str, to: str, body: dict[str, Any], model: str) -> Translated:
    """A request in the protocol of `to`, for that model, and the names of what was left out.

    Errors: `Untranslatable` names the first field that cannot be said there, whatever the body holds; `KeyError` for a pair of protocols
    that is not translated (`can`).
    """
    source, target = _pair(from_, to)
    missing: list[str] = []
    try:
        if source == "chat":
            asked = chat.read_request(body, missing)
        elif source == "messages":
            asked = messages.read_request(body, missing)
        else:
            asked = responses.read_request(body, missing, for_chat=target == "chat")
        written = (
            messages.write_request(asked, model) if target == "messages" else chat.write_request(asked, model)
        )
    except WRONG_SHAPE as error:
        raise Untranslatable("body", "has not the shape of its protocol") from error
    return Translated(written, tuple(missing))


def request(from_: str, to: str, body: dict[str, Any], model: str) -> dict[str, Any]:
    """A request in the protocol of `to`, for that model. Errors: as `translated`."""
    return translated(from_, to, body, model).body


def can(from_: str, to: str) -> bool:
    """Whether requests are translated between these two."""
    return (_SHAPES.get(from_, from_), _SHAPES.get(to, to)) in _REQUESTS


def _pair(from_: str, to: str) -> tuple[str, str]:
    pair = (_SHAPES.get(from_, from_), _SHAPES.get(to, to))
    if pair not in _REQUESTS:
        raise KeyError(f"{pair[0]} is not translated to {pair[1]}")
    return pair


def answer(
    from_: str, to: str, body: dict[str, Any], asked_model: str, asked: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A provider's whole answer (of the shape `from_`), as the client expects it (`to`).

    `asked_model`: the name the client asked for, which the answer repeats. `asked`: the client's request; a response repeats its settings.
    Errors: `Untranslatable` where it is no answer, or holds what cannot be said: arguments of a call that are no JSON object.
    """
    target, source = _pair(to, from_)
    try:
        return _WRITE_ANSWER[target](_READ_ANSWER[source](body), asked_model, asked)
    except WRONG_SHAPE as error:
        raise Untranslatable("answer", "has not the shape of its protocol") from error


def error(from_: str, to: str, status: int, body: bytes, request_id: str | None = None) -> bytes:  # noqa: ARG001  an error names its own shape
    """A provider's error body, as the client's SDK expects it, whatever the bytes are (a proxy's page, nothing)."""
    protocol: Literal["openai", "anthropic"] = "anthropic" if _SHAPES.get(to, to) == "messages" else "openai"
    return errors.translated(body, protocol, status, request_id)


class StreamTranslator:
    """One streamed answer, from a provider's shape into the client's, event by event.

    `complete`: the provider's answer ended as its protocol ends it, and the client has been told. `failed`: 'provider' where it sent an
    error, 'garbage' where it sent what is no event; the client has been told, and nothing more is sent. Where the bytes end with neither, the answer was cut: tell the client by the dialect's `stream_error`.
    """

    __slots__ = ("_events", "_reader", "_writer", "complete", "failed")

    def __init__(self, from_: str, to: str, asked_model: str, asked: dict[str, Any] | None = None) -> None:
        target, source = _pair(to, from_)
        self._writer = _WRITERS[target](asked_model, asked)
        self._reader = _READERS[source](self._writer)
        self._events = Events()
        self.complete = False
        self.failed = ""

    def feed(self, data: bytes) -> bytes:
        """Bytes as they came, cut anywhere; gives those to send on, '' where no event is whole yet."""
        try:
            events = self._events.feed(data)
        except Oversized:
            return self._broken()
        return self._said(events)

    def flush(self) -> bytes:
        """The provider's bytes are over: what is still to be said. Some servers never send [DONE]; a given finish_reason ends it too."""
        said = self._said(self._events.flush())
        if not self.complete and not self.failed and self._reader.done(cut=True):
            self.complete = True
        return said + self._taken()

    def _said(self, events: list[bytes]) -> bytes:
        for event in events:
            if self.complete or self.failed:
                break
            try:
                self._read(event)
            except WRONG_SHAPE:
                return self._taken() + self._broken()
        return self._taken()

    def _read(self, event: bytes) -> None:
        if event.strip() == b"[DONE]":
            self.complete = self._reader.done()
            return
        held = orjson.loads(event)
        outcome = self._reader.event(held)
        if outcome == "complete":
            self.complete = True
        elif outcome == "failed":
            self.failed = "provider"

    def _broken(self) -> bytes:
        if self.complete or self.failed:
            return b""
        self.failed = "garbage"
        self._writer.fail(errors.GARBAGE)
        return self._taken()

    def _taken(self) -> bytes:
        said = self._writer.out
        if not said:
            return b""
        whole = said[0] if len(said) == 1 else b"".join(said)
        said.clear()
        return whole
