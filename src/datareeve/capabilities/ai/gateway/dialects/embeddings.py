"""Embeddings: many numbers, of which only the usage at their end is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from datareeve.capabilities.ai.gateway.dialects import Asked, estimate, fields
from datareeve.capabilities.ai.gateway.dialects.base import Speech
from datareeve.capabilities.ai.gateway.dialects.passing import PlainScanner
from datareeve.capabilities.ai.gateway.dialects.reported import openai_tokens
from datareeve.capabilities.ai.gateway.sse import USAGE

if TYPE_CHECKING:
    from datareeve.capabilities.ai.gateway.usage import Tokens


class Embeddings(Speech):
    """/v1/embeddings."""

    name = "embeddings"
    no_output = True

    def asked(self, raw: bytes, body: dict[str, Any]) -> Asked:
        """Read a request."""
        fields.unambiguous(raw, body)
        tokens = estimate.of_inputs(body.get("input"))
        return Asked(raw, body, fields.model(body), input_estimate=tokens, max_output=0, deterministic=True)

    def tokens(self, answer: bytes) -> Tokens | None:
        """From the last `usage` in it: nothing but figures stands in an answer, so that no client can have written it."""
        found = USAGE.search(answer, max(0, answer.rfind(b'"usage"')))
        try:
            usage = orjson.loads(found[1]) if found else None
        except orjson.JSONDecodeError:
            return None
        return openai_tokens(usage) if type(usage) is dict else None

    def scanner(self, asked: Asked) -> PlainScanner:
        """It never streams."""
        del asked
        return PlainScanner()
