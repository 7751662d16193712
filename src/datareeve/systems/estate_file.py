"""`estate.yaml` as a system: one key at a time is put or taken out, a person's comments and order are kept."""

from __future__ import annotations

import copy
import io
import re
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from datareeve.core import estate as estates
from datareeve.core.errors import BadInput
from datareeve.systems.adapter import Adapter, effects, reads
from datareeve.systems.estate_edit import NotInLines, edited
from datareeve.systems.files import permissions, replace_file

if TYPE_CHECKING:
    from pathlib import Path


class EstateFile(Adapter):
    """The owner's declaration. `where` is a list of keys from the root: ['schedules', 'back-up-app']."""

    kind = "estate"

    def __init__(self, path: Path) -> None:
        super().__init__("estate")
        self.path = path

    @reads
    def get(self, where: list[str]) -> Any:
        """What stands at `where`, None where nothing does. A list's entry with a `name` is reached by that name."""
        node: Any = YAML(typ="safe").load(self._text()) or {}
        for key in where:
            node = _child(node, key)
        return node

    @reads
    def has(self, where: list[str], values: dict[str, Any]) -> bool:
        """Whether what stands at `where` has these keys with these values (None: has none of that name). What else it has does not matter."""
        standing = self.get(where) or {}
        return isinstance(standing, dict) and all(standing.get(key) == value for key, value in values.items())

    @effects
    def merge(self, where: list[str], values: dict[str, Any], keep: int = 0) -> dict[str, Any]:
        """Set some keys of what stands at `where` (None takes one out), the others stay; all of them or none. `keep`: as `put`."""
        text = self._text()
        for key, value in values.items():
            text = changed(text, [*where, key], value, keep)
        self._replace(text)
        return {}

    @reads
    def lacks(self, where: list[str], value: Any, depth: int = 0) -> bool:
        """Whether nothing of `value` has its place taken; mappings are looked into `depth` levels deep, what else they have does not matter."""
        return _lacks(self.get(where), value, depth)

    @reads
    def holds(self, where: list[str], value: Any, depth: int = 0) -> bool:
        """Whether all of `value` stands there, looked at as `lacks` does."""
        standing = self.get(where)
        return bool(_with(standing, value, depth) == standing)

    @effects
    def add(self, where: list[str], value: Any, depth: int = 0) -> dict[str, Any]:
        """Put `value` to what stands at `where`, into mappings `depth` levels deep: what else they have stays."""
        return self.put(where, _with(self.get(where), value, depth))

    @effects
    def take_out(self, where: list[str], value: Any, depth: int = 0) -> dict[str, Any]:
        """Take out of what stands at `where` what `add` put: what was added or changed since stays. Errors: where the estate does not hold without it."""
        return self.put(where, _without(self.get(where), value, depth))

    @effects
    def put(self, where: list[str], value: Any, keep: int = 0) -> dict[str, Any]:
        """Set what stands at `where` (None takes it out), validated as a whole before the file is replaced.

        Only the lines that change are written; every other byte stays, and comments stay where they stood. A section that is left empty is
        taken out, but for the first `keep` of `where`.
        """
        self._replace(changed(self._text(), where, value, keep))
        return {}

    def _replace(self, text: str) -> None:
        estates.parse(text)
        mode = permissions(self.path) if self.path.exists() else 0o644
        replace_file(self.path, text.encode(), mode)

    def _text(self) -> str:
        return self.path.read_text(encoding="utf-8") if self.path.exists() else "version: 1\n"


SECTION = re.compile(r"^(?=[A-Za-z_][\w-]*\s*:)", re.MULTILINE)
FOOT = re.compile(
    r"(?:^[ \t]*(?:#.*)?\n)*\Z", re.MULTILINE
)  # comments and blank lines: those of what follows
FLOW = re.compile(r"(?:\s*(?:#.*)?\n)*(?:---\s+)?\s*\{")


def changed(text: str, where: list[str], value: Any, keep: int = 0) -> str:
    """The estate's text with `value` at `where`, or without what stands there; the first `keep` sections stay, also where they are empty."""
    if not where:
        raise BadInput("estate.where", "No place in estate.yaml was given.", "Name at least one key.")
    text = text if text.endswith("\n") or not text else f"{text}\n"
    before = YAML(typ="safe").load(text) or {}
    after = copy.deepcopy(before)
    _set(after, where, value, keep)
    try:
        told = edited(text, before, after)
        if YAML(typ="safe").load(told) == after:
            return told
    except (NotInLines, YAMLError):
        pass
    return _section_anew(text, where, value, keep)


def _section_anew(text: str, where: list[str], value: Any, keep: int) -> str:
    """As `changed`, of a text that cannot be changed line by line: the section that `where` begins with is written anew."""
    blocks = SECTION.split(text)
    if FLOW.match(text):
        blocks = [text]  # the whole file is one mapping in braces, such as JSON: no section stands by itself
    found = next(
        (
            n
            for n, block in enumerate(blocks)
            if FLOW.match(block) or re.match(rf"{re.escape(where[0])}\s*:", block)
        ),
        len(blocks),
    )
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    whole = "".join(blocks[found : found + 1])
    foot = FOOT.search(whole)
    body = whole[: foot.start()] if foot else whole
    section = yaml.load(body) or {}
    _set(section, where, value, keep)
    buffer = io.StringIO()
    if section:
        yaml.dump(section, buffer)
    blocks[found : found + 1] = [buffer.getvalue(), whole[len(body) :]]
    return "".join(blocks)


def _lacks(standing: Any, value: Any, depth: int) -> bool:
    if standing is None:
        return True
    if not (depth and isinstance(standing, dict) and isinstance(value, dict)):
        return False
    return all(_lacks(standing.get(key), below, depth - 1) for key, below in value.items())


def _with(standing: Any, value: Any, depth: int) -> Any:
    if not (depth and isinstance(standing, dict) and isinstance(value, dict)):
        return value
    return {**standing, **{key: _with(standing.get(key), below, depth - 1) for key, below in value.items()}}


def _without(standing: Any, value: Any, depth: int) -> Any:
    """What is left of `standing`; None where that is nothing."""
    if standing == value:
        return None
    if not (depth and isinstance(standing, dict) and isinstance(value, dict)):
        return standing
    left = {key: _without(below, value[key], depth - 1) if key in value else below for key, below in standing.items()}  # fmt: skip
    return {key: below for key, below in left.items() if below is not None} or None


def _child(node: Any, key: str) -> Any:
    if isinstance(node, dict):
        return node.get(key)
    if isinstance(node, list):
        return next((entry for entry in node if isinstance(entry, dict) and entry.get("name") == key), None)
    return None


def _set(document: Any, where: list[str], value: Any, keep: int) -> None:
    """Sections that are lists of named entries (alerts) are handled by the entry's name; a section left empty is taken out."""
    first, *rest = where
    if isinstance(document, list):
        _set_named(document, first, value)
    elif not rest:
        if value is None:
            document.pop(first, None)
        else:
            document[first] = value
    else:
        section = document.setdefault(first, [] if first == "alerts" else {})
        _set(section, rest, value, keep - 1)
        if not section and keep <= 0:
            document.pop(first, None)


def _set_named(entries: list[Any], name: str, value: Any) -> None:
    place = next((n for n, entry in enumerate(entries) if entry.get("name") == name), len(entries))
    entries[place : place + 1] = [] if value is None else [value]
