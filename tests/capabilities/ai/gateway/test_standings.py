"""What a beat tells of providers: those in trouble, the worst first, bounded; and nothing of what is over."""

from __future__ import annotations

import json

from datareeve.capabilities.ai.gateway import standings
from datareeve.capabilities.ai.gateway.config import Target
from datareeve.capabilities.ai.gateway.failing import LATELY, Breaker
from datareeve.capabilities.ai.gateway.targets import Standing
from datareeve.capabilities.ai.providers_seen import Seen, availability, seen
from datareeve.core.estate_gateway import BreakerSettings

WALL = 1_800_000_000.0
CODE = "upstream.http-503"


def standing(*, ok: int = 0, failed: int = 0, now: float = 1000.0) -> Standing:
    made = Standing(Breaker(BreakerSettings()))
    for _ in range(ok):
        made.ok(now)
    for _ in range(failed):
        made.breaker.failed(now, CODE)
    return made


def told(found, now=1000.0):
    return standings.told(found, now, WALL)


def seen_of(found, now=1000.0, name="openai"):
    return seen([told(found, now)], [name])[name]


def test_it_is_bounded_and_the_worst_are_told():
    many = {(f"p{n % 200}", "m" * 5000 + str(n), "k"): standing(failed=1 + (n > 1960)) for n in range(2000)}
    many |= {("alone", str(n), "k"): standing(failed=5) for n in range(20)}
    found = told(many)
    assert (len(found["providers"]), len(found["in_trouble"])) == (standings.MOST, standings.MOST)
    assert [row["provider"] for row in found["in_trouble"][:20]] == ["alone"] * 20
    assert {row["failed"] for row in found["in_trouble"][20:]} == {2}
    assert found["providers"][0]["provider"] == "alone"
    assert len(json.dumps(found)) < 100_000


def test_of_what_stands_well_only_the_sums_are_told_and_of_what_is_long_ago_nothing():
    found = {("openai", "a", "k"): standing(ok=7), ("openai", "b", "k"): standing(failed=1)}
    (provider,) = told(found)["providers"]
    assert (provider["asked"], provider["attempts"], provider["failed"]) == (2, 8, 1)
    assert [row["model"] for row in told(found)["in_trouble"]] == ["b"]
    found["openai", "c", "k"] = standing(failed=9)
    assert told(found, 1000.0 + LATELY + 161) == {"providers": [], "in_trouble": []}


def test_down_is_all_and_degraded_is_some():
    found = {("openai", "a", "k"): standing(failed=5)}
    assert seen_of(found).state == "down"
    found["openai", "a", "k2"] = standing(ok=1)
    assert (seen_of(found).state, seen_of(found).alone, seen_of(found).asked) == ("degraded", 1, 2)
    assert seen_of({("openai", "a", "k"): standing(failed=1)}).state == "degraded"  # no outage yet
    assert seen_of({("openai", "a", "k"): standing(failed=3)}).state == "down"
    assert seen_of({("openai", "a", "k"): standing(ok=99, failed=1)}).state == "up"
    assert seen_of({("openai", "a", "k"): standing(ok=9, failed=1)}).state == "degraded"
    assert availability(["up", "idle", "down"]) == "degraded"
    assert (availability(["down", "idle"]), availability(["idle"])) == ("down", "up")


def test_it_stays_down_while_it_is_tried_again_and_is_well_with_its_first_answer():
    one = standing(failed=5)
    found = {("openai", "a", "k"): one}
    later = 1000.0 + 60
    assert one.breaker.allows(later)  # the probe
    assert seen_of(found, later).state == "down"
    one.breaker.failed(later, CODE)
    assert seen_of(found, later).since == WALL - 60
    assert standings.left_alone(found, later) == {("openai", "a", "k")}
    one.ok(later + 30)
    assert (seen_of(found, later + 30).state, seen_of(found, later + 30).failed) == ("up", 0)
    assert standings.left_alone(found, later + 30) == frozenset()
    one.breaker.failed(later + 40, CODE)
    assert seen_of(found, later + 40).since == WALL  # another trouble


def test_a_provider_that_asks_for_a_rest_is_no_outage_and_a_short_one_is_not_told():
    one = standing(ok=1)
    one.limited(1000.0, 0.5)
    assert seen_of({("openai", "a", "k"): one}).state == "up"
    one.limited(1000.0, 60.0)
    told_ = seen_of({("openai", "a", "k"): one})
    assert (told_.state, told_.resting, told_.reason) == ("degraded", 1, "upstream.rate-limit")
    assert standings.left_alone({("openai", "a", "k"): one}, 1000.0) == frozenset()


def test_what_another_answered_is_counted_from_the_beginning_of_each_trouble():
    one, other = standing(ok=1), Target("claude", "c")
    one.stood_in(other)
    assert one.saved == 0  # it is well: a limit sent the request elsewhere
    one.breaker.failed(1001.0, CODE)
    one.stood_in(other)
    one.stood_in(other)
    assert (one.saved, str(one.instead)) == (2, "claude/c")
    for _ in range(5):
        one.breaker.failed(1002.0, CODE)
    one.ok(1100.0)
    one.breaker.failed(1101.0, CODE)
    one.stood_in(other)
    assert one.saved == 1


def test_several_gateways_are_put_together_and_others_providers_left_out():
    ill, well = told({("openai", "a", "k"): standing(failed=5)}), told({("openai", "a", "k"): standing(ok=5)})
    assert seen([ill, ill], ["openai"])["openai"].state == "down"
    both = seen([ill, well, {"providers": []}], ["openai"])["openai"]
    assert (both.state, both.attempts, both.failed, both.reason) == ("degraded", 10, 5, CODE)
    assert seen([ill], ["claude"]) == {}
    assert Seen(provider="x").state == "idle"
