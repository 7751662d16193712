"""`--field value ...` on the command line, as the inputs of an operation.

The operation's own fields say what is meant: `--columns a,b` is two values where the field takes several, `--dry` needs none where it is
yes or no, `--schema` is short for `schema_name`.
"""

from __future__ import annotations

import difflib
import json
import types
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin

from pydantic import BaseModel

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pydantic.fields import FieldInfo

    from datareeve.core.operation import Operation, Systems


def inputs_of(operation: type[Operation[Any]], words: Sequence[str]) -> dict[str, Any]:
    """The inputs that the words after an operation's name give. Values are checked later, by the operation itself.

    Errors: `BadInput` `operation.field` with the nearest field, `operation.value` where a value is missing or is not JSON.
    """
    given: dict[str, list[str]] = {}
    for option, values in _options(words):
        name, value = field_named(operation, option), values
        if option.startswith("no_") and name == option[3:]:
            value = ["false"]
        given.setdefault(name, []).extend(value or _without_value(operation, name))
    return {name: _value(name, operation.model_fields[name], values) for name, values in given.items()}


def with_only_system(
    operation: type[Operation[Any]], inputs: dict[str, Any], systems: Systems
) -> dict[str, Any]:
    """The inputs, with `system` filled in where the estate has only one that the operation works on."""
    if "system" in inputs or "system" not in operation.model_fields:
        return inputs
    fitting = [name for kind in operation.goes_to for name in systems.names(kind)]
    if len(fitting) == 1:
        return {"system": fitting[0], **inputs}
    if not operation.model_fields["system"].is_required():
        return inputs
    kinds = " or ".join(operation.goes_to) or "any kind"
    remedy = (
        f"It has: {', '.join(fitting)}. Choose with --system."
        if fitting
        else "Add one with `datareeve init URL`."
    )
    raise BadInput(
        "operation.system",
        f"{operation.name} needs a system of {kinds}, and the estate has {len(fitting)}.",
        remedy,
    )


def field_named(operation: type[Operation[Any]], option: str) -> str:
    """The field that an option means: its name, the name without `_name`, or the name after `no_` for one that is yes or no."""
    fields = operation.model_fields
    for name in (option, f"{option}_name"):
        if name in fields:
            return name
    if option.startswith("no_") and option[3:] in fields and _is_flag(fields[option[3:]].annotation):
        return option[3:]
    near = difflib.get_close_matches(option, fields, n=1, cutoff=0.4)
    hint = f" Did you mean --{near[0].replace('_', '-')}?" if near else ""
    raise BadInput(
        "operation.field",
        f"{operation.name} has no field --{option.replace('_', '-')}.{hint}",
        f"`datareeve operations {operation.name}` lists its fields.",
    )


def _options(words: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """Each option with the values up to the next one. A value that begins with two hyphens is written `--field=--value`."""
    name = ""
    values: list[str] = []
    for word in words:
        if not word.startswith("--"):
            if not name:
                raise BadInput(
                    "operation.field",
                    f"{word!r} stands before any --field.",
                    "Write inputs as --field value.",
                )
            values.append(word)
            continue
        if name:
            yield name, values
        option, equals, value = word[2:].partition("=")
        name, values = option.replace("-", "_"), [value] if equals else []
    if name:
        yield name, values


def _without_value(operation: type[Operation[Any]], name: str) -> list[str]:
    if _is_flag(operation.model_fields[name].annotation):
        return ["true"]
    raise BadInput(
        "operation.value",
        f"--{name.replace('_', '-')} needs a value.",
        f"`datareeve operations {operation.name}` says of what kind.",
    )


def _value(name: str, field: FieldInfo, values: list[str]) -> Any:
    if _takes(field.annotation, (tuple, list, set, frozenset)):
        parts = split_list(values[0]) if len(values) == 1 else values
        return [_json(name, part) for part in parts] if _takes_objects(field.annotation) else parts
    if len(values) > 1:
        raise BadInput(
            "operation.value",
            f"--{name.replace('_', '-')} takes one value, {len(values)} were given.",
            "Quote a value that holds spaces.",
        )
    return _json(name, values[0]) if _takes(field.annotation, (dict, BaseModel)) else values[0]


def split_list(text: str) -> list[str]:
    """A text at its commas, but not at those within parentheses, brackets or quotes. A JSON list is read as such."""
    if text.startswith("["):
        listed = _json("a list", text)
        return [part if isinstance(part, str) else json.dumps(part) for part in listed]
    parts, depth, quote = [""], 0, ""
    for character in text:
        if quote or character in "\"'":
            quote = "" if character == quote else quote or character
        else:
            depth += (character in "([{") - (character in ")]}")
        if character == "," and depth <= 0 and not quote:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise BadInput(
            "operation.value",
            f"--{name.replace('_', '-')} must be JSON.",
            """For example '{"key": "value"}'.""",
        ) from None


def _members(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) in {Union, types.UnionType} else (annotation,)


def _takes(annotation: Any, kinds: tuple[type, ...]) -> bool:
    plain = [get_origin(member) or member for member in _members(annotation)]
    return any(isinstance(member, type) and issubclass(member, kinds) for member in plain)


def _takes_objects(annotation: Any) -> bool:
    return any(
        _takes(argument, (dict, BaseModel))
        for member in _members(annotation)
        for argument in get_args(member)
    )


def _is_flag(annotation: Any) -> bool:
    return bool in _members(annotation)
