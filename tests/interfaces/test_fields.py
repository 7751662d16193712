"""`--field value` on the command line becomes an operation's inputs."""

from __future__ import annotations

from typing import ClassVar

import pytest
from pydantic import Field

from datareeve.core.errors import BadInput
from datareeve.core.operation import Operation
from datareeve.core.value import Value
from datareeve.interfaces import fields


class Example(Operation[Value]):
    """An operation with a field of every kind."""

    name: ClassVar[str] = "test.example"
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)
    system: str
    schema_name: str = "public"
    columns: tuple[str, ...] = ()
    unique: bool = False
    rows: int | None = None
    limits: dict[str, int] = Field(default_factory=dict)


class Systems:
    def __init__(self, *names):
        self._names = names

    def names(self, kind=None):
        return self._names


@pytest.mark.parametrize(
    ("words", "inputs"),
    [
        ([], {}),
        (["--system", "app"], {"system": "app"}),
        (["--schema", "shop"], {"schema_name": "shop"}),
        (["--schema-name=shop"], {"schema_name": "shop"}),
        (["--schema_name", "shop"], {"schema_name": "shop"}),
        (["--columns", "a, b"], {"columns": ["a", "b"]}),
        (["--columns", "a", "b"], {"columns": ["a", "b"]}),
        (["--columns", "a", "--columns", "b"], {"columns": ["a", "b"]}),
        (["--columns", "(left(a, 2)),b"], {"columns": ["(left(a, 2))", "b"]}),
        (["--columns", "(a || ',')"], {"columns": ["(a || ',')"]}),
        (["--columns", '["a,b"]'], {"columns": ["a,b"]}),
        (["--unique"], {"unique": "true"}),
        (["--no-unique"], {"unique": "false"}),
        (["--unique", "no"], {"unique": "no"}),
        (["--rows", "-5"], {"rows": "-5"}),
        (["--system=--odd"], {"system": "--odd"}),
        (["--limits", '{"a": 1}'], {"limits": {"a": 1}}),
    ],
)
def test_words_become_inputs_by_the_operations_own_fields(words, inputs):
    assert fields.inputs_of(Example, words) == inputs


def test_the_inputs_are_those_that_the_operation_takes():
    given = fields.inputs_of(Example, ["--system", "app", "--columns", "a,b", "--unique", "--rows", "5"])
    assert Example(**given) == Example(system="app", columns=("a", "b"), unique=True, rows=5)


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["--colums", "a"], "operation.field", "Did you mean --columns?"),
        (["app"], "operation.field", "stands before any --field"),
        (["--rows"], "operation.value", "--rows needs a value"),
        (["--rows", "1", "2"], "operation.value", "takes one value, 2 were given"),
        (["--limits", "a=1"], "operation.value", "--limits must be JSON"),
    ],
)
def test_words_that_fit_no_field_are_told_with_the_nearest(words, code, says):
    with pytest.raises(BadInput, match=says) as error:
        fields.inputs_of(Example, words)
    assert error.value.code == code


def test_the_only_system_of_the_right_kind_need_not_be_named():
    assert fields.with_only_system(Example, {"rows": 1}, Systems("app")) == {"system": "app", "rows": 1}


@pytest.mark.parametrize(
    ("names", "remedy"),
    [((), "datareeve init URL"), (("app", "shop"), "It has: app, shop. Choose with --system.")],
)
def test_several_or_no_systems_are_not_guessed_among(names, remedy):
    with pytest.raises(BadInput) as error:
        fields.with_only_system(Example, {}, Systems(*names))
    assert error.value.code == "operation.system"
    assert remedy in error.value.remedy
