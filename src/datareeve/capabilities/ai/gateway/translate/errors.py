"""What went wrong, as each protocol says it: by Anthropic's types (docs: "Errors") and OpenAI's types and codes (docs: "Error codes")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import orjson


@dataclass(frozen=True, slots=True)
class Said:
    """An error, under Anthropic's name of its type. `code`: OpenAI's `code`, Anthropic's `details.error_code`; '' where there is none."""

    kind: str
    message: str
    code: str = ""


_BY_STATUS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    422: "invalid_request_error",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_KINDS = {*_BY_STATUS.values(), "api_error"}
_BY_CODE = {
    "invalid_api_key": "authentication_error",
    "insufficient_quota": "billing_error",
    "model_not_found": "not_found_error",
    "rate_limit_exceeded": "rate_limit_error",
}
_OPENAI = {  # type and code; types that are not here are the same
    "authentication_error": ("authentication_error", "invalid_api_key"),
    "billing_error": ("insufficient_quota", "insufficient_quota"),
    "request_too_large": ("invalid_request_error", None),
    "rate_limit_error": ("rate_limit_error", "rate_limit_exceeded"),
    "overloaded_error": ("service_unavailable_error", None),
    "api_error": ("server_error", None),
}
_BY_TYPE = {
    "upstream_error": "api_error",
    "service_unavailable_error": "overloaded_error",
    "insufficient_quota": "billing_error",
    "tokens": "rate_limit_error",
    "requests": "rate_limit_error",
}
GARBAGE = Said(
    "api_error", "the provider sent something that is no event of its protocol: the answer ends here"
)


def read(body: Any, status: int | None = None) -> Said:
    """An error's body, of either protocol, or of none (a proxy's page)."""
    error = body.get("error") if type(body) is dict else None
    if type(error) is str:
        error = {"message": error}  # some compatible servers
    if type(error) is not dict:
        error = body if type(body) is dict and type(body.get("message")) is str else {}  # others
    message = error.get("message")
    if type(message) is not str or not message:
        message = (
            "the provider answered with an error"
            + (f", status {status}," if status else "")
            + " without saying which"
        )
    details = error.get("details")
    code = details.get("error_code") if type(details) is dict else error.get("code")
    code = code if type(code) is str else ""
    return Said(_kind(error.get("type"), code, status), message, code)


def _kind(kind: Any, code: str, status: int | None) -> str:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if type(kind) is str and kind in _BY_TYPE:
        return _BY_TYPE[kind]
    by_status = _BY_STATUS.get(status or 0)
    if type(kind) is str and kind in _KINDS and (by_status is None or kind != "invalid_request_error"):
        return kind
    return by_status or ("api_error" if status is None or status >= 500 else "invalid_request_error")  # noqa: PLR2004


def write(said: Said, to: Literal["openai", "anthropic"], request_id: str | None = None) -> dict[str, Any]:
    """The error's body in that protocol. OpenAI's code is Anthropic's `details.error_code`."""
    if to == "openai":
        kind, code = _OPENAI.get(said.kind, (said.kind, None))
        return {"error": {"message": said.message, "type": kind, "param": None, "code": said.code or code}}
    error: dict[str, Any] = {"type": said.kind, "message": said.message}
    if said.code:
        error["details"] = {"error_code": said.code}
    return {"type": "error", "error": error, "request_id": request_id}


def translated(
    body: bytes, to: Literal["openai", "anthropic"], status: int, request_id: str | None = None
) -> bytes:
    """An error's bytes in the other protocol, whatever they are."""
    try:
        held = orjson.loads(body)
    except ValueError:
        held = None
    return orjson.dumps(write(read(held, status), to, request_id))
