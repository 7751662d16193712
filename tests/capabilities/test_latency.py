import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.capabilities.databases.latency import Moments, Within, quantile_at_most, together, within

times = st.lists(
    st.one_of(
        st.floats(0.001, 10),
        st.floats(90, 110),
        st.floats(0.001, 1e5),
        st.sampled_from([1.0, 99.0, 100.0, 101.0]),
    ),
    min_size=1,
    max_size=60,
)


def of(values, *, extremes=True):
    return Moments(
        calls=len(values),
        total=math.fsum(values),
        squares=math.fsum(v * v for v in values),
        least=min(values) if extremes else None,
        most=max(values) if extremes else None,
    )


@settings(max_examples=500, deadline=None)
@given(times, st.sampled_from([0.5, 50.0, 99.5, 100.0, 5000.0]), st.booleans())
def test_the_true_number_is_never_outside_the_bounds(values, target, extremes):
    found = within(of(values, extremes=extremes), target)
    assert found.least <= sum(v <= target for v in values) <= found.most


@settings(max_examples=300, deadline=None)
@given(times, times, st.sampled_from([1.0, 50.0, 100.0]), st.floats(1, 1e6))
def test_a_window_is_bounded_from_the_difference_of_two_counters(before, window, target, weight):
    """Counters of a long past are subtracted: what is left of the digits is still enough."""
    squares_before = math.fsum(v * v for v in before) * weight
    total_before = math.fsum(before) * weight
    total = (total_before + math.fsum(window)) - total_before
    squares = (squares_before + math.fsum(v * v for v in window)) - squares_before
    moments = Moments(
        calls=len(window),
        total=total,
        squares=max(0.0, squares),
        least=min(*before, *window),
        most=max(*before, *window),
        magnitude=squares_before * 2,
    )
    found = within(moments, target)
    assert found.least <= sum(v <= target for v in window) <= found.most


@settings(max_examples=300, deadline=None)
@given(times)
def test_a_percentile_is_never_above_its_bound(values):
    true = sorted(values)[max(0, math.ceil(0.95 * len(values)) - 1)]
    assert true <= quantile_at_most(of(values), 95) * (1 + 1e-9) + 1e-6


@pytest.mark.parametrize(
    ("values", "least", "most"),
    [
        ([10.0] * 100, 100, 100),  # the greatest is within: exact
        ([150.0, 200.0], 0, 0),  # the least is above: exact
        ([10.0] * 95 + [1000.0] * 5, 95, 95),  # two levels: exact again
    ],
)
def test_known_cases_are_as_sharp_as_they_can_be(values, least, most):
    found = within(of(values), 100.0)
    assert (found.least, found.most) == (least, most)


def test_bounds_are_useful_and_not_merely_true():
    """A thousand calls of 5 ms on average with a spread of 10 ms: few of them can be above 100 ms."""
    found = within(
        Moments(calls=1000, total=5000.0, squares=1000 * (25.0 + 100.0), least=0.1, most=400.0), 100.0
    )
    assert found.least >= 988
    assert found.most >= 999


def test_no_calls_are_within_and_sums_add_up():
    assert within(Moments(calls=0, total=0, squares=0), 100.0) == Within(calls=0, least=0, most=0)
    assert together([Within(calls=2, least=1, most=2), Within(calls=3, least=3, most=3)]).shares == (0.8, 1.0)
