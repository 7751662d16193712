"""What a provider of the fault double answers: one `Reply`, written in the shape of each endpoint, whole or as events.

The shapes are those of the providers' API references and are read back by both official SDKs (tests/test_ai_rig.py), and compared with what
a real server sends. One delta is one token, so that what was used can be counted by hand.
"""

from __future__ import annotations

import base64
import itertools
import json
import struct
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE_TOKENS = 85
_numbers = itertools.count(1)


def new_id(prefix: str) -> str:
    """A name that no other answer of this process has."""
    return f"{prefix}{next(_numbers):016d}"


@dataclass(frozen=True, slots=True)
class Used:
    """Tokens, as the provider bills them. `input` is all of the prompt."""

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    reasoning: int = 0


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered, before it has an endpoint's shape."""

    model: str
    pieces: tuple[str, ...]  # of text, a token each
    calls: tuple[tuple[str, str, dict[str, Any]], ...] = ()  # id, tool, arguments
    thinking: tuple[str, ...] = ()
    cut_by: str = ""  # '', 'length' or the stop sequence
    used: Used = field(default_factory=Used)

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def finish(self, length: str, tool: str, stop: str) -> str:
        """The protocol's own word for how it ended."""
        return length if self.cut_by == "length" else tool if self.calls else stop


# -- what is said ------------------------------------------------------------------------------------------------------------------


def reply_to(  # noqa: PLR0913 - what a test may say of it
    protocol: str,
    body: dict[str, Any],
    text: str | None = None,
    *,
    words: int | None = None,
    cached: int = 0,
    written: int = 0,
) -> Reply:
    """Says back what the user said last, or `text`, or so many words; calls the first tool where the request demands one."""
    said = " ".join(f"w{n}" for n in range(words)) if words is not None else text
    if schema := answer_schema(body):
        said = json.dumps(instance(schema))
    said = f"You said: {last_said(body)}" if said is None else said
    calls = demanded_calls(body, "toolu_" if protocol == "anthropic" else "call_")
    thinking = ("Let", " me", " think.") if thinks(body) else ()
    pieces, cut_by = bounded("" if calls else said, body, len(thinking))
    argument_tokens = sum(len(parts(json.dumps(call[2]))) for call in calls)
    output = max(1, len(pieces) + argument_tokens) + len(thinking)
    used = Used(max(tokens_of(body), cached + written), output, cached, written, len(thinking))
    return Reply(body.get("model") or "default", pieces, calls, thinking, cut_by, used)


def parts(text: str) -> tuple[str, ...]:
    """Text in pieces, each a token: a word with the space before it."""
    words = text.split(" ")
    return tuple(f"{' ' if n else ''}{word}" for n, word in enumerate(words)) if text else ()


def bounded(text: str, body: dict[str, Any], spent: int) -> tuple[tuple[str, ...], str]:
    """The pieces that stop sequences and the bound on output leave, and what cut them."""
    stops = body.get("stop") or body.get("stop_sequences") or ()
    cut_by = ""
    for stop in [stops] if isinstance(stops, str) else stops:
        if stop in text:
            text, cut_by = text[: text.index(stop)], stop
    pieces = parts(text)
    most = next(
        (
            body[name]
            for name in ("max_completion_tokens", "max_tokens", "max_output_tokens")
            if body.get(name)
        ),
        None,
    )
    if most is not None and len(pieces) > (most := max(0, most - spent)):
        return pieces[:most], "length"
    return pieces, cut_by


def spoken(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The turns of a request of any endpoint, oldest first."""
    turns = body.get("messages", body.get("input", body.get("prompt", "")))
    if isinstance(turns, str):
        return [{"role": "user", "content": turns}]
    return [turn if isinstance(turn, dict) else {"role": "user", "content": str(turn)} for turn in turns]


def contents(turn: dict[str, Any]) -> list[dict[str, Any]]:
    """The parts of a turn; a string is one part of text."""
    content = turn.get("content") or turn.get("output") or ""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def said_in(turn: dict[str, Any]) -> str:
    """The text of a turn; of a tool's result too, in brackets; images by number."""
    found, images = [], 0
    for part in contents(turn):
        kind = part.get("type", "")
        if kind == "tool_result":
            found.append(f"[{said_in(part)}]")
        images += kind in ("image", "image_url", "input_image")
        found.append(part.get("text", ""))
    text = " ".join(word for word in found if word)
    if turn.get("role") == "tool" or turn.get("type") == "function_call_output":
        text = f"[{text}]"
    return f"{text} ({images} image{'s' * (images > 1)})" if images else text


def last_said(body: dict[str, Any]) -> str:
    """The text of the last turn that is not the model's own."""
    mine = ("assistant", "system", "developer")
    return next((said_in(turn) for turn in reversed(spoken(body)) if turn.get("role") not in mine), "")


def tokens_of(body: dict[str, Any]) -> int:
    """Tokens of the prompt: a quarter of its characters, and a fixed number an image."""
    words = [body.get("system", ""), body.get("instructions", ""), body.get("tools", "")]
    images = 0
    for turn in spoken(body):
        words.append(said_in(turn))
        images += sum(part.get("type") in ("image", "image_url", "input_image") for part in contents(turn))
    text = "".join(word if isinstance(word, str) else json.dumps(word) for word in words if word)
    return len(text) // 4 + 1 + images * IMAGE_TOKENS


def thinks(body: dict[str, Any]) -> bool:
    """Whether reasoning was asked for, in any protocol's way."""
    effort = body.get("reasoning_effort") or (body.get("reasoning") or {}).get("effort")
    return effort not in (None, "none") or (body.get("thinking") or {}).get("type") == "enabled"


# -- tools and schemas -------------------------------------------------------------------------------------------------------------


def demanded_calls(body: dict[str, Any], prefix: str) -> tuple[tuple[str, str, dict[str, Any]], ...]:
    """Calls of tools: the one that is chosen, any where one is required, else each that the last words name as `call NAME`."""
    tools = {}
    for tool in body.get("tools") or ():
        function = tool.get("function", tool)
        tools[function.get("name", "")] = function.get("parameters") or function.get("input_schema") or {}
    choice = body.get("tool_choice")
    kind = choice if isinstance(choice, str) else (choice or {}).get("type", "auto")
    named = (choice.get("function", choice).get("name") if isinstance(choice, dict) else None) or ""
    if kind == "none":
        return ()
    wanted = [named] if named else list(tools)[:1] if kind in ("required", "any") else []
    wanted = wanted or [name for name in tools if f"call {name}" in last_said(body)]
    return tuple((new_id(prefix), name, instance(tools[name])) for name in wanted if name in tools)


def answer_schema(body: dict[str, Any]) -> dict[str, Any] | None:
    """The JSON schema that the answer must follow, of any endpoint."""
    wanted = (
        body.get("response_format")
        or (body.get("text") or {}).get("format")
        or (body.get("output_config") or {}).get("format")
        or {}
    )
    if wanted.get("type") == "json_object":
        return {"type": "object", "properties": {"ok": {"type": "boolean"}}}
    return wanted.get("schema") or wanted.get("json_schema", {}).get("schema")


def instance(schema: dict[str, Any]) -> Any:
    """The simplest value of a schema."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object":
        return {name: instance(one) for name, one in schema.get("properties", {}).items()}
    if kind == "array":
        return [instance(schema.get("items", {"type": "string"}))]
    return {"string": "Paris", "integer": 1, "number": 1.5, "boolean": True, "null": None}[kind]


# -- chat completions --------------------------------------------------------------------------------------------------------------


def chat_usage(used: Used) -> dict[str, Any]:
    return {
        "prompt_tokens": used.input,
        "completion_tokens": used.output,
        "total_tokens": used.input + used.output,
        "prompt_tokens_details": {"cached_tokens": used.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": used.reasoning, "audio_tokens": 0},
    }


def chat(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    """POST /v1/chat/completions."""
    message: dict[str, Any] = {
        "role": "assistant",
        "content": reply.text or None,
        "refusal": None,
        "annotations": [],
    }
    if reply.calls:
        message["tool_calls"] = [chat_call(call) for call in reply.calls]
    choices = [
        {
            "index": n,
            "message": message,
            "logprobs": None,
            "finish_reason": reply.finish("length", "tool_calls", "stop"),
        }
        for n in range(body.get("n") or 1)
    ]
    used = replace(reply.used, output=reply.used.output * len(choices))
    head = chat_head(reply, "chat.completion")
    return {**head, "choices": choices, "usage": chat_usage(used), "service_tier": "default"}


def chat_call(call: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": call[0],
        "type": "function",
        "function": {"name": call[1], "arguments": json.dumps(call[2])},
    }


def chat_head(reply: Reply, kind: str) -> dict[str, Any]:
    return {
        "id": new_id("chatcmpl-"),
        "object": kind,
        "created": int(time.time()),
        "model": reply.model,
        "system_fingerprint": "fp_double",
    }


def chat_events(
    reply: Reply, body: dict[str, Any], *, usage: bool, usage_in_last: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The chunks of a streamed chat completion. `usage_in_last`: in the chunk that ends it, as some servers do."""
    head = chat_head(reply, "chat.completion.chunk")
    asked = bool((body.get("stream_options") or {}).get("include_usage")) and usage

    def chunk(delta: dict[str, Any], finish: str | None = None) -> tuple[str, dict[str, Any]]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return "", {**head, "choices": [choice], **({"usage": None} if asked and not usage_in_last else {})}

    yield chunk({"role": "assistant", "content": "", "refusal": None})
    for piece in reply.pieces:
        yield chunk({"content": piece})
    for number, (call_id, name, arguments) in enumerate(reply.calls):
        function = {"name": name, "arguments": ""}
        yield chunk(
            {"tool_calls": [{"index": number, "id": call_id, "type": "function", "function": function}]}
        )
        for piece in parts(json.dumps(arguments)):
            yield chunk({"tool_calls": [{"index": number, "function": {"arguments": piece}}]})
    name, last = chunk({}, reply.finish("length", "tool_calls", "stop"))
    yield name, {**last, "usage": chat_usage(reply.used)} if usage_in_last and usage else last
    if asked and not usage_in_last:
        yield "", {**head, "choices": [], "usage": chat_usage(reply.used)}


def completion(reply: Reply, _body: dict[str, Any]) -> dict[str, Any]:
    """POST /v1/completions, the legacy one."""
    choice = {
        "index": 0,
        "text": reply.text,
        "logprobs": None,
        "finish_reason": reply.finish("length", "stop", "stop"),
    }
    return {**chat_head(reply, "text_completion"), "choices": [choice], "usage": chat_usage(reply.used)}


def completion_events(
    reply: Reply, body: dict[str, Any], *, usage: bool, usage_in_last: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    head = chat_head(reply, "text_completion")
    for piece in reply.pieces:
        yield "", {**head, "choices": [{"index": 0, "text": piece, "logprobs": None, "finish_reason": None}]}
    last = {
        **head,
        "choices": [
            {
                "index": 0,
                "text": "",
                "logprobs": None,
                "finish_reason": reply.finish("length", "stop", "stop"),
            }
        ],
    }
    yield "", {**last, "usage": chat_usage(reply.used)} if usage_in_last and usage else last
    if usage and not usage_in_last and (body.get("stream_options") or {}).get("include_usage"):
        yield "", {**head, "choices": [], "usage": chat_usage(reply.used)}


# -- responses ---------------------------------------------------------------------------------------------------------------------


def responses_usage(used: Used) -> dict[str, Any]:
    return {
        "input_tokens": used.input,
        "input_tokens_details": {"cached_tokens": used.cache_read, "cache_write_tokens": used.cache_write},
        "output_tokens": used.output,
        "output_tokens_details": {"reasoning_tokens": used.reasoning},
        "total_tokens": used.input + used.output,
    }


def responses_head(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    """A response before anything is in it."""
    kept = (
        "instructions",
        "max_output_tokens",
        "previous_response_id",
        "temperature",
        "top_p",
        "metadata",
        "user",
    )
    return {
        "id": new_id("resp_"), "object": "response", "created_at": int(time.time()), "status": "in_progress", "error": None,
        "incomplete_details": None, "model": reply.model, "output": [], "parallel_tool_calls": True, "store": body.get("store", True),
        "reasoning": body.get("reasoning") or {"effort": None, "summary": None}, "text": body.get("text") or {"format": {"type": "text"}},
        "tool_choice": body.get("tool_choice", "auto"), "tools": body.get("tools") or [], "truncation": "disabled", "usage": None,
        **{name: body.get(name) for name in kept},
    }  # fmt: skip


def responses_items(reply: Reply) -> list[dict[str, Any]]:
    """The output items, complete."""
    items: list[dict[str, Any]] = []
    if reply.thinking:
        summary = [{"type": "summary_text", "text": "".join(reply.thinking)}]
        items.append({"id": new_id("rs_"), "type": "reasoning", "summary": summary})
    if reply.pieces or not reply.calls:
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": reply.text}
        items.append(
            {
                "id": new_id("msg_"),
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [part],
            }
        )
    for call_id, name, arguments in reply.calls:
        call = {"type": "function_call", "status": "completed", "call_id": call_id, "name": name}
        items.append({"id": new_id("fc_"), **call, "arguments": json.dumps(arguments)})
    return items


def responses(reply: Reply, body: dict[str, Any]) -> dict[str, Any]:
    """POST /v1/responses."""
    return responses_ended(reply, responses_head(reply, body), responses_items(reply))


def responses_ended(reply: Reply, head: dict[str, Any], items: list[dict[str, Any]]) -> dict[str, Any]:
    cut = reply.cut_by == "length"
    ended = {
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
    }
    return {**head, **ended, "output": items, "usage": responses_usage(reply.used)}


def responses_events(
    reply: Reply, body: dict[str, Any], *, usage: bool, usage_in_last: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The named events of a streamed response, numbered."""
    del usage_in_last
    head, items = responses_head(reply, body), responses_items(reply)
    ended = responses_ended(reply, head, items)
    ended = ended if usage else {**ended, "usage": None}

    def events() -> Iterator[dict[str, Any]]:
        yield {"type": "response.created", "response": head}
        yield {"type": "response.in_progress", "response": head}
        for number, item in enumerate(items):
            yield from item_events(reply, item, number)
        yield {"type": f"response.{ended['status']}", "response": ended}

    for number, event in enumerate(events()):
        yield event["type"], {**event, "sequence_number": number}


def item_events(reply: Reply, item: dict[str, Any], number: int) -> Iterator[dict[str, Any]]:
    """From `added` to `done` of one output item."""
    empty = {"message": {"content": []}, "function_call": {"arguments": ""}, "reasoning": {"summary": []}}[
        item["type"]
    ]
    status = {"status": "in_progress"} if "status" in item else {}
    yield {"type": "response.output_item.added", "output_index": number, "item": {**item, **status, **empty}}
    where = {"item_id": item["id"], "output_index": number}
    if item["type"] == "message":
        text, part = {**where, "content_index": 0}, item["content"][0]
        yield {"type": "response.content_part.added", **text, "part": {**part, "text": ""}}
        for piece in reply.pieces:
            yield {"type": "response.output_text.delta", **text, "delta": piece, "logprobs": []}
        yield {"type": "response.output_text.done", **text, "text": reply.text, "logprobs": []}
        yield {"type": "response.content_part.done", **text, "part": part}
    elif item["type"] == "function_call":
        for piece in parts(item["arguments"]):
            yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
        done = {"arguments": item["arguments"], "name": item["name"]}
        yield {"type": "response.function_call_arguments.done", **where, **done}
    yield {"type": "response.output_item.done", "output_index": number, "item": item}


# -- messages ----------------------------------------------------------------------------------------------------------------------


def messages_usage(used: Used) -> dict[str, Any]:
    """Anthropic counts what came from and went to its cache beside `input_tokens`, not in it."""
    return {
        "input_tokens": used.input - used.cache_read - used.cache_write,
        "cache_creation_input_tokens": used.cache_write,
        "cache_read_input_tokens": used.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": used.cache_write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": used.output,
        "service_tier": "standard",
    }


def messages_blocks(reply: Reply) -> list[dict[str, Any]]:
    """The content blocks, complete."""
    blocks: list[dict[str, Any]] = []
    if reply.thinking:
        blocks.append({"type": "thinking", "thinking": "".join(reply.thinking), "signature": "c2lnbmVk"})
    if reply.pieces:
        blocks.append({"type": "text", "text": reply.text})
    return blocks + [
        {"type": "tool_use", "id": id_, "name": name, "input": given} for id_, name, given in reply.calls
    ]


def messages(reply: Reply, _body: dict[str, Any]) -> dict[str, Any]:
    """POST /v1/messages."""
    return {
        "id": new_id("msg_"), "type": "message", "role": "assistant", "model": reply.model, "content": messages_blocks(reply),
        **messages_stop(reply), "usage": messages_usage(reply.used),
    }  # fmt: skip


def messages_stop(reply: Reply) -> dict[str, Any]:
    if reply.cut_by not in ("", "length"):
        return {"stop_reason": "stop_sequence", "stop_sequence": reply.cut_by}
    return {"stop_reason": reply.finish("max_tokens", "tool_use", "end_turn"), "stop_sequence": None}


def messages_events(
    reply: Reply, body: dict[str, Any], *, usage: bool, usage_in_last: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The named events of a streamed message. Its usage is cumulative: input at the start, output at the end."""
    del usage_in_last
    start = {**messages(reply, body), "content": [], "stop_reason": None, "stop_sequence": None}
    first = messages_usage(replace(reply.used, output=1))
    yield event(
        "message_start",
        message={**start, "usage": first if usage else {"input_tokens": 0, "output_tokens": 0}},
    )
    for number, block in enumerate(messages_blocks(reply)):
        yield from block_events(reply, block, number)
    ended = {"output_tokens": reply.used.output} if usage else {"output_tokens": 0}
    yield event("message_delta", delta=messages_stop(reply), usage=ended)
    yield event("message_stop")


def event(kind: str, **rest: Any) -> tuple[str, dict[str, Any]]:
    return kind, {"type": kind, **rest}


def block_events(reply: Reply, block: dict[str, Any], number: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """From `start` to `stop` of one content block, with the ping that comes after the first start."""
    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}, "tool_use": {"input": {}}}[
        block["type"]
    ]
    yield event("content_block_start", index=number, content_block={**block, **empty})
    if number == 0:
        yield event("ping")
    deltas: list[dict[str, Any]] = []
    if block["type"] == "text":
        deltas = [{"type": "text_delta", "text": piece} for piece in reply.pieces]
    elif block["type"] == "thinking":
        deltas = [{"type": "thinking_delta", "thinking": piece} for piece in reply.thinking]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
    else:
        deltas = [
            {"type": "input_json_delta", "partial_json": piece} for piece in parts(json.dumps(block["input"]))
        ]
    for delta in deltas:
        yield event("content_block_delta", index=number, delta=delta)
    yield event("content_block_stop", index=number)


# -- the rest ----------------------------------------------------------------------------------------------------------------------


def embeddings(body: dict[str, Any]) -> dict[str, Any]:
    """POST /v1/embeddings: vectors that depend on the text alone; base64 where asked, as the SDK does."""
    inputs = body.get("input", "")
    texts = [inputs] if isinstance(inputs, str) or (inputs and isinstance(inputs[0], int)) else inputs
    size = body.get("dimensions") or 8
    vectors = [[((hash_of(text) >> n) % 1000) / 1000 for n in range(size)] for text in texts]
    packed = body.get("encoding_format") == "base64"
    data = [
        {
            "object": "embedding",
            "index": n,
            "embedding": base64.b64encode(struct.pack(f"<{size}f", *v)).decode() if packed else v,
        }
        for n, v in enumerate(vectors)
    ]
    tokens = sum(len(text) if isinstance(text, list) else len(text) // 4 + 1 for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body.get("model") or "default", "usage": usage}


def hash_of(text: Any) -> int:
    return int.from_bytes(json.dumps(text).encode()[-16:], "big")


def openai_models(names: tuple[str, ...]) -> dict[str, Any]:
    return {"object": "list", "data": [openai_model(name) for name in names]}


def openai_model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 1686935002, "owned_by": "double"}


def anthropic_models(names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "data": [anthropic_model(name) for name in names],
        "has_more": False,
        "first_id": names[0],
        "last_id": names[-1],
    }


def anthropic_model(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"}


ERROR_KINDS = {
    "openai": {400: "invalid_request_error", 401: "invalid_request_error", 403: "permission_error", 404: "invalid_request_error", 429: "rate_limit_error"},
    "anthropic": {
        400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large",
        429: "rate_limit_error", 529: "overloaded_error",
    },
}  # fmt: skip
CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}


def error(protocol: str, status: int, message: str, kind: str = "") -> dict[str, Any]:
    """An error in the provider's own shape."""
    if protocol == "anthropic":
        kind = kind or ERROR_KINDS["anthropic"].get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": new_id("req_")}
    kind = kind or ERROR_KINDS["openai"].get(status, "server_error")
    return {"error": {"message": message, "type": kind, "param": None, "code": CODES.get(status)}}
