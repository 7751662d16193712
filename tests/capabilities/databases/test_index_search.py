"""The search against workloads whose truth is known: tables of milliseconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.capabilities.databases.index_search import Limits, Search, Taken, Weight

MB = 1_000_000


def search(weights, families, limits=None):
    """`families`: by name {index or pair of indexes: ms with it}, '' without any; the planner takes the quickest that is there."""

    def costs(choice, fingerprints):
        asked.append((choice, tuple(fingerprints)))
        taken = {}
        for f in fingerprints:
            able = {frozenset(key.split("+")) - {""}: ms for key, ms in families[f].items()}
            best = min((uses for uses in able if uses <= choice), key=lambda uses: (able[uses], sorted(uses)))
            taken[f] = Taken(able[best], best)
        return taken

    asked: list = []
    made = Search(weights, dict.fromkeys(families, frozenset({"t"})), costs, limits or Limits())
    kept = made.run()
    return kept, made, asked


def weights(**megabytes):
    return {name: Weight(int(mb * MB), "t") for name, mb in megabytes.items()}


def test_an_index_that_helps_is_kept_and_one_that_nobody_uses_is_not():
    kept, made, _ = search(weights(a=1, b=1), {"q": {"": 100, "a": 1, "b": 150}})
    assert kept == {"a"}
    assert made.verdicts["a"].lost_ms == 99
    assert made.verdicts["b"].why_not == "No plan of the workload uses it beside the others."


def test_two_that_help_only_together_are_found():
    kept, _, _ = search(weights(a=1, b=1), {"q": {"": 100, "a+b": 5}})
    assert kept == {"a", "b"}


def test_of_two_that_do_the_same_work_the_smaller_one_stays():
    limits = Limits(bytes_per_percent=5 * MB)
    kept, made, _ = search(weights(small=9, large=38), {"q": {"": 1000, "small": 160, "large": 155}}, limits)
    assert kept == {"small"}
    assert made.verdicts["large"].why_not


def test_a_larger_one_stays_where_it_is_worth_its_size():
    limits = Limits(bytes_per_percent=5 * MB)
    kept, _, _ = search(weights(small=9, large=20), {"q": {"": 1000, "small": 160, "large": 10}}, limits)
    assert kept == {"large"}


def test_the_budget_holds_and_the_best_for_each_byte_are_kept():
    families = {"q": {"": 100, "a": 10}, "r": {"": 100, "b": 10}, "s": {"": 100, "c": 10}}
    kept, made, _ = search(weights(a=10, b=20, c=40), families, Limits(budget_bytes=30 * MB))
    assert kept == {"a", "b"}
    assert made.verdicts["c"].why_not == "It alone is more than the indexes may cost together."


def test_when_the_one_that_fits_no_limit_goes_a_lesser_one_takes_its_place():
    families = {"q": {"": 100, "wide": 1, "narrow": 5}}
    dear = {"wide": Weight(10 * MB, "t", 0.5), "narrow": Weight(5 * MB, "t", 0.1)}
    kept, _, _ = search(dear, families, Limits(most_write_percent=30, write_percent_per_percent=1000))
    assert kept == {"narrow"}


def test_what_makes_writing_dearer_must_save_more():
    families = {"q": {"": 104, "a": 10}, "r": {"": 103, "b": 100}}
    dear = {"a": Weight(MB, "t", 0.2), "b": Weight(MB, "t", 0.2)}
    kept, _, _ = search(dear, families, Limits(family_percent=0, write_percent_per_percent=10))
    assert kept == {"a"}


def test_what_writing_may_cost_bounds_the_indexes():
    families = {"q": {"": 100, "a": 10}, "r": {"": 100, "b": 50}}
    dear = {"a": Weight(MB, "t", 0.2), "b": Weight(MB, "t", 0.2)}
    kept, made, _ = search(dear, families, Limits(most_write_percent=30, write_percent_per_percent=1000))
    assert kept == {"a"}
    assert made.verdicts["b"].why_not == "Writing may become 30 % dearer, and others save more for that."


def test_an_index_that_makes_a_statement_slower_goes():
    """The planner takes what it believes in: here the index, for two statements, of which one suffers more than the other gains."""

    def costs(choice, fingerprints):
        with_it = {"q": 5.0, "r": 400.0}
        without = {"q": 50.0, "r": 100.0}
        return {f: Taken((with_it if "a" in choice else without)[f], choice & {"a"}) for f in fingerprints}

    made = Search(weights(a=1), dict.fromkeys("qr", frozenset({"t"})), costs, Limits())
    assert made.run() == frozenset()


def test_a_gain_within_the_noise_of_the_statements_that_use_it_is_none():
    kept, made, _ = search(weights(a=1), {"q": {"": 105, "a": 100}})
    assert kept == frozenset()
    assert "nothing that can be told from noise" in made.verdicts["a"].why_not


@pytest.mark.parametrize("seed", range(3))
def test_only_families_of_the_index_that_goes_are_asked_again(seed):
    families = {f"q{n}": {"": 100 + seed, f"i{n}": 10} for n in range(4)}
    _, _, asked = search(weights(**{f"i{n}": 1 for n in range(4)}), families)
    assert all(len(fingerprints) == 1 for _, fingerprints in asked[1:])


NAMES = "abcd"
FAMILY = st.dictionaries(st.sampled_from(NAMES), st.floats(1, 99), max_size=4).map(
    lambda found: {"": 100.0, **found}
)


@given(
    st.lists(FAMILY, min_size=1, max_size=5),
    st.lists(st.integers(1, 40), min_size=4, max_size=4),
    st.integers(1, 100),
)
def test_the_limits_hold_and_every_kept_index_is_used_and_worth_its_price(families, sizes, budget):
    known = {f"q{n}": one for n, one in enumerate(families)}
    limits = Limits(budget_bytes=budget * MB, bytes_per_percent=10 * MB)
    kept, made, _ = search(weights(**dict(zip(NAMES, sizes, strict=True))), known, limits)
    assert sum(size * MB for name, size in zip(NAMES, sizes, strict=True) if name in kept) <= budget * MB
    assert kept <= frozenset().union(*(taken.uses for taken in made.now.values()))
    assert all(made.verdicts[name].lost_ms > 0 for name in kept)
    assert made.total <= 100.0 * len(families) + 1e-6
    assert set(made.verdicts) == set(NAMES)
