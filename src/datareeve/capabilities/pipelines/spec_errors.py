"""What is wrong with a pipeline, in our words and with its place: all of it at once.

A part that is wrong is taken out, and the rest is read again: what is wrong elsewhere is told too, and what only follows is not.
"""

from __future__ import annotations

import difflib
import re
from copy import deepcopy
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin

from pydantic import BaseModel, ValidationError

from datareeve.capabilities.pipelines.spec import Pipeline
from datareeve.core.errors import BadInput
from datareeve.core.yaml_text import Document, said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pydantic.fields import FieldInfo

    from datareeve.core.yaml_text import Path

TOLD = 20  # mistakes at once
ROUNDS = 5  # how often the rest is read again
MISSING = {"system": "?"}  # what stands in for a target that is not said
PATTERNS = (  # a sign of a field's pattern: what it asks for
    ("s|m|h|d|w", "must be a number and a unit: 30s, 10m, 6h, 1d, 2w"),
    ("keyring", "must be a reference, and never the secret itself: env:NAME, file:path, keyring:NAME or vault:path"),
    ("https?", "must begin with http:// or https://"),
    (r"\w[\w", "must be a pipeline's name: letters, digits, _ and -"),
    (r"[^\W\d]", "must be a name of letters, digits and _ that does not begin with a digit"),
)  # fmt: skip
WANTED = {  # of pydantic's kinds of errors: what is asked for
    "missing": "is missing",
    "string_type": "must be text: put it in quotes",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "dict_type": "must be a mapping of keys",
    "model_type": "must be a mapping of keys",
    "model_attributes_type": "must be a mapping of keys",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
}
BOUNDS = {"greater_than": "more than", "greater_than_equal": "at least", "less_than": "less than", "less_than_equal": "at most"}  # fmt: skip


class Problem(NamedTuple):
    """Something that is wrong, and where. A warning does not keep a pipeline from running."""

    path: Path
    what: str
    warning: bool = False


def read(data: Any) -> tuple[Pipeline | None, list[Problem]]:
    """The pipeline that the data says, as far as it can be read, and all that is wrong with it."""
    if not isinstance(data, dict):
        return None, [Problem((), "is no pipeline: keys with values are expected; start with `target:`")]
    left = deepcopy(data)
    found: list[Problem] = []
    taken: list[Problem] = []
    for _ in range(ROUNDS):
        try:
            return Pipeline.model_validate(left), found
        except ValidationError as error:
            errors = error.errors(include_url=False)
        new = [_problem(one, left) for one in errors]
        found += [made for one, made in zip(errors, new, strict=True) if not _follows(one, taken)]
        taken += new
        for one in sorted(new, key=lambda one: len(one.path), reverse=True):
            _take_out(left, one)
    return None, found


def told(path: str, problems: Iterable[Problem], document: Document) -> list[str]:
    """'etl/x.yaml, line 3, column 5: loads.flights.cursr: unknown key', in the order of the file."""
    placed = sorted({(document.place(one.path), one) for one in problems}, key=lambda one: one[0][:2])
    return [f"{path}, {place.words}: {': '.join(filter(None, (said(one.path), one.what)))}" for place, one in placed]  # fmt: skip


def refuse(path: str, problems: Sequence[Problem], document: Document) -> None:
    """Errors: `BadInput` `pipelines.invalid`, where any problem is more than a warning."""
    wrong = [one for one in problems if not one.warning]
    if not wrong:
        return
    lines = told(path, wrong, document)
    more = f"; and {len(lines) - TOLD} more" if len(lines) > TOLD else ""
    raise BadInput(
        "pipelines.invalid",
        f"{'; '.join(lines[:TOLD])}{more}.",
        "Correct the pipeline there. Every key: docs/reference/pipeline.schema.json, docs/how-to/pipelines.md.",
    )


def nearest(name: str, known: Iterable[str]) -> str:
    """The nearest of the names, in brackets: (did you mean 'cursor'?); nothing where none is near."""
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]!r}?)" if near else ""


# -- one error of pydantic's ----------------------------------------------------------------------------------------------------------


def _problem(error: Mapping[str, Any], data: Any) -> Problem:
    path: Path = tuple(error["loc"])
    if path and path[-1] == "[key]":
        path = path[:-1]
    kind = error["type"]
    if kind == "extra_forbidden":
        return Problem(path, _unknown_key(path))
    what = wording(error)
    return Problem(_place_of(what, path, data) if kind == "value_error" else path, what)


def wording(error: Mapping[str, Any]) -> str:
    """What an error of pydantic's asks for, in our words: never its own names, and a value only where it is one of few words."""
    kind, context = error["type"], error.get("ctx") or {}
    if kind in SAID:
        return SAID[kind](error, context)
    if kind in BOUNDS:
        return f"must be {BOUNDS[kind]} {next(iter(context.values()), 0):g}"
    empty = " (nothing stands there)" if error.get("input", "") is None else ""
    return WANTED.get(kind, "is not what is expected there") + empty


def _written_as(context: Mapping[str, Any]) -> str:
    pattern = str(context.get("pattern", ""))
    return next((what for sign, what in PATTERNS if sign in pattern), "is not written as it must be")


def _one_of(expected: str, given: Any) -> str:
    known = [one.strip("'") for one in re.split(r", | or ", expected)]
    near = nearest(given, known) if isinstance(given, str) else ""
    return f"must be one of {', '.join(known)}{near}" if len(known) > 1 else f"must be {known[0]}"


SAID: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], str]] = {
    "value_error": lambda error, _: str(error["msg"]).removeprefix("Value error, "),
    "extra_forbidden": lambda *_: "unknown key",
    "literal_error": lambda error, context: _one_of(str(context.get("expected", "")), error.get("input")),
    "string_pattern_mismatch": lambda _, context: _written_as(context),
    "string_too_long": lambda _, context: f"must have at most {context.get('max_length')} characters",
}


def _unknown_key(path: Path) -> str:
    """The nearest key of that place; or the place, further out or in, that has one of that name."""
    key, fields = str(path[-1]), fields_at(path[:-1])
    if near := nearest(key, fields):
        return f"unknown key{near}"
    for depth in range(len(path) - 2, -1, -1):
        if key in fields_at(path[:depth]):
            return f"unknown key (it belongs to {said(path[:depth]) or 'the pipeline itself'})"
    inner = next((name for name in fields if key in fields_at((*path[:-1], name))), None)
    return f"unknown key (it belongs below {inner!r})" if inner else "unknown key"


def fields_at(path: Path) -> dict[str, FieldInfo]:
    """The keys that may stand at a place."""
    model: type[BaseModel] | None = Pipeline
    parts = list(path)
    while model is not None and parts:
        field = _named(model).get(str(parts.pop(0)))
        if field is None:
            return {}
        inner = _inner(field.annotation)
        holds_many = any(get_origin(one) in (dict, tuple) for one in (field.annotation, *get_args(field.annotation)))  # fmt: skip
        if holds_many and parts:
            parts.pop(0)
        elif holds_many:
            return {}
        model = inner
    return _named(model) if model else {}


def _named(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _inner(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _inner(one))), None)


# -- places, and what only follows ----------------------------------------------------------------------------------------------------


def _place_of(what: str, path: Path, data: Any) -> Path:
    """Of a sentence about several keys, the one of them that stands there and is named first."""
    named = re.match(r"(loads|models)\.(\S+)", what)
    if not path and named:
        table = (named[1], named[2], "to")
        return table if _at(data, table) is not None else table[:2]
    here = _at(data, path)
    if not isinstance(here, dict):
        return path
    words = re.findall(r"\w+", what)
    return next(((*path, word) for word in words if word in here), path)


def _at(data: Any, path: Path) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _follows(error: Mapping[str, Any], taken: Sequence[Problem]) -> bool:
    """Whether it is wrong only because something was taken out: that itself, or what a sentence about several keys speaks of."""
    path: Path = tuple(error["loc"])
    if error["type"] != "value_error":
        return any(path[: len(one.path)] == one.path for one in taken)
    words = set(re.findall(r"\w+", str(error["msg"])))
    inside = (one for one in taken if one.path[: len(path)] == path)
    return any(words & _named_in(one, len(path)) for one in inside)


def _named_in(problem: Problem, depth: int) -> set[str]:
    """The keys that lead to a problem, and the one that was meant."""
    return {*map(str, problem.path[depth:]), *re.findall(r"did you mean '(\w+)'", problem.what)}


def _take_out(data: Any, problem: Problem) -> None:
    """Without the part that is wrong: the key; what holds it, where it is needed there or stands in a list."""
    path = problem.path
    if path == ("target",) or path[:1] == ("target",):
        data["target"] = dict(MISSING)
        return
    if problem.what == WANTED["missing"]:
        path = path[:-1]
    while path and isinstance(path[-1], int):
        path = path[:-1]
    holder = _at(data, path[:-1])
    if path and isinstance(holder, dict):
        holder.pop(path[-1], None)
