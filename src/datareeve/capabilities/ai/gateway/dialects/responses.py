"""The Responses API, and other endpoints of OpenAI that stream events with a `type` (images, speech, transcriptions)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from datareeve.capabilities.ai.gateway.dialects import Asked, errors, estimate, fields, references
from datareeve.capabilities.ai.gateway.dialects.base import Speech, text_of
from datareeve.capabilities.ai.gateway.dialects.reported import openai_tokens
from datareeve.capabilities.ai.gateway.sse import EventScanner, size
from datareeve.capabilities.ai.gateway.usage import Tokens

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.dialects import Problem

ENDS: Final = frozenset(
    """response.completed response.incomplete image_generation.completed image_edit.completed speech.audio.done
    transcript.text.done""".split()
)
_DELTA: Final = re.compile(rb'event: ([a-z_.]+\.delta)\ndata: \{"type":"\1",')
SILENT_ITEMS: Final = frozenset(("message",))  # their text follows; any other item is work that has begun


class Responses(Speech):
    """/v1/responses."""

    name = "responses"

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Read a request. What a `previous_response_id` holds is not known here: the answer's usage counts it."""
        fields.unambiguous(raw, body)
        fields.unambiguous_within(raw, body, "conversation")
        fields.flag(body, "background")
        fields.flag(body, "store")
        asked = self._billed(raw, body)
        whole, prefix = estimate.estimate(
            "openai", body.get("input"), [body.get("instructions")], body.get("tools")
        )
        asked.input_estimate, asked.prefix_estimate = whole, prefix
        return asked

    def kept(self, asked: Asked) -> bool:
        """Unless it is not to be."""
        return asked.body.get("store") is not False

    def scanner(self, asked: Asked) -> TypedScanner:
        """A scanner for one stream."""
        del asked
        return TypedScanner()

    def stream_error(self, problem: Problem, request_id: str) -> bytes:
        """The `error` event."""
        del request_id
        return errors.responses_stream_error(problem)

    def _billed(self, raw: bytes, body: dict[str, Any]) -> Asked:
        return Asked(
            raw,
            body,
            fields.model(body),
            stream=fields.flag(body, "stream"),
            max_output=fields.count(body, "max_output_tokens"),
            deterministic=fields.deterministic(body),
        )


class Compact(Responses):
    """/v1/responses/compact: an answer like any other, but never a stream."""

    name = "responses-compact"

    def kept(self, asked: Asked) -> bool:
        """Never."""
        del asked
        return False


class InputTokens(Responses):
    """/v1/responses/input_tokens: counts, and costs nothing."""

    name = "responses-input-tokens"
    free = True
    no_output = True

    def kept(self, asked: Asked) -> bool:
        """There is no answer."""
        del asked
        return False

    def tokens(self, answer: bytes) -> Tokens | None:
        """None are used by counting."""
        del answer
        return Tokens()


class TypedScanner(EventScanner):
    """A stream of events that name their type."""

    __slots__ = ("made",)

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[
            str, Any
        ] = {}  # as a whole answer says it: its items, as far as later requests may name them

    def marked(self, data: bytes, start: int = 0) -> bool:
        """Usage, errors and ends, none of them in a delta: the last event of each kind of stream has a usage, or says it is done."""
        return not start and (
            b'"usage"' in data or b'"error"' in data or b".done" in data or b"[DONE]" in data
        )

    def head(self, event: bytes) -> int:
        """Up to where a delta's type is said."""
        found = _DELTA.match(event)
        return found.end() if found is not None else 0

    def read(self, event: dict[str, Any]) -> bool:
        """Usage, errors, ends."""
        kind = str(event.get("type"))
        response = event.get("response")
        inner = response if type(response) is dict else event
        if not self.answer_id and inner is response:
            self.answer_id = text_of(inner, "id")
        usage = inner.get("usage")
        if type(usage) is dict:
            self.tokens = openai_tokens(usage) or self.tokens
        if kind == "response.output_item.done" and type(event.get("item")) is dict:
            self._brought(event["item"])
        elif kind in ENDS:
            self.began = self.complete = True
        elif kind in ("error", "response.failed") or (event.get("error") and response is None):
            self.failed = _kind(event, inner)
        return True

    def _brought(self, item: dict[str, Any]) -> None:
        items = self.made.setdefault("output", [])
        if len(items) < references.MOST_MADE:
            items.append({name: item.get(name) for name in ("id", "container_id")})

    def text(self, event: dict[str, Any]) -> int:
        """The text of a delta; also sees when the answer begins."""
        kind = event.get("type")
        if type(kind) is not str:
            return 0
        if kind.endswith((".delta", ".partial_image")):
            self.began = True
            return 0 if kind.endswith("audio.delta") else size(event.get("delta"))
        if kind == "response.output_item.added":
            item = event.get("item")
            self.began = self.began or (type(item) is dict and str(item.get("type")) not in SILENT_ITEMS)
        return 0


def _kind(event: dict[str, Any], inner: dict[str, Any]) -> str:
    error = inner.get("error")
    for said in (error if type(error) is dict else {}, event):
        for name in ("code", "type"):
            if type(said.get(name)) is str and said[name]:
                return str(said[name])[:64]
    return "error"
