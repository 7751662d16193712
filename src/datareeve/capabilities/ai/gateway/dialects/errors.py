"""Errors in the shape of each provider, so that the official SDKs raise the class that an application already handles.

OpenAI: https://platform.openai.com/docs/guides/error-codes. Anthropic: https://docs.anthropic.com/en/api/errors. Our own stable code stands
in `error.code` and in `error.details.error_code`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datareeve.capabilities.ai.gateway.dialects import Problem

_OPENAI: Final[Mapping[str, str]] = {
    "bad_request": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "too_large": "invalid_request_error",
    "rate_limit": "rate_limit_error",
    "budget": "insufficient_quota",
    "overloaded": "service_unavailable_error",
    "timeout": "timeout_error",
    "upstream": "upstream_error",
    "internal": "server_error",
}
_ANTHROPIC: Final[Mapping[str, str]] = {
    "bad_request": "invalid_request_error",
    "authentication": "authentication_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "budget": "billing_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "upstream": "api_error",
    "internal": "api_error",
}
# A client may hold half an event when a stream breaks: the blank line ends it, and is nothing where there is none.
_BREAK: Final = b"\n\n"


def _openai(problem: Problem) -> dict[str, Any]:
    return {"message": problem.message, "type": _OPENAI[problem.kind], "param": None, "code": problem.code}


def _anthropic(problem: Problem) -> dict[str, Any]:
    return {
        "type": _ANTHROPIC[problem.kind],
        "message": problem.message,
        "details": {"error_code": problem.code},
    }


def openai_error(problem: Problem) -> bytes:
    """`{"error": {message, type, param, code}}`."""
    return orjson.dumps({"error": _openai(problem)})


def anthropic_error(problem: Problem, request_id: str) -> bytes:
    """`{"type": "error", "error": {type, message, details}, "request_id"}`."""
    return orjson.dumps({"type": "error", "error": _anthropic(problem), "request_id": request_id})


def either_error(problem: Problem, request_id: str) -> bytes:
    """Both shapes in one, for the paths that both providers have."""
    both = {**_openai(problem), "details": {"error_code": problem.code}}
    return orjson.dumps({"type": "error", "error": both, "request_id": request_id})


def openai_stream_error(problem: Problem) -> bytes:
    """What ends a stream of chunks: an event with `error`, and no `[DONE]`. The SDK raises `APIError` on it."""
    return _BREAK + b"data: " + openai_error(problem) + b"\n\n"


def responses_stream_error(problem: Problem) -> bytes:
    """The Responses API's `error` event; `error` within it is what the SDK raises on."""
    error = _openai(problem)
    event = {
        "type": "error",
        "sequence_number": 0,
        **{k: error[k] for k in ("code", "message", "param")},
        "error": error,
    }
    return _BREAK + b"event: error\ndata: " + orjson.dumps(event) + b"\n\n"


def anthropic_stream_error(problem: Problem, request_id: str) -> bytes:
    """`event: error`. The SDK raises `APIStatusError` on it."""
    return _BREAK + b"event: error\ndata: " + anthropic_error(problem, request_id) + b"\n\n"
