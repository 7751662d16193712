"""Streams: an event is read and said again at once; nothing waits for the end that does not have to.

A reader of one protocol drives a `Writer` of the other. `StreamTranslator` puts the two together over bytes.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import orjson

from datareeve.capabilities.ai.gateway.translate import chat, errors, messages
from datareeve.capabilities.ai.gateway.translate.conversation import (
    Ended,
    Ending,
    arguments_of,
    identifier,
    named,
)
from datareeve.capabilities.ai.gateway.usage import Tokens

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.translate.errors import Said

_CHAT_ID, _MESSAGES_ID = 40, 64  # the longest ids of calls


class Writer(Protocol):
    """Says an answer in one protocol, piece by piece. What it says is appended to `out`."""

    out: list[bytes]

    def begin(self, answer_id: str, tokens: Tokens) -> None:
        """The answer begins; called once, before all else."""

    def text(self, text: str) -> None:
        """Words of the answer."""

    def refusal(self, text: str) -> None:
        """Words of a refusal."""

    def reasoning(self, text: str) -> None:
        """Words of the model's reasoning."""

    def call(self, key: int, call_id: str, name: str) -> None:
        """The model begins to call a tool; `key` is the reader's."""

    def arguments(self, key: int, text: str) -> None:
        """A piece of a call's arguments."""

    def end(self, ended: Ended, tokens: Tokens) -> None:
        """The answer is whole."""

    def fail(self, said: Said) -> None:
        """The answer breaks off."""

    def ping(self) -> None:
        """The provider is alive and has nothing to say yet."""


# ------------------------------------------------------------------------------------------------------------------- readers
@dataclass(slots=True)
class _Begun:
    """A call that has begun. `key`: the writer's name of it; -1 until its own name has come."""

    id: str = ""
    key: int = -1


class ChatReader:
    """Reads the chunks of a chat completion (openai 3, `types/chat/chat_completion_chunk.py`)."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._began = False
        self._ending: Ending | None = None
        self._refused = False
        self._tokens = Tokens()
        self._calls: dict[int, _Begun] = {}  # by the provider's index
        self._count = 0

    def event(self, body: dict[str, Any]) -> str:
        """Read one chunk; gives 'failed' where it is an error, else ''."""
        if body.get("error"):
            self._writer.fail(errors.read(body))
            return "failed"
        if usage := body.get("usage"):
            self._tokens = chat.read_usage(usage)
        choices = body.get("choices") or ()
        if not self._began and (choices or body.get("id")):  # Azure's first chunk has neither
            self._began = True
            self._writer.begin(named(body), self._tokens)
        for choice in choices:
            if choice.get("index"):
                raise ValueError("a second answer, which nobody asked for")
            self._delta(choice.get("delta") or {})
            if reason := choice.get("finish_reason"):
                self._ending = chat.ENDINGS.get(reason, "stop")
        return ""

    def _delta(self, delta: dict[str, Any]) -> None:
        if reasoning := delta.get("reasoning_content") or delta.get("reasoning"):
            self._writer.reasoning(_words(reasoning))
        if text := delta.get("content"):
            self._writer.text(_words(text))
        if refusal := delta.get("refusal"):
            self._refused = True
            self._writer.refusal(_words(refusal))
        for call in delta.get("tool_calls") or ():
            self._call(call)

    def _call(self, call: dict[str, Any]) -> None:
        function = call.get("function") or {}
        call_id, name = _words(call.get("id") or ""), _words(function.get("name") or "")
        index = call.get("index")
        if index is None:
            index = self._unnumbered(call_id, name)
        held = self._calls.setdefault(index, _Begun())
        if held.key >= 0 and name and call_id not in ("", held.id):  # some servers number all calls 0
            held = self._calls[index] = _Begun()
        held.id = held.id or call_id
        if held.key < 0 and name:
            held.key = self._count
            self._count += 1
            self._writer.call(held.key, held.id or f"call_{secrets.token_hex(12)}", name)
        if arguments := function.get("arguments"):
            if held.key < 0:
                raise ValueError("arguments of a call without a name")
            self._writer.arguments(held.key, _words(arguments))

    def _unnumbered(self, call_id: str, name: str) -> int:
        """The place of a call that some servers do not number: a name or a new id begins one, else it is the last."""
        same = (index for index, held in self._calls.items() if call_id and held.id == call_id)
        return next(same, len(self._calls) - (not (call_id or name)))

    def done(self, *, cut: bool = False) -> bool:
        """The stream is over, by [DONE] or by being `cut`; gives whether the answer was whole."""
        if cut and self._ending is None:
            return False
        if not self._began:
            self._writer.begin(named({}), self._tokens)
        ending = "refusal" if self._refused else self._ending or "stop"
        if ending == "stop" and self._count:
            ending = "calls"  # OpenAI says 'stop' where tool_choice named the function
        self._writer.end(Ended(ending), self._tokens)
        return True


class MessagesReader:
    """Reads the events of a message (anthropic 2, `types/raw_message_stream_event.py`)."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._tokens = Tokens()
        self._ended = Ended("stop")
        self._inputs: dict[int, dict[str, Any]] = {}  # calls of which no arguments have come: index → input

    def event(self, body: dict[str, Any]) -> str:
        """Read one event; gives 'complete' at the end, 'failed' where it is an error, else ''."""
        kind = body["type"]
        if kind == "content_block_delta":
            self._delta(body["index"], body["delta"])
        elif kind == "content_block_start":
            self._start(body["index"], body["content_block"])
        elif kind == "content_block_stop":
            if (held := self._inputs.pop(body["index"], None)) is not None:
                self._writer.arguments(body["index"], orjson.dumps(held).decode())
        elif kind == "message_start":
            self._tokens = messages.read_usage(body["message"].get("usage"))
            self._writer.begin(named(body["message"]), self._tokens)
        elif kind == "message_delta":
            self._finish(body)
        elif kind == "message_stop":
            self._writer.end(self._ended, self._tokens)
            return "complete"
        elif kind == "ping":
            self._writer.ping()
        elif kind == "error":
            self._writer.fail(errors.read(body))
            return "failed"
        return ""

    def _start(self, index: int, block: dict[str, Any]) -> None:
        kind = block["type"]
        if kind == "text":
            if block.get("text"):
                self._writer.text(_words(block["text"]))
        elif kind == "tool_use":
            self._inputs[index] = block.get("input") or {}
            self._writer.call(index, _words(block["id"]), _words(block["name"]))
        elif kind not in ("thinking", "redacted_thinking"):
            raise ValueError("a block that only Anthropic knows")

    def _delta(self, index: int, delta: dict[str, Any]) -> None:
        kind = delta["type"]
        if kind == "text_delta":
            self._writer.text(_words(delta["text"]))
        elif kind == "input_json_delta":
            if delta["partial_json"]:
                self._inputs.pop(index, None)
                self._writer.arguments(index, _words(delta["partial_json"]))
        elif kind == "thinking_delta":
            self._writer.reasoning(_words(delta["thinking"]))
        elif kind not in ("signature_delta", "citations_delta"):
            raise ValueError("a piece that only Anthropic knows")

    def _finish(self, body: dict[str, Any]) -> None:
        delta = body["delta"]
        self._ended = messages.read_ended(delta)
        self._tokens = messages.read_usage(body.get("usage"), self._tokens)

    def done(self, *, cut: bool = False) -> bool:  # noqa: ARG002  a message ends by message_stop only
        """The stream is over without message_stop: it was not whole."""
        return False


def _words(value: Any) -> str:
    if type(value) is not str:
        raise TypeError
    return value


# ------------------------------------------------------------------------------------------------------------------- writers
class ChatWriter:
    """Says chunks of a chat completion."""

    def __init__(self, asked_model: str, asked: dict[str, Any] | None) -> None:
        self.out: list[bytes] = []
        options = (asked or {}).get("stream_options") or {}
        self._with_usage = type(options) is dict and options.get("include_usage") is True
        self._keys: dict[int, int] = {}
        self._chunk: dict[str, Any] = {
            "id": "",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": asked_model,
            "choices": [],
        }

    def _say(self, delta: dict[str, Any], reason: str | None = None) -> None:
        self._chunk["choices"] = [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
        self.out.append(b"data: %b\n\n" % orjson.dumps(self._chunk))

    def begin(self, answer_id: str, tokens: Tokens) -> None:  # noqa: ARG002  chat tells its usage last
        """The chunk that names the role."""
        self._chunk["id"] = answer_id
        if self._with_usage:
            self._chunk["usage"] = None
        self._say({"role": "assistant", "content": ""})

    def text(self, text: str) -> None:
        """A chunk of `content`."""
        self._say({"content": text})

    def refusal(self, text: str) -> None:
        """A chunk of `refusal`."""
        self._say({"refusal": text})

    def reasoning(self, text: str) -> None:
        """A chunk of `reasoning_content`, as compatible servers name it."""
        self._say({"reasoning_content": text})

    def call(self, key: int, call_id: str, name: str) -> None:
        """The chunk that begins a tool call."""
        index = self._keys[key] = len(self._keys)
        function = {"name": name, "arguments": ""}
        call = {"index": index, "id": identifier(call_id, _CHAT_ID), "type": "function", "function": function}
        self._say({"tool_calls": [call]})

    def arguments(self, key: int, text: str) -> None:
        """A chunk of a tool call's arguments."""
        self._say({"tool_calls": [{"index": self._keys[key], "function": {"arguments": text}}]})

    def end(self, ended: Ended, tokens: Tokens) -> None:
        """The chunk with the reason, that with the usage where it is asked for, and [DONE]."""
        if ended.refusal:
            self.refusal(ended.refusal)
        self._say({}, chat.REASONS[ended.ending])
        if self._with_usage:
            self.out.append(
                b"data: %b\n\n"
                % orjson.dumps(self._chunk | {"choices": [], "usage": chat.write_usage(tokens)})
            )
        self.out.append(b"data: [DONE]\n\n")

    def fail(self, said: Said) -> None:
        """The error, and no [DONE]: the SDK raises."""
        self.out.append(b"data: %b\n\n" % orjson.dumps(errors.write(said, "openai")))

    def ping(self) -> None:
        """A comment keeps the connection awake."""
        self.out.append(b": ping\n\n")


class MessagesWriter:
    """Says events of a message. Its blocks come one after the other; where chat's calls come mixed, the later one waits for the earlier."""

    def __init__(self, asked_model: str, asked: dict[str, Any] | None) -> None:  # noqa: ARG002  a message repeats nothing
        self.out: list[bytes] = []
        self._model = asked_model
        self._index = -1
        self._open: str | int | None = None  # 'text', or the key of a call
        self._held: list[str] = []  # arguments of the open call so far
        self._closed: set[int] = set()
        self._later: list[tuple[str | int, str, str, list[str]]] = []  # key, id, name, pieces

    def _say(self, kind: str, **held: Any) -> None:
        self.out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps({"type": kind, **held})))

    def begin(self, answer_id: str, tokens: Tokens) -> None:
        """message_start; chat tells its usage last, so that input_tokens are 0 here and right in message_delta."""
        usage = messages.write_usage(tokens)
        message = {
            "id": answer_id,
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
        }
        self._say(
            "message_start", message=message | {"stop_reason": None, "stop_sequence": None, "usage": usage}
        )

    def text(self, text: str) -> None:
        """A text_delta; opens a block where none is open."""
        if self._open != "text":
            if self._busy():
                self._wait("text", "", "", text)
                return
            self._start("text", {"type": "text", "text": ""})
        self._say("content_block_delta", index=self._index, delta={"type": "text_delta", "text": text})

    refusal = text

    def reasoning(self, text: str) -> None:
        """Nothing: a thinking block without Anthropic's signature would be refused when it is sent back."""

    def call(self, key: int, call_id: str, name: str) -> None:
        """content_block_start of a tool_use."""
        if self._busy():
            self._wait(key, call_id, name, "")
            return
        self._start(
            key, {"type": "tool_use", "id": identifier(call_id, _MESSAGES_ID), "name": name, "input": {}}
        )

    def arguments(self, key: int, text: str) -> None:
        """An input_json_delta."""
        if key == self._open:
            self._held.append(text)
            self._say(
                "content_block_delta",
                index=self._index,
                delta={"type": "input_json_delta", "partial_json": text},
            )
        elif key not in self._closed:
            self._wait(key, "", "", text)
        elif text.strip():
            raise ValueError("more arguments of a call that was whole")

    def _busy(self) -> bool:
        """Whether a call is open whose arguments are not whole yet."""
        if self._later:
            return True
        return type(self._open) is int and not (self._held and arguments_of("".join(self._held)) is not None)

    def _wait(self, key: str | int, call_id: str, name: str, text: str) -> None:
        for waiting in self._later:
            if waiting[0] == key:
                waiting[3].append(text)
                return
        self._later.append((key, call_id, name, [text]))

    def _start(self, key: str | int, block: dict[str, Any]) -> None:
        self._stop()
        self._open, self._held = key, []
        self._index += 1
        self._say("content_block_start", index=self._index, content_block=block)

    def _stop(self) -> None:
        if self._open is not None:
            self._say("content_block_stop", index=self._index)
            if type(self._open) is int:
                self._closed.add(self._open)
            self._open = None

    def end(self, ended: Ended, tokens: Tokens) -> None:
        """What waited, message_delta with the reason and the usage, message_stop."""
        self._stop()
        later, self._later = self._later, []
        for key, call_id, name, pieces in later:
            if type(key) is int:
                self.call(key, call_id, name)
                self.arguments(key, "".join(pieces))
                self._stop()
            else:
                self.text("".join(pieces))
                self._stop()
        self._say("message_delta", delta=messages.write_ended(ended), usage=messages.write_usage(tokens))
        self._say("message_stop")

    def fail(self, said: Said) -> None:
        """The event that the SDK raises on."""
        body = errors.write(said, "anthropic")
        self.out.append(b"event: error\ndata: %b\n\n" % orjson.dumps(body))

    def ping(self) -> None:
        """Anthropic's own."""
        self._say("ping")
