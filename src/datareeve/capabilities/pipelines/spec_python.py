"""A pipeline written in Python: what it says, read in a process of its own, and where in the file it says each part."""

from __future__ import annotations

import ast
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.pipelines import spec
from datareeve.capabilities.pipelines.spec_errors import TOLD, nearest, wording
from datareeve.core.errors import BadInput
from datareeve.core.yaml_text import Document, Place, said

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datareeve.core.operation import Systems
    from datareeve.core.yaml_text import Path

NAME = "pipeline"
DEEPEST = 40
LIKELY = re.compile(rf"^{NAME}\b\s*(:[^=\n]+)?=", re.MULTILINE)  # of a file that is not Python as it stands


def is_pipeline(text: str) -> bool:
    """Whether a Python file says a pipeline, and is no module that others use."""
    try:
        return NAME in _assigned(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return LIKELY.search(text) is not None


def read(systems: Systems, path: str, text: str) -> Document:
    """What the file's pipeline is, as data, with the places. Errors: `BadInput` `pipelines.python`, `pipelines.invalid`; `Failed` `pipelines.python-time`."""
    answer = systems["pipeline-code"].read("made", path=path)
    if NAME not in answer:
        raise _refused(path, answer)
    return Document(answer[NAME], places(text))


def _refused(path: str, answer: Mapping[str, Any]) -> BadInput:
    line, column = answer.get("line") or 0, answer.get("column") or 0
    where = path + (f", line {line}" if line else "") + (f", column {column}" if column else "")
    problems = answer.get("problems")
    if problems is None:
        return BadInput("pipelines.python", f"{where}: {answer['what']}.", "Correct the file there.")
    told = [f"{where}: {_worded(str(answer.get('model', '')), one)}" for one in problems]
    more = f"; and {len(told) - TOLD} more" if len(told) > TOLD else ""
    return BadInput("pipelines.invalid", f"{'; '.join(told[:TOLD])}{more}.", "Correct the file there. Every field: docs/reference/pipeline.schema.json.")  # fmt: skip


def _worded(model: str, error: Mapping[str, Any]) -> str:
    """'Load.cursr: unknown key (did you mean 'cursor'?)'."""
    path: Path = tuple(one for one in error["loc"] if one != "[key]")
    known = getattr(spec, model, None)
    near = ""
    if error["type"] == "extra_forbidden" and len(path) == 1 and known is not None:
        near = nearest(str(path[0]), (field.alias or name for name, field in known.model_fields.items()))
    return f"{said((model, *path))}: {wording(error)}{near}"


# -- places -----------------------------------------------------------------------------------------------------------------------------


def places(text: str) -> dict[Path, Place]:
    """Where the file says each part of its pipeline, as far as it is written out: as arguments, dictionaries and lists."""
    try:
        known = _assigned(ast.parse(text))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return {}
    found: dict[Path, Place] = {}
    if NAME in known:
        found[()] = _at(known[NAME])
        _walk(known[NAME], (), known, found)
    return found


def _assigned(module: ast.Module) -> dict[str, ast.expr]:
    """What the names of the module are: the last that is said."""
    found: dict[str, ast.expr] = {}
    for one in ast.walk(module):
        if isinstance(one, ast.Assign):
            found |= {target.id: one.value for target in one.targets if isinstance(target, ast.Name)}
        elif isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and one.value is not None:
            found[one.target.id] = one.value
    return found


def _walk(
    node: ast.expr, path: Path, known: dict[str, ast.expr], found: dict[Path, Place], depth: int = 0
) -> None:
    if isinstance(node, ast.Name) and node.id in known and depth < DEEPEST:
        _walk(known[node.id], path, known, found, depth + 1)
    elif isinstance(node, ast.Call) and depth < DEEPEST:
        for keyword in node.keywords:
            if keyword.arg is None:
                _walk(keyword.value, path, known, found, depth + 1)
            else:
                found[*path, keyword.arg] = _at(keyword)
                _walk(keyword.value, (*path, keyword.arg), known, found, depth + 1)
    elif isinstance(node, ast.Dict) and depth < DEEPEST:
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                found[*path, key.value] = _at(key)
                _walk(value, (*path, key.value), known, found, depth + 1)
    elif isinstance(node, (ast.List, ast.Tuple)) and depth < DEEPEST:
        for number, one in enumerate(node.elts):
            found[*path, number] = _at(one)
            _walk(one, (*path, number), known, found, depth + 1)


def _at(node: ast.expr | ast.keyword) -> Place:
    return Place(node.lineno, node.col_offset + 1)


def code_files(reference: str, beside: str) -> tuple[str, ...]:
    """Where the code of 'module:function' may lie: below the project, or beside the pipeline."""
    module = reference.partition(":")[0].replace(".", "/")
    if not re.fullmatch(r"[\w/]+", module):
        return ()
    folders = ("", str(PurePosixPath(beside).parent))
    return tuple(
        str(PurePosixPath(one) / f"{module}{end}") for one in folders for end in (".py", "/__init__.py")
    )
