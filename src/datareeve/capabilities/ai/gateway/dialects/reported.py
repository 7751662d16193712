"""What providers say they used, as `Tokens`. Anything that is not a count is taken for none: an upstream may send garbage."""

from __future__ import annotations

from typing import Any

from datareeve.capabilities.ai.gateway.usage import Tokens

_MOST = 2**53  # beyond it a figure is garbage


def _count(value: object) -> int:
    if type(value) is int:
        return value if 0 <= value < _MOST else 0
    if type(value) is float and 0 <= value < _MOST:
        return int(value)
    return 0


def _part(usage: dict[str, Any], *names: str) -> dict[str, Any]:
    for name in names:
        part = usage.get(name)
        if type(part) is dict:
            return part
    return {}


def openai_tokens(usage: dict[str, Any]) -> Tokens | None:
    """`usage` of chat, completions and embeddings (prompt_tokens) as of responses, images and audio (input_tokens); None without figures.

    Upstreams that leave reasoning out of the completion (xAI, Gemini's OpenAI endpoint) count it in the total: what the total has beyond
    the input is output. DeepSeek names cached tokens `prompt_cache_hit_tokens`.
    """
    said = usage.get("prompt_tokens", usage.get("input_tokens"))
    if said is None and "total_tokens" not in usage:
        return None
    read = _count(said)
    output = _count(usage.get("completion_tokens", usage.get("output_tokens")))
    of_input = _part(usage, "prompt_tokens_details", "input_tokens_details")
    of_output = _part(usage, "completion_tokens_details", "output_tokens_details")
    return Tokens(
        input=read,
        output=max(output, _count(usage.get("total_tokens")) - read),
        cache_read=min(read, _count(of_input.get("cached_tokens", usage.get("prompt_cache_hit_tokens")))),
        cache_write=min(read, _count(of_input.get("cache_write_tokens"))),
        reasoning=_count(of_output.get("reasoning_tokens")),
    )


def anthropic_tokens(usage: dict[str, Any], before: Tokens | None = None) -> Tokens | None:
    """`usage` of messages, where input_tokens leaves the cached parts out; `before`: what message_start said, kept where a delta is silent.

    https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance
    """
    if "input_tokens" not in usage and "output_tokens" not in usage:
        return before
    known = before or Tokens()
    plain = known.input - known.cache_read - known.cache_write - known.cache_write_1h
    read = _said(usage, "cache_read_input_tokens", known.cache_read)
    hour, minutes = _written(usage, known)
    return Tokens(
        input=_said(usage, "input_tokens", plain) + read + hour + minutes,
        output=_said(usage, "output_tokens", known.output),
        cache_read=read,
        cache_write=minutes,
        cache_write_1h=hour,
        reasoning=_said(_part(usage, "output_tokens_details"), "thinking_tokens", known.reasoning),
    )


def _said(usage: dict[str, Any], name: str, before: int) -> int:
    value = usage.get(name)
    return before if value is None else _count(value)


def _written(usage: dict[str, Any], known: Tokens) -> tuple[int, int]:
    """Tokens written to the cache for an hour, and for five minutes."""
    parts = _part(usage, "cache_creation")
    hour = _said(parts, "ephemeral_1h_input_tokens", known.cache_write_1h)
    written = _said(usage, "cache_creation_input_tokens", known.cache_write + known.cache_write_1h)
    return min(hour, written), max(0, written - hour)
