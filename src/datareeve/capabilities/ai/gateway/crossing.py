"""Crossing from one provider's protocol to the other's: which dialect stands for which, and translation at the wire's edge.

A request that cannot be said in the other protocol is refused by the name of its field; nothing is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from datareeve.capabilities.ai.gateway import translate
from datareeve.capabilities.ai.gateway.dialects import Dialect, Problem, Refusal, table
from datareeve.systems.upstream import UpstreamError

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.dialects import Asked
    from datareeve.capabilities.ai.gateway.relay import Changer

PATHS = {"chat": "/v1/messages", "responses": "/v1/messages", "messages": "/v1/chat/completions"}

NO_COUNTERPART = {
    "count-tokens": "The tokens of this model cannot be counted beforehand, for its provider speaks OpenAI's protocol, which has no count_tokens: "
    "ask for a model of an Anthropic provider, or send the request and read `usage` in its answer."
}


def counterpart(dialect: Dialect) -> Dialect:
    """The other protocol's dialect for the same work. Errors: `Refusal` where it has none."""
    return _other(dialect)[1]


def request(dialect: Dialect, asked: Asked, model: str) -> tuple[str, bytes, tuple[str, ...]]:
    """Path and body of a request in the other protocol, and the fields that only hint and have no counterpart there.

    Errors: `Refusal` naming what cannot be translated.
    """
    path, other = _other(dialect)
    try:
        found = translate.translated(dialect.name, other.name, asked.body, model)
    except translate.Untranslatable as error:
        raise Refusal(_untranslatable(error.field, error.why)) from None
    return path, orjson.dumps(found.body), found.left_out


def answer(theirs: Dialect, ours: Dialect, body: bytes, asked: Asked) -> bytes:
    """A whole answer, as our client expects it. Errors: `UpstreamError` where it is none."""
    try:
        found = translate.answer(theirs.name, ours.name, orjson.loads(body), asked.model, asked.body)
    except (translate.Untranslatable, orjson.JSONDecodeError):
        raise UpstreamError("upstream.garbage", sent=True) from None
    return orjson.dumps(found)


def error(theirs: Dialect, ours: Dialect, status: int, body: bytes, request_id: str) -> bytes:
    """A provider's error, in the shape that our client expects."""
    return translate.error(theirs.name, ours.name, status, body, request_id)


def stream(theirs: Dialect, ours: Dialect, asked: Asked) -> Changer:
    """A stream's translator."""
    return translate.StreamTranslator(theirs.name, ours.name, asked.model, asked.body)


def _other(dialect: Dialect) -> tuple[str, Dialect]:
    path = PATHS.get(dialect.name)
    found = table.of("POST", path) if path else None
    if path is None or found is None:
        raise Refusal(_no_such_endpoint(dialect.name))
    return path, found


def _no_such_endpoint(name: str) -> Problem:
    message = NO_COUNTERPART.get(name) or (
        f"This model's provider speaks another protocol, which has nothing for {name}: ask for a model of a provider that speaks this one."
    )
    return Problem(400, "bad_request", "gateway.untranslatable", message)


def _untranslatable(field: str, why: str) -> Problem:
    reason = f" ({why})" if why else ""
    message = f"This target speaks another protocol, in which {field} cannot be said{reason}. Leave it out, or use a model of the same provider."
    return Problem(400, "bad_request", "gateway.untranslatable", message)
