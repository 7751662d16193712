"""What a request means, and what an answer means, whichever protocol said it: each protocol has a reader into these and a writer from them.

They hold what two protocols share. What only one of them can say never gets in here: its reader refuses it by name (`fields`). What a
writer cannot say it refuses by the name that the reader gave it (`at`, `names`), so that the client reads the field it wrote.
"""

from __future__ import annotations

import functools
import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import orjson

from datareeve.capabilities.ai.gateway.translate.fields import Untranslatable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from datareeve.capabilities.ai.gateway.usage import Tokens

Role = Literal["user", "assistant", "system"]
Ending = Literal["stop", "stop_sequence", "length", "calls", "refusal"]
WRONG_SHAPE = (AttributeError, IndexError, KeyError, TypeError, ValueError, RecursionError)
"""What reading a value as if it had the protocol's shape may raise; caught once at each door, never in between."""


@dataclass(slots=True)
class Text:
    """Words. `cached`: the client asked the provider's prompt cache to hold everything up to here."""

    text: str
    at: str = ""
    cached: bool = False


@dataclass(slots=True)
class Image:
    """A picture: by its address, or itself in base64."""

    at: str
    url: str = ""
    media_type: str = ""
    data: str = ""
    cached: bool = False


@dataclass(slots=True)
class Document:
    """A PDF: by its address, or itself in base64."""

    at: str
    url: str = ""
    data: str = ""
    title: str = ""
    cached: bool = False


@dataclass(slots=True)
class Call:
    """The model calls a tool. `arguments`: a JSON object, as text."""

    id: str
    name: str
    arguments: str
    at: str = ""


@dataclass(slots=True)
class Result:
    """What a tool gave back."""

    id: str
    parts: list[Text | Image | Document]
    at: str
    failed: bool = False


Part = Text | Image | Document | Call | Result


@dataclass(slots=True)
class Turn:
    """What one side said, in order."""

    role: Role
    parts: list[Part]
    at: str


@dataclass(slots=True)
class Tool:
    """A tool that the model may call. `schema`: JSON Schema of its arguments."""

    name: str
    schema: dict[str, Any]
    at: str
    description: str | None = None
    strict: bool | None = None


@dataclass(slots=True)
class Schema:
    """The JSON Schema that the answer's text must match."""

    schema: dict[str, Any]
    name: str = ""
    description: str = ""
    strict: bool = True


@dataclass(slots=True)
class Conversation:
    """A request. `names` gives the client's own name of a setting, for refusals."""

    names: Mapping[str, str]
    system: list[Text] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)
    tools: list[Tool] = field(default_factory=list)
    choice: Literal["", "auto", "any", "none", "tool"] = ""
    choice_name: str = ""
    parallel: bool | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: list[str] = field(default_factory=list)
    schema: Schema | None = None
    json_mode: bool = False  # any JSON object, without a schema
    effort: str = ""  # none, minimal, low, medium, high, xhigh, max
    verbosity: str = ""
    user: str = ""
    tier: str = ""  # OpenAI's words
    stream: bool = False
    same: dict[str, Any] = field(default_factory=dict)  # fields that both of OpenAI's protocols share


@dataclass(frozen=True, slots=True)
class Ended:
    """Why an answer ended. `refusal`: the words of one."""

    ending: Ending
    stop_sequence: str | None = None
    refusal: str = ""


@dataclass(slots=True)
class Answer:
    """A whole answer. `parts` in the order the model gave them."""

    id: str
    parts: list[Text | Call]
    ended: Ended
    tokens: Tokens
    reasoning: str = ""
    tier: str = ""  # OpenAI's words


def given(value: Any, kind: type, at: str) -> Any:
    """The value, when it is of that type. Errors: `Untranslatable`."""
    if type(value) is not kind and not (kind is float and type(value) is int):
        raise Untranslatable(at, f"is not {_KINDS[kind]}")
    return value


_KINDS = {
    str: "text",
    dict: "an object",
    list: "a list",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}


def counted(held: Any, name: str) -> int:
    """A number of tokens; 0 where it is none: an answer is not lost for a server's wrong bookkeeping."""
    value = held.get(name) if type(held) is dict else None
    return value if type(value) is int and value > 0 else 0


def named(body: dict[str, Any]) -> str:
    """An answer's id; one of our own where the server gave none."""
    held = body.get("id")
    return held if type(held) is str and held else f"gen_{secrets.token_hex(12)}"


def listed(value: Any, at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object of a list with its place: ('messages[0]', {...}). Errors: `Untranslatable` where it is no list of objects."""
    for index, item in enumerate(given(value, list, at)):
        place = f"{at}[{index}]"
        yield place, given(item, dict, place)


def finished(asked: Conversation) -> list[Turn]:
    """The turns as both protocols take them: consecutive ones of a side as one, turns of nothing gone.

    Anthropic wants the results of calls together, right after the turn that called.
    Errors: `Untranslatable` where nothing is asked, or the last word is the assistant's: Claude goes on with it, OpenAI answers it.
    """
    whole: list[Turn] = []
    for turn in asked.turns:
        if not turn.parts:
            continue
        if whole and whole[-1].role == turn.role:
            whole[-1].parts.extend(turn.parts)
        else:
            whole.append(Turn(turn.role, list(turn.parts), turn.at))
    if not whole:
        raise Untranslatable(asked.names["messages"], "asks nothing")
    if whole[-1].role == "assistant":
        raise Untranslatable(
            whole[-1].at, "is an answer begun by the client: Claude goes on with it, OpenAI does not"
        )
    return whole


def data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64 of a data: URL (RFC 2397); None where it is none, or not in base64."""
    head, _, data = url.partition(",")
    if not head.startswith("data:") or not head.endswith(";base64"):
        return None
    return head[5:].partition(";")[0].lower(), data


_IDENTIFIER = re.compile(r"[A-Za-z0-9_-]+")


def identifier(text: str, longest: int) -> str:
    """A call's id as every protocol takes it: the same where it can be, else its digest; equal ids stay equal, different ones different."""
    if len(text) <= longest and _IDENTIFIER.fullmatch(text):
        return text
    return f"call_{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def arguments_of(text: str) -> dict[str, Any] | None:
    """A call's arguments, read; none at all are an empty object. None where they are no JSON object."""
    if not text.strip():
        return {}
    try:
        value = orjson.loads(text)
    except ValueError:
        return None
    return value if type(value) is dict else None


@functools.lru_cache(maxsize=256)
def generation(model: str) -> tuple[int, int] | None:
    """The generation of a Claude model by its name: 'claude-opus-4-7' → (4, 7), 'claude-3-5-sonnet-20241022' → (3, 5); None: not known."""
    match = _CLAUDE.search(model)
    if match is None:
        return None
    return int(match["old"] or match["new"]), int(match["old_minor"] or match["minor"] or 0)


_CLAUDE = re.compile(
    r"claude-(?:(?P<old>\d)(?:-(?P<old_minor>\d)(?!\d))?|[a-z]+-(?P<new>\d{1,2})(?:[-.](?P<minor>\d{1,2})(?!\d))?)(?![0-9])"
)
