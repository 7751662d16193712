"""Redaction of JSON: what tells a person goes, and what is left is JSON still."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from datareeve.systems.keyed import MOST_ROUNDS

if TYPE_CHECKING:
    from datareeve.systems.keyed import Finder, Span

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?')
OPENS = ("{", "[")


def redacted_json(finder: Finder, text: str, mark: str) -> str | None:
    """The document with a mark in place of each trace, all else as it stands; None where it is no JSON object or list.

    Within a string the trace alone goes; a number that is one, or a value that is told by its key, becomes the mark as a whole.
    """
    if not _is_document(text):
        return None
    ending = text[len(text.rstrip()) :]
    for _ in range(MOST_ROUNDS):
        text = TOKEN.sub(lambda token: _string(finder, token[0], mark), text)
        spans = finder.spans(text)
        if not spans:
            break
        text = _across(text, spans, mark)
    return text if _is_document(text) and not finder.is_in(text) else json.dumps([mark]) + ending


def _is_document(text: str) -> bool:
    if not text.lstrip().startswith(OPENS):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _string(finder: Finder, token: str, mark: str) -> str:
    """A string whose own content tells the person, without that; any other token as it is."""
    if not token.startswith('"'):
        return token
    said = json.loads(token)
    if not finder.is_in(said):
        return token
    return _quoted(redacted_json(finder, said, mark) or finder.redacted(said, mark))


def _quoted(said: str) -> str:
    """A string of JSON; half a pair of surrogates stays an escape, since no encoding writes it."""
    plain = json.dumps(said, ensure_ascii=False)
    try:
        plain.encode("utf-8", errors="surrogateescape")
    except UnicodeEncodeError:
        return json.dumps(said)
    return plain


def _across(text: str, spans: list[Span], mark: str) -> str:
    """What tells the person only beside its key, or is a number: the whole value."""
    found = [token for token in TOKEN.finditer(text) if any(span.start < token.end() and token.start() < span.end for span in spans)]  # fmt: skip
    for token in reversed(found):
        text = f"{text[: token.start()]}{json.dumps(mark)}{text[token.end() :]}"
    return text
