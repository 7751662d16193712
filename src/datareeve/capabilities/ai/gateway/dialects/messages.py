"""Anthropic's Messages API: messages, and their count. https://docs.anthropic.com/en/api/messages-streaming."""

from __future__ import annotations

from typing import Any, Final

from datareeve.capabilities.ai.gateway.dialects import Asked, estimate, fields
from datareeve.capabilities.ai.gateway.dialects.base import Speech
from datareeve.capabilities.ai.gateway.dialects.reported import anthropic_tokens
from datareeve.capabilities.ai.gateway.sse import EventScanner, size
from datareeve.capabilities.ai.gateway.usage import Tokens

_DELTA: Final = b'event: content_block_delta\ndata: {"type":"content_block_delta",'
SILENT_BLOCKS: Final = frozenset(
    ("text", "thinking")
)  # their deltas follow; any other block is output already


class Messages(Speech):
    """/v1/messages."""

    name = "messages"
    protocol = "anthropic"

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Read a request."""
        fields.unambiguous(raw, body)
        return asked_of(raw, body)

    def scanner(self, asked: Asked) -> MessageScanner:
        """A scanner for one stream."""
        del asked
        return MessageScanner()


class CountTokens(Messages):
    """/v1/messages/count_tokens: costs nothing."""

    name = "count-tokens"
    free = True
    no_output = True

    def tokens(self, answer: bytes) -> Tokens | None:
        """None are used by counting."""
        del answer
        return Tokens()


def asked_of(raw: bytes, body: dict[str, Any]) -> Asked:
    """A request for one message, alone or within a batch."""
    whole, prefix = estimate.estimate(
        "anthropic", body.get("messages"), [body.get("system")], body.get("tools")
    )
    return Asked(
        raw,
        body,
        fields.model(body),
        stream=fields.flag(body, "stream"),
        max_output=fields.count(body, "max_tokens"),
        input_estimate=whole,
        prefix_estimate=prefix,
        deterministic=fields.deterministic(body),
    )


class MessageScanner(EventScanner):
    """A stream of message events: message_start tells the input, message_delta the output so far."""

    __slots__ = ("made",)

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[str, Any] = {}  # as a whole answer says it: its container

    def marked(self, data: bytes, start: int = 0) -> bool:
        """Usage, errors, the end: none of them in a delta."""
        return not start and (b'"usage"' in data or b"message_stop" in data or b'"error"' in data)

    def head(self, event: bytes) -> int:
        """Up to where a delta's type is said."""
        return len(_DELTA) if event.startswith(_DELTA) else 0

    def read(self, event: dict[str, Any]) -> bool:
        """Usage, errors, the end."""
        kind = event.get("type")
        if kind == "message_start":
            message = event.get("message")
            self._used(message.get("usage") if type(message) is dict else None)
            self._brought(message)
        elif kind == "message_delta":
            self._used(event.get("usage"))
            self._brought(event.get("delta"))
            self.began = True
        elif kind == "message_stop":
            self.began = self.complete = True
        elif kind == "error":
            error = event.get("error")
            said = error.get("type") if type(error) is dict else None
            self.failed = said[:64] if type(said) is str and said else "error"
        return True

    def flush(self) -> bytes:
        """Of a message that broke off, message_start knew only the first token of output: its text says more."""
        sent = super().flush()
        if self.tokens is not None and not self.complete:
            self.tokens.output = max(self.tokens.output, estimate.of_bytes(self.output_chars))
        return sent

    def text(self, event: dict[str, Any]) -> int:
        """The text of a delta; also sees when the answer begins."""
        kind = event.get("type")
        if kind == "content_block_delta":
            delta = event.get("delta")
            if type(delta) is not dict:
                return 0
            found = size(delta.get("text"), delta.get("partial_json"), delta.get("thinking"))
            self.began = self.began or found > 0
            return found
        if kind == "content_block_start":
            block = event.get("content_block")
            if type(block) is dict and str(block.get("type")) not in SILENT_BLOCKS:
                self.began = True
                return size(block.get("name"), block.get("data"))
        return 0

    def _brought(self, told: object) -> None:
        if type(told) is dict and told.get("container"):
            self.made["container"] = told["container"]

    def _used(self, usage: object) -> None:
        if type(usage) is dict:
            self.tokens = anthropic_tokens(usage, self.tokens)
