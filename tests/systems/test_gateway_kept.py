"""Answers and prompts that the store keeps for a time."""

from __future__ import annotations

import pytest

from datareeve.systems import gateway_kept as kept
from datareeve.systems.gateway_kept import KeptPrompt
from datareeve.systems.gateway_store import GatewayStore

NOW = 1_795_400_000.0


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    where = tmp_path / "gateway.sqlite" if request.param == "sqlite" else request.getfixturevalue("database")
    store = GatewayStore.open(where)
    yield store
    store.close()


def test_an_answer_is_good_until_its_end_and_the_later_one_counts(store):
    kept.keep_answer(store, "k", b"\x00one", now=NOW, seconds=10)
    assert kept.answer(store, "k", NOW + 9) == b"\x00one"
    kept.keep_answer(store, "k", b"two", now=NOW + 5, seconds=10)
    assert kept.answer(store, "k", NOW + 14) == b"two"
    assert kept.answer(store, "k", NOW + 15) is None
    assert kept.answer(store, "other", NOW) is None


def test_answers_stay_within_their_bound_and_the_oldest_go_first(store):
    for n in range(250):
        kept.keep_answer(store, f"k{n}", b"x" * 100, now=NOW + n, seconds=1000)
    assert kept.trim_answers(store, NOW + 250, most_bytes=10_000) == 200
    assert kept.answer(store, "k199", NOW + 250) is None
    assert kept.answer(store, "k200", NOW + 250) is not None
    assert kept.trim_answers(store, NOW + 5000, most_bytes=10_000) == 50


def test_prompts_are_kept_once_and_go_when_their_end_comes(store):
    one, two = KeptPrompt("a", NOW, NOW + 10, b"\xff1"), KeptPrompt("b", NOW + 1, NOW + 20, b"\xff2")
    kept.keep_prompts(store, [one, two])
    kept.keep_prompts(store, [KeptPrompt("a", NOW, NOW + 99, b"again")])
    assert kept.prompts(store, since=NOW, now=NOW + 5) == [two, one]
    assert kept.prompts(store, since=NOW, now=NOW + 5, most=1) == [two]
    assert kept.prompts(store, since=NOW + 1, now=NOW + 5) == [two]
    assert kept.prompts(store, since=NOW, now=NOW + 10) == [two]
    assert kept.trim_prompts(store, NOW + 10) == 1
    assert kept.trim_prompts(store, NOW + 10) == 0
