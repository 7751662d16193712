"""What providers say of their limits, read and reckoned on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.capabilities.ai.gateway.provider_limits import MOST_PLACES, ProviderLimits, duration

NOW, WALL = 1000.0, 1_795_435_200.0  # 2026-11-23T12:00:00Z


def openai(requests=None, tokens=None, *, limits=(500, 30_000), resets=("60s", "60s")):
    said = []
    for kind, left, limit, reset in zip(
        ("requests", "tokens"), (requests, tokens), limits, resets, strict=True
    ):
        if left is not None:
            said.append((f"x-ratelimit-remaining-{kind}".encode(), str(left).encode()))
            said.append((f"x-ratelimit-limit-{kind}".encode(), str(limit).encode()))
            said.append((f"x-ratelimit-reset-{kind}".encode(), reset.encode()))
    return said


def heard(*headers):
    limits = ProviderLimits()
    limits.heard("key", "gpt", headers, NOW, WALL)
    return limits


def admitted(limits, tokens, now, most=1000):
    return next(n for n in range(most) if not limits.room("key", "gpt", tokens, now))


def test_what_nobody_told_of_has_room():
    assert ProviderLimits().room("key", "gpt", 10**9, NOW)
    assert heard((b"content-type", b"application/json")).left(NOW) == ()


def test_requests_are_sent_as_long_as_some_are_left():
    assert admitted(heard(*openai(requests=7)), 10, NOW) == 7
    assert admitted(heard(*openai(requests=7, tokens=100)), 30, NOW) == 3


def test_a_limit_fills_up_steadily():
    limits = heard(*openai(tokens=0))
    assert not limits.room("key", "gpt", 1000, NOW)
    assert limits.free_in("key", "gpt", 1000, NOW) == pytest.approx(2.0)
    assert limits.room("key", "gpt", 1000, NOW + 2.01)
    assert not limits.room("key", "gpt", 1000, NOW + 2.01)
    assert limits.free_in("key", "gpt", 30_000, NOW + 100) == 0.0


def test_more_than_the_whole_limit_is_let_through_when_it_is_full():
    limits = heard(*openai(tokens=15_000))
    assert not limits.room("key", "gpt", 40_000, NOW)
    assert limits.room("key", "gpt", 40_000, NOW + 60)


def test_other_keys_and_models_have_their_own():
    limits = heard(*openai(requests=0))
    assert not limits.room("key", "gpt", 1, NOW)
    assert limits.room("key", "mini", 1, NOW)
    assert limits.room("other", "gpt", 1, NOW)


def test_an_answer_does_not_know_of_what_was_sent_just_now():
    limits = heard(*openai(requests=100, resets=("600s", "60s")))
    for _ in range(40):
        limits.room("key", "gpt", 1, NOW + 1)
    limits.heard("key", "gpt", openai(requests=95, resets=("600s", "60s")), NOW + 1.1, WALL)
    assert 55 <= admitted(limits, 1, NOW + 1.1) <= 62
    limits = heard(*openai(requests=100, resets=("600s", "60s")))
    for _ in range(40):
        limits.room("key", "gpt", 1, NOW + 1)
    limits.heard("key", "gpt", openai(requests=95, resets=("600s", "60s")), NOW + 20, WALL)
    assert admitted(limits, 1, NOW + 20) == 95, "by then it is believed: what was sent failed, or cost less"


def test_anthropic_names_its_limits_and_moments():
    limits = heard(
        (b"anthropic-ratelimit-requests-limit", b"50"),
        (b"anthropic-ratelimit-requests-remaining", b"49"),
        (b"anthropic-ratelimit-requests-reset", b"2026-11-23T12:00:01Z"),
        (b"anthropic-ratelimit-input-tokens-limit", b"40000"),
        (b"anthropic-ratelimit-input-tokens-remaining", b"0"),
        (b"anthropic-ratelimit-input-tokens-reset", b"2026-11-23T12:00:40Z"),
    )
    assert not limits.room("key", "gpt", 10, NOW)
    assert [(one.kind, one.left, one.limit) for one in limits.left(NOW)] == [
        ("requests", 49, 50),
        ("input-tokens", 0, 40_000),
    ]
    assert limits.left(NOW)[1].full_in == pytest.approx(40)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ([(b"retry-after", b"7")], 7),
        ([(b"retry-after-ms", b"1500"), (b"retry-after", b"2")], 1.5),
        ([(b"retry-after", b"Mon, 23 Nov 2026 12:00:20 GMT")], 20),
        ([(b"retry-after", b"Mon, 23 Nov 2020 12:00:20 GMT")], 0),
        ([(b"retry-after", b"soon")], 0),
    ],
)
def test_a_key_that_is_told_to_wait_waits(headers, seconds):
    assert heard(*headers).free_in("key", "gpt", 1, NOW) == pytest.approx(seconds)


def test_a_later_shorter_wait_does_not_undo_a_longer_one():
    limits = heard((b"retry-after", b"30"))
    limits.heard("key", "gpt", [(b"retry-after", b"1")], NOW + 1, WALL + 1)
    assert limits.free_in("key", "gpt", 1, NOW + 1) == pytest.approx(29)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("1h2m3.5s", 3723.5),
        ("2d", 86_400),
        ("120ms", 0.12),
        ("1.337s", 1.337),
        ("17", 17),
        ("0.25", 0.25),
        (str(int(WALL) + 30), 30),
        (str(int(WALL * 1000) + 500), 0.5),
        ("2026-11-23T12:01:00Z", 60),
        ("2026-11-23T12:01:00+01:00", 0),
        ("2026-11-23T12:00:10.250Z", 10.25),
        ("", None),
        ("-5s", None),
        ("tomorrow", None),
        ("١٢", None),
        ("nan", None),
        ("1e9", None),
        ("9" * 41, None),
    ],
)
def test_a_reset_is_understood_as_each_provider_writes_it(text, seconds):
    assert duration(text, WALL) == (None if seconds is None else pytest.approx(seconds, abs=1e-3))


@given(
    st.lists(st.tuples(st.sampled_from(sorted(openai(1, 1))), st.binary(max_size=60)), max_size=8),
    st.integers(0, 10**9),
)
def test_no_header_whatever_fails_or_stops_a_key_for_more_than_a_day(said, tokens):
    limits = heard(
        *openai(5, 5),
        *((name, value) for (name, _), value in said),
        (b"retry-after", said[0][1] if said else b""),
    )
    assert 0 <= limits.free_in("key", "gpt", tokens, NOW) <= 86_400
    limits.room("key", "gpt", tokens, NOW)
    limits.left(NOW)


def test_names_that_clients_invent_do_not_fill_the_memory():
    limits = ProviderLimits()
    for n in range(MOST_PLACES + 10):
        limits.heard("key", f"model {n}", openai(requests=1), NOW, WALL)
    assert len(limits._standings) <= MOST_PLACES
