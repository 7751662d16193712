"""OpenAI's chat completions: its requests and answers read and written (openai 3, `types/chat`)."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
import time
from typing import TYPE_CHECKING, Any, Literal

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
    Schema,
    Text,
    Tool,
    Turn,
    arguments_of,
    counted,
    data_url,
    finished,
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
    "stop": "stop",
    "temperature": "temperature",
    "top_p": "top_p",
    "tier": "service_tier",
    "schema": "response_format",
    "max_tokens": "max_tokens",
}
_TIERS = {"auto", "default", "flex", "scale", "priority", "fast"}
_MAX_STOPS = 4
_MAX_TOOL_NAME = 64
_MAX_CALL_ID = 40
_REASONS_FIRST = re.compile(r"(?:^|[^a-z0-9])(?:o[1-9]|gpt-?(?:[5-9]|1\d)|codex)(?![a-z0-9])", re.IGNORECASE)


# ------------------------------------------------------------------------------------------------------------------ requests
def read_request(body: dict[str, Any], missing: list[str]) -> Conversation:
    """What a chat request means; names of what is left out are added to `missing`. Errors: `Untranslatable`."""
    check(body, fields.CHAT_REQUEST, "", missing)
    asked = Conversation(names=_NAMES, stream=body.get("stream") is True)
    if (options := body.get("stream_options")) is not None:
        check(options, fields.CHAT_STREAM_OPTIONS, "stream_options.", missing)
    for at, message in listed(body.get("messages"), "messages"):
        _read_message(message, at, asked, missing)
    read_settings(body, asked)
    asked.max_tokens = _read_limit(body)
    asked.stop = _read_stop(body.get("stop"))
    asked.effort = given(body.get("reasoning_effort") or "", str, "reasoning_effort")
    asked.tools = [_read_tool(tool, at, missing) for at, tool in listed(body.get("tools") or [], "tools")]
    _read_choice(body.get("tool_choice"), asked, missing)
    _read_format(body.get("response_format"), asked, missing)
    return asked


def read_settings(body: dict[str, Any], asked: Conversation) -> None:
    """The settings that chat and responses name alike."""
    for name in ("temperature", "top_p"):
        if (value := body.get(name)) is not None:
            setattr(asked, name, given(value, float, name))
    if (parallel := body.get("parallel_tool_calls")) is not None:
        asked.parallel = given(parallel, bool, "parallel_tool_calls")
    name = "safety_identifier" if body.get("safety_identifier") else "user"
    asked.user = given(body.get(name) or "", str, name)
    asked.tier = given(body.get("service_tier") or "", str, "service_tier")


def _read_limit(body: dict[str, Any]) -> int | None:
    old, new = body.get("max_tokens"), body.get("max_completion_tokens")
    if old is not None and new is not None and old != new:
        raise Untranslatable("max_tokens", "contradicts max_completion_tokens")
    limit = old if new is None else new
    return (
        limit
        if limit is None
        else int(given(limit, int, "max_tokens" if new is None else "max_completion_tokens"))
    )


def _read_stop(stop: Any) -> list[str]:
    if stop is None:
        return []
    return [given(word, str, "stop") for word in ([stop] if type(stop) is str else given(stop, list, "stop"))]


def _read_message(message: dict[str, Any], at: str, asked: Conversation, missing: list[str]) -> None:
    check(message, fields.CHAT_MESSAGE, f"{at}.", missing)
    role = message.get("role")
    read = _ROLES.get(role) if type(role) is str else None
    if read is None:
        raise Untranslatable(f"{at}.role", "is none that the other protocol knows")
    turn = read(message, at, missing)
    if turn.role == "system" and not asked.turns:
        asked.system.extend(part for part in turn.parts if isinstance(part, Text))
    else:
        asked.turns.append(turn)


def _read_system(message: dict[str, Any], at: str, missing: list[str]) -> Turn:
    parts = _read_content(message.get("content"), f"{at}.content", missing)
    for part in parts:
        if not isinstance(part, Text):
            raise Untranslatable(part.at, "a system message holds text only")
    return Turn("system", parts, at)


def _read_user(message: dict[str, Any], at: str, missing: list[str]) -> Turn:
    return Turn("user", _read_content(message.get("content"), f"{at}.content", missing), at)


def _read_assistant(message: dict[str, Any], at: str, missing: list[str]) -> Turn:
    parts = (
        [] if message.get("content") is None else _read_content(message["content"], f"{at}.content", missing)
    )
    if refusal := message.get("refusal"):
        parts.append(Text(given(refusal, str, f"{at}.refusal"), f"{at}.refusal"))
    for place, call in listed(message.get("tool_calls") or [], f"{at}.tool_calls"):
        parts.append(_read_call(call, place, missing))
    return Turn("assistant", parts, at)


def _read_result(message: dict[str, Any], at: str, missing: list[str]) -> Turn:
    parts = _read_content(message.get("content"), f"{at}.content", missing)
    call = given(message.get("tool_call_id"), str, f"{at}.tool_call_id")
    return Turn(
        "user", [Result(call, [part for part in parts if not isinstance(part, Call | Result)], at)], at
    )


_ROLES: dict[str, Callable[[dict[str, Any], str, list[str]], Turn]] = {
    "system": _read_system,
    "developer": _read_system,
    "user": _read_user,
    "assistant": _read_assistant,
    "tool": _read_result,
}


def _read_call(call: dict[str, Any], at: str, missing: list[str]) -> Call:
    check(call, table_of(fields.CHAT_CALLS, call, at, "function"), f"{at}.", missing)
    function = call.get("function")
    check(function, fields.CHAT_CALL_FUNCTION, f"{at}.function.", missing)
    return read_call(call.get("id"), call["function"], f"{at}.function.arguments", f"{at}.id")


def read_call(call_id: Any, function: dict[str, Any], at: str, id_at: str) -> Call:
    """A call of the past. Errors: `Untranslatable` where its arguments are no JSON object."""
    arguments = given(function.get("arguments") or "", str, at)
    if arguments_of(arguments) is None:
        raise Untranslatable(at, "is not a JSON object")
    name = given(function.get("name"), str, at.removesuffix("arguments") + "name")
    return Call(given(call_id, str, id_at), name, arguments, at)


def _read_content(content: Any, at: str, missing: list[str]) -> list[Part]:
    if type(content) is str:
        return [Text(content, at)] if content else []
    parts: list[Part] = []
    for place, part in listed(content, at):
        check(part, table_of(fields.CHAT_PARTS, part, place), f"{place}.", missing)
        if (read := _read_part(part, place, missing)) is not None:
            read.cached = read_breakpoint(part, place, missing)
            parts.append(read)
    return parts


def read_breakpoint(part: dict[str, Any], at: str, missing: list[str]) -> bool:
    """Whether the client asks the provider's prompt cache to hold everything up to this part."""
    if (mark := part.get("prompt_cache_breakpoint")) is None:
        return False
    check(mark, fields.CHAT_BREAKPOINT, f"{at}.prompt_cache_breakpoint.", missing)
    return True


def _read_part(part: dict[str, Any], at: str, missing: list[str]) -> Text | Image | Document | None:
    kind = part["type"]
    if kind in ("text", "refusal"):
        text = given(part.get(kind), str, f"{at}.{kind}")
        return Text(text, at) if text else None
    if kind == "image_url":
        check(part.get("image_url"), fields.CHAT_IMAGE_URL, f"{at}.image_url.", missing)
        return read_image(part["image_url"].get("url"), f"{at}.image_url.url")
    if kind != "file":
        raise Untranslatable(f"{at}.{kind}", "is missing")
    check(part.get("file"), fields.CHAT_FILE, f"{at}.file.", missing)
    return read_file(part["file"].get("file_data"), part["file"].get("filename"), f"{at}.file.file_data")


def read_image(url: Any, at: str) -> Image:
    """A picture by its URL. Errors: `Untranslatable` where it is neither an http(s) nor a base64 data: URL."""
    given(url, str, at)
    if url.startswith(("https://", "http://")):
        return Image(at, url=url)
    if (data := data_url(url)) is None:
        raise Untranslatable(at, "is neither a web address nor a data: URL in base64")
    return Image(at, media_type=data[0], data=data[1])


def read_file(url: Any, title: Any, at: str) -> Document | Text:
    """A file by its data: URL: a PDF, or a plain text, which becomes its words. Errors: `Untranslatable` for any other."""
    media_type, data = data_url(given(url, str, at)) or ("", "")
    if media_type == "application/pdf":
        return Document(at, data=data, title=given(title or "", str, at.rpartition(".")[0] + ".filename"))
    if media_type != "text/plain" or title:
        raise Untranslatable(at, "is neither a PDF nor an unnamed text, as a data: URL in base64")
    try:
        return Text(base64.b64decode(data, validate=True).decode(), at)
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Untranslatable(at, "is not text in base64") from error


def _read_tool(tool: dict[str, Any], at: str, missing: list[str]) -> Tool:
    check(tool, table_of(fields.CHAT_TOOLS, tool, at), f"{at}.", missing)
    check(tool.get("function"), fields.CHAT_FUNCTION, f"{at}.function.", missing)
    return read_tool(tool["function"], f"{at}.function")


def read_tool(function: dict[str, Any], at: str) -> Tool:
    """A function tool as both of OpenAI's protocols define it."""
    schema = function.get("parameters")
    if schema is None:
        schema = {"type": "object", "properties": {}}
    description, strict = function.get("description"), function.get("strict")
    return Tool(
        name=given(function.get("name"), str, f"{at}.name"),
        schema=given(schema, dict, f"{at}.parameters"),
        at=at,
        description=None if description is None else given(description, str, f"{at}.description"),
        strict=None if strict is None else given(strict, bool, f"{at}.strict"),
    )


_CHOICES: dict[str, Literal["auto", "any", "none"]] = {"auto": "auto", "required": "any", "none": "none"}


def _read_choice(choice: Any, asked: Conversation, missing: list[str]) -> None:
    if type(choice) is not dict:
        read_choice_word(choice, asked)
        return
    check(choice, table_of(fields.CHAT_CHOICES, choice, "tool_choice"), "tool_choice.", missing)
    if choice["type"] == "allowed_tools":
        allowed = choice.get("allowed_tools")
        check(allowed, fields.CHAT_ALLOWED, "tool_choice.allowed_tools.", missing)
        names = [
            given(tool.get("function"), dict, f"{at}.function").get("name")
            for at, tool in listed(choice["allowed_tools"].get("tools"), "tool_choice.allowed_tools.tools")
        ]
        read_allowed(choice["allowed_tools"].get("mode"), names, asked)
    else:
        check(choice.get("function"), fields.CHAT_NAMED, "tool_choice.function.", missing)
        asked.choice, asked.choice_name = (
            "tool",
            given(choice["function"].get("name"), str, "tool_choice.function.name"),
        )


def read_choice_word(choice: Any, asked: Conversation) -> None:
    """A tool choice given as a word."""
    if choice is None:
        return
    if type(choice) is not str or choice not in _CHOICES:
        raise Untranslatable("tool_choice", "is none that the other protocol knows")
    asked.choice = _CHOICES[choice]


def read_allowed(mode: Any, names: list[Any], asked: Conversation) -> None:
    """Only some of the tools may be called: only those are sent."""
    read_choice_word(mode, asked)
    known = {tool.name for tool in asked.tools}
    if not names or not all(type(name) is str and name in known for name in names):
        raise Untranslatable("tool_choice", "allows a tool that is not among the tools")
    asked.tools = [tool for tool in asked.tools if tool.name in names]


def _read_format(wanted: Any, asked: Conversation, missing: list[str]) -> None:
    if wanted is None:
        return
    given(wanted, dict, "response_format")
    check(wanted, table_of(fields.CHAT_FORMATS, wanted, "response_format"), "response_format.", missing)
    if wanted["type"] == "json_schema":
        held = wanted.get("json_schema")
        check(held, fields.CHAT_SCHEMA, "response_format.json_schema.", missing)
        asked.schema = read_schema(held, "response_format.json_schema")


def read_schema(held: dict[str, Any], at: str) -> Schema:
    """The schema of an answer, as both of OpenAI's protocols give it."""
    return Schema(
        schema=given(held.get("schema"), dict, f"{at}.schema"),
        name=given(held.get("name") or "", str, f"{at}.name"),
        description=given(held.get("description") or "", str, f"{at}.description"),
        strict=held.get("strict") is True,
    )


def write_request(asked: Conversation, model: str) -> dict[str, Any]:
    """The chat request that means the same. Errors: `Untranslatable`, by the client's own name of the field."""
    turns = finished(asked)
    messages = [message for turn in turns for message in _written_turn(turn)]
    if asked.system:
        messages.insert(0, {"role": "system", "content": _written_texts(asked.system)})
    body: dict[str, Any] = {"model": model, "messages": messages, **asked.same}
    if asked.max_tokens is not None:
        if asked.max_tokens < 1:
            raise Untranslatable(asked.names["max_tokens"], "is below 1: chat always answers")
        body["max_completion_tokens" if _REASONS_FIRST.search(model) else "max_tokens"] = asked.max_tokens
    if len(asked.stop) > _MAX_STOPS:
        raise Untranslatable(asked.names["stop"], f"OpenAI takes {_MAX_STOPS} at most")
    plain = {
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "stop": asked.stop or None,
        "reasoning_effort": asked.effort or None,
        "verbosity": asked.verbosity or None,
        "user": asked.user or None,
        "service_tier": asked.tier or None,
        "response_format": _written_format(asked),
    }
    body.update((name, value) for name, value in plain.items() if value is not None)
    _write_tools(asked, body)
    if asked.stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    return body


def _written_turn(turn: Turn) -> list[dict[str, Any]]:
    if turn.role == "assistant":
        return [_written_assistant(turn)]
    messages = []
    rest: list[Part] = []
    for part in turn.parts:
        if not isinstance(part, Result):
            rest.append(part)
        elif rest:
            raise Untranslatable(part.at, "comes after text: the results of calls come first")
        else:
            messages.append(_written_result(part))
    if rest:
        content = [_written_part(part) for part in rest]
        messages.append({"role": turn.role, "content": _plain(content)})
    return messages


def _plain(content: list[dict[str, Any]]) -> str | list[dict[str, Any]]:
    """A single text as compatible servers like it best: as it is."""
    return content[0]["text"] if len(content) == 1 and content[0]["type"] == "text" else content


def _written_texts(texts: list[Text]) -> str | list[dict[str, Any]]:
    return _plain([{"type": "text", "text": text.text} for text in texts])


def _written_assistant(turn: Turn) -> dict[str, Any]:
    texts = [part for part in turn.parts if isinstance(part, Text)]
    calls = [part for part in turn.parts if isinstance(part, Call)]
    for part in turn.parts:
        if not isinstance(part, Text | Call):
            raise Untranslatable(part.at, "an assistant's message in chat holds text and calls only")
    message: dict[str, Any] = {"role": "assistant", "content": _written_texts(texts) if texts else None}
    if calls:
        message["tool_calls"] = [_written_call(call) for call in calls]
    return message


def _written_call(call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments or "{}"}
    return {"id": identifier(call.id, _MAX_CALL_ID), "type": "function", "function": function}


def _written_result(result: Result) -> dict[str, Any]:
    texts = []
    for part in result.parts:
        if not isinstance(part, Text):
            raise Untranslatable(part.at, "a tool message in chat holds text only")
        texts.append(part)
    content: str | list[dict[str, Any]] = _written_texts(texts) if texts else ""
    if result.failed:
        content = "Error: " + "\n".join(text.text for text in texts).removeprefix("Error: ")
    return {"role": "tool", "tool_call_id": identifier(result.id, _MAX_CALL_ID), "content": content}


def _written_part(part: Part) -> dict[str, Any]:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        url = part.url or f"data:{part.media_type};base64,{part.data}"
        return {"type": "image_url", "image_url": {"url": url}}
    if isinstance(part, Document) and part.data:
        name = part.title or "document.pdf"
        return {
            "type": "file",
            "file": {"file_data": f"data:application/pdf;base64,{part.data}", "filename": name},
        }
    raise Untranslatable(part.at, "chat takes no such part here")


def _written_format(asked: Conversation) -> dict[str, Any] | None:
    if asked.json_mode:
        return {"type": "json_object"}
    if asked.schema is None:
        return None
    held = {
        "name": asked.schema.name or "answer",
        "schema": asked.schema.schema,
        "strict": asked.schema.strict,
    }
    if asked.schema.description:
        held["description"] = asked.schema.description
    return {"type": "json_schema", "json_schema": held}


def _write_tools(asked: Conversation, body: dict[str, Any]) -> None:
    if not asked.tools:
        if asked.choice in ("any", "tool"):
            raise Untranslatable("tool_choice", "wants a tool, and there are none")
        return
    body["tools"] = [{"type": "function", "function": _written_tool(tool)} for tool in asked.tools]
    if asked.choice == "tool":
        body["tool_choice"] = {"type": "function", "function": {"name": asked.choice_name}}
    elif asked.choice:
        body["tool_choice"] = "required" if asked.choice == "any" else asked.choice
    if asked.parallel is not None:
        body["parallel_tool_calls"] = asked.parallel


def _written_tool(tool: Tool) -> dict[str, Any]:
    if len(tool.name) > _MAX_TOOL_NAME:
        raise Untranslatable(f"{tool.at}.name", f"is longer than OpenAI's {_MAX_TOOL_NAME} signs")
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.schema}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return function


# ------------------------------------------------------------------------------------------------------------------- answers
ENDINGS: dict[str, Ending] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "calls",
    "function_call": "calls",
    "content_filter": "refusal",
}
REASONS: dict[Ending, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "calls": "tool_calls",
    "refusal": "content_filter",
}


def read_answer(body: dict[str, Any]) -> Answer:
    """What a chat completion says. Errors: `Untranslatable` where it is none, or a call's arguments are no JSON object."""
    choice = body["choices"][0]
    message = choice["message"]
    ending = ENDINGS.get(choice.get("finish_reason") or "stop", "stop")
    text, parts = message.get("content"), list[Text | Call]()
    if text:
        parts.append(Text(given(text, str, "choices[0].message.content")))
    for index, call in enumerate(message.get("tool_calls") or []):
        if (read := _read_answered_call(call, index, cut=ending == "length")) is not None:
            parts.append(read)
    if refusal := given(message.get("refusal") or "", str, "choices[0].message.refusal"):
        ending = "refusal"
    elif ending == "stop" and any(isinstance(part, Call) for part in parts):
        ending = "calls"  # OpenAI says 'stop' where tool_choice named the function
    tier = body.get("service_tier")
    return Answer(
        id=named(body),
        parts=parts,
        ended=Ended(ending, refusal=refusal),
        tokens=read_usage(body.get("usage")),
        reasoning=_reasoning(message),
        tier=tier if type(tier) is str and tier in _TIERS else "",
    )


def _reasoning(message: dict[str, Any]) -> str:
    """What a compatible server shows of the model's reasoning, under either of its names."""
    shown = (message.get(name) for name in ("reasoning_content", "reasoning"))
    return next((text for text in shown if type(text) is str), "")


def _read_answered_call(call: dict[str, Any], index: int, *, cut: bool) -> Call | None:
    function, at = call["function"], f"choices[0].message.tool_calls[{index}]"
    arguments = given(function.get("arguments") or "{}", str, f"{at}.function.arguments")
    if arguments_of(arguments) is None:
        if cut:
            return None
        raise Untranslatable(f"{at}.function.arguments", "is not a JSON object")
    call_id = given(call.get("id") or f"call_{secrets.token_hex(12)}", str, f"{at}.id")
    return Call(call_id, given(function["name"], str, f"{at}.function.name"), arguments)


def read_usage(usage: Any) -> Tokens:
    """The tokens of a chat completion's `usage`; none where it has none."""
    if type(usage) is not dict:
        return Tokens()
    prompt, completion = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    return Tokens(
        input=counted(usage, "prompt_tokens"),
        output=counted(usage, "completion_tokens"),
        cache_read=counted(prompt, "cached_tokens"),
        cache_write=counted(prompt, "cache_write_tokens"),
        reasoning=counted(completion, "reasoning_tokens"),
    )


def write_answer(answer: Answer, asked_model: str, _asked: dict[str, Any] | None = None) -> dict[str, Any]:
    """The chat completion that says the same."""
    text = "".join(part.text for part in answer.parts if isinstance(part, Text))
    calls = [_written_call(part) for part in answer.parts if isinstance(part, Call)]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": text or None,
        "refusal": answer.ended.refusal or None,
    }
    if not text and not calls and not answer.ended.refusal:
        message["content"] = ""
    if calls:
        message["tool_calls"] = calls
    if answer.reasoning:
        message["reasoning_content"] = answer.reasoning
    body = {
        "id": answer.id,
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked_model,
        "choices": [
            {"index": 0, "message": message, "logprobs": None, "finish_reason": REASONS[answer.ended.ending]}
        ],
        "usage": write_usage(answer.tokens),
    }
    if answer.tier:
        body["service_tier"] = answer.tier
    return body


def write_usage(tokens: Tokens) -> dict[str, Any]:
    """A chat completion's `usage`."""
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {
            "cached_tokens": tokens.cache_read,
            "cache_write_tokens": tokens.cache_write + tokens.cache_write_1h,
        },
        "completion_tokens_details": {"reasoning_tokens": tokens.reasoning},
    }


# ------------------------------------------------------------------------------------------------------------------- streams
