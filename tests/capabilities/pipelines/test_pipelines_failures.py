"""Every error that the systems raise is classified: whose it is, whether it may pass, what to do next."""

import ast
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.capabilities.pipelines.failures import UNKNOWN, classify, code_of, known
from datareeve.core import errors

SOURCES = Path(errors.__file__).parents[1]
CLASSES = {
    name
    for name, one in vars(errors).items()
    if isinstance(one, type) and issubclass(one, errors.DatareeveError)
}


def codes_of(path):
    """The codes that errors are made with in a file: whole, or with `x` where a part of them is found out at run time."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except SyntaxError:  # a file that is being written is no module yet
        return
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = getattr(call.func, "id", getattr(call.func, "attr", ""))
        first = call.args[0] if name in CLASSES and call.args else None
        if isinstance(first, ast.Constant):
            yield first.value
        elif isinstance(first, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "x" for part in first.values]
            yield "".join(parts)


CODES = sorted({code for path in SOURCES.rglob("*.py") for code in codes_of(path)})
# Families of codes whose second word the engine gives.
ENGINES = ["postgres.40P01", "postgres.22012", "postgres.XX000", "postgres.error", "mysql.9999", "mysql.error", "sqlite.1", "duckdb.x", "spark.x"]  # fmt: skip


def test_there_are_codes_to_look_at():
    assert len(CODES) > 250
    assert {"postgres.unreachable", "lease.held", "duckdb.no-space"} <= set(CODES)


@pytest.mark.parametrize("code", [*CODES, *ENGINES])
def test_every_code_is_classified_with_a_next_step(code):
    if "x." not in code and code.endswith("x"):
        code = code.replace("x", "other")
    found = known(code)
    assert found is not None or re.match(r"x\.", code), f"{code} has no place in failures.RULES"
    told = classify(code)
    assert told.kind in {"source", "data", "target", "code", "capacity", "schedule"}
    assert len(told.next_step) > 20


@pytest.mark.parametrize(
    ("code", "where", "kind", "retry"),
    [
        ("postgres.unreachable", "source", "source", True),
        ("postgres.unreachable", "target", "target", True),
        ("postgres.login", "target", "target", False),
        ("postgres.40P01", "target", "target", True),
        ("postgres.22P02", "source", "data", False),
        ("postgres.23505", "target", "data", False),
        ("postgres.53100", "target", "capacity", True),
        ("postgres.disk-full", "target", "capacity", True),
        ("postgres.42601", "source", "code", False),
        ("postgres.42501", "source", "source", False),
        ("postgres.42P01", "source", "source", False),
        ("pipelines.memory", "", "capacity", True),
        ("pipelines.no-table", "source", "source", False),
        ("pipelines.missing-column", "source", "source", False),
        ("pipelines.connection-lost", "target", "target", True),
        ("pipelines.timeout", "", "capacity", True),
        ("pipelines.crashed", "", "capacity", False),
        ("folder.vanished", "", "source", True),
        ("duckdb.locked", "target", "target", True),
        ("mysql.login", "", "source", False),
        ("ledger.unreachable", "", "capacity", True),
        ("plan.stale", "", "schedule", True),
        ("lease.held", "", "schedule", True),
        ("approval.needed", "", "code", False),
        ("schedule.cron", "", "schedule", False),
        ("contract.unknown", "", "data", False),
    ],
)
def test_a_failure_is_whose_it_is(code, where, kind, retry):
    told = classify(code, where)
    assert (told.kind, told.retry) == (kind, retry)


def test_a_code_that_nobody_knows_is_told_as_such_and_not_tried_again():
    told = classify("nobody.knows")
    assert (told.kind, told.retry, told.next_step) == UNKNOWN


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("postgres.23505: The statement failed.", "postgres.23505"),
        ("pipelines.no-table: There is no table.", "pipelines.no-table"),
        ("internal: It failed.", "internal"),
        ("the check failed: rows are there", ""),
        ("", ""),
    ],
)
def test_the_code_is_read_out_of_an_outcomes_error(error, code):
    assert code_of(error) == code


@given(st.text())
def test_whatever_the_code_is_it_is_classified(code):
    assert classify(code).next_step
    code_of(code)
