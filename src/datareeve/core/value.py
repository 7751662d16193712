"""Values: frozen, strict about their fields, with one canonical JSON form that fingerprints and hash chains rest on."""

from __future__ import annotations

import hashlib
import json

from pydantic import VERSION, BaseModel, ConfigDict

# A model's schema is made when the model is first used, not when its module is loaded: a command uses few of some hundreds of models.
# Before pydantic 2.14 two threads that used a model first could meet it half made.
WHEN_USED = tuple(map(int, VERSION.split(".")[:2])) >= (2, 14)


class Value(BaseModel):
    """A frozen value; an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=WHEN_USED)


def canonical(value: object) -> str:
    """`value` as canonical JSON: sorted keys, no spaces, ASCII only. Equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=_jsonable)


def fingerprint(value: object) -> str:
    """The SHA-256 of the canonical JSON of `value`, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def _jsonable(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)
