"""Chat completions and legacy completions, as OpenAI and whatever speaks like it (Azure, vLLM, Ollama, llama.cpp, xAI, Groq …) stream them.

A stream tells what it used only where asked by `stream_options.include_usage`. Where the client did not ask, we do, and take the one
event that answers it (no choices, a usage) out again. Upstreams that tell it beside choices are passed on untouched. Some end without
`[DONE]`: a stream whose choices all have a finish_reason is complete.
"""

from __future__ import annotations

import re
from typing import Any, Final

from datareeve.capabilities.ai.gateway import splice
from datareeve.capabilities.ai.gateway.dialects import Asked, estimate, fields
from datareeve.capabilities.ai.gateway.dialects.base import Speech, error_kind, text_of
from datareeve.capabilities.ai.gateway.dialects.reported import openai_tokens
from datareeve.capabilities.ai.gateway.sse import EventScanner, size, written

USAGE: Final = re.compile(rb'"usage"\s*:\s*\{')
INSTRUCTIONS: Final = frozenset(("system", "developer"))


class Completions(Speech):
    """/v1/completions: a prompt, or several, each answered `n` times."""

    name = "completions"

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Read a request."""
        asked = self._common(raw, body)
        prompt = body.get("prompt")
        several = len(prompt) if type(prompt) is list and prompt and type(prompt[0]) in (str, list) else 1
        if asked.max_output is not None:
            asked.max_output *= several
        asked.input_estimate = estimate.of_inputs(prompt)
        return asked

    def outgoing(self, asked: Asked, model: str) -> bytes:
        """The body for that model, with usage asked for where the client did not."""
        if not asked.adds_usage:
            return super().outgoing(asked, model)
        values: dict[str, Any] = {"model": model} if model != asked.model else {}
        options = asked.body.get("stream_options")
        if not options:
            values["stream_options"] = {"include_usage": True}
            return splice.changed(asked.raw, asked.body, values)
        return _with_usage(splice.changed(asked.raw, asked.body, values), {**asked.body, **values})

    def scanner(self, asked: Asked) -> ChunkScanner:
        """A scanner for one stream."""
        return ChunkScanner(adds_usage=asked.adds_usage, choices=_choices(asked.body))

    def _common(self, raw: bytes, body: dict[str, Any]) -> Asked:
        fields.unambiguous(raw, body)
        if "stream_options" in body:
            fields.unambiguous_within(raw, body, "stream_options")
        stream = fields.flag(body, "stream")
        most = fields.count(body, "max_tokens")
        newer = fields.count(body, "max_completion_tokens") if "max_completion_tokens" in body else None
        if most is None or (newer is not None and newer > most):
            most = newer
        choices = 1
        if "n" in body or "best_of" in body:
            choices = max(1, fields.count(body, "n") or 1, fields.count(body, "best_of") or 1)
        return Asked(
            raw,
            body,
            fields.model(body),
            stream,
            None if most is None else most * choices,
            deterministic=fields.deterministic(body),
            adds_usage=stream and not fields.flag(fields.record(body, "stream_options"), "include_usage"),
        )


class Chat(Completions):
    """/v1/chat/completions."""

    name = "chat"

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Read a request."""
        asked = self._common(raw, body)
        instructions, messages = parted(body.get("messages"))
        tools = body.get("tools") or body.get("functions")
        asked.input_estimate, asked.prefix_estimate = estimate.estimate(
            "openai", messages, instructions, tools
        )
        return asked

    def kept(self, asked: Asked) -> bool:
        """Where it is asked for."""
        return bool(asked.body.get("store"))


def parted(messages: object) -> tuple[list[object], object]:
    """The contents of the leading instructions, and the messages after them."""
    if type(messages) is not list:
        return [], messages
    heads = 0
    for message in messages:
        if type(message) is not dict or str(message.get("role")) not in INSTRUCTIONS:
            break
        heads += 1
    return [message.get("content") for message in messages[:heads]], messages[heads:]


def _choices(body: dict[str, Any]) -> int:
    choices = body.get("n")
    return choices if type(choices) is int else 1


def _with_usage(raw: bytes, body: dict[str, Any]) -> bytes:
    """`raw` with include_usage in the options that the client gave, their other bytes as they were."""
    [(start, end)] = splice.top_level(raw, "stream_options")
    options = splice.changed(raw[start:end], body["stream_options"], {"include_usage": True})
    return splice.put(raw, iter([(start, end, options)]))


class ChunkScanner(EventScanner):
    """A stream of chunks."""

    __slots__ = ("_adds_usage", "_choices", "_finished")

    def __init__(self, *, adds_usage: bool, choices: int) -> None:
        super().__init__()
        self._adds_usage = adds_usage
        self._choices = choices
        self._finished = 0

    def marked(self, data: bytes, start: int = 0) -> bool:
        """Usage that is not null, an error, the end (which begins like no chunk)."""
        if data.find(b'"error"', start) >= 0 or USAGE.search(data, start) is not None:
            return True
        return not start and b"[DONE]" in data

    def head(self, event: bytes) -> int:
        """Up to the delta of a single chunk."""
        delta = event.find(b'"delta":')
        return delta if delta > 0 and event.find(b"\n") == len(event) - 2 else 0

    def read(self, event: dict[str, Any]) -> bool:
        """Usage, errors, and whether the client is to see it."""
        if not self.answer_id:
            self.answer_id = text_of(event, "id")
        usage = event.get("usage") or _groq(event)
        if type(usage) is dict:
            self.tokens = openai_tokens(usage) or self.tokens
        if error := event.get("error"):
            self.failed = error_kind(error)
        return not (
            self._adds_usage
            and type(usage) is dict
            and not event.get("choices")
            and not event.get("moderation")
        )

    def text(self, event: dict[str, Any]) -> int:
        """The text of all choices; also sees when they begin and finish."""
        choices = event.get("choices")
        return sum(map(self._choice, choices)) if type(choices) is list else 0

    def flush(self) -> bytes:
        """Also complete without [DONE], where each choice has finished."""
        sent = super().flush()
        self.complete = self.complete or (not self.failed and self._finished >= self._choices)
        return sent

    def _choice(self, choice: object) -> int:
        if type(choice) is not dict:
            return 0
        delta = choice.get("delta")
        found = size(choice.get("text")) if type(delta) is not dict else _delta(delta)
        finished = choice.get("finish_reason") is not None
        self._finished += finished
        self.began = self.began or finished or found > 0 or (type(delta) is dict and bool(delta.get("audio")))
        return found


def _delta(delta: dict[str, Any]) -> int:
    found = size(
        delta.get("content"), delta.get("reasoning_content"), delta.get("reasoning"), delta.get("refusal")
    )
    calls = delta.get("tool_calls") or delta.get("function_call")
    return found + written(calls) if calls else found


def _groq(event: dict[str, Any]) -> object:
    own = event.get("x_groq")
    return own.get("usage") if type(own) is dict else None
