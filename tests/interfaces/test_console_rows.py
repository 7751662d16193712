"""Figures that are rows of something, as a person sees them."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from datareeve.core.operation import Finding, Outcome, Plan
from datareeve.interfaces import console


def shown(**figures):
    out = io.StringIO()
    plan = Plan(operation="x.y", summary="Looked.", nothing_to_do="It only looks.", figures=figures)
    Console(file=out, width=120).print(console.plan_view(plan))
    return [" ".join(line.split()) for line in out.getvalue().splitlines()]


def test_rows_are_a_table_with_what_it_is_before_how_much_and_no_empty_columns():
    lines = shown(
        rows=[{"failed": 0, "model": "a", "usd": 1.5}, {"failed": 0, "model": "b", "usd": 20}], requests=7
    )
    assert "requests 7" in lines
    assert lines[lines.index("model usd") :][:3] == ["model usd", "a 1.50", "b 20.00"]


def test_an_answer_to_sql_keeps_the_columns_it_asked_for():
    lines = shown(columns=["n", "model"], rows=[[3, "a"], [None, "b"]])
    assert lines[lines.index("n model") :][:3] == ["n model", "3 a", "b"]


def test_long_tables_say_how_much_is_left_out():
    assert "… and 10 more rows: --json has all of them" in shown(rows=[{"n": n + 1} for n in range(60)])


@pytest.mark.parametrize("value", [[], [1, 2], [{"a": {"b": 1}}], [{"a": 1}, 2]])
def test_what_is_no_table_is_shown_as_it_was(value):
    assert shown(things=value)


def test_a_findings_computation_and_proof_are_shown():
    out = io.StringIO()
    found = Finding(rule="r", subject="s", what="w", figures={"computed": "by hand", "proof": "look again"})
    plan = Plan(operation="x.y", summary="Looked.", nothing_to_do="It only looks.", findings=(found,))
    Console(file=out, width=120).print(console.plan_view(plan))
    assert "Computed: by hand" in out.getvalue()
    assert "Proof: look again" in out.getvalue()


@pytest.mark.parametrize(("undo_at", "seconds"), [("", "60.0 s"), ("2026-11-23T09:00:00+00:00", "3.0 s")])
def test_a_run_that_was_taken_back_tells_how_long_that_took(undo_at, seconds):
    out = io.StringIO()
    ended = "2026-11-23T09:00:03+00:00" if undo_at else "2026-11-22T20:01:00+00:00"
    times = {"started_at": "2026-11-22T20:00:00+00:00", "undo_at": undo_at, "ended_at": ended}
    Console(file=out, width=120).print(
        console.outcome_view(Outcome(run="r", plan="f" * 64, status="undone", **times))
    )
    assert out.getvalue().split("run r")[1].strip() == seconds
