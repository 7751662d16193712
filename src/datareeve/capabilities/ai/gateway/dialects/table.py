"""Which dialect an endpoint speaks. Paths come with or without /v1, as base URLs do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from datareeve.capabilities.ai.gateway.dialects.batches import Creation, FileBatch, Results, Upload
from datareeve.capabilities.ai.gateway.dialects.chat import Chat, Completions
from datareeve.capabilities.ai.gateway.dialects.embeddings import Embeddings
from datareeve.capabilities.ai.gateway.dialects.form import Form
from datareeve.capabilities.ai.gateway.dialects.messages import CountTokens, Messages
from datareeve.capabilities.ai.gateway.dialects.passing import (
    AN_IMAGE,
    Conversation,
    KeptAnswer,
    Made,
    Models,
    Passing,
)
from datareeve.capabilities.ai.gateway.dialects.responses import Compact, InputTokens, Responses

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datareeve.capabilities.ai.gateway.dialects import Dialect

_ID: Final = r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,199}"
_MODEL: Final = rf"{_ID}(?:[/@]{_ID}){{0,4}}"

_CHAT, _MESSAGES = Chat(), Messages()
_MODELS = Models("models", "openai")
_STORED, _FILES, _BATCHES = (
    KeptAnswer("stored", "openai"),
    Passing("files", "openai"),
    Passing("batches", "openai"),
)
_THEIR_BATCHES = Passing("message-batches", "anthropic")
_CONVERSATION, _CONVERSATIONS = Conversation("conversations", "openai"), Passing("conversations", "openai")

_EXACT: Final[Mapping[tuple[str, str], object]] = {
    ("POST", "/chat/completions"): _CHAT,
    ("POST", "/completions"): Completions(),
    ("POST", "/responses"): Responses(),
    ("POST", "/responses/compact"): Compact(),
    ("POST", "/responses/input_tokens"): InputTokens(),
    ("POST", "/conversations"): _CONVERSATION,
    ("POST", "/embeddings"): Embeddings(),
    ("POST", "/messages"): _MESSAGES,
    ("POST", "/messages/count_tokens"): CountTokens(),
    ("POST", "/messages/batches"): Creation(),
    ("GET", "/messages/batches"): _THEIR_BATCHES,
    ("POST", "/batches"): FileBatch(),
    ("GET", "/batches"): _BATCHES,
    ("POST", "/files"): Upload(),
    ("GET", "/files"): _FILES,
    ("GET", "/models"): _MODELS,
    ("POST", "/moderations"): Made("moderations", free=True),
    ("POST", "/images/generations"): Made("images", most_each=AN_IMAGE),
    ("POST", "/images/edits"): Form("images", most_each=AN_IMAGE),
    ("POST", "/images/variations"): Form("images", most_each=AN_IMAGE),
    ("POST", "/audio/speech"): Made("audio"),
    ("POST", "/audio/transcriptions"): Form("audio"),
    ("POST", "/audio/translations"): Form("audio"),
}
_PATTERNS: Final[tuple[tuple[str, re.Pattern[str], object], ...]] = tuple(
    (methods, re.compile(pattern), dialect)
    for methods, pattern, dialect in (
        ("GET", rf"/models/{_MODEL}", _MODELS),
        ("GET POST DELETE", rf"/chat/completions/{_ID}", _STORED),
        ("GET", rf"/chat/completions/{_ID}/messages", _STORED),
        ("GET DELETE", rf"/responses/{_ID}", _STORED),
        ("POST", rf"/responses/{_ID}/cancel", _STORED),
        ("GET", rf"/responses/{_ID}/input_items", _STORED),
        ("POST", rf"/conversations/{_ID}(?:/items)?", _CONVERSATION),
        ("GET DELETE", rf"/conversations/{_ID}(?:/items/{_ID})?", _CONVERSATIONS),
        ("GET", rf"/conversations/{_ID}/items", _CONVERSATIONS),
        ("GET DELETE", rf"/messages/batches/{_ID}", _THEIR_BATCHES),
        ("POST", rf"/messages/batches/{_ID}/cancel", _THEIR_BATCHES),
        ("GET", rf"/messages/batches/{_ID}/results", Results("message-batch-results", "anthropic")),
        ("GET", rf"/batches/{_ID}", _BATCHES),
        ("POST", rf"/batches/{_ID}/cancel", _BATCHES),
        ("GET DELETE", rf"/files/{_ID}", _FILES),
        ("GET", rf"/files/{_ID}/content", Results("file-content", "openai")),
    )
)


def of(method: str, path: str) -> Dialect | None:
    """The dialect of a request; None for what is not served. A query (`?beta=true`) may follow the path."""
    path = _bare(path)
    found = _EXACT.get((method, path))
    if found is None:
        for methods, pattern, dialect in _PATTERNS:
            if method in methods.split() and pattern.fullmatch(path):
                found = dialect
                break
    return cast("Dialect | None", found)


def shape_of(path: str) -> Dialect:
    """The dialect in whose shape errors of a path are told, whether or not it is served."""
    shape = _MESSAGES if _bare(path).startswith("/messages") else _CHAT
    return cast("Dialect", shape)


def _bare(path: str) -> str:
    return path.partition("?")[0].removeprefix("/v1")
