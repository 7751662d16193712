"""A YAML or JSON text as plain data, with the place of everything in it, bounded against texts that are made to exhaust a reader.

Only plain data comes out: no tag is carried out, an alias is what it names, and all that aliases unfold to is counted.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, ScalarNode

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

MOST_CHARACTERS = 4 * 2**20
MOST_VALUES = 100_000  # after aliases are unfolded
MOST_DEPTH = 100
_NESTED = re.compile(r"(?:[\[{]\s*){101,}|(?:- ){101,}")  # what a parser of YAML takes a long time for
Path = tuple[str | int, ...]
_TAG = "tag:yaml.org,2002:"
_TRUE = frozenset(("true", "True", "TRUE"))
# YAML 1.1 readers, PyYAML among them, leave '1e3' a text; JSON and YAML 1.2 do not.
_NUMBER = re.compile(r"^[-+]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?$")


class Place(NamedTuple):
    """Where something stands, counted from one, and how it is written where it is a single word."""

    line: int
    column: int
    written: str = ""

    @property
    def words(self) -> str:
        """'line 3, column 5'."""
        return f"line {self.line}, column {self.column}"


class Document(NamedTuple):
    """A text as data, and where each part of it stands."""

    data: Any
    places: dict[Path, Place]  # of a mapping's entry: its key's

    def place(self, path: Path) -> Place:
        """Where `path` stands; the nearest that holds it, where it is not there itself."""
        while path not in self.places and path:
            path = path[:-1]
        return self.places.get(path, Place(1, 1))

    def written(self, path: Path, default: str = "") -> str:
        """A word as the text has it: the version 1.10 is not the number 1.1."""
        return self.places[path].written if path in self.places else default


def said(path: Path) -> str:
    """'schema[0].properties[2].name'."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


def parse(text: str, what: str, code: str = "contract.syntax") -> Document:
    """The text's data. `what` names it in errors: 'contracts/orders.yaml'. Errors: `BadInput` with that code."""
    try:
        return _parsed(text, what)
    except BadInput as error:
        raise BadInput(code, error.what, error.remedy) from None


def _parsed(text: str, what: str) -> Document:
    if len(text) > MOST_CHARACTERS:
        raise _syntax(what, f"is longer than {MOST_CHARACTERS:,} characters", "Split it into several.")
    if _NESTED.search(text):
        raise _syntax(what, f"is nested more than {MOST_DEPTH} deep")
    try:
        root = YAML(typ="safe", pure=True).compose(text.lstrip("\ufeff"))
        return _Builder(what).document(root)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise _syntax(f"{what}{where}", f"is not YAML: {error.problem or 'it ends too early'}") from None
    except (YAMLError, ValueError) as error:
        raise _syntax(what, f"is not YAML: {_first_line(error)}") from None
    except RecursionError:
        raise _syntax(what, f"is nested more than {MOST_DEPTH} deep") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["it cannot be read"])[0]


def _syntax(what: str, why: str, remedy: str = "Mend the text there, and read it again.") -> BadInput:
    return BadInput("contract.syntax", f"{what} {why}.", remedy)


class _Builder:
    """Builds plain data from nodes; counts what it builds."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._places: dict[Path, Place] = {}
        self._values = 0

    def document(self, root: Node | None) -> Document:
        data = None if root is None else self._value(root, ())
        return Document(data, self._places)

    def _value(self, node: Node, path: Path) -> Any:
        self._values += 1
        if self._values > MOST_VALUES:
            raise self._refused(node, f"unfolds to more than {MOST_VALUES:,} values")
        if len(path) > MOST_DEPTH:
            raise self._refused(node, f"is nested more than {MOST_DEPTH} deep")
        if isinstance(node, ScalarNode):
            known = self._places.get(path) or _at(node)
            self._places[path] = known._replace(written=node.value)
            return self._scalar(node)
        if node.tag not in (f"{_TAG}map", f"{_TAG}seq"):
            raise self._refused(node, f"has the tag {node.tag!r}, which is not read")
        self._places.setdefault(path, _at(node))
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        return [self._value(entry, (*path, number)) for number, entry in enumerate(node.value)]

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        own: dict[str, Any] = {}
        for key, value in node.value:
            if key.tag == f"{_TAG}merge":
                for one in reversed(value.value) if not isinstance(value, MappingNode) else (value,):
                    merged = {**merged, **self._value(one, path)}
                continue
            if not isinstance(key, ScalarNode):
                raise self._refused(key, "has a key that is not a word")
            if key.value in own:
                raise self._refused(key, f"has the key {key.value!r} twice")
            self._places[(*path, key.value)] = _at(key)
            own[key.value] = self._value(value, (*path, key.value))
        return {**merged, **own}

    def _scalar(self, node: ScalarNode) -> Any:
        kind = str(node.tag).removeprefix(_TAG)
        if kind == "null":
            return None
        if kind == "bool":
            return node.value in _TRUE
        if kind in ("int", "float"):
            return _number(node.value)
        if kind in ("str", "timestamp", "value"):
            return node.value
        raise self._refused(node, f"has the tag {node.tag!r}, which is not read")

    def _refused(self, node: Node, why: str) -> BadInput:
        return _syntax(f"{self._what}, {_at(node).words},", why)


def _at(node: Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def _number(text: str) -> Any:
    plain = text.replace("_", "")
    if re.fullmatch(r"[-+]?\d+", plain):
        return int(plain) if len(plain) < 1000 else math.inf  # noqa: PLR2004 - beyond any column's range
    if _NUMBER.match(text):
        return float(plain)
    if re.fullmatch(r"[-+]?0[xo][0-9a-fA-F]+", plain):
        return int(plain, 0)
    return {".nan": math.nan}.get(plain.lower(), -math.inf if plain.startswith("-") else math.inf)
