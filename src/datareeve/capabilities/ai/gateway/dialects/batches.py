"""Batches: what they ask for is read when they are made, what they used when their results are read, at half the price.

Anthropic's carry their requests; OpenAI's lie in a file of lines that is uploaded first. All requests of a batch ask for one model, so that
it can be scoped, routed and reserved like one request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from datareeve.capabilities.ai.gateway import large, splice
from datareeve.capabilities.ai.gateway.dialects import Asked, fields, form, messages, references
from datareeve.capabilities.ai.gateway.dialects.base import Speech, parsed, text_of
from datareeve.capabilities.ai.gateway.dialects.chat import Chat, Completions
from datareeve.capabilities.ai.gateway.dialects.embeddings import Embeddings
from datareeve.capabilities.ai.gateway.dialects.passing import Passing, PlainScanner
from datareeve.capabilities.ai.gateway.dialects.reported import anthropic_tokens, openai_tokens
from datareeve.capabilities.ai.gateway.dialects.responses import Responses
from datareeve.capabilities.ai.gateway.usage import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_LINES: Final[Mapping[str, Speech]] = {
    "/v1/chat/completions": Chat(),
    "/v1/completions": Completions(),
    "/v1/responses": Responses(),
    "/v1/embeddings": Embeddings(),
}


class Creation(Speech):
    """POST /v1/messages/batches."""

    name = "message-batches"
    protocol = "anthropic"
    free = True  # until its results are read

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Read all its requests."""
        fields.unambiguous(raw, body)
        requests = body.get("requests")
        if type(requests) is not list or not requests:
            raise fields.refusal("gateway.bad-field", "requests must be a list that is not empty.")
        params = [_object(_object(request).get("params")) for request in requests]
        for part in (*requests, *params):
            fields.plainly_named(part)
        if not splice.plain(raw, body):
            for span, part in zip(_params(raw), params, strict=True):
                fields.unambiguous(raw[slice(*span)], part)
        return _summed(raw, body, (messages.asked_of(b"", part) for part in params))

    def outgoing(self, asked: Asked, model: str) -> bytes:
        """The batch with another model in each request."""
        if model == asked.model:
            return asked.raw
        raw = asked.raw
        if orjson.dumps(asked.body) == raw:
            requests = [
                {**one, "params": {**one["params"], "model": model}} for one in asked.body["requests"]
            ]
            return orjson.dumps({**asked.body, "requests": requests})
        name = orjson.dumps(model)
        spans = (splice.top_level_span(raw, start, "model") for start, _ in _params(raw))
        return splice.put(raw, ((start, end, name) for start, end in spans))

    def tokens(self, answer: bytes) -> Tokens | None:
        """None yet."""
        del answer
        return Tokens()

    def scanner(self, asked: Asked) -> PlainScanner:
        """It never streams."""
        del asked
        return PlainScanner()


def _params(raw: bytes) -> Iterator[tuple[int, int]]:
    """The span of each request's `params`. Errors: `Refusal` where one has none, or two."""
    start, _ = splice.top_level(raw, "requests")[0]
    for request, _ in splice.elements(raw, start):
        if raw[request : request + 1] != b"{":
            raise _not_an_object()
        found = [(s, e) for key, s, e in splice.members(raw, request) if key == "params"]
        if len(found) != 1 or raw[found[0][0] : found[0][0] + 1] != b"{":
            raise _not_an_object()
        yield found[0]


def _object(value: object) -> dict[str, Any]:
    if type(value) is not dict:
        raise _not_an_object()
    return value


def _not_an_object() -> Exception:
    return fields.refusal(
        "gateway.bad-field", "Each request of a batch must be an object with its parameters, once."
    )


def _summed(raw: bytes, body: dict[str, Any], each: Iterable[Asked]) -> Asked:
    """A batch as one request. Errors: `Refusal` where its requests name several models, or stream."""
    whole = Asked(raw, body, "", max_output=0, batch=True, answers=0)
    for one in each:
        whole.answers += 1
        if one.stream:
            raise fields.refusal("gateway.bad-field", "A request of a batch cannot stream. Leave stream out.")
        if whole.model not in ("", one.model):
            raise fields.refusal(
                "gateway.batch-models", "The batch asks for several models. Make a batch for each model."
            )
        whole.model = one.model
        whole.input_estimate += one.input_estimate
        if whole.max_output is not None:
            whole.max_output = None if one.max_output is None else whole.max_output + one.max_output
    return whole


class Upload(Passing):
    """POST /v1/files: a file for a batch is read line by line, any other passes."""

    def __init__(self) -> None:
        super().__init__("files", "openai")

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Read the form; `body` may hold its `content-type`."""
        found = list(form.parts(raw, str(body.get("content-type", ""))))
        if any(part.name == "purpose" and part.is_file for part in found):
            raise fields.refusal("gateway.form", "purpose is sent as a file. Send it as a field of the form.")
        purpose = form.plain(raw, found).get("purpose", "").strip().casefold()
        if not purpose.startswith("batch"):  # some providers call it batch-api
            return Asked(raw, body, "")
        lines = (raw[slice(*line)] for part in found if part.name == "file" for line in _lines(raw, part))
        named: set[references.Named] = set()
        whole = _summed(raw, body, (_named(_read(line), named) for line in lines))
        whole.named = tuple(sorted(named))
        return whole

    def outgoing(self, asked: Asked, model: str) -> bytes:
        """The file with another model in each line."""
        if model == asked.model or not asked.model:
            return asked.raw
        raw = asked.raw
        found = form.parts(raw, str(asked.body.get("content-type", "")))
        spans = (line for part in found if part.name == "file" for line in _lines(raw, part))
        return splice.put(raw, ((start, end, _renamed(raw[start:end], model)) for start, end in spans))


def _lines(raw: bytes, part: form.Part) -> Iterator[tuple[int, int]]:
    """The spans of a file's lines that are not empty."""
    start = part.start
    while start < part.end:
        end = raw.find(b"\n", start, part.end)
        end = part.end if end < 0 else end
        if raw[start:end].strip():
            yield start, end
        start = end + 1


def _read(line: bytes) -> tuple[Speech, Asked]:
    """A line of a batch's file, as the request that it is."""
    large.bounded(line)
    request = parsed(line)
    speech = _LINES.get(str(request.get("url")))
    body = request.get("body")
    if speech is None or type(body) is not dict:
        raise fields.refusal(
            "gateway.batch-line",
            "A line of the file is no request: it has no object `body`, or a `url` that batches do not take.",
        )
    fields.unambiguous(line, request)
    return speech, speech.asked(line[slice(*splice.top_level(line, "body")[0])], body)


def _named(read: tuple[Speech, Asked], named: set[references.Named]) -> Asked:
    """A line's request; what it names of what a provider keeps is added. Errors: `Refusal` where all lines together name too much."""
    speech, asked = read
    named.update(references.of(asked, speech))
    if len(named) > references.MOST:
        raise fields.refusal(
            "gateway.too-many-names",
            f"The file names more than {references.MOST:,} files or the like. Name fewer.",
        )
    return asked


def _renamed(line: bytes, model: str) -> bytes:
    speech, asked = _read(line)
    return splice.replaced(line, "body", speech.outgoing(asked, model))


class FileBatch(Passing):
    """POST /v1/batches: of a file that was uploaded for it, whose requests were read then."""

    reads_json = True

    def __init__(self) -> None:
        super().__init__("batches", "openai")

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Read which file it is of. Errors: `Refusal` where it names none, or may be read in two ways."""
        fields.unambiguous(raw, body)
        if not text_of(body, "input_file_id"):
            raise fields.refusal(
                "gateway.bad-field", "input_file_id must name the file of the batch's requests."
            )
        return Asked(raw, body, "", batch=True)


class Results(Passing):
    """Results of a batch, line by line. One batch may be read many times: who counts it must do so once."""

    free = False

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Nothing is asked; what comes back is at the price of batches."""
        return Asked(raw, body, "", batch=True)

    def tokens(self, answer: bytes) -> Tokens | None:
        """Known when they are read by model."""
        del answer
        return Tokens()

    def by_model(self, answer: bytes) -> dict[str, Tokens]:
        """What its answers used, by the model that gave them. A file that holds no results used nothing."""
        total: dict[str, Tokens] = {}
        for line in answer.splitlines():
            if b'"usage"' in line:
                found = _answered(parsed(line))
                usage = found.get("usage")
                tokens = _TOKENS[self.protocol](usage) if type(usage) is dict else None
                if tokens is not None:
                    _add(total.setdefault(str(found.get("model", "")), Tokens()), tokens)
        return total


def summed(each: Iterable[Tokens]) -> Tokens:
    """All of them together."""
    total = Tokens()
    for tokens in each:
        _add(total, tokens)
    return total


_TOKENS: Final = {"openai": openai_tokens, "anthropic": anthropic_tokens}


def _answered(line: dict[str, Any]) -> dict[str, Any]:
    """The answer within a line of results: `response.body` (OpenAI), `result.message` (Anthropic)."""
    for outer, inner in (("response", "body"), ("result", "message")):
        found = line.get(outer)
        answer = found.get(inner) if type(found) is dict else None
        if type(answer) is dict:
            return answer
    return {}


def _add(total: Tokens, tokens: Tokens) -> None:
    for name in Tokens.__slots__:
        setattr(total, name, getattr(total, name) + getattr(tokens, name))
