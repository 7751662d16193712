"""Anthropic's messages: its requests and answers read and written (anthropic 2, `types`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from datareeve.capabilities.ai.gateway.translate import fields
from datareeve.capabilities.ai.gateway.translate.conversation import (
    Answer,
    Call,
    Conversation,
    Document,
    Ended,
    Ending,
    Image,
    Part,
    Result,
    Role,
    Schema,
    Text,
    Tool,
    Turn,
    arguments_of,
    counted,
    finished,
    generation,
    given,
    identifier,
    listed,
    named,
)
from datareeve.capabilities.ai.gateway.translate.fields import Untranslatable, check, table_of
from datareeve.capabilities.ai.gateway.usage import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

_NAMES = {
    "messages": "messages",
    "max_tokens": "max_tokens",
    "stop": "stop_sequences",
    "temperature": "temperature",
    "top_p": "top_p",
    "tier": "service_tier",
    "schema": "output_config.format",
}
_MAX_CALL_ID = 64
_IMAGES = ("image/jpeg", "image/png", "image/gif", "image/webp")
_LOW_BELOW, _MEDIUM_BELOW = 4_096, 16_384  # tokens of a thinking budget
_SYSTEM_WITHIN = (4, 8)  # the first generation that takes a system message within the conversation
_NO_SAMPLING = (4, 7)  # the first generation that takes neither temperature nor top_p


# ------------------------------------------------------------------------------------------------------------------ requests
def read_request(body: dict[str, Any], missing: list[str]) -> Conversation:
    """What a messages request means; names of what is left out are added to `missing`. Errors: `Untranslatable`."""
    check(body, fields.MESSAGES_REQUEST, "", missing)
    asked = Conversation(names=_NAMES, stream=body.get("stream") is True)
    asked.system = _read_system(body.get("system"), missing)
    asked.turns = [
        _read_turn(message, at, missing) for at, message in listed(body.get("messages"), "messages")
    ]
    asked.max_tokens = given(body.get("max_tokens"), int, "max_tokens")
    for name in ("temperature", "top_p"):
        if (value := body.get(name)) is not None:
            setattr(asked, name, given(value, float, name))
    stops = given(body.get("stop_sequences") or [], list, "stop_sequences")
    asked.stop = [given(word, str, "stop_sequences") for word in stops]
    asked.tools = [_read_tool(tool, at, missing) for at, tool in listed(body.get("tools") or [], "tools")]
    _read_choice(body.get("tool_choice"), asked, missing)
    _read_thinking(body.get("thinking"), asked, missing)
    _read_output(body.get("output_config"), asked, missing)
    if (metadata := body.get("metadata")) is not None:
        check(metadata, fields.MESSAGES_METADATA, "metadata.", missing)
        asked.user = given(metadata.get("user_id") or "", str, "metadata.user_id")
    asked.tier = _read_tier(body.get("service_tier"))
    return asked


def _read_tier(tier: Any) -> str:
    if tier not in (None, "auto", "standard_only"):
        raise Untranslatable("service_tier", "is none that OpenAI knows")
    return "default" if tier == "standard_only" else ""


def _read_system(system: Any, missing: list[str]) -> list[Text]:
    parts = [] if system is None else _read_content(system, "system", missing)
    for part in parts:
        if not isinstance(part, Text):
            raise Untranslatable("system", "holds something other than text")
    return [part for part in parts if isinstance(part, Text)]


_ROLES: dict[str, Role] = {"user": "user", "assistant": "assistant", "system": "system"}


def _read_turn(message: dict[str, Any], at: str, missing: list[str]) -> Turn:
    check(message, fields.MESSAGES_MESSAGE, f"{at}.", missing)
    role = given(message.get("role"), str, f"{at}.role")
    if role not in _ROLES:
        raise Untranslatable(f"{at}.role", "is none that OpenAI knows")
    return Turn(_ROLES[role], _read_content(message.get("content"), f"{at}.content", missing), at)


def _read_content(content: Any, at: str, missing: list[str]) -> list[Part]:
    if type(content) is str:
        return [Text(content, at)] if content else []
    parts: list[Part] = []
    for place, block in listed(content, at):
        check(block, table_of(fields.MESSAGES_BLOCKS, block, place), f"{place}.", missing)
        parts.append(_READERS[block["type"]](block, place, missing))
    return parts


def _read_text(block: dict[str, Any], at: str, _missing: list[str]) -> Part:
    return Text(given(block.get("text"), str, f"{at}.text"), at)


def _read_image(block: dict[str, Any], at: str, missing: list[str]) -> Part:
    source = _read_source(block, at, missing)
    if source["type"] == "url":
        return Image(at, url=given(source.get("url"), str, f"{at}.source.url"))
    if source["type"] != "base64":
        raise Untranslatable(f"{at}.source.type", "is none of an image")
    media_type = given(source.get("media_type"), str, f"{at}.source.media_type")
    return Image(at, media_type=media_type, data=given(source.get("data"), str, f"{at}.source.data"))


def _read_document(block: dict[str, Any], at: str, missing: list[str]) -> Part:
    source = _read_source(block, at, missing)
    title = given(block.get("title") or "", str, f"{at}.title")
    if source["type"] == "text":
        if title:
            raise Untranslatable(f"{at}.title", "a text in chat has none")
        return Text(given(source.get("data"), str, f"{at}.source.data"), at)
    if source["type"] != "base64" or source.get("media_type") != "application/pdf":
        raise Untranslatable(f"{at}.source", "chat takes a PDF in base64, or text")
    return Document(at, data=given(source.get("data"), str, f"{at}.source.data"), title=title)


def _read_source(block: dict[str, Any], at: str, missing: list[str]) -> dict[str, Any]:
    source: dict[str, Any] = given(block.get("source"), dict, f"{at}.source")
    check(source, table_of(fields.MESSAGES_SOURCES, source, f"{at}.source"), f"{at}.source.", missing)
    return source


def _read_call(block: dict[str, Any], at: str, _missing: list[str]) -> Call:
    arguments = orjson.dumps(given(block.get("input"), dict, f"{at}.input")).decode()
    call_id, name = given(block.get("id"), str, f"{at}.id"), given(block.get("name"), str, f"{at}.name")
    return Call(call_id, name, arguments, f"{at}.input")


def _read_result(block: dict[str, Any], at: str, missing: list[str]) -> Part:
    content = block.get("content")
    parts = [] if content is None else _read_content(content, f"{at}.content", missing)
    for part in parts:
        if isinstance(part, Call | Result):
            raise Untranslatable(part.at, "is no part of a result")
    held = [part for part in parts if not isinstance(part, Call | Result)]
    call_id = given(block.get("tool_use_id"), str, f"{at}.tool_use_id")
    return Result(call_id, held, at, failed=block.get("is_error") is True)


_READERS: dict[str, Callable[[dict[str, Any], str, list[str]], Part]] = {
    "text": _read_text,
    "image": _read_image,
    "document": _read_document,
    "tool_use": _read_call,
    "tool_result": _read_result,
}


def _read_tool(tool: dict[str, Any], at: str, missing: list[str]) -> Tool:
    if tool.get("type") not in (None, "custom"):
        raise Untranslatable(f"{at}.type", "is a tool of Anthropic's own")
    check(tool, fields.MESSAGES_TOOL, f"{at}.", missing)
    description, strict = tool.get("description"), tool.get("strict")
    return Tool(
        name=given(tool.get("name"), str, f"{at}.name"),
        schema=given(tool.get("input_schema"), dict, f"{at}.input_schema"),
        at=at,
        description=None if description is None else given(description, str, f"{at}.description"),
        strict=None if strict is None else given(strict, bool, f"{at}.strict"),
    )


def _read_choice(choice: Any, asked: Conversation, missing: list[str]) -> None:
    if choice is None:
        return
    given(choice, dict, "tool_choice")
    check(choice, table_of(fields.MESSAGES_CHOICES, choice, "tool_choice"), "tool_choice.", missing)
    asked.choice = choice["type"]
    if asked.choice == "tool":
        asked.choice_name = given(choice.get("name"), str, "tool_choice.name")
    if (single := choice.get("disable_parallel_tool_use")) is not None:
        asked.parallel = not given(single, bool, "tool_choice.disable_parallel_tool_use")


def _read_thinking(thinking: Any, asked: Conversation, missing: list[str]) -> None:
    if thinking is None:
        return
    given(thinking, dict, "thinking")
    check(thinking, table_of(fields.MESSAGES_THINKING, thinking, "thinking"), "thinking.", missing)
    if thinking["type"] == "enabled":
        budget = given(thinking.get("budget_tokens"), int, "thinking.budget_tokens")
        asked.effort = "low" if budget < _LOW_BELOW else "medium" if budget < _MEDIUM_BELOW else "high"


def _read_output(config: Any, asked: Conversation, missing: list[str]) -> None:
    if config is None:
        return
    check(config, fields.MESSAGES_OUTPUT_CONFIG, "output_config.", missing)
    asked.effort = given(config.get("effort") or asked.effort, str, "output_config.effort")
    if (wanted := config.get("format")) is not None:
        check(wanted, fields.MESSAGES_FORMAT, "output_config.format.", missing)
        if wanted.get("type") != "json_schema":
            raise Untranslatable("output_config.format.type", "is none that OpenAI knows")
        schema = given(wanted.get("schema"), dict, "output_config.format.schema")
        title = schema.get("title")
        named = type(title) is str and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", title)
        asked.schema = Schema(schema, title if named else "")


def write_request(asked: Conversation, model: str) -> dict[str, Any]:
    """The messages request that means the same. Errors: `Untranslatable`, by the client's own name of the field."""
    known = generation(model)
    messages = [{"role": turn.role, "content": _written_turn(turn)} for turn in finished(asked)]
    if known is not None and known < _SYSTEM_WITHIN and any(turn.role == "system" for turn in asked.turns):
        place = next(turn.at for turn in asked.turns if turn.role == "system")
        raise Untranslatable(f"{place}.role", "this model takes system messages at the beginning only")
    limit = _most_tokens(known) if asked.max_tokens is None else asked.max_tokens
    body: dict[str, Any] = {"model": model, "max_tokens": limit, "messages": messages}
    if asked.system:
        body["system"] = _plain([_written_text(text) for text in asked.system])
    _write_sampling(asked, known, body)
    if asked.stop:
        body["stop_sequences"] = _written_stops(asked)
    if asked.user:
        body["metadata"] = {"user_id": asked.user}
    if asked.tier not in ("", "auto", "default"):
        raise Untranslatable(asked.names["tier"], "Anthropic has no such tier")
    if asked.tier == "default":
        body["service_tier"] = "standard_only"
    _write_tools(asked, body)
    _write_output(asked, body)
    if asked.stream:
        body["stream"] = True
    return body


def _most_tokens(known: tuple[int, int] | None) -> int:
    """What a generation of Claude gives at most (Anthropic's models overview): chat without a limit means the model's own."""
    if known is None or known >= (4, 0):
        return 32_000
    return 8_192 if known >= (3, 5) else 4_096


def _write_sampling(asked: Conversation, known: tuple[int, int] | None, body: dict[str, Any]) -> None:
    for name, value in (("temperature", asked.temperature), ("top_p", asked.top_p)):
        if value is None or value == 1:
            continue
        if value > 1 or value < 0:
            raise Untranslatable(asked.names[name], "Anthropic takes 0 to 1")
        if known is not None and known >= _NO_SAMPLING:
            raise Untranslatable(asked.names[name], "this model takes its default only: leave it out")
        body[name] = value


def _written_stops(asked: Conversation) -> list[str]:
    if not all(word.strip() for word in asked.stop):
        raise Untranslatable(asked.names["stop"], "Anthropic takes no stop sequence of white space only")
    return asked.stop


def _written_turn(turn: Turn) -> str | list[dict[str, Any]]:
    blocks = [_written_part(part, turn.role) for part in turn.parts]
    first_other = next((i for i, part in enumerate(turn.parts) if not isinstance(part, Result)), len(blocks))
    for part in turn.parts[first_other:]:
        if isinstance(part, Result):
            raise Untranslatable(part.at, "comes after text: the results of calls come first")
    return _plain(blocks)


def _plain(blocks: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """A single unmarked text as it is; the protocol means the same by both."""
    if len(blocks) == 1 and blocks[0]["type"] == "text" and len(blocks[0]) == 2:  # noqa: PLR2004  type and text
        text: str = blocks[0]["text"]
        return text
    return blocks


def _written_part(part: Part, role: Role) -> dict[str, Any]:
    if isinstance(part, Text):
        return _written_text(part)
    if isinstance(part, Call):
        held = {"type": "tool_use", "id": identifier(part.id, _MAX_CALL_ID), "name": part.name}
        return held | {"input": arguments_of(part.arguments) or {}}
    if role != "user":
        raise Untranslatable(part.at, "stands in the client's turn only")
    if isinstance(part, Result):
        held = {"type": "tool_result", "tool_use_id": identifier(part.id, _MAX_CALL_ID)}
        return held | {
            "content": _plain([_written_part(inner, role) for inner in part.parts]) if part.parts else ""
        }
    block = (
        {"type": "image", "source": _image_source(part)}
        if isinstance(part, Image)
        else _written_document(part)
    )
    return _marked(block, cached=part.cached)


def _written_text(text: Text) -> dict[str, Any]:
    return _marked({"type": "text", "text": text.text}, cached=text.cached)


def _marked(block: dict[str, Any], *, cached: bool) -> dict[str, Any]:
    return block | {"cache_control": {"type": "ephemeral"}} if cached else block


def _image_source(image: Image) -> dict[str, Any]:
    if image.url:
        return {"type": "url", "url": image.url}
    if image.media_type not in _IMAGES:
        raise Untranslatable(image.at, "Anthropic takes JPEG, PNG, GIF and WebP")
    return {"type": "base64", "media_type": image.media_type, "data": image.data}


def _written_document(document: Document) -> dict[str, Any]:
    source = {"type": "base64", "media_type": "application/pdf", "data": document.data}
    if document.url:
        source = {"type": "url", "url": document.url}
    block: dict[str, Any] = {"type": "document", "source": source}
    if document.title:
        block["title"] = document.title
    return block


def _write_tools(asked: Conversation, body: dict[str, Any]) -> None:
    if not asked.tools:
        if asked.choice in ("any", "tool"):
            raise Untranslatable("tool_choice", "wants a tool, and there are none")
        return
    body["tools"] = [_written_tool(tool) for tool in asked.tools]
    choice: dict[str, Any] = {"type": asked.choice} if asked.choice else {}
    if asked.choice == "tool":
        choice["name"] = asked.choice_name
    if asked.parallel is False and asked.choice != "none":
        choice = {"type": "auto"} | choice | {"disable_parallel_tool_use": True}
    if choice:
        body["tool_choice"] = choice


def _written_tool(tool: Tool) -> dict[str, Any]:
    written: dict[str, Any] = {"name": tool.name, "input_schema": tool.schema}
    if tool.description is not None:
        written["description"] = tool.description
    if tool.strict is not None:
        written["strict"] = tool.strict
    return written


def _write_output(asked: Conversation, body: dict[str, Any]) -> None:
    config: dict[str, Any] = {}
    if asked.effort == "none":
        body["thinking"] = {"type": "disabled"}
    elif asked.effort:
        config["effort"] = "low" if asked.effort == "minimal" else asked.effort
    if asked.json_mode:
        raise Untranslatable(asked.names["schema"], "Anthropic has no JSON mode without a schema")
    if asked.schema is not None:
        labels = {"title": asked.schema.name, "description": asked.schema.description}
        labels = {name: label for name, label in labels.items() if label}
        config["format"] = {"type": "json_schema", "schema": labels | asked.schema.schema}
    if config:
        body["output_config"] = config


# ------------------------------------------------------------------------------------------------------------------- answers
ENDINGS: dict[str, Ending] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "pause_turn": "length",
    "tool_use": "calls",
    "refusal": "refusal",
}
REASONS: dict[Ending, str] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "length": "max_tokens",
    "calls": "tool_use",
    "refusal": "refusal",
}


def read_answer(body: dict[str, Any]) -> Answer:
    """What a message says. Errors: `Untranslatable` where it is none, or holds a block that only Anthropic knows."""
    usage = body.get("usage") or {}
    tier = _TIERS.get(str(usage.get("service_tier")), "")
    answer = Answer(named(body), [], read_ended(body), read_usage(usage), tier=tier)
    for index, block in enumerate(body["content"]):
        kind, at = block["type"], f"content[{index}]"
        if kind == "text":
            if block["text"]:
                answer.parts.append(Text(given(block["text"], str, f"{at}.text")))
        elif kind == "tool_use":
            answer.parts.append(_read_call(block, at, []))
        elif kind == "thinking":
            answer.reasoning += given(block["thinking"], str, f"{at}.thinking")
        elif kind != "redacted_thinking":
            raise Untranslatable(f"{at}.type", "is a block that only Anthropic knows")
    return answer


_TIERS = {"standard": "default", "priority": "priority"}
_TIERS_BACK = {"default": "standard", "priority": "priority"}


def read_ended(held: dict[str, Any]) -> Ended:
    """Why it ended, as a message and a message_delta say it alike."""
    details = held.get("stop_details")
    refusal = details.get("explanation") if type(details) is dict else None
    sequence = held.get("stop_sequence")
    return Ended(
        ENDINGS.get(held.get("stop_reason") or "end_turn", "stop"),
        sequence if type(sequence) is str else None,
        refusal if type(refusal) is str else "",
    )


def write_ended(ended: Ended) -> dict[str, Any]:
    """The three fields that say why it ended."""
    details = {"type": "refusal", "category": None, "explanation": ended.refusal or None}
    return {
        "stop_reason": REASONS[ended.ending],
        "stop_sequence": ended.stop_sequence,
        "stop_details": details if ended.ending == "refusal" else None,
    }


def read_usage(usage: Any, before: Tokens | None = None) -> Tokens:
    """The tokens of a message's `usage`; those it does not name are as they were `before`."""
    tokens = before or Tokens()
    if type(usage) is not dict:
        return tokens
    fresh = tokens.input - tokens.cache_read - tokens.cache_write - tokens.cache_write_1h
    if usage.get("input_tokens") is not None:
        fresh = counted(usage, "input_tokens")
    if usage.get("cache_read_input_tokens") is not None:
        tokens.cache_read = counted(usage, "cache_read_input_tokens")
    if usage.get("cache_creation_input_tokens") is not None:
        tokens.cache_write_1h = (
            counted(usage.get("cache_creation"), "ephemeral_1h_input_tokens") or tokens.cache_write_1h
        )
        tokens.cache_write = max(0, counted(usage, "cache_creation_input_tokens") - tokens.cache_write_1h)
    tokens.input = fresh + tokens.cache_read + tokens.cache_write + tokens.cache_write_1h
    if usage.get("output_tokens") is not None:
        tokens.output = counted(usage, "output_tokens")
    if (details := usage.get("output_tokens_details")) is not None:
        tokens.reasoning = counted(details, "thinking_tokens")
    return tokens


def write_answer(answer: Answer, asked_model: str, _asked: dict[str, Any] | None = None) -> dict[str, Any]:
    """The message that says the same."""
    content = [_written_part(part, "assistant") for part in answer.parts]
    if answer.ended.refusal:
        content.append({"type": "text", "text": answer.ended.refusal})
    usage = write_usage(answer.tokens)
    if answer.tier in _TIERS_BACK:
        usage["service_tier"] = _TIERS_BACK[answer.tier]
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": asked_model,
        "content": content,
        **write_ended(answer.ended),
        "usage": usage,
    }


def write_usage(tokens: Tokens) -> dict[str, Any]:
    """A message's `usage`: unlike elsewhere here, its input_tokens are those that no cache held."""
    written = tokens.cache_write + tokens.cache_write_1h
    return {
        "input_tokens": max(0, tokens.input - tokens.cache_read - written),
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation_input_tokens": written,
        "output_tokens": tokens.output,
        "output_tokens_details": {"thinking_tokens": tokens.reasoning},
    }
