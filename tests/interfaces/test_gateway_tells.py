"""What a running gateway tells its owner: in its log, with the time, and beside its beat."""

import json
import re

import pytest

from ai_double import FaultDouble, ok
from ai_rig import estate, gateway
from ai_whole import HELLO, Inside, ask, until

TIMED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")
SAID = (("x-ratelimit-limit-requests", "1000"), ("x-ratelimit-remaining-requests", "40"), ("x-ratelimit-reset-requests", "6m0s"))  # fmt: skip

STAYS, FOLLOWED = "the former configuration stays", "changes are followed again"
CHAT = {"model": "gpt-4.1", "messages": HELLO}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with FaultDouble() as double:
        text = estate(double, gateway={"privacy": {"keep_prompts": True}})
        with gateway(tmp_path_factory.mktemp("gateway"), text) as running, Inside(running) as inside:
            inside.double, inside.text, inside.port = double, text, running.port
            inside.key = inside.issue("app")
            yield inside


def lines(world, word):
    return [line for line in world.running.log.read_text().splitlines() if word in line]


def test_every_line_of_its_log_has_its_time(world):
    every = world.running.log.read_text().splitlines()
    assert any("serving http://" in line for line in every)
    assert all(TIMED.match(line) for line in every)


def test_that_prompts_cannot_be_kept_is_said_at_the_start(world):
    (line,) = lines(world, "prompts are not kept")
    assert "file:.datareeve/gateway.kek" in line
    assert "`datareeve run ai.set-up-keys`" in line


@pytest.mark.parametrize("writes", [2, 1])  # the second time a trouble begins it is told again
def test_a_broken_estate_is_told_once_when_it_begins_and_once_when_it_is_over(world, writes):
    begun, over = len(lines(world, STAYS)), len(lines(world, FOLLOWED))
    for _ in range(writes):
        (world.running.project / "estate.yaml").write_text("systems: [")
        until(lambda: len(lines(world, STAYS)) > begun)
        assert ask(world.port, world.key, "/v1/chat/completions", CHAT).status == 200
    world.running.rewrite(world.text)
    until(lambda: len(lines(world, FOLLOWED)) > over)
    assert len(lines(world, STAYS)) == begun + 1
    assert len(lines(world, FOLLOWED)) == over + 1
    assert "estate.syntax" in lines(world, STAYS)[-1]


def test_a_change_that_waits_for_a_restart_is_told_and_when_it_is_taken_back(world):
    waits, again = "gateway.max_body_mb is read when the gateway starts", "gateway.max_body_mb is again"
    world.running.rewrite({**world.text, "gateway": {**world.text["gateway"], "max_body_mb": 16}})
    until(lambda: lines(world, waits))
    assert ask(world.port, world.key, "/v1/chat/completions", CHAT).status == 200
    world.running.rewrite(world.text)
    until(lambda: lines(world, again))
    assert (len(lines(world, waits)), len(lines(world, again))) == (1, 1)


def test_what_a_provider_says_of_its_limits_comes_with_the_beat(world):
    world.double.next(ok(headers=SAID), path="/v1/chat/completions")
    assert ask(world.port, world.key, "/v1/chat/completions", CHAT).status == 200

    def heard():
        details = [json.loads(one.detail) for one in world.store.instances()]
        return [row for detail in details for row in detail["limits"]]

    (row,) = until(heard)
    assert (row["model"], row["kind"], row["limit"]) == ("gpt-4.1", "requests", 1000)
    assert row["key"].startswith("openai:estate:")
    assert row["heard_at"] > 1.7e9
    (detail,) = [json.loads(one.detail) for one in world.store.instances()]
    assert detail["sharing"] == [{"instances": 1, "alone_since": None, "trouble": ""}]


def test_tokens_that_cannot_be_counted_are_refused_with_what_to_do(world):
    body = {"model": "openai/gpt-4.1", "messages": HELLO}
    told = ask(world.port, world.key, "/v1/messages/count_tokens", body)
    assert told.status == 400
    message = told.json["error"]["message"]
    assert "has no count_tokens" in message
    assert "ask for a model of an Anthropic provider, or send the request and read `usage`" in message
    assert "(count-tokens)" not in message
