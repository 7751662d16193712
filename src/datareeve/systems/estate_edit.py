"""A change of a YAML text, made in the lines that it is about: every other byte stays, comments where they stood.

What stands there and what shall stand there are compared key by key and entry by entry; only lines that differ are written. A text in braces, with
anchors, or otherwise not written as a block is not changed here: whoever asks reads the result again and compares.
"""

from __future__ import annotations

import io
import json
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, NamedTuple

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ruamel.yaml.nodes import Node

WIDE = 4096


class NotInLines(Exception):
    """The text is not written in a way that can be changed line by line."""


class _Edit(NamedTuple):
    """The bytes from `begin` to `end` become `text`."""

    begin: int
    end: int
    text: str


def edited(text: str, before: Any, after: Any) -> str:
    """The text of `before`, changed to that of `after`. Errors: `NotInLines`."""
    root = YAML().compose(text)
    if not isinstance(root, MappingNode) or root.flow_style or not isinstance(after, dict):
        raise NotInLines
    editor = _Editor(text)
    # What an alias names is found a second time.
    found = enumerate(dict.fromkeys(editor.mapping(root, before, after)))
    # From the end on; at one place what goes first, then what comes, the last of it first.
    for _, edit in sorted(found, key=lambda one: (one[1].begin, one[1].end, one[0]), reverse=True):
        text = text[: edit.begin] + edit.text + text[edit.end :]
    return text


class _Editor:
    """Finds the edits of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts = [0]
        for line in text.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    def mapping(self, node: MappingNode, before: Any, after: dict[str, Any]) -> Iterator[_Edit]:
        """Keys that go, that change, and that come after the last."""
        pairs = {key.value: (key, value) for key, value in node.value}
        if node.flow_style or pairs.keys() != before.keys():
            raise NotInLines
        for name, (key, value) in pairs.items():
            if name not in after:
                yield self._lines(key.start_mark.line, _last_line(value, key), "")
            elif before[name] != after[name]:
                yield from self._value(key, value, before[name], after[name])
        coming = {name: value for name, value in after.items() if name not in pairs}
        if coming:
            key, value = node.value[-1]
            yield self._below(_last_line(value, key), _block(coming, key.start_mark.column))

    def _value(self, key: Node, node: Node, before: Any, after: Any) -> Iterator[_Edit]:
        block = not getattr(node, "flow_style", True)
        if isinstance(node, MappingNode) and block and isinstance(after, dict) and after:
            yield from self.mapping(node, before, after)
        elif isinstance(node, SequenceNode) and block and isinstance(after, list) and after:
            yield from self._sequence(node, before, after)
        elif _is_on_one_line(key, node):
            yield from self._beside(key, node, after)
        else:
            line = _block({key.value: after}, key.start_mark.column)
            yield self._lines(key.start_mark.line, _last_line(node, key), line)

    def _beside(self, key: Node, node: Node, after: Any) -> Iterator[_Edit]:
        """A value that stands beside its key; what stands behind it, a comment, stays there."""
        begin, end = node.start_mark.index, node.end_mark.index
        if begin == end:  # nothing stands there
            begin = end = key.end_mark.index + 1
        if (
            isinstance(after, (dict, list))
            and after
            and not (getattr(node, "flow_style", False) and node.value)
        ):
            yield _Edit(begin - (self._text[begin - 1] == " "), end, "")
            column = key.start_mark.column + (2 if isinstance(after, dict) else 0)
            yield self._below(key.start_mark.line, _block(after, column))
        else:
            yield _Edit(begin, end, f"{'' if self._text[begin - 1] == ' ' else ' '}{_flow(after)}")

    def _sequence(self, node: SequenceNode, before: list[Any], after: list[Any]) -> Iterator[_Edit]:
        column = self._text[self._starts[node.value[0].start_mark.line] :].index("-")
        same = SequenceMatcher(None, [_canonical(one) for one in before], [_canonical(one) for one in after])
        for what, i, i_end, j, j_end in same.get_opcodes():
            if what == "replace" and i_end - i == j_end - j:
                for old, new, entry in zip(before[i:i_end], after[j:j_end], node.value[i:i_end], strict=True):
                    yield from self._entry(entry, old, new, column)
            elif what != "equal":
                for entry in node.value[i:i_end]:
                    yield self._lines(self._dash(entry, column), _last_line(entry), "")
                if j_end > j:
                    yield self._insert(node, i_end, _block(after[j:j_end], column), column)

    def _entry(self, entry: Node, before: Any, after: Any, column: int) -> Iterator[_Edit]:
        if (
            isinstance(entry, MappingNode)
            and not entry.flow_style
            and isinstance(after, dict)
            and before.keys() & after.keys()
        ):
            first = entry.value[0][0].value
            if first in after:  # the dash stands before it
                yield from self.mapping(entry, before, after)
                return
        if (
            isinstance(entry, ScalarNode)
            and not isinstance(after, (dict, list))
            and _is_on_one_line(entry, entry)
        ):
            yield _Edit(entry.start_mark.index, entry.end_mark.index, _flow(after))
            return
        yield self._lines(self._dash(entry, column), _last_line(entry), _block([after], column))

    def _insert(self, node: SequenceNode, place: int, block: str, column: int) -> _Edit:
        if place:
            return self._below(_last_line(node.value[place - 1]), block)
        begin = self._starts[self._dash(node.value[0], column)]
        return _Edit(begin, begin, block)

    def _dash(self, entry: Node, column: int) -> int:
        """The line of an entry's dash. Errors: `NotInLines` where it stands alone on its line."""
        line = int(entry.start_mark.line)
        if self._text[self._starts[line] + column] != "-":
            raise NotInLines
        return line

    def _lines(self, first: int, last: int, text: str) -> _Edit:
        return _Edit(self._starts[first], self._starts[last + 1], text)

    def _below(self, line: int, text: str) -> _Edit:
        return _Edit(self._starts[line + 1], self._starts[line + 1], text)


def _last_line(node: Node, key: Node | None = None) -> int:
    """The line that a node's last scalar ends on: comments and blank lines after it are not the node's."""
    while isinstance(node, (MappingNode, SequenceNode)) and node.value and not node.flow_style:
        key, node = node.value[-1] if isinstance(node, MappingNode) else (None, node.value[-1])
    end = node.end_mark
    if key is not None and node.start_mark.index == end.index:  # nothing stands beside the key
        return int(key.start_mark.line)
    return int(end.line if end.column else end.line - 1)


def _is_on_one_line(key: Node, node: Node) -> bool:
    if isinstance(node, ScalarNode) and node.start_mark.index == node.end_mark.index:
        return True
    return key.start_mark.line == node.end_mark.line and getattr(node, "style", None) not in ("|", ">")


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _block(value: Any, column: int) -> str:
    buffer = io.StringIO()
    yaml = YAML()
    yaml.width = WIDE
    yaml.dump(value, buffer)
    return "".join(
        f"{' ' * column}{line}" if line.strip() else line
        for line in buffer.getvalue().splitlines(keepends=True)
    )


def _flow(value: Any) -> str:
    """On one line. A scalar is written within a list, so that it is quoted where it has to be and no document's end stands behind it."""
    buffer = io.StringIO()
    yaml = YAML()
    yaml.width = WIDE
    yaml.default_flow_style = True
    if isinstance(value, (dict, list)):
        yaml.dump(value, buffer)
        return buffer.getvalue().strip()
    yaml.dump([value], buffer)
    return buffer.getvalue().strip().removeprefix("[").removesuffix("]")
