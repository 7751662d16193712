"""Two answers to one prompt beside each other, without keeping either: equal, of the same form, valid by the schema that was asked for, as long.

Answers come as the three protocols give them (chat completions, messages, responses), whole or as a recorded stream. Nothing of their text
leaves this module: only truths and figures do.

Sources: https://platform.openai.com/docs/api-reference/chat/object, https://platform.openai.com/docs/api-reference/responses/object,
https://docs.anthropic.com/en/api/messages.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n\s*```\s*\Z", re.DOTALL)
BULLETS = re.compile(r"\A\s*(?:[-*•]|\d+[.)])\s")
NOT_JSON = object()


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says: its text, and the tools it calls as (name, arguments)."""

    text: str = ""
    calls: tuple[tuple[str, str], ...] = ()

    @property
    def document(self) -> Any:
        """The text as JSON, also within a fence; `NOT_JSON` where it is none."""
        fenced = FENCE.match(self.text)
        try:
            return json.loads(fenced[1] if fenced else self.text)
        except (ValueError, RecursionError):
            return NOT_JSON

    @property
    def form(self) -> str:
        """One of: json object, json array, json, code, list, text, tools or empty."""
        if self.calls:
            return "tools"
        if not self.text.strip():
            return "empty"
        document = self.document
        if isinstance(document, (dict, list)):
            return "json object" if isinstance(document, dict) else "json array"
        if "```" in self.text:
            return "code"
        lines = [line for line in self.text.splitlines() if line.strip()]
        return "list" if sum(bool(BULLETS.match(line)) for line in lines) * 2 > len(lines) else "text"


@dataclass(frozen=True, slots=True)
class Compared:
    """A new answer beside the recorded one. None: the prompt does not ask for it, or it cannot be said."""

    exact: bool  # the same text and calls; of JSON the same document
    same_form: bool
    same_tools: bool | None  # the same tools are called, whatever the arguments
    schema_before: bool | None  # valid by the schema that the prompt asks for
    schema_now: bool | None
    length_ratio: float | None  # of characters, now to before
    empty: bool  # the new one says nothing


def compared(body: Mapping[str, Any], before: Any, now: Any) -> Compared:
    """Compare two answers to one request's body; each as JSON, text or the bytes of a stream."""
    old, new = said(before), said(now)
    schema = schema_of(body)
    return Compared(
        exact=_equal(old, new),
        same_form=old.form == new.form,
        same_tools=[name for name, _ in old.calls] == [name for name, _ in new.calls]
        if old.calls or new.calls
        else None,
        schema_before=_valid(schema, old) if schema is not None else None,
        schema_now=_valid(schema, new) if schema is not None else None,
        length_ratio=len(new.text) / len(old.text) if old.text else None,
        empty=new.form == "empty",
    )


def _equal(old: Said, new: Said) -> bool:
    if old.calls != new.calls:
        return False
    document = old.document
    if isinstance(document, (dict, list)):
        return bool(document == new.document)
    return old.text.strip() == new.text.strip()


# -- reading answers ---------------------------------------------------------------------------------------------------------------


def said(answer: Any) -> Said:
    """What an answer says; nothing where it is no answer."""
    if isinstance(answer, (bytes, bytearray)):
        answer = bytes(answer).decode("utf-8", "replace")
    if isinstance(answer, str):
        answer = _of_text(answer)
    if not isinstance(answer, dict):
        return Said()
    parts = list(_parts(answer))
    return Said(
        text="".join(text for kind, text, _ in parts if kind == "text"),
        calls=tuple((name, _canonical(arguments)) for kind, name, arguments in parts if kind == "tool"),
    )


def _parts(answer: Mapping[str, Any]) -> Iterator[tuple[str, str, Any]]:
    """('text', text, None) and ('tool', name, arguments) in their order, of whichever protocol."""
    if isinstance(answer.get("choices"), list):
        yield from _of_chat(answer["choices"])
    elif isinstance(answer.get("output"), list):
        yield from _of_responses(answer["output"])
    elif isinstance(answer.get("content"), list):
        for block in _dicts(answer["content"]):
            if block.get("type") == "text":
                yield "text", _text(block.get("text")), None
            elif block.get("type") == "tool_use":
                yield "tool", _text(block.get("name")), block.get("input")


def _of_chat(choices: list[Any]) -> Iterator[tuple[str, str, Any]]:
    for choice in _dicts(choices[:1]):
        message = _dict(choice.get("message"))
        content = message.get("content")
        parts = (
            content
            if isinstance(content, list)
            else [{"text": content if content is not None else choice.get("text")}]
        )
        yield from (("text", _text(part.get("text")), None) for part in _dicts(parts))
        for call in _dicts(message.get("tool_calls") or []):
            function = _dict(call.get("function"))
            yield "tool", _text(function.get("name")), function.get("arguments")


def _of_responses(output: list[Any]) -> Iterator[tuple[str, str, Any]]:
    for item in _dicts(output):
        if item.get("type") == "function_call":
            yield "tool", _text(item.get("name")), item.get("arguments")
        elif item.get("type") == "message":
            yield from (("text", _text(part.get("text")), None) for part in _dicts(item.get("content") or []))


def _of_text(text: str) -> Any:
    """A recorded answer's text: JSON, or the events of a stream put together."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _assembled(_events(text))


def _events(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        if line.startswith("data:"):
            try:
                event = json.loads(line[5:])
            except (ValueError, RecursionError):
                continue
            if isinstance(event, dict):
                yield event


def _assembled(events: Iterator[dict[str, Any]]) -> dict[str, Any]:
    text: list[str] = []
    calls: dict[tuple[str, Any], list[str]] = {}  # by protocol and place: name, then pieces of arguments
    for event in events:
        if isinstance(event.get("response"), dict) and event.get("type") in (
            "response.completed",
            "response.incomplete",
        ):
            return dict(event["response"])
        for choice in _dicts(event.get("choices") or []):
            _chat_delta(choice.get("delta") or {}, text, calls)
        _message_event(event, text, calls)
    blocks = [
        {"type": "tool_use", "name": name, "input": "".join(pieces)} for name, *pieces in calls.values()
    ]
    return {"content": [{"type": "text", "text": "".join(text)}, *blocks]}


def _chat_delta(delta: Any, text: list[str], calls: dict[tuple[str, Any], list[str]]) -> None:
    if not isinstance(delta, dict):
        return
    text.append(_text(delta.get("content")))
    for call in _dicts(delta.get("tool_calls") or []):
        function = _dict(call.get("function"))
        pieces = calls.setdefault(("chat", str(call.get("index"))), [""])
        pieces[0] += _text(function.get("name"))
        pieces.append(_text(function.get("arguments")))


def _message_event(
    event: Mapping[str, Any], text: list[str], calls: dict[tuple[str, Any], list[str]]
) -> None:
    place = ("messages", str(event.get("index")))
    block, delta = event.get("content_block"), event.get("delta")
    if isinstance(block, dict) and block.get("type") == "tool_use":
        calls[place] = [_text(block.get("name"))]
    if isinstance(delta, dict) and event.get("type") == "content_block_delta":
        text.append(_text(delta.get("text")))
        if place in calls:
            calls[place].append(_text(delta.get("partial_json")))


# -- schemas -----------------------------------------------------------------------------------------------------------------------


def schema_of(body: Mapping[str, Any]) -> Any:
    """The JSON schema that a request asks its answer to follow, {} where any JSON object is asked for; None where it asks for none."""
    for place in (("response_format",), ("text", "format"), ("output_config", "format"), ("output_format",)):
        found: Any = body
        for name in place:
            found = found.get(name) if isinstance(found, dict) else None
        if isinstance(found, dict):
            if found.get("type") == "json_object":
                return {"type": "object"}
            named = found.get("json_schema")
            schema = named.get("schema") if isinstance(named, dict) else found.get("schema")
            if isinstance(schema, dict):
                return schema
    return None


def _valid(schema: Any, answer: Said) -> bool | None:
    """Whether an answer follows a schema; None where the schema itself is none. No reference leads out of it: nothing is fetched."""
    import jsonschema  # type: ignore[import-untyped]  # noqa: PLC0415 - only where a schema is asked for
    import referencing.exceptions  # noqa: PLC0415

    document = answer.document
    if document is NOT_JSON:
        return False
    try:
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema, registry=referencing.Registry())
        return bool(validator.is_valid(document))
    except (
        jsonschema.SchemaError,
        referencing.exceptions.Unresolvable,
        RecursionError,
        re.error,
        TypeError,
        ValueError,
        AttributeError,
    ):
        return None


def _dicts(parts: Any) -> list[dict[str, Any]]:
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def _dict(part: Any) -> dict[str, Any]:
    return part if isinstance(part, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _canonical(arguments: Any) -> str:
    """A call's arguments, the same for the same meaning."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return str(arguments)
    return json.dumps(arguments, sort_keys=True)
