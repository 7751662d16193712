"""Dates in a task: what it calls today, and what its phrases mean from there."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.agent.temporal import mentions, stated_today

SUNDAY = date(2025, 7, 20)


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Today is 2025-07-20. Production launch next week.", date(2025, 7, 20)),
        ("Launch on 2025-08-01. Today is 2025-07-20.", date(2025, 7, 20)),
        ("today is July 20, 2025", date(2025, 7, 20)),
        ("Today is Jul 20th 2025", date(2025, 7, 20)),
        ("Today is 20 July 2025.", date(2025, 7, 20)),
        ("Date: 2025/7/20", date(2025, 7, 20)),
        ("2025-07-20", date(2025, 7, 20)),
        ("Today is [date].", None),
        ("Today is 2025-02-30.", None),
        ("Today is a good day.", None),
        ("", None),
    ],
)
def test_the_day_that_a_text_calls_today(text, day):
    assert stated_today(text) == day


@pytest.mark.parametrize(
    ("phrase", "first", "last"),
    [
        ("next week", date(2025, 7, 21), date(2025, 7, 27)),
        ("this week", date(2025, 7, 20), date(2025, 7, 20)),
        ("tomorrow", date(2025, 7, 21), date(2025, 7, 21)),
        ("tonight", date(2025, 7, 20), date(2025, 7, 20)),
        ("in 3 days", date(2025, 7, 23), date(2025, 7, 23)),
        ("in two weeks", date(2025, 8, 3), date(2025, 8, 3)),
        ("within 2 days", date(2025, 7, 20), date(2025, 7, 22)),
        ("in a month", date(2025, 8, 20), date(2025, 8, 20)),
        ("by Friday", date(2025, 7, 25), date(2025, 7, 25)),
        ("next Friday", date(2025, 7, 25), date(2025, 7, 25)),
        ("on Sunday", date(2025, 7, 20), date(2025, 7, 20)),
        ("next month", date(2025, 8, 1), date(2025, 8, 31)),
        ("by the end of the month", date(2025, 7, 31), date(2025, 7, 31)),
        ("2025-08-01", date(2025, 8, 1), date(2025, 8, 1)),
    ],
)
def test_a_phrase_means_days_seen_from_today(phrase, first, last):
    (mention,) = mentions(f"Launch {phrase}.", SUNDAY)
    assert (mention.text, mention.first, mention.last) == (phrase, first, last)


def test_a_month_later_than_a_long_months_end_is_the_short_months_end():
    assert mentions("in 1 month", date(2025, 1, 31))[0].first == date(2025, 2, 28)


def test_today_itself_is_not_a_mention():
    assert mentions("Today is 2025-07-20.", SUNDAY) == ()


@given(st.text(max_size=80), st.dates())
def test_no_text_and_no_day_is_too_strange(text, today):
    mentions(text + " next month, in 999 months, next week, by Friday, end of next week", today)
