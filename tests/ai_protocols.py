"""The official SDKs as the specification of their protocols: their clients over bytes of our own, and their types walked.

completion = openai_client(body).chat.completions.create(...)      reads `body` as if OpenAI had sent it
strangers(body, CompletionCreateParams)                            what the type does not know, by its place
"""

from __future__ import annotations

import types
import typing
from typing import Any, get_args, get_origin

import anthropic
import httpx2
import openai
import typing_extensions as te


def _answering(body: bytes, status: int, *, stream: bool, pieces: int) -> Any:
    kind = "text/event-stream" if stream else "application/json"

    class Body(httpx2.SyncByteStream, httpx2.AsyncByteStream):
        def __iter__(self):
            for start in range(0, len(body), pieces):
                yield body[start : start + pieces]

        async def __aiter__(self):
            for piece in self:
                yield piece

    return httpx2.MockTransport(
        lambda _: httpx2.Response(status, headers={"content-type": kind}, stream=Body())
    )


def openai_client(body: bytes, status: int = 200, *, stream: bool = False, pieces: int = 37) -> openai.OpenAI:
    """OpenAI's SDK, to which these bytes are the answer, `pieces` bytes at a time."""
    http = httpx2.Client(transport=_answering(body, status, stream=stream, pieces=pieces))
    return openai.OpenAI(api_key="k", base_url="http://gateway/v1", http_client=http, max_retries=0)


def anthropic_client(
    body: bytes, status: int = 200, *, stream: bool = False, pieces: int = 37
) -> anthropic.Anthropic:
    """Anthropic's SDK, likewise."""
    http = httpx2.Client(transport=_answering(body, status, stream=stream, pieces=pieces))
    return anthropic.Anthropic(api_key="k", base_url="http://gateway", http_client=http, max_retries=0)


def async_openai_client(body: bytes, *, pieces: int = 37) -> openai.AsyncOpenAI:
    """OpenAI's asynchronous SDK, to which these bytes are a stream."""
    http = httpx2.AsyncClient(transport=_answering(body, 200, stream=True, pieces=pieces))
    return openai.AsyncOpenAI(api_key="k", base_url="http://gateway/v1", http_client=http, max_retries=0)


def async_anthropic_client(body: bytes, *, pieces: int = 37) -> anthropic.AsyncAnthropic:
    """Anthropic's asynchronous SDK, likewise."""
    http = httpx2.AsyncClient(transport=_answering(body, 200, stream=True, pieces=pieces))
    return anthropic.AsyncAnthropic(api_key="k", base_url="http://gateway", http_client=http, max_retries=0)


def fields(kind: Any) -> set[str]:
    """The names of a type's fields: a TypedDict's, or a model's as they stand in JSON."""
    if te.is_typeddict(kind):
        return set(te.get_type_hints(kind))
    return {field.alias or name for name, field in kind.model_fields.items()}


def strangers(value: Any, kind: Any, at: str = "") -> list[str]:
    """Places of a value that a type does not know, misses or has otherwise. [] where it conforms."""
    kind = _bare(kind)
    origin = get_origin(kind)
    if origin in (typing.Union, types.UnionType):
        return min((strangers(value, option, at) for option in get_args(kind)), key=len)
    if origin in (typing.Literal, te.Literal):
        return [] if value in get_args(kind) else [f"{at}: is none of {get_args(kind)[:5]}"]
    if te.is_typeddict(kind):
        return _strange_fields(value, kind, at)
    if origin is not None and origin is not dict:  # lists, iterables, sequences
        return _strange_items(value, get_args(kind)[0], at)
    wanted = {float: (int, float), object: (object,), Any: (object,)}.get(kind, (origin or kind,))
    sound = isinstance(value, wanted) and not (type(value) is bool and kind in (int, float))
    return [] if sound else [f"{at}: no {kind}"]


def _strange_items(value: Any, kind: Any, at: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{at}: no list"]
    return [found for i, item in enumerate(value) for found in strangers(item, kind, f"{at}[{i}]")]


def _bare(kind: Any) -> Any:
    while get_origin(kind) in (te.Annotated, te.Required, te.NotRequired, typing.Annotated, typing.Required):
        kind = get_args(kind)[0]
    return kind


def _strange_fields(value: Any, kind: Any, at: str) -> list[str]:
    if not isinstance(value, dict):
        return [f"{at}: no object"]
    hints = te.get_type_hints(kind, include_extras=True)
    required = {name for name, hint in hints.items() if get_origin(hint) in (te.Required, typing.Required)}
    found = [f"{at}.{name}: unknown" for name in value.keys() - hints.keys()]
    found += [f"{at}.{name}: missing" for name in required - value.keys()]
    for name in value.keys() & hints.keys():
        found += strangers(value[name], hints[name], f"{at}.{name}")
    return found
