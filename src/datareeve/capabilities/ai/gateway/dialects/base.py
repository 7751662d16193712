"""What all dialects of one provider have in common."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, Literal

import orjson

from datareeve.capabilities.ai.gateway import splice
from datareeve.capabilities.ai.gateway.dialects import Asked, errors, fields
from datareeve.capabilities.ai.gateway.dialects.reported import anthropic_tokens, openai_tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.ai.gateway.dialects import Problem, StreamScanner
    from datareeve.capabilities.ai.gateway.usage import Tokens


_ID: Final = re.compile(rb'\s*\{\s*"id"\s*:\s*"([A-Za-z0-9_.:-]{1,200})"')
_ERROR: Final = re.compile(rb'"error"\s*:\s*["{]')
_CONTENTS: Final = ("choices", "content", "output", "data")


class Speech:
    """A dialect's defaults: a JSON request that names a model, an answer that says what it used."""

    name = ""
    protocol: Literal["openai", "anthropic"] = "openai"
    reads_json = True  # the body is a JSON object; else it is nothing or a form
    no_output = False  # what it gives back is not counted in tokens
    free = False  # nothing is charged for it
    local: Callable[[str, list[str], str], tuple[int, bytes]] | None = None  # answered by the gateway itself

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Read a request."""
        fields.unambiguous(raw, body)
        return Asked(raw, body, fields.model(body), fields.flag(body, "stream"))

    def outgoing(self, asked: Asked, model: str) -> bytes:
        """The body for that model."""
        if model == asked.model or not asked.model:
            return asked.raw
        return splice.changed(asked.raw, asked.body, {"model": model})

    def tokens(self, answer: bytes) -> Tokens | None:
        """What a whole answer used."""
        found = parsed(answer)
        usage = found.get("usage")
        if type(usage) is not dict:
            return None
        return openai_tokens(usage) if self.protocol == "openai" else anthropic_tokens(usage)

    def failed(self, answer: bytes) -> str:
        """The type of the error that an answer of status 200 is instead of one, as some routers send it; '' where it is none."""
        if _ERROR.search(answer) is None:
            return ""
        found = parsed(answer)
        if not found.get("error") or any(name in found for name in _CONTENTS):
            return ""
        return error_kind(found["error"])

    def kept(self, asked: Asked) -> bool:
        """Not as a rule."""
        del asked
        return False

    def scanner(self, asked: Asked) -> StreamScanner:
        """A scanner for one stream."""
        raise NotImplementedError

    def error(self, problem: Problem, request_id: str) -> bytes:
        """An error's body."""
        if self.protocol == "anthropic":
            return errors.anthropic_error(problem, request_id)
        return errors.openai_error(problem)

    def stream_error(self, problem: Problem, request_id: str) -> bytes:
        """What ends a broken stream."""
        if self.protocol == "anthropic":
            return errors.anthropic_stream_error(problem, request_id)
        return errors.openai_stream_error(problem)


def error_kind(error: object) -> str:
    """What kind of error it is, in the provider's words: its type, else its code; 'error' where it says neither."""
    if type(error) is dict:
        for name in ("type", "code"):
            if type(error.get(name)) is str and error[name]:
                return str(error[name])[:64]
    return "error"


def id_of(answer: bytes) -> str:
    """An answer's own id, which mostly stands first in it; '' where it has none."""
    first = _ID.match(answer)
    return first[1].decode() if first is not None else text_of(parsed(answer), "id")


def text_of(body: dict[str, Any], name: str) -> str:
    """A field that is a text; '' where it is none."""
    found = body.get(name)
    return found if type(found) is str else ""


def parsed(data: bytes) -> dict[str, Any]:
    """A JSON object; an empty one where it is none."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return found if type(found) is dict else {}
