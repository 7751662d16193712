"""Distances of distributions, from counts only."""

from __future__ import annotations

import math
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.capabilities.quality.distribution import (
    Histogram,
    compare,
    edges_between,
    figure_of,
    histogram,
    ks,
    psi,
    quantile,
)

EDGES = edges_between(-4, 4, 40)


def counted(values):
    counts = [0.0] * (len(EDGES) + 1)
    for value in values:
        counts[sum(value >= edge for edge in EDGES)] += 1
    return Histogram(edges=EDGES, counts=tuple(counts))


def normal(count, mean=0.0, spread=1.0, seed=1):
    random = Random(seed)  # noqa: S311 - no secret
    return counted([random.gauss(mean, spread) for _ in range(count)])


def test_two_samples_of_one_population_lie_as_far_apart_as_chance_says():
    distance = compare(normal(20_000), normal(20_000, seed=2))
    assert distance.psi < 2.5 * distance.psi_by_chance
    assert distance.psi < 0.01
    assert distance.ks < 1.63 * math.sqrt(2 / 20_000)
    assert distance.quantiles < 0.05


def test_a_shift_of_a_standard_deviation_is_measured_as_what_it_is():
    distance = compare(normal(20_000), normal(20_000, mean=1.0, seed=2))
    assert distance.psi == pytest.approx(1.0, abs=0.1)  # of two normals of equal spread: the squared shift
    assert distance.ks == pytest.approx(0.383, abs=0.02)  # 2 * Phi(1/2) - 1
    assert distance.quantiles == pytest.approx(1 / 1.349, abs=0.05)


def test_words_have_no_order_and_so_no_ks():
    told = {"reference": {"categories": ["a", "b"], "counts": [50, 50], "other": 0, "nulls": 0}}
    same = {"b0": 500, "b1": 500, "checked": 1000, "rows": 1000}
    assert figure_of(told, same) < 0.001
    assert (
        figure_of(told, {"b0": 500, "b1": 0, "checked": 1000, "rows": 1000}) > 1
    )  # an unknown word instead of b
    assert figure_of(told, {**same, "rows": 2000}) > 1  # as many nulls as values
    assert (
        figure_of({"method": "ks", **told}, same)
        == "this method needs parts in an order: edges, not categories"
    )


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ({}, "either edges or categories"),
        ({"edges": [1, 2], "counts": [1, 2]}, "2 counts for 3 parts"),
        ({"edges": [2, 1], "counts": [1, 2, 3]}, "rise"),
        ({"edges": [1], "counts": [1, -2]}, "below nought"),
        ({"edges": [1], "counts": [1, math.nan]}, "no number"),
        ({"edges": [1], "counts": ["x", 2]}, "no number"),
        ({"edges": [1], "counts": [0, 0]}, "no value to compare"),
    ],
)
def test_a_reference_that_is_none_says_what_is_wrong(reference, said):
    assert said in figure_of({"reference": reference}, {"b0": 1, "b1": 2, "checked": 3, "rows": 3})


def test_an_empty_table_has_nothing_to_compare_and_an_unknown_method_is_named():
    told = {"reference": {"edges": [1], "counts": [5, 5]}}
    assert figure_of(told, {"b0": 0, "b1": None, "checked": 0, "rows": 0}) == "there is no value to compare"
    assert "no method wasserstein" in figure_of({"method": "wasserstein", **told}, {})


def test_quantiles_are_drawn_within_parts():
    found = histogram({"edges": [0, 10, 20], "counts": [0, 10, 30, 0]})
    assert quantile(found, 0.5) == pytest.approx(10 + 10 * 10 / 30)
    assert quantile(found, 0.25) == pytest.approx(10)


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=12))
def test_distances_are_symmetric_not_negative_and_nought_of_the_same(pairs):
    a, b = ([float(one[side]) for one in pairs] for side in (0, 1))
    assert psi(a, b) == pytest.approx(psi(b, a))
    assert psi(a, b) >= 0
    assert psi(a, a) == pytest.approx(0)
    if any(a) and any(b):
        assert 0 <= ks(a, b) <= 1 + 1e-12
        assert ks(a, [10 * count for count in a]) == pytest.approx(0)
