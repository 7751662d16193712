"""OpenAI's responses: its requests read, its answers and streams written (openai 3, `types/responses`).

Nothing is kept, so that only whole conversations cross over: `previous_response_id`, `conversation` and stored items are refused. No target
of a translation speaks this protocol; it is only translated from.
"""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any

import orjson

from datareeve.capabilities.ai.gateway.translate import chat, errors, fields
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
    Text,
    Tool,
    Turn,
    arguments_of,
    given,
    listed,
)
from datareeve.capabilities.ai.gateway.translate.fields import Untranslatable, check, table_of

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.translate.errors import Said
    from datareeve.capabilities.ai.gateway.usage import Tokens

_NAMES = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "tier": "service_tier",
    "schema": "text.format",
}
_SAME_IN_CHAT = ("metadata", "prompt_cache_key", "prompt_cache_retention", "safety_identifier")
_ULTRAFAST = "ultrafast"  # a tier that only this protocol has


# ------------------------------------------------------------------------------------------------------------------ requests
def read_request(body: dict[str, Any], missing: list[str], *, for_chat: bool = False) -> Conversation:
    """What a responses request means; names of what is left out are added to `missing`. Errors: `Untranslatable`.

    `for_chat`: the other protocol is OpenAI's chat, which shares more fields.
    """
    check(body, fields.RESPONSES_REQUEST_TO_CHAT if for_chat else fields.RESPONSES_REQUEST, "", missing)
    asked = Conversation(names=_NAMES, stream=body.get("stream") is True)
    if (options := body.get("stream_options")) is not None:
        check(options, fields.RESPONSES_STREAM_OPTIONS, "stream_options.", missing)
    if instructions := body.get("instructions"):
        asked.system.append(Text(given(instructions, str, "instructions"), "instructions"))
    _read_input(body.get("input"), asked, missing)
    chat.read_settings(body, asked)
    if asked.tier == _ULTRAFAST:
        raise Untranslatable("service_tier", "the other protocol has no such tier")
    if (limit := body.get("max_output_tokens")) is not None:
        asked.max_tokens = given(limit, int, "max_output_tokens")
    asked.tools = [_read_tool(tool, at, missing) for at, tool in listed(body.get("tools") or [], "tools")]
    _read_choice(body.get("tool_choice"), asked, missing)
    _read_text(body.get("text"), asked, missing, for_chat=for_chat)
    if (reasoning := body.get("reasoning")) is not None:
        check(reasoning, fields.RESPONSES_REASONING, "reasoning.", missing)
        asked.effort = given(reasoning.get("effort") or "", str, "reasoning.effort")
    if for_chat:
        asked.same = {name: body[name] for name in _SAME_IN_CHAT if body.get(name) is not None}
        asked.user = given(body.get("user") or "", str, "user")
    return asked


def _read_input(held: Any, asked: Conversation, missing: list[str]) -> None:
    if type(held) is str:
        asked.turns = [Turn("user", [Text(held, "input")], "input")] if held else []
        return
    for at, item in listed(held, "input"):
        check(item, table_of(fields.RESPONSES_ITEMS, item, at, "message"), f"{at}.", missing)
        kind = item.get("type") or "message"
        if kind == "message":
            _read_message(item, at, asked, missing)
        elif kind == "function_call":
            call = chat.read_call(item.get("call_id"), item, f"{at}.arguments", f"{at}.call_id")
            asked.turns.append(Turn("assistant", [call], at))
        else:
            asked.turns.append(Turn("user", [_read_result(item, at, missing)], at))


def _read_message(item: dict[str, Any], at: str, asked: Conversation, missing: list[str]) -> None:
    role = item.get("role")
    parts = _read_content(item.get("content"), f"{at}.content", missing)
    if role in ("system", "developer"):
        texts = [part for part in parts if isinstance(part, Text)]
        if len(texts) < len(parts):
            raise Untranslatable(f"{at}.content", "a system message holds text only")
        if asked.turns:
            asked.turns.append(Turn("system", parts, at))
        else:
            asked.system.extend(texts)
    elif role == "user":
        asked.turns.append(Turn("user", parts, at))
    elif role == "assistant":
        asked.turns.append(Turn("assistant", parts, at))
    else:
        raise Untranslatable(f"{at}.role", "is none that the other protocol knows")


def _read_result(item: dict[str, Any], at: str, missing: list[str]) -> Result:
    parts = _read_content(item.get("output"), f"{at}.output", missing)
    call_id = given(item.get("call_id"), str, f"{at}.call_id")
    return Result(call_id, [part for part in parts if not isinstance(part, Call | Result)], at)


def _read_content(content: Any, at: str, missing: list[str]) -> list[Part]:
    if type(content) is str:
        return [Text(content, at)] if content else []
    parts: list[Part] = []
    for place, part in listed(content, at):
        check(part, table_of(fields.RESPONSES_PARTS, part, place), f"{place}.", missing)
        if (read := _read_part(part, place)) is not None:
            read.cached = chat.read_breakpoint(part, place, missing)
            parts.append(read)
    return parts


def _read_part(part: dict[str, Any], at: str) -> Text | Image | Document | None:
    kind = part["type"]
    if kind == "input_image":
        return chat.read_image(part.get("image_url"), f"{at}.image_url")
    if kind == "input_file":
        if (url := part.get("file_url")) is not None and part.get("file_data") is None:
            title = given(part.get("filename") or "", str, f"{at}.filename")
            return Document(f"{at}.file_url", url=given(url, str, f"{at}.file_url"), title=title)
        return chat.read_file(part.get("file_data"), part.get("filename"), f"{at}.file_data")
    name = "refusal" if kind == "refusal" else "text"
    text = given(part.get(name), str, f"{at}.{name}")
    return Text(text, at) if text else None


def _read_tool(tool: dict[str, Any], at: str, missing: list[str]) -> Tool:
    if tool.get("type") != "function":
        raise Untranslatable(f"{at}.type", "is a tool of OpenAI's own")
    check(tool, fields.RESPONSES_TOOL, f"{at}.", missing)
    return chat.read_tool(tool, at)


def _read_choice(choice: Any, asked: Conversation, missing: list[str]) -> None:
    if type(choice) is not dict:
        chat.read_choice_word(choice, asked)
        return
    check(choice, table_of(fields.RESPONSES_CHOICES, choice, "tool_choice"), "tool_choice.", missing)
    if choice["type"] == "function":
        asked.choice, asked.choice_name = "tool", given(choice.get("name"), str, "tool_choice.name")
    else:
        names = [tool.get("name") for _, tool in listed(choice.get("tools"), "tool_choice.tools")]
        chat.read_allowed(choice.get("mode"), names, asked)


def _read_text(text: Any, asked: Conversation, missing: list[str], *, for_chat: bool) -> None:
    if text is None:
        return
    check(text, fields.RESPONSES_TEXT_TO_CHAT if for_chat else fields.RESPONSES_TEXT, "text.", missing)
    if for_chat:
        asked.verbosity = given(text.get("verbosity") or "", str, "text.verbosity")
    if (wanted := text.get("format")) is None:
        return
    given(wanted, dict, "text.format")
    formats = fields.RESPONSES_FORMATS_TO_CHAT if for_chat else fields.RESPONSES_FORMATS
    check(wanted, table_of(formats, wanted, "text.format"), "text.format.", missing)
    if wanted["type"] == "json_schema":
        asked.schema = chat.read_schema(wanted, "text.format")
    asked.json_mode = wanted["type"] == "json_object"


# ------------------------------------------------------------------------------------------------------------------- answers
_ECHOED: dict[
    str, Any
] = {  # fields of the request that the answer repeats, and what they are where it does not say
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "user": None,
}


def _response(answer_id: str, asked_model: str, asked: dict[str, Any] | None) -> dict[str, Any]:
    """A response that has only begun."""
    said = asked or {}
    echoed = {name: default if said.get(name) is None else said[name] for name, default in _ECHOED.items()}
    return {
        "id": f"resp_{answer_id}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": asked_model,
        "output": [],
        "previous_response_id": None,
        "store": False,
        "truncation": "disabled",
        "usage": None,
        **echoed,
    }


def _finish(response: dict[str, Any], ending: Ending, tokens: Tokens, tier: str = "") -> None:
    response["usage"] = _written_usage(tokens)
    response["status"] = "incomplete" if ending == "length" else "completed"
    if ending == "length":
        response["incomplete_details"] = {"reason": "max_output_tokens"}
    elif ending == "refusal" and not _refused(response["output"]):
        response["status"], response["incomplete_details"] = "incomplete", {"reason": "content_filter"}
    if response["status"] == "completed":
        response["completed_at"] = int(time.time())
    if tier:
        response["service_tier"] = tier


def _refused(output: list[dict[str, Any]]) -> bool:
    """Whether the answer holds the words of a refusal; else it was a filter that ended it."""
    return any(
        part["type"] == "refusal" for item in output if item["type"] == "message" for part in item["content"]
    )


def _written_usage(tokens: Tokens) -> dict[str, Any]:
    written = tokens.cache_write + tokens.cache_write_1h
    return {
        "input_tokens": tokens.input,
        "input_tokens_details": {"cached_tokens": tokens.cache_read, "cache_write_tokens": written},
        "output_tokens": tokens.output,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning},
        "total_tokens": tokens.input + tokens.output,
    }


def _message(status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": f"msg_{secrets.token_hex(16)}",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": content,
    }


def _words(kind: str, text: str) -> dict[str, Any]:
    if kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _call(status: str, call_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {
        "id": f"fc_{secrets.token_hex(16)}",
        "type": "function_call",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": status,
    }


def write_answer(answer: Answer, asked_model: str, asked: dict[str, Any] | None = None) -> dict[str, Any]:
    """The response that says the same. `asked`: the client's request, of which a response repeats the settings."""
    response = _response(answer.id, asked_model, asked)
    status = "incomplete" if answer.ended.ending == "length" else "completed"
    for part in answer.parts:
        if isinstance(part, Text):
            response["output"].append(_message(status, [_words("output_text", part.text)]))
        else:
            response["output"].append(_call(status, part.id, part.name, part.arguments))
    if answer.ended.refusal:
        response["output"].append(_message(status, [_words("refusal", answer.ended.refusal)]))
    _finish(response, answer.ended.ending, answer.tokens, answer.tier)
    return response


# ------------------------------------------------------------------------------------------------------------------- streams
class ResponsesWriter:
    """Says the events of a response (`types/responses/response_stream_event.py`)."""

    def __init__(self, asked_model: str, asked: dict[str, Any] | None) -> None:
        self.out: list[bytes] = []
        self._model, self._asked = asked_model, asked
        self._response: dict[str, Any] = {}
        self._number = 0
        self._said: dict[int, list[str]] = {}  # place in the output → pieces of an item that is still open
        self._keys: dict[int, int] = {}  # the reader's key of a call → its place
        self._message: int | None = None  # place of the open message

    def _say(self, kind: str, **held: Any) -> None:
        event = {"type": kind, "sequence_number": self._number, **held}
        self._number += 1
        self.out.append(b"event: %b\ndata: %b\n\n" % (kind.encode(), orjson.dumps(event)))

    def begin(self, answer_id: str, tokens: Tokens) -> None:  # noqa: ARG002  a response tells its usage last
        """response.created and response.in_progress."""
        self._response = _response(answer_id, self._model, self._asked)
        self._say("response.created", response=self._response)
        self._say("response.in_progress", response=self._response)

    def text(self, text: str) -> None:
        """response.output_text.delta; opens a message where none is open."""
        place = self._opened("output_text")
        item = self._response["output"][place]
        self._said[place].append(text)
        self._say(
            "response.output_text.delta", **_where(item, place), content_index=0, delta=text, logprobs=[]
        )

    def refusal(self, text: str) -> None:
        """response.refusal.delta."""
        place = self._opened("refusal")
        self._said[place].append(text)
        self._say(
            "response.refusal.delta",
            **_where(self._response["output"][place], place),
            content_index=0,
            delta=text,
        )

    def reasoning(self, text: str) -> None:
        """Nothing: OpenAI would not find a reasoning item of another provider when it is sent back."""

    def call(self, key: int, call_id: str, name: str) -> None:
        """response.output_item.added of a function_call."""
        self._close_whole()
        self._keys[key] = self._add(_call("in_progress", call_id, name, ""))

    def arguments(self, key: int, text: str) -> None:
        """response.function_call_arguments.delta."""
        place = self._keys[key]
        if place not in self._said:
            if text.strip():
                raise ValueError("more arguments of a call that was whole")
            return
        self._said[place].append(text)
        item = self._response["output"][place]
        self._say("response.function_call_arguments.delta", **_where(item, place), delta=text)

    def _add(self, item: dict[str, Any]) -> int:
        place = len(self._response["output"])
        self._response["output"].append(item)
        self._said[place] = []
        self._say("response.output_item.added", output_index=place, item=item)
        return place

    def _opened(self, kind: str) -> int:
        """Where the open message is that holds words of that kind."""
        if self._message is not None:
            if self._response["output"][self._message]["content"][0]["type"] == kind:
                return self._message
            self._close(self._message)
        self._close_whole()
        place = self._message = self._add(_message("in_progress", []))
        item = self._response["output"][place]
        item["content"].append(_words(kind, ""))
        self._say(
            "response.content_part.added", **_where(item, place), content_index=0, part=item["content"][0]
        )
        return place

    def _close_whole(self) -> None:
        """End the items to which nothing more can come: calls may come mixed, those that are not whole stay open."""
        for place, said in list(self._said.items()):
            item = self._response["output"][place]
            if item["type"] == "message" or (said and arguments_of("".join(said)) is not None):
                self._close(place)

    def _close(self, place: int, status: str = "completed") -> None:
        item = self._response["output"][place]
        item["status"] = status
        said = "".join(self._said.pop(place))
        where = _where(item, place)
        if item["type"] == "function_call":
            item["arguments"] = said
            self._say("response.function_call_arguments.done", **where, arguments=said, name=item["name"])
        else:
            self._message = None
            part = item["content"][0]
            name = "refusal" if part["type"] == "refusal" else "text"
            part[name] = said
            more: dict[str, Any] = {"logprobs": []} if name == "text" else {}
            kind = "response.refusal.done" if name == "refusal" else "response.output_text.done"
            self._say(kind, **where, content_index=0, **{name: said}, **more)
            self._say("response.content_part.done", **where, content_index=0, part=part)
        self._say("response.output_item.done", output_index=place, item=item)

    def end(self, ended: Ended, tokens: Tokens) -> None:
        """What is open is done; response.completed or response.incomplete."""
        if ended.refusal:
            self.refusal(ended.refusal)
        for place in sorted(self._said):
            if self._response["output"][place]["type"] == "function_call" and not self._said[place]:
                self._said[place].append("{}")
            self._close(place, "incomplete" if ended.ending == "length" else "completed")
        _finish(self._response, ended.ending, tokens)
        self._say(f"response.{self._response['status']}", response=self._response)

    def fail(self, said: Said) -> None:
        """The `error` event; `error` within it is what the SDK raises on."""
        error = errors.write(said, "openai")["error"]
        self._say("error", code=error["code"], message=error["message"], param=None, error=error)

    def ping(self) -> None:
        """A comment keeps the connection awake."""
        self.out.append(b": ping\n\n")


def _where(item: dict[str, Any], place: int) -> dict[str, Any]:
    return {"item_id": item["id"], "output_index": place}
