"""The reference, made from the code: operations, command line, errors, the schemas of the estate and of a pipeline. `--check` says what is out of date.

python -m datareeve.interfaces.reference [--check] [FOLDER]
"""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datareeve
from datareeve.app import catalogue
from datareeve.capabilities.pipelines.spec_schema import schema
from datareeve.core import errors
from datareeve.core.estate import Estate
from datareeve.interfaces import descriptions
from datareeve.interfaces.cli import cli

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve.core.operation import Operation

FOLDER = Path("docs/reference")
MADE = "<!-- Made from the code by script/docs: change the code, not this file. -->\n\n"
ERRORS = {
    kind.__name__: kind.exit_status
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.DatareeveError)
}


def pages() -> dict[str, str]:
    """Every page by its path below the folder."""
    known = catalogue()
    operations = [known.get(name) for name in known.names()]
    return {
        "estate.schema.json": json.dumps(Estate.model_json_schema(), indent=2, ensure_ascii=False) + "\n",
        "pipeline.schema.json": json.dumps(schema(), indent=2, ensure_ascii=False) + "\n",
        "operations.md": MADE + _overview(operations),
        **{f"operations/{operation.name}.md": MADE + _operation(operation) for operation in operations},
        "command-line.md": MADE + _command_line(),
        "errors.md": MADE + _errors(Path(datareeve.__file__).parent),
    }


def _overview(operations: Sequence[type[Operation[Any]]]) -> str:
    rows = (
        f"| [{o.name}](operations/{o.name}.md) | {o.effect} | {_cell(descriptions.title(o))} |"
        for o in operations
    )
    effects = "The effect is the strongest that any plan of the operation may have: read, reversible, irreversible, cost."
    return "\n".join(
        ["# Operations", "", effects, "", "| operation | effect | what it does |", "|---|---|---|", *rows, ""]
    )


def _operation(operation: type[Operation[Any]]) -> str:
    fields = (
        f"| `--{name.replace('_', '-')}` | {'yes' if field.is_required() else 'no'} | {_default(field)} | {_cell(field.description or '')} |"
        for name, field in operation.model_fields.items()
    )
    return "\n".join([
        f"# {operation.name}", "", descriptions.title(operation), "", descriptions.body(operation), "",
        f"Effect: {operation.effect}. Works on: {', '.join(operation.goes_to) or 'no system'}.", "",
        "## Inputs", "", "| field | needed | default | what it is |", "|---|---|---|---|", *fields, "",
        "## How it is asked for", "", *(f"- “{example}”" for example in operation.examples), "",
    ])  # fmt: skip


def _default(field: Any) -> str:
    if field.is_required():
        return ""
    return f"`{json.dumps(field.get_default(call_default_factory=True), default=str, ensure_ascii=False)}`"


def _command_line() -> str:
    parts = ["# Command line", "", f"{cli.help}", "", str(cli.help_epilogue), ""]
    for name, command in _commands():
        lines = [line.rstrip() for line in _help(name, command).splitlines()]
        parts += [f"## datareeve {name}", "", "```", *lines, "```", ""]
    return "\n".join(parts)


def _commands() -> Iterator[tuple[str, Any]]:
    for name in sorted(cli):
        if not name.startswith("-"):
            yield name, cli[name]


def _help(name: str, command: Any) -> str:
    """The command's help as plain text of a fixed width, so that it is the same wherever it is made."""
    import io  # noqa: PLC0415

    from cyclopts.help import PlainFormatter  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    buffer = io.StringIO()
    command.help_formatter = PlainFormatter()
    command.help_epilogue = ""
    cli.help_print([name], console=Console(file=buffer, width=120, no_color=True, force_terminal=False))
    return buffer.getvalue().strip()


def _errors(source: Path) -> str:
    """Every error code that stands in the source, with its exit status and what it says there."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted(source.rglob("*.py")):
        for code, kind, what in _raised(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(code, (kind, what))
    rows = (f"| `{code}` | {ERRORS[kind]} | {_cell(what)} |" for code, (kind, what) in sorted(found.items()))
    intro = "Every error has a code that stays, says what is wrong and what to do. `…` stands for what differs from case to case."
    sql = "`postgres.SQLSTATE` (for example `postgres.23505`) passes on any other error of the server, without values."
    return "\n".join(
        [
            "# Errors",
            "",
            intro,
            "",
            "| code | exit status | what it says |",
            "|---|---|---|",
            *rows,
            "",
            sql,
            "",
        ]
    )


def _raised(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """Code, class and text of every error that is made, by a call or from a row of a table such as `(Failed, "code", "what", ...)`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            parts = [node.func, *node.args]
        elif isinstance(node, ast.Tuple):
            parts = node.elts
        else:
            continue
        match parts:
            case [ast.Name(id=kind), ast.Constant(value=str(code)), what, *_] if kind in ERRORS:
                yield code, kind, _text(what)


def _text(node: ast.expr) -> str:
    """A text as it stands in the source; what is filled in while running is shown as an ellipsis."""
    if isinstance(node, ast.Constant):
        return re.sub(r"\{\w+\}", "…", str(node.value))
    return "".join(_text(part) for part in node.values) if isinstance(node, ast.JoinedStr) else "…"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def stale(folder: Path) -> list[str]:
    """The pages that differ from what the code says, are missing, or should not be there."""
    made = pages()
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    differing = {
        name
        for name, text in made.items()
        if name in there and (folder / name).read_text(encoding="utf-8") != text
    }
    return sorted(differing | (made.keys() ^ there))


def write(folder: Path) -> None:
    """Make every page, and remove those of what is no longer there."""
    for name in stale(folder):
        (folder / name).unlink(missing_ok=True)
    for name, text in pages().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def main(words: Sequence[str]) -> int:
    """Write the pages, or with `--check` tell which are out of date."""
    folder = Path(next((word for word in words if not word.startswith("-")), FOLDER))
    if "--check" not in words:
        write(folder)
        return 0
    old = stale(folder)
    for name in old:
        sys.stdout.write(f"{folder / name} is out of date: run script/docs\n")
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
