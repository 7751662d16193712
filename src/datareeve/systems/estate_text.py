"""The text of `estate.yaml`: a first one with its comments, and one more system put into a person's own, every other byte kept."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import MappingNode, SequenceNode

from datareeve.core import estate as estates
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ruamel.yaml.nodes import Node

FIRST = """\
# The estate: what Datareeve looks after and what it may do. Secrets stand here by reference only (env:NAME, file:path, keyring:service/name).
# Every key: docs/reference/estate.schema.json, or `datareeve operations` for what can be done.
version: 1
name: {name}

systems: {{}}

# What may be done unattended. Without rules Datareeve reads, and asks for approval before anything else. The first rule that matches
# decides, but `never` wins over everything. To let it build and drop indexes at night without asking:
#   rules:
#     - decision: allow
#       operations: [databases.create-index, databases.drop-index]
#       window: 01:00-05:00 UTC
authority:
  rules: []
"""

TAKEN = {"files", "host", "estate", "ledger"}  # the built-in systems' names


def first_text(name: str) -> str:
    """A new estate without systems."""
    return FIRST.format(name=_scalar(name))


def system_name(database: str, taken: Sequence[str]) -> str:
    """A name for a system, made from its database's, that is not taken yet."""
    base = re.sub(r"[^a-z0-9_-]+", "-", database.lower()).strip("-") or "database"
    names = (base, *(f"{base}-{n}" for n in range(2, len(taken) + len(TAKEN) + 3)))
    return next(name for name in names if name not in TAKEN and name not in taken)


def add_system(text: str, name: str, entry: dict[str, Any], comments: Sequence[str]) -> str:
    """The estate's text with one more system after the others. The result is validated as a whole.

    Errors: `BadInput` `estate.flow-style` where `systems` is written in braces on one line, and as `estate.parse`.
    """
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    line, systems = _systems_node(text)
    if isinstance(systems, MappingNode) and systems.value and not systems.flow_style:
        indent, after = systems.value[0][0].start_mark.column, _last_line(systems) + 1
    else:
        indent, after = 2, _open_systems(lines, line, systems)
    block = _block(name, entry, comments)
    lines[after:after] = [
        " " * indent + line if line.strip() else line for line in block.splitlines(keepends=True)
    ]
    changed = "".join(lines)
    estates.parse(changed)
    return changed


def _systems_node(text: str) -> tuple[int, Node | None]:
    """The line of the key `systems` and its value; None where there is no such key."""
    root = YAML().compose(text)
    pairs = root.value if isinstance(root, MappingNode) else ()
    return next(((key.start_mark.line, value) for key, value in pairs if key.value == "systems"), (0, None))


def _open_systems(lines: list[str], line: int, systems: Node | None) -> int:
    """Make an empty `systems` ready for its first entry; gives the line after its key."""
    if systems is None:
        lines += ["\n", "systems:\n"]
        return len(lines)
    if systems.value not in ([], "", "null", "~"):
        raise BadInput(
            "estate.flow-style",
            "`systems` in estate.yaml is written in braces on one line.",
            "Write it as an indented block, one system below the other.",
        )
    lines[line] = re.sub(r"^systems\s*:\s*(\{\s*\}|null|~)?", "systems:", lines[line].rstrip("\n")) + "\n"
    return line + 1


def _last_line(node: Node) -> int:
    """The line that a node's last scalar ends on: comments and blank lines after it are not the node's."""
    while isinstance(node, (MappingNode, SequenceNode)) and node.value and not node.flow_style:
        node = node.value[-1][1] if isinstance(node, MappingNode) else node.value[-1]
    end = node.end_mark
    return int(end.line if end.column else end.line - 1)


def _block(name: str, entry: dict[str, Any], comments: Sequence[str]) -> str:
    buffer = io.StringIO()
    yaml = YAML()
    yaml.width = 4096
    yaml.dump({name: entry}, buffer)
    key, _, rest = buffer.getvalue().partition("\n")
    return "".join([f"{key}\n", *(f"  # {comment}\n" for comment in comments), rest])


def _scalar(text: str) -> str:
    buffer = io.StringIO()
    YAML().dump([text], buffer)
    return buffer.getvalue().removeprefix("- ").strip()
