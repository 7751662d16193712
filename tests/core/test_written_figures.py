"""Figures as people read them."""

import io
import math

import pytest
from rich.console import Console

from datareeve.core import figures
from datareeve.core.operation import Finding, Plan
from datareeve.interfaces import console


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (0, "0.00 USD"), (-2e-06, "-0.000002 USD"), (0.0123456, "0.01235 USD"), (1234567.891, "1,234,567.89 USD"), (-1.5, "-1.50 USD"),
        (9.99e-07, "0.000000999 USD"),
    ],
)  # fmt: skip
def test_money_has_the_digits_that_matter_and_no_exponent(amount, words):
    assert figures.money(amount) == words


def test_a_change_says_its_direction():
    assert [figures.money(one, sign=True) for one in (2e-06, -3.0, 0.0)] == ["+0.000002 USD", "-3.00 USD", "+0.00 USD"]  # fmt: skip
    assert [figures.percent(one, sign=True) for one in (5.04, -12.0)] == ["+5", "-12"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (50360.0, "50,360"), (50360.04, "50,360"), (12.345, "12.3"), (0.0, "0"), (0.01, "<0.1"), (-0.01, ">-0.1"), (99.97, "99.9"),
        (100.0, "100"), (1e9, "1,000,000,000"),
    ],
)  # fmt: skip
def test_a_percentage_has_one_decimal_at_most_and_is_neither_rounded_to_all_nor_to_nothing(value, words):
    assert figures.percent(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [(3, "3"), (1234, "1,234"), (1234.5, "1,234"), (0.00001234, "0.00001234"), (12.3456, "12.35"), (math.inf, "inf")],
)  # fmt: skip
def test_other_numbers_have_four_digits_that_count(value, words):
    assert figures.number(value) == words


def test_the_console_writes_a_figure_by_its_name():
    told = {
        "usd": 2e-06, "usd_made_of": {"prompts": 3e-06, "answers": 1234.5}, "error_percent": 50360.0, "rate": 5e-05,
        "savings": [{"rule": "x", "usd_month": 1.5e-05, "percent": 12345.67}],
    }  # fmt: skip
    finding = Finding(rule="r", subject="s", what="w", figures={"usd": 2e-06})
    plan = Plan(operation="ai.usage", summary="s", nothing_to_do="n", figures=told, findings=(finding,))
    out = io.StringIO()
    Console(file=out, width=200).print(console.plan_view(plan))
    said = out.getvalue()
    for words in (
        "0.000002",
        "prompts 0.000003, answers 1,234.50",
        "50,360",
        "0.00005",
        "0.000015",
        "12,345.7",
    ):
        assert words in said, said
    assert "e-0" not in said
