"""What a request means, apart from how it is written and delivered: equal meanings are equal bytes, to be digested."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final

import orjson

from datareeve.capabilities.ai.gateway import splice
from datareeve.capabilities.ai.gateway.dialects.chat import INSTRUCTIONS

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.dialects import Asked

# how it is delivered, by whom it is asked, how it is stored and billed: not what is asked
DELIVERY: Final = frozenset(
    """stream stream_options stream_format user user_profile_id metadata safety_identifier prompt_cache_key prompt_cache_retention
    prompt_cache_options service_tier store diagnostics""".split()
)


def meaning(asked: Asked) -> bytes:
    """A request's meaning: its JSON with keys in order, without `DELIVERY`.

    A key that stands twice at any depth is read by some upstreams as the first, by others as the last. Such a request means nothing but
    itself: its own bytes are added, so that it never shares an answer with a request that is plain. A large request is what its bytes are.
    """
    body = asked.body
    if len(asked.raw) > splice.LARGE:
        return hashlib.sha256(asked.raw).digest()
    plain = {name: value for name, value in body.items() if name not in DELIVERY}
    canonical = orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    return canonical if is_plain(asked.raw, body) else canonical + asked.raw


def is_plain(raw: bytes, body: dict[str, Any]) -> bool:
    """Whether no key stands twice in one object of `raw`, whose parsed form is `body`."""
    return splice.plain(raw, body) or _plain(raw)


def prefix(asked: Asked) -> bytes:
    """What providers' prompt caches may keep of a request: its tools and instructions, in their own order; nothing where it has none."""
    body = asked.body
    tools = body.get("tools") or body.get("functions")
    head = body.get("system") or body.get("instructions") or _instructions(body.get("messages"))
    return orjson.dumps([tools, head]) if tools or head else b""


def _instructions(messages: object) -> list[Any]:
    if type(messages) is not list:
        return []
    found = []
    for message in messages:
        if type(message) is not dict or str(message.get("role")) not in INSTRUCTIONS:
            break
        found.append(message)
    return found


class _Repeated(Exception):
    pass


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _Repeated


def _plain(raw: bytes) -> bool:
    """Whether no key stands twice in one object."""
    try:
        json.loads(raw, object_pairs_hook=_once)
    except (_Repeated, ValueError, RecursionError):
        return False
    return True
