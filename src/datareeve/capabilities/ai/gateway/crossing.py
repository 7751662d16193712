"""Crossing from one provider's protocol to the other's: which dialect stands for which, and translation at the wire's edge.

A request that cannot be said in the other protocol is refused by the name of its field; nothing is dropped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from datareeve.capabilities.ai.gateway import translate
from datareeve.capabilities.ai.gateway.dialects import Dialect, Problem, Refusal, table

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.dialects import Asked
    from datareeve.capabilities.ai.gateway.relay import Changer

PATHS = {"chat": "/v1/messages", "responses": "/v1/messages", "messages": "/v1/chat/completions"}


def counterpart(dialect: Dialect) -> Dialect:
    """The other protocol's dialect for the same work. Errors: `Refusal` where it has none."""
    return _other(dialect)[1]


def request(dialect: Dialect, asked: Asked, model: str) -> tuple[str, bytes]:
    """Path and body of a request in the other protocol. Errors: `Refusal` naming what cannot be translated."""
    path, other = _other(dialect)
    try:
        body = translate.request(dialect.name, other.name, asked.body, model)
    except translate.Untranslatable as error:
        raise Refusal(_untranslatable(error.field)) from None
    return path, orjson.dumps(body)


def answer(theirs: Dialect, ours: Dialect, body: bytes, model: str) -> bytes:
    """A whole answer, as our client expects it."""
    return orjson.dumps(translate.answer(theirs.name, ours.name, orjson.loads(body), model))


def error(theirs: Dialect, ours: Dialect, status: int, body: bytes) -> bytes:
    """A provider's error, in the shape that our client expects."""
    return translate.error(theirs.name, ours.name, status, body)


def stream(theirs: Dialect, ours: Dialect, model: str) -> Changer:
    """A stream's translator."""
    return translate.StreamTranslator(theirs.name, ours.name, model)


def _other(dialect: Dialect) -> tuple[str, Dialect]:
    path = PATHS.get(dialect.name)
    found = table.of("POST", path) if path else None
    if path is None or found is None:
        raise Refusal(_untranslatable(f"the endpoint ({dialect.name})"))
    return path, found


def _untranslatable(field: str) -> Problem:
    message = f"This target speaks another protocol, in which {field} cannot be said. Leave it out, or use a model of the same provider."
    return Problem(400, "bad_request", "gateway.untranslatable", message)
