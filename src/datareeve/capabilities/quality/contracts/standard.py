"""What the standard allows in a contract: its own JSON Schema, as tables of keys and types that mistakes are told by.

A validator of JSON Schema says that something somewhere is not allowed; a person who mistyped a key wants the key, the place and the
nearest one that exists. The newest schema holds all that ODCS 3.0 and 3.1 held.
"""

from __future__ import annotations

import difflib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path as File
from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.core.yaml_text import Path

Schema = dict[str, Any]
# ODCS 3.0 wrote arguments of a rule beside it, as its own text shows: `rule: validValues`, `validValues: [...]`.
OLDER_KEYS = {"quality": frozenset(("validValues", "column"))}
WORDS = {"string": "text", "number": "a number", "integer": "a whole number", "boolean": "true or false", "array": "a list", "object": "keys with values", "null": "nothing"}  # fmt: skip
ALSO = (
    "ac",
    "cp",
    "cf",
    "cs",
    "cv",
    "tm",
    "uq",
)  # the short forms of dimensions, which its text names and its schema does not
OPEN = frozenset(("arguments", "implementation", "value", "examples", "valueExt"))


class Problem(NamedTuple):
    """A mistake, at its path."""

    path: Path
    what: str  # 'has the unknown key "requird"; did you mean "required"?'
    lacks: str = ""  # the key that is missing there


class _Shape(NamedTuple):
    keys: dict[str, tuple[Schema, ...]]
    needed: tuple[str, ...]
    types: frozenset[str]  # none: any
    words: tuple[Any, ...]  # allowed values; none: any
    items: tuple[Schema, ...]


def problems(data: Any) -> Iterator[Problem]:
    """Every key, type and word that the standard does not allow, and every key that it asks for and that is missing."""
    yield from _problems(data, (), (_schema(),))


def nearest(word: str, words: Any) -> str:
    """'; did you mean "required"?', or nothing where none is near."""
    near = difflib.get_close_matches(str(word), [str(one) for one in words], n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else ""


@cache
def _schema() -> Schema:
    found = find_spec("open_data_contract_standard")
    if found is None or found.origin is None:
        raise BadInput(
            "contract.no-standard",
            "The Open Data Contract Standard's schema is not installed.",
            "Install it: pip install 'datareeve[quality]'.",
        )
    schema: Schema = json.loads(File(found.origin).with_name("schema.json").read_text(encoding="utf-8"))
    return schema


def _problems(data: Any, path: Path, schemas: tuple[Schema, ...]) -> Iterator[Problem]:
    shape = _shape_of(schemas)
    wrong = _wrong_type(data, shape)
    if wrong:
        yield Problem(path, wrong)
    elif isinstance(data, dict) and shape.keys:
        yield from _of_keys(data, path, shape)
    elif isinstance(data, list) and shape.items:
        for number, entry in enumerate(data):
            yield from _problems(entry, (*path, number), shape.items)


def _of_keys(data: dict[str, Any], path: Path, shape: _Shape) -> Iterator[Problem]:
    for key in shape.needed:
        if key not in data or (data[key] is None and key not in OPEN):
            yield Problem(path, f'lacks the key "{key}"', key)
    older = OLDER_KEYS.get(str(path[-2]) if len(path) > 1 else "", frozenset())
    for key, value in data.items():
        if key in shape.keys:
            if value is not None and key not in OPEN:
                yield from _problems(value, (*path, key), shape.keys[key])
        elif key not in older:
            yield Problem((*path, key), f"is an unknown key{_belongs(key, path) or nearest(key, shape.keys)}")


def _belongs(key: str, path: Path) -> str:
    inner = {"missingValues", "pattern", "properties", "minLength", "maxLength"}
    return '; write it under "arguments"' if key in inner and "quality" in path else ""


def _wrong_type(data: Any, shape: _Shape) -> str:
    if shape.words and data not in shape.words and not ("accuracy" in shape.words and data in ALSO):
        return f"is none of {', '.join(map(str, shape.words))}{nearest(data, shape.words)}"
    if not shape.types or shape.types & _types(data):
        return ""
    expected = " or ".join(sorted(WORDS[one] for one in shape.types))
    return f"is {WORDS[_own_type(data)]} where {expected} is expected"


def _own_type(data: Any) -> str:
    kinds = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"), (dict, "object"))  # fmt: skip
    return next((name for kind, name in kinds if isinstance(data, kind)), "null")


def _types(data: Any) -> frozenset[str]:
    """What a value may be taken for: an unquoted 1.10 is a text where the standard asks for one."""
    own = _own_type(data)
    wider = {"integer": {"number", "string"}, "number": {"string"}, "boolean": {"string"}}
    return frozenset({own, *wider.get(own, ())})


_known: dict[tuple[int, ...], _Shape] = {}


def _shape_of(schemas: tuple[Schema, ...]) -> _Shape:
    key = tuple(map(id, schemas))  # the schema is loaded once and stays
    if key not in _known:
        _known[key] = _made(schemas)
    return _known[key]


def _made(schemas: tuple[Schema, ...]) -> _Shape:
    leaves = [leaf for schema in schemas for leaf in _leaves(schema)]
    keys: dict[str, tuple[Schema, ...]] = {}
    for leaf in leaves:
        for name, inner in leaf.get("properties", {}).items():
            keys[name] = (*keys.get(name, ()), inner)
    typed = [_typed(leaf) for leaf in leaves if not _combines(leaf)]
    types = frozenset().union(*typed) if typed and all(typed) else frozenset()
    first = schemas[:1]  # what comes with a condition (`then`) is for some of them only
    words = next((tuple(leaf["enum"]) for leaf in first if "enum" in leaf), ())
    items = tuple(leaf["items"] for leaf in leaves if isinstance(leaf.get("items"), dict))
    return _Shape(keys, tuple(_needed(first)), types, words, items)


def _combines(leaf: Schema) -> bool:
    """Whether it only says how others go together."""
    return not {"type", "enum", "properties", "items"} & leaf.keys()


def _typed(leaf: Schema) -> frozenset[str]:
    kind = leaf.get("type") or ("object" if "properties" in leaf else "")
    return frozenset(kind) if isinstance(kind, list) else frozenset((kind,)) if kind else frozenset()


def _needed(schemas: tuple[Schema, ...]) -> Iterator[str]:
    for schema in schemas:
        yield from schema.get("required", ())
        if "$ref" in schema:
            yield from _needed((_resolved(schema["$ref"]),))


def _leaves(schema: Schema) -> Iterator[Schema]:
    """A schema and all that it is made of, whichever of several it may be."""
    yield schema
    if "$ref" in schema:
        yield from _leaves(_resolved(schema["$ref"]))
    for one in (*schema.get("allOf", ()), *schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _leaves(one)
    if "then" in schema:
        yield from _leaves(schema["then"])


def _resolved(reference: str) -> Schema:
    found: Any = _schema()
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return dict(found) if not isinstance(found, dict) else found
