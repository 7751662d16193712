"""The few fields of a request that decide what is scoped, counted and priced: read strictly, because two readers must not read two things.

Upstreams differ: some take the first of two equal keys, some the last, some ignore case (Go), some turn "true" and "5" into what they look
like. What is ambiguous is refused by the field's name; all other fields are the provider's to judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from datareeve.capabilities.ai.gateway import splice
from datareeve.capabilities.ai.gateway.dialects import Problem, Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_TOKENS: Final = 2**31 - 1  # no model has more; beyond it is a mistake or an attack
GUARDED: Final = frozenset(
    """model models fallbacks stream stream_options n best_of max_tokens max_completion_tokens max_output_tokens messages input prompt
    instructions system tools temperature requests params body url thinking input_file_id endpoint background include_usage purpose store
    previous_response_id conversation""".split()
)
ELSEWHERE: Final = frozenset(
    ("models", "fallbacks")
)  # routers' lists of further models: routes are the estate's
ORDINARY: Final = (GUARDED - ELSEWHERE) | frozenset(
    """audio cache_control completion_window container context_management custom_id diagnostics dimensions echo encoding_format
    extra_body frequency_penalty function_call functions include inference_geo logit_bias logprobs max_tool_calls mcp_servers metadata
    modalities moderation output_config parallel_tool_calls prediction presence_penalty prompt_cache_key
    prompt_cache_options prompt_cache_retention reasoning reasoning_effort response_format safety_identifier seed service_tier speed stop
    stop_sequences suffix text tool_choice top_k top_logprobs top_p truncation user user_profile_id verbosity voice
    web_search_options""".split()
)


def refusal(code: str, message: str) -> Refusal:
    """A request that is wrong in itself."""
    return Refusal(Problem(400, "bad_request", code, message))


def unambiguous(raw: bytes, body: Mapping[str, Any]) -> None:
    """That every reader reads the same top-level keys. Errors: `Refusal` naming the one that stands twice, or is written oddly."""
    plainly_named(body)
    try:
        twice = splice.repeated(raw, body)
    except orjson.JSONEncodeError:  # read to a depth of 1,024, written to one of 254
        raise refusal(
            "gateway.too-deep", "The body is nested too deep. No provider takes more than 254 levels."
        ) from None
    if twice is not None:
        told = twice if twice in ORDINARY else "a key"
        raise refusal("gateway.repeated-field", f"The body has {told} more than once. Give each key once.")


def unambiguous_within(raw: bytes, body: Mapping[str, Any], name: str) -> None:
    """The same of the object that stands once under a top-level key, if one does. Errors: `Refusal`."""
    value = body.get(name)
    if type(value) is dict and value:
        start, end = splice.span(raw, name)
        unambiguous(raw[start:end], value)


def plainly_named(body: Mapping[str, Any]) -> None:
    """That no key is one that decides in disguise. Errors: `Refusal`."""
    if not body.keys() <= ORDINARY:
        for name in body.keys() - ORDINARY:
            not_disguised(name)


def not_disguised(name: str) -> None:
    """That a key is not one that decides, written so that only some readers take it for that. Errors: `Refusal`."""
    plain = name.replace("\0", "").strip().casefold()
    if name in ELSEWHERE:
        raise refusal(
            "gateway.foreign-route",
            f"{name}: the gateway chooses among models. Give one model, and leave the rest to its route.",
        )
    if plain in GUARDED and plain != name:
        raise refusal(
            "gateway.odd-field", f"A key is written like {plain}, but not exactly so. Write it as {plain}."
        )


def model(body: Mapping[str, Any]) -> str:
    """The model's name. Errors: `Refusal` where there is none."""
    name = body.get("model")
    if type(name) is not str or not name:
        raise refusal(
            "gateway.no-model",
            "model is missing, or not a string. Name one; GET /v1/models lists those you may use.",
        )
    if len(name) > 256 or not name.isprintable():  # noqa: PLR2004 - no provider's name is longer
        raise refusal(
            "gateway.no-model", "model is no model's name: it is too long, or holds signs that none has."
        )
    return name


def flag(body: Mapping[str, Any], name: str) -> bool:
    """A boolean; absent and null are false. Errors: `Refusal`."""
    value = body.get(name)
    if value is None or type(value) is bool:
        return value is True
    raise refusal("gateway.bad-field", f"{name} must be true or false.")


def count(body: Mapping[str, Any], name: str) -> int | None:
    """A number of tokens or answers, from 0; None where it is absent or null. Errors: `Refusal`."""
    value = body.get(name)
    if value is None:
        return None
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or not 0 <= value <= MOST_TOKENS:
        raise refusal("gateway.bad-field", f"{name} must be a whole number from 0 to {MOST_TOKENS}.")
    return value


def deterministic(body: Mapping[str, Any]) -> bool:
    """Whether the same question is to have the same answer."""
    temperature = body.get("temperature")
    return temperature == 0 and temperature is not False


def record(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object; absent and null are empty. Errors: `Refusal`."""
    value = body.get(name)
    if value is None:
        return {}
    if type(value) is dict:
        return value
    raise refusal("gateway.bad-field", f"{name} must be an object.")
