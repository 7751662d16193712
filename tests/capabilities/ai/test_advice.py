"""Every command that the AI part prints, in advice, remedies and alerts, can be pasted as it stands: it is extracted from the source and parsed."""

from __future__ import annotations

import ast
import re
import shlex
from itertools import chain
from pathlib import Path

import pytest

import datareeve
from datareeve.app import catalogue
from datareeve.capabilities.ai.advice import command, shell
from datareeve.core.errors import BadInput
from datareeve.interfaces import fields
from datareeve.interfaces.cli import cli

ROOT = Path(datareeve.__file__).parent
SOURCES = sorted(
    chain(
        (ROOT / "capabilities" / "ai").rglob("*.py"),
        (ROOT / "systems").glob("gateway_*.py"),
        (
            ROOT / "systems" / name
            for name in ("ai_provider.py", "sealing.py", "upstream.py", "answer_shelf.py")
        ),
        (ROOT / "interfaces" / "gateway.py", ROOT / "interfaces" / "console.py", ROOT / "core" / "estate.py"),
    )
)
CATALOGUE = catalogue()
WORD = re.compile(r"\bdatareeve (?!part|kek|processes)([a-z]+)")
QUOTED = re.compile(r"`(datareeve [^`]+)`")
NAMED = re.compile(r"\b(ai\.[a-z]+-[a-z-]+[a-z])\b")
STANDS_FOR = ("1", "env:NAME", "openai/model", "a")  # what is put where the text has a name of its own


def written(source: Path):
    """Each text of a module, with '\\0' where it holds a value; without docstrings."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    parts = {id(one) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for one in node.values}
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield (
                node.lineno,
                "".join(one.value if isinstance(one, ast.Constant) else "\0" for one in node.values),
            )
        elif (
            isinstance(node, ast.Constant) and isinstance(node.value, str) and not {id(node)} & (parts | docs)
        ):
            yield node.lineno, node.value


def made(source: Path):
    """Each call of `command(...)`: the operation and the names of its fields, None where they are not written out."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "command":
            named = {one.arg: _constant(one.value) for one in node.keywords if one.arg}
            whole = all(one.arg for one in node.keywords)
            yield node.lineno, node.args[0].value, named, whole


def _constant(node: ast.expr):
    return node.value if isinstance(node, ast.Constant) else "\0"


TEXTS = [
    (f"{source.name}:{line}", text)
    for source in SOURCES
    if source.name != "advice.py"
    for line, text in written(source)
]
COMMANDS = [
    (place, found)
    for place, text in TEXTS
    for found in (QUOTED.findall(text) or ([text] if WORD.match(text) else []))
]
CALLS = [(f"{source.name}:{line}", *call) for source in SOURCES for line, *call in made(source)]


def test_there_is_something_to_look_at():
    assert len(COMMANDS) > 20
    assert len(CALLS) > 25
    assert any("\0" in found for _, found in COMMANDS)


@pytest.mark.parametrize(("place", "text"), [one for one in TEXTS if WORD.search(one[1])])
def test_a_command_stands_alone_or_in_backticks_so_that_it_ends_where_it_ends(place, text):
    assert not WORD.search(QUOTED.sub("", text)) or WORD.match(text), (place, text)


@pytest.mark.parametrize(("place", "text"), COMMANDS)
def test_a_command_that_is_written_out_can_be_run(place, text):
    words = shlex.split(text)
    assert words[1] in cli, (place, text)
    if words[1] == "run" and words[2] != "OPERATION":
        parsed(place, words[2], words[3:])


@pytest.mark.parametrize(("place", "operation", "named", "whole"), CALLS)
def test_a_command_that_is_made_can_be_run(place, operation, named, whole):
    wanted = CATALOGUE.get(operation).model_fields
    assert named.keys() <= wanted.keys(), place
    given = shlex.split(command(operation, **named))[3:]
    if whole:
        parsed(place, operation, given)


def parsed(place, operation, words):
    """The operation with these inputs, for one of the things that may stand for a value; it names what it means where there may be several."""
    of, problems = CATALOGUE.get(operation), []
    for stands in STANDS_FOR:
        try:
            inputs = fields.inputs_of(of, [word.replace("\0", stands) for word in words])
            CATALOGUE.make(operation, inputs)
        except BadInput as error:
            problems.append(error.what)
            continue
        unsaid = {
            n for n, f in of.model_fields.items() if "default: the only" in (f.description or "")
        } - inputs.keys()
        assert not unsaid, (place, unsaid)
        return
    pytest.fail(f"{place}: {operation} {words}: {problems}")


@pytest.mark.parametrize(("place", "text"), [one for one in TEXTS if NAMED.search(one[1])])
def test_an_operation_that_is_only_named_exists(place, text):
    for name in NAMED.findall(text):
        assert name in CATALOGUE.names(), (place, name)


@pytest.mark.parametrize(
    "text", ["a b", "it's", "$(rm -rf /)", "`id`", 'say "no"', "back\\slash", "!1", "SELECT 'a'", ""]
)
def test_a_name_is_one_word_of_a_shell_whatever_is_in_it(text):
    assert shlex.split(command("ai.usage", sql=text)) == ["datareeve", "run", "ai.usage", "--sql", text]
    if shell(text).startswith('"'):
        assert not set(text) & set('"$`\\!')
