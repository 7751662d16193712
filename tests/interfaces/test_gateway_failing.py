"""Failing well, seen from both ends: two scripted providers behind a real gateway, and what its clients, its rows and its providers see.

Every test has routes of its own, because what failed is remembered. A model's name says where it goes; providers named …2 are the second double.
"""

import asyncio
import email.utils
import itertools
import json
import socket
import threading
import time
from collections import Counter

import anthropic
import openai
import pytest

from ai_double import FaultDouble, cut, drop, fail, garbage, ok, silence
from ai_rig import estate, free_port, gateway
from ai_whole import BODIES, END, HELLO, Client, Inside, ask, at_once, chat, request, statuses, until

OPEN_SECONDS = 0.4
PRICE = {"input": 1_000_000, "output": 2_000_000}  # a dollar a token: what is counted is seen
ROUTES = {}


def route(name, *providers, **settings):
    """A route of that name to models of that name."""
    targets = [f"{provider}/{name}" for provider in providers]
    ROUTES[name] = {"targets": targets, "retries": 0, "deadline_seconds": 10, **settings}
    return name


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with FaultDouble() as first, FaultDouble() as second:
        wanted = estate(
            first,
            second,
            systems={
                "two": {"kind": "openai", "base_url": first.openai_url, "keys": ["env:KEY_ONE", "env:KEY_TWO"]},
                "hasty": {"kind": "openai", "base_url": first.openai_url, "keys": ["env:KEY_OPENAI"], "first_byte_seconds": 0.2, "idle_seconds": 0.2},
                "dead": {"kind": "openai", "base_url": f"http://127.0.0.1:{free_port()}/v1", "keys": ["env:KEY_OPENAI"]},
            },
            gateway={
                "models": ROUTES,
                "breaker": {"failures": 3, "open_seconds": OPEN_SECONDS},
                "prices": {target: PRICE for one in ROUTES.values() for target in one["targets"]},
            },
        )  # fmt: skip
        with gateway(tmp_path_factory.mktemp("gateway"), wanted) as running, Inside(running) as inside:
            inside.first, inside.second = first, second
            inside.key = inside.issue("app")
            inside.port = running.port
            yield inside


@pytest.fixture
def ask_chat(world):
    return lambda model, **rest: chat(world.port, world.key, model, **rest)


def gaps(seen):
    return [after.at - before.at for before, after in itertools.pairwise(seen)]


# -- again -------------------------------------------------------------------------------------------------------------------------

AGAIN = route("again", "openai", retries=2)
JITTER = [route(f"jitter-{n}", "openai", retries=1) for n in range(16)]


def test_a_failure_is_tried_again_after_a_pause_and_counted_once(world, ask_chat):
    world.first.next(fail(500), fail(503), model=AGAIN)
    assert ask_chat(AGAIN).status == 200
    seen = world.first.matching(model=AGAIN)
    assert [one.status for one in seen] == [500, 503, 200]
    row = world.row(asked_model=AGAIN)
    assert (row["status"], row["attempts"], row["input"], row["output"]) == ("ok", 3, 3, 4)


def test_pauses_are_jittered_so_that_requests_that_failed_together_do_not_return_together(world):
    for model in JITTER:
        world.first.next(fail(500), model=model)
    path = "/v1/chat/completions"
    answers = at_once(
        world.port, [(world.key, path, {"model": model, "messages": HELLO}) for model in JITTER]
    )
    assert statuses(answers) == {200: len(JITTER)}
    pauses = [gaps(world.first.matching(model=model))[0] for model in JITTER]
    assert max(pauses) < 0.25 + 0.2
    assert max(pauses) - min(pauses) > 0.05


ASKED = {
    f"asked-{status}-{how}": (status, headers, least, most)
    for status in (429, 503)
    for how, headers, least, most in (
        ("seconds", {"retry-after": "0.3"}, 0.3, 1.0),
        ("milliseconds", {"retry-after-ms": "300", "retry-after": "60"}, 0.3, 1.0),
        ("date", {"retry-after": "date"}, 0.1, 2.6),
        ("nonsense", {"retry-after": "soon, perhaps; -1e999"}, 0.0, 1.0),
    )
}  # fmt: skip
for _name in ASKED:
    route(_name, "openai", retries=1)


@pytest.mark.parametrize("model", ASKED)
def test_a_provider_is_left_alone_as_long_as_it_asks(world, ask_chat, model):
    status, headers, least, most = ASKED[model]
    if headers["retry-after"] == "date":
        headers = {"retry-after": email.utils.formatdate(int(time.time()) + 2, usegmt=True)}
    world.first.next(fail(status, headers=tuple(headers.items())), model=model)
    assert ask_chat(model).status == 200
    [pause] = gaps(world.first.matching(model=model))
    assert least <= pause < most


ESCALATING = route("escalating", "openai", retries=3)


def test_a_provider_that_asks_again_and_again_is_left_alone_longer_each_time(world, ask_chat):
    world.first.next(*[fail(429, retry_after=0.1)] * 3, model=ESCALATING)
    assert ask_chat(ESCALATING).status == 200
    first, second, third = gaps(world.first.matching(model=ESCALATING))
    assert (first >= 0.1, second >= 0.2, third >= 0.4) == (True, True, True)


TOO_LATE = route("too-late", "openai", retries=3, deadline_seconds=1)
SLOW = route("slow", "openai", retries=3, deadline_seconds=0.4)
HURRIED = [route(f"hurried-{n}", "openai", retries=3) for n in range(2)]


def test_a_wait_beyond_the_deadline_is_the_callers(world, ask_chat):
    world.first.always(fail(429, retry_after=7), model=TOO_LATE)
    told = ask_chat(TOO_LATE)
    assert (told.status, told.headers["retry-after"]) == (429, "7")
    assert told.seconds < 0.5
    assert len(world.first.matching(model=TOO_LATE)) == 1


def test_the_routes_deadline_ends_a_request(world, ask_chat):
    world.first.always(silence(), model=SLOW)
    told = ask_chat(SLOW)
    assert (told.status, told.code) == (504, "upstream.deadline")
    assert 0.35 < told.seconds < 1.0
    row = world.row(asked_model=SLOW)
    assert (row["status"], row["http_status"], row["error"]) == ("error", 504, "upstream.deadline")
    assert row["cost_microusd"] > 0  # it was sent, and may have been read


def test_so_does_the_deadline_that_the_callers_sdk_tells(world):
    for model in HURRIED:
        world.first.always(silence(), model=model)
    client = {"api_key": world.key, "max_retries": 0, "timeout": 0.3}
    began = time.monotonic()
    with openai.OpenAI(base_url=world.running.openai_url, **client) as oai, pytest.raises(openai.APIError):
        oai.chat.completions.create(model=HURRIED[0], messages=HELLO)
    with anthropic.Anthropic(base_url=world.running.url, **client) as ant, pytest.raises(anthropic.APIError):
        ant.messages.create(model=HURRIED[1], messages=HELLO, max_tokens=5)
    assert time.monotonic() - began < 3
    for model in HURRIED:
        seen = world.first.matching(model=model)[0]
        world.first.wait_until(lambda seen=seen: seen.ended == "client left")
        assert world.row(asked_model=model)["status"] in ("error", "disconnected")


def test_retries_are_bounded_over_all_requests_together(world):
    models = [f"openai/budgeted-{n}" for n in range(150)]
    for model in models:
        world.first.always(fail(500), model=model.removeprefix("openai/"))
    began = time.monotonic()
    path = "/v1/chat/completions"
    answers = at_once(world.port, [(world.key, path, {"model": m, "messages": HELLO}) for m in models])
    assert statuses(answers) == {500: 150}
    attempts = sum(one.model.startswith("budgeted-") for one in world.first.seen)
    allowed = 150 + 100 + 150 * 0.2 + 10 * (time.monotonic() - began)  # instead of 450
    assert 200 < attempts <= allowed
    until(
        lambda: ask(world.port, world.key, path, {"model": "openai/after", "messages": HELLO}).status == 200
    )


# -- elsewhere ---------------------------------------------------------------------------------------------------------------------

OTHER_KEY = {status: route(f"other-key-{status}", "two", retries=0) for status in (401, 402, 403, 429)}
NOT_OURS = {status: route(f"not-ours-{status}", "openai", retries=2) for status in (401, 402, 403)}
GONE = {status: route(f"gone-{status}", "openai", retries=2) for status in (404, 410)}
CHAINS = {
    f"{what}-{status}": (status, second)
    for status in (404, 408, 429, 500, 502, 503, 529, "refused", "dropped", "garbage")
    for what, second in (("chain", "openai2"), ("crossed", "claude2"))
}
for _name, (_status, _second) in CHAINS.items():
    route(_name, "dead" if _status == "refused" else "openai", _second)


@pytest.mark.parametrize("status", OTHER_KEY)
def test_what_is_wrong_with_one_key_is_tried_with_the_other(world, ask_chat, status):
    model = OTHER_KEY[status]
    world.first.always(fail(status, message="about your account"), model=model, key="key-one")
    answers = [ask_chat(model) for _ in range(4)]
    assert statuses(answers) == {200: 4}
    assert {one.key for one in world.first.matching(model=model, status=200)} == {"key-two"}
    assert len(world.first.matching(model=model, key="key-one")) >= 1


@pytest.mark.parametrize("status", NOT_OURS)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_a_providers_refusal_of_our_key_is_never_told_as_the_clients(world, status, path):
    model = NOT_OURS[status]
    before = len(world.first.matching(model=model))
    world.first.always(fail(status, message="Incorrect API key provided: key-openai"), model=model)
    told = ask(world.port, world.key, path, {"model": model, **BODIES[path]})
    assert told.status == 502
    assert b"Incorrect" not in told.body
    assert b"key-openai" not in told.body
    assert len(world.first.matching(model=model)) - before == 1  # the same key is not shown again


@pytest.mark.parametrize("status", GONE)
def test_a_model_that_is_gone_is_asked_for_once(world, ask_chat, status):
    world.first.always(fail(status, message="no such model"), model=GONE[status])
    told = ask_chat(GONE[status])
    assert (told.status, "no such model" in told.json["error"]["message"]) == (status, True)
    assert len(world.first.matching(model=GONE[status])) == 1
    assert told.seconds < 0.5


@pytest.mark.parametrize("model", CHAINS)
def test_the_next_target_answers_at_once(world, ask_chat, model):
    status, second = CHAINS[model]
    behaviour = {"dropped": drop(), "garbage": garbage()}.get(status)
    world.first.always(behaviour or fail(status if status != "refused" else 500), model=model)
    told = ask_chat(model)
    assert (told.status, told.json["choices"][0]["message"]["content"]) == (200, "You said: hello there")
    assert told.headers["x-datareeve-served-by"] == f"{second}/{model}"
    assert told.seconds < 1
    row = world.row(asked_model=model)
    assert (row["status"], row["provider"], row["attempts"]) == ("ok", second, 2)
    assert (row["input"], row["output"]) == (3, 4)


REDIRECTED = route("redirected", "openai")


def test_a_redirect_is_neither_followed_nor_told(world, ask_chat):
    world.first.next(ok(raw=b"HTTP/1.1 307 Temporary\r\nlocation: http://127.0.0.1:1/steal\r\ncontent-length: 0\r\n\r\n"), model=REDIRECTED)  # fmt: skip
    told = ask_chat(REDIRECTED)
    assert told.status == 502
    assert "location" not in told.headers


UNTRANSLATABLE = route("untranslatable", "claude", "openai2", retries=2)
UNTRANSLATABLE_LAST = route("untranslatable-last", "openai", "claude2", retries=0)
ONLY_UNTRANSLATABLE = route("only-untranslatable", "claude", retries=2)


def test_a_target_that_cannot_be_asked_in_its_protocol_is_passed_over(world, ask_chat):
    told = ask_chat(UNTRANSLATABLE, n=2)
    assert (told.status, len(told.json["choices"])) == (200, 2)
    assert world.first.matching(model=UNTRANSLATABLE) == []


def test_the_failure_of_the_target_that_was_asked_is_told_and_not_that_another_could_not_be(world, ask_chat):
    world.first.always(fail(503, message="down"), model=UNTRANSLATABLE_LAST)
    told = ask_chat(UNTRANSLATABLE_LAST, n=2)
    assert (told.status, told.json["error"]["message"]) == (503, "down")


def test_what_no_target_understands_is_refused_by_name_at_once(world, ask_chat):
    told = ask_chat(ONLY_UNTRANSLATABLE, n=2)
    assert (told.status, "n" in told.json["error"]["message"]) == (400, True)
    assert told.seconds < 0.2
    row = world.row(asked_model=ONLY_UNTRANSLATABLE)
    assert (row["status"], row["cost_microusd"]) == ("refused", 0)


# -- the breaker -------------------------------------------------------------------------------------------------------------------

BREAKING = route("breaking", "openai", retries=0)
AVOIDED = route("avoided", "openai", "openai2", retries=0)
PROBED = route("probed", "openai", retries=0)


def test_a_target_that_fails_in_a_row_is_left_alone_and_then_asked_again(world, ask_chat):
    world.first.always(fail(500), model=BREAKING)
    assert [ask_chat(BREAKING).status for _ in range(3)] == [500, 500, 500]
    told = ask_chat(BREAKING)
    assert (told.status, told.code, int(told.headers["retry-after"]) >= 1) == (
        503,
        "gateway.unavailable",
        True,
    )
    assert told.seconds < 0.1
    assert len(world.first.matching(model=BREAKING)) == 3
    row = world.rows(4, asked_model=BREAKING)[-1]
    assert (row["attempts"], row["cost_microusd"]) == (0, 0)
    world.first.always(ok(), model=BREAKING)
    until(lambda: ask_chat(BREAKING).status == 200)


def test_an_open_breaker_costs_the_next_target_no_time(world, ask_chat):
    world.first.always(fail(500), model=AVOIDED)
    assert {ask_chat(AVOIDED).status for _ in range(6)} == {200}
    assert len(world.first.matching(model=AVOIDED)) == 3
    assert len(world.second.matching(model=AVOIDED)) == 6


def test_one_request_probes_a_target_that_had_failed_while_the_others_stay_away(world, ask_chat):
    world.first.always(fail(500), model=PROBED)
    for _ in range(3):
        ask_chat(PROBED)
    world.first.always(ok(hold=True), model=PROBED)
    body = {"model": PROBED, "messages": HELLO}
    found = []
    probing = threading.Thread(target=lambda: found.append(until(lambda: (told := chat(world.port, world.key, PROBED)).status == 200 and told)))  # fmt: skip
    probing.start()
    world.first.wait_until(lambda: len(world.first.matching(model=PROBED)) == 4)
    answers = at_once(world.port, [(world.key, "/v1/chat/completions", body)] * 10)
    assert statuses(answers) == {503: 10}
    assert len(world.first.matching(model=PROBED)) == 4
    world.first.let_go()
    probing.join(5)
    assert found[0].status == 200
    world.first.always(ok(), model=PROBED)
    assert ask_chat(PROBED).status == 200


# -- hedging -----------------------------------------------------------------------------------------------------------------------

HEDGED = [route(f"hedged-{n}", "openai", "openai2", hedge_after_ms=50) for n in range(5)]


@pytest.mark.parametrize(("model", "stream"), [(HEDGED[0], False), (HEDGED[1], True)])
def test_a_second_target_answers_for_a_slow_one_which_is_cut_and_counted(world, ask_chat, model, stream):
    world.first.next(silence(), model=model)
    told = ask_chat(model, stream=stream)
    assert (told.status, told.whole, b"there" in told.body) == (200, True, True)
    assert told.headers["x-datareeve-served-by"] == f"openai2/{model}"
    assert told.seconds < 1
    world.first.wait_until(lambda: world.first.matching(model=model)[0].ended == "client left")
    row = world.row(asked_model=model)
    assert (row["status"], row["attempts"], row["provider"]) == ("ok", 2, "openai2")
    served = 3 * 1_000_000 + 4 * 2_000_000
    assert (
        served + 1_000_000 <= row["cost_microusd"] <= served + 30 * 1_000_000
    )  # the loser had read its prompt


def test_where_the_first_answers_in_time_nobody_else_is_asked(world, ask_chat):
    assert ask_chat(HEDGED[2]).status == 200
    assert world.second.matching(model=HEDGED[2]) == []


def test_where_both_fail_each_was_asked_once(world, ask_chat):
    world.first.next(fail(500, delay=0.15), model=HEDGED[3])
    world.second.next(fail(503, delay=0.15), model=HEDGED[3])
    assert ask_chat(HEDGED[3]).status in (500, 503)
    assert (len(world.first.matching(model=HEDGED[3])), len(world.second.matching(model=HEDGED[3]))) == (1, 1)


def test_a_client_that_leaves_a_hedged_stream_ends_both(world):
    model = HEDGED[4]
    world.first.next(silence(), model=model)
    world.second.next(silence(), model=model)
    connection = begun(world, model)
    both = lambda: [*world.first.matching(model=model), *world.second.matching(model=model)]  # noqa: E731
    until(lambda: len(both()) == 2)
    connection.close()
    until(lambda: {one.ended for one in both()} == {"client left"})
    assert world.row(asked_model=model)["status"] == "disconnected"


# -- streams -----------------------------------------------------------------------------------------------------------------------

EARLY = {
    f"early-{what}": behaviour
    for what, behaviour in {
        "cut": cut(0), "reset": cut(0, "reset"), "end": cut(0, "end"), "error": ok(error_after=0), "role": cut(1), "quiet": silence(1),
    }.items()
}  # fmt: skip
for _name in EARLY:
    route(_name, "hasty", "openai2")
LATER = {
    f"later-{path.rpartition('/')[2]}-{how}": (path, behaviour)
    for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses", "/v1/completions")
    for how, behaviour in {"cut": cut(12, words=40), "reset": cut(12, "reset", words=40), "end": cut(12, "end", words=40)}.items()
}  # fmt: skip
for _name, (_path, _) in LATER.items():
    route(_name, "claude" if _path == "/v1/messages" else "openai", "openai2", retries=2)
QUIET = route("quiet", "hasty", retries=2)
LONG = route("long", "hasty", deadline_seconds=0.3)


@pytest.mark.parametrize("model", EARLY)
def test_a_stream_that_breaks_before_its_first_token_is_had_elsewhere(world, ask_chat, model):
    world.first.next(EARLY[model], model=model)
    told = ask_chat(model, stream=True)
    assert (told.status, told.whole, told.body.count(b"[DONE]")) == (200, True, 1)
    assert told.body.count(b'"role"') == 1
    assert b'"error"' not in told.body
    row = world.row(asked_model=model)
    assert (row["status"], row["attempts"], row["provider"], row["output"]) == ("ok", 2, "openai2", 4)


@pytest.mark.parametrize("model", LATER)
def test_a_stream_that_breaks_later_is_told_and_counted(world, model):
    path, behaviour = LATER[model]
    world.first.next(behaviour, model=model)
    bound = {name: value if name not in ("max_tokens", "max_completion_tokens", "max_output_tokens") else 100 for name, value in BODIES[path].items()}  # fmt: skip
    told = ask(world.port, world.key, path, {"model": model, "stream": True, **bound})
    assert told.status == 200
    assert told.whole  # the connection is not merely cut
    assert END[path] not in told.body
    assert b"error" in told.body.rpartition(b"data: ")[2]
    assert world.second.matching(model=model) == []  # the client has half of another answer already
    row = world.row(asked_model=model)
    assert (row["status"], row["estimated"], row["error"] != "") == ("broken", True, True)
    sent = world.first.matching(model=model)[0].used
    assert 0 < row["input"] < 30
    assert sent.output / 2 <= row["output"] <= sent.output * 2  # estimated by its text
    assert row["cost_microusd"] == row["input"] * 1_000_000 + row["output"] * 2_000_000


def test_a_stream_that_falls_silent_is_ended_and_told(world, ask_chat):
    world.first.next(silence(5), model=QUIET)
    told = ask_chat(QUIET, stream=True)
    assert (told.status, told.whole) == (200, True)
    assert json.loads(told.body.rpartition(b"data: ")[2])["error"]["code"] == "upstream.idle-timeout"
    assert told.seconds < 1
    assert (world.row(asked_model=QUIET)["error"], world.first.matching(model=QUIET)[0].ended) == ("upstream.idle-timeout", "client left")  # fmt: skip


def test_a_stream_may_go_on_far_longer_than_any_patience_as_long_as_it_speaks(world, ask_chat):
    world.first.next(ok(words=20, token_delay=0.06), model=LONG)
    told = ask_chat(LONG, stream=True)  # 4 times the deadline: as ten minutes are to 150 seconds
    assert (told.whole, b"[DONE]" in told.body) == (True, True)
    assert told.seconds > 1.2
    assert world.row(asked_model=LONG)["output"] == 20


# -- timeouts, garbage, lies -------------------------------------------------------------------------------------------------------

SILENT = route("silent", "hasty", "openai2")
ONLY_SILENT = route("only-silent", "hasty", retries=0)
NONSENSE = {
    f"nonsense-{name}": behaviour
    for name, behaviour in {
        "text": ok(body=b"<html>Sign in to the hotel's network</html>"), "empty": ok(body=b""), "list": ok(body=b"[]"), "null": ok(body=b"null"),
        "cut": cut(20), "longer": ok(lie=50), "shorter": ok(lie=-40), "header": garbage(b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n{}"),
        "status": garbage(b"HTTP/1.1 999999 OK\r\n\r\n"), "huge": garbage(b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 30_000), "binary": garbage(bytes(range(256)) * 40),
        "length": garbage(b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n{}"), "lengths": garbage(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
    }.items()
}  # fmt: skip
for _name in NONSENSE:
    route(f"{_name}-openai2", "openai", "openai2")
    route(f"{_name}-crossed", "claude", "openai2")


def test_a_provider_that_does_not_begin_in_time_is_left_for_another(world, ask_chat):
    world.first.next(silence(), model=SILENT)
    told = ask_chat(SILENT)
    assert (told.status, told.headers["x-datareeve-served-by"]) == (200, f"openai2/{SILENT}")
    assert told.seconds < 1
    assert (
        world.row(asked_model=SILENT)["cost_microusd"] > 3 * 1_000_000 + 4 * 2_000_000
    )  # the silent one bills its prompt
    world.first.next(silence(), model=ONLY_SILENT)
    told = ask_chat(ONLY_SILENT)
    assert (told.status, told.code) == (504, "upstream.first-byte-timeout")


@pytest.mark.parametrize("crossed", ["openai2", "crossed"])
@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_not_an_answer(world, ask_chat, name, crossed):
    model = f"{name}-{crossed}"
    world.first.next(NONSENSE[name], model=model)
    told = ask_chat(model)
    assert (told.status, told.json["choices"][0]["message"]["content"]) == (200, "You said: hello there")
    assert told.headers["x-datareeve-served-by"] == f"openai2/{model}"
    assert ask_chat(model).json["choices"]  # nothing is left on the connection


# -- clients that leave, or do not read --------------------------------------------------------------------------------------------

LEAVING = {path: route(f"leaving-{path.rpartition('/')[2]}", "claude" if "messages" in path else "openai") for path in ("/v1/chat/completions", "/v1/messages", "/v1/responses")}  # fmt: skip
LEFT_WAITING = route("left-waiting", "openai", "openai2", retries=3)
LEFT_WHOLE = route("left-whole", "openai")
NOT_READING = [route(f"not-reading-{n}", "openai") for n in range(2)]


def begun(world, model, path="/v1/chat/completions", **rest):
    """The connection of a client that has asked for a stream."""
    body = json.dumps({"model": model, **BODIES[path], "stream": True, **rest}).encode()
    connection = socket.create_connection(("127.0.0.1", world.port), timeout=5)
    connection.sendall(request("POST", path, body, key=world.key))
    return connection


@pytest.mark.parametrize("path", LEAVING)
def test_a_client_that_leaves_ends_the_providers_work_and_is_counted(world, path):
    model = LEAVING[path]
    world.first.next(ok(hold_after=9, words=60), model=model)
    bound = {"max_completion_tokens": 100} if "chat" in path else {"max_tokens": 100} if "messages" in path else {"max_output_tokens": 100}  # fmt: skip
    with begun(world, model, path, **bound) as connection:
        said = b""
        while b"w2" not in said:
            said += connection.recv(65536)
    world.first.wait_until(lambda: world.first.matching(model=model)[0].ended == "client left")
    row = world.row(asked_model=model)
    assert (row["status"], row["estimated"], row["http_status"]) == ("disconnected", True, 200)
    assert 0 < row["input"] < 30
    assert 1 <= row["output"] <= 9
    assert row["cost_microusd"] == row["input"] * 1_000_000 + row["output"] * 2_000_000


def test_for_a_client_that_left_nobody_is_asked_again(world):
    world.first.always(fail(429, retry_after=0.3), model=LEFT_WAITING)
    world.second.always(fail(429, retry_after=0.3), model=LEFT_WAITING)
    begun_at = begun(world, LEFT_WAITING)
    until(lambda: len(world.second.matching(model=LEFT_WAITING)) == 1)
    begun_at.close()
    row = world.row(asked_model=LEFT_WAITING)
    assert (row["status"], row["cost_microusd"]) == ("disconnected", 0)
    assert (len(world.first.matching(model=LEFT_WAITING)), len(world.second.matching(model=LEFT_WAITING))) == (1, 1)  # fmt: skip


def test_a_whole_answer_that_nobody_waits_for_is_counted_as_the_provider_bills_it(world):
    world.first.next(ok(hold=True), model=LEFT_WHOLE)
    with begun(world, LEFT_WHOLE, stream=False):
        world.first.wait_until(lambda: world.first.matching(model=LEFT_WHOLE))
    world.first.let_go()
    row = world.row(asked_model=LEFT_WHOLE)
    assert (row["status"], row["estimated"], row["input"], row["output"]) == ("disconnected", False, 3, 4)


def test_a_client_that_does_not_read_holds_the_provider_back_and_not_the_gateway(world):
    model = NOT_READING[0]
    text = " ".join(["x" * 16_000] * 2500)  # 40 MB
    world.first.next(ok(text=text), model=model)
    before = resident_mb(world)
    connection = begun(world, model, max_completion_tokens=5000)
    seen = until(lambda: world.first.matching(model=model))[0]
    until(lambda: seen.events > 50)
    events = -1
    while events != seen.events:
        events = seen.events
        assert chat(world.port, world.key, NOT_READING[1]).status == 200  # others are served meanwhile
        time.sleep(0.1)
    assert seen.events < 1500
    assert resident_mb(world) - before < 25
    connection.close()
    world.first.wait_until(lambda: seen.ended == "client left")
    assert world.row(asked_model=model)["status"] == "disconnected"


def test_a_client_that_reads_late_gets_all_of_it(world, ask_chat):
    text = " ".join(["x" * 16_000] * 700)
    world.first.next(ok(text=text), model=NOT_READING[1])

    async def late():
        client = Client(world.port, world.key)
        reader, writer = await asyncio.open_connection("127.0.0.1", world.port, limit=1024)
        client._reader, client._writer = reader, writer
        body = {"model": NOT_READING[1], "messages": HELLO, "stream": True}
        writer.write(request("POST", "/v1/chat/completions", json.dumps(body).encode(), key=world.key))
        seen = world.first.matching(model=NOT_READING[1])
        events = -1
        while not seen or seen[-1].stream is False or events != seen[-1].events:
            seen = world.first.matching(model=NOT_READING[1])
            events = seen[-1].events if seen else -1
            await asyncio.sleep(0.1)
        told = await client.send(b"")
        client.close()
        return told

    told = asyncio.run(late())
    assert (told.whole, told.body.count(b"x" * 16_000), told.body.count(b"[DONE]")) == (True, 700, 1)


def resident_mb(world):
    status = f"/proc/{world.running.process.pid}/status"
    with open(status) as file:  # noqa: PTH123 - not a path of ours
        return next(int(line.split()[1]) / 1024 for line in file if line.startswith("VmRSS"))


# -- errors as they are told -------------------------------------------------------------------------------------------------------

SHAPES = {
    status: route(f"shape-{status}", "openai", retries=0) for status in (400, 409, 413, 422, 429, 500, 529)
}
RAISING = {kind: route(f"raising-{kind}", kind, retries=0) for kind in ("openai", "claude")}


@pytest.mark.parametrize("status", SHAPES)
def test_a_providers_error_is_told_as_it_said_it(world, ask_chat, status):
    world.first.always(fail(status, headers=(("x-own", "kept"),)), model=SHAPES[status])
    told = ask_chat(SHAPES[status])
    direct = chat(world.first.port, "any", SHAPES[status])
    assert (told.status, told.body, told.headers["x-own"]) == (status, direct.body, "kept")
    row = world.row(asked_model=SHAPES[status])
    assert (row["status"], row["http_status"], row["error"]) == ("error", status, f"upstream.http-{status}")
    assert (row["cost_microusd"], row["output"]) == (0, 0)


def words_of(oai, ant, model):
    """The pieces of a stream, as both SDKs hand them on."""
    for chunk in oai.chat.completions.create(model=model, messages=HELLO, stream=True) if oai else ():
        yield from (choice.delta.content for choice in chunk.choices if choice.delta.content)
    for event in ant.messages.create(model=model, messages=HELLO, max_tokens=90, stream=True) if ant else ():
        yield from (event.delta.text for event in (event,) if event.type == "content_block_delta")


@pytest.mark.parametrize("kind", RAISING)
@pytest.mark.parametrize("sdk", [openai, anthropic], ids=["openai", "anthropic"])
def test_both_sdks_raise_on_a_broken_stream(world, kind, sdk):
    world.first.always(cut(10, words=40), model=RAISING[kind])
    client = {"api_key": world.key, "max_retries": 0, "timeout": 5}
    if sdk is openai:
        clients = (openai.OpenAI(base_url=world.running.openai_url, **client), None)
    else:
        clients = (None, anthropic.Anthropic(base_url=world.running.url, **client))
    words = []
    with next(filter(None, clients)), pytest.raises(sdk.APIError, match="broke off"):
        words.extend(words_of(*clients, RAISING[kind]))
    assert words
    until(lambda: world.rows(asked_model=RAISING[kind]))
    assert {row["status"] for row in world.rows(asked_model=RAISING[kind])} == {"broken"}


# -- a provider that comes back ----------------------------------------------------------------------------------------------------


def test_kept_connections_that_a_provider_closed_meanwhile_fail_no_request(tmp_path):
    with FaultDouble() as double, gateway(tmp_path, estate(double)) as running, Inside(running) as inside:
        key = inside.issue("app")
        asked = [(key, "/v1/chat/completions", {"model": "m", "messages": HELLO})] * 30
        double.always(ok(delay=0.05))
        assert statuses(at_once(running.port, asked)) == {200: 30}
        double.stop()
        double.start()
        double.always(ok())
        assert statuses(at_once(running.port, asked)) == {200: 30}
        assert Counter(one.status for one in double.seen) == {200: 60}


# -- what is not told, and what is counted all the same ------------------------------------------------------------------------------

QUOTED, HASTE, UNHEARD, RAISES, COVERED = (
    route(name, "openai") for name in ("quoted", "haste", "unheard", "raises", "covered")
)
HIDDEN, BARE = route("hidden", "openai", "openai2"), route("bare", "openai")
ROUTES[COVERED]["requests_per_minute"] = 1
ROUTES[HASTE]["targets"] = [f"two/{HASTE}"]


def test_a_providers_key_is_not_told_where_its_error_quotes_it(world, ask_chat):
    said = b'{"error":{"message":"Incorrect key: key-openai","type":"invalid_request_error"}}'
    world.first.next(fail(400, body=said, headers=(("x-echo", "key-openai"),)), model=QUOTED)
    told = ask_chat(QUOTED)
    assert told.status == 400
    assert b"key-openai" not in told.body
    assert told.headers["x-echo"] == "***"


def test_an_error_of_status_200_is_no_answer(world, ask_chat):
    said = b'{"error":{"message":"overloaded","type":"overloaded_error"}}'
    world.first.next(ok(body=said), model=HIDDEN)
    assert ask_chat(HIDDEN).status == 200
    assert [one.status for one in world.first.matching(model=HIDDEN)] == [200]
    assert len(world.second.matching(model=HIDDEN)) == 1
    world.first.next(ok(body=said), model=BARE)
    assert (ask_chat(BARE).status, ask_chat(BARE).status) == (502, 200)


def test_a_clients_haste_says_nothing_of_its_provider(world, ask_chat):
    world.first.always(ok(hold=True), model=HASTE)
    body = {"model": HASTE, "messages": HELLO}
    for _ in range(6):
        told = ask(world.port, world.key, "/v1/chat/completions", body, **{"x-stainless-timeout": "0.05"})
        assert (told.status, told.seconds < 2) == (504, True)
    world.first.well()
    assert ask_chat(HASTE).status == 200


def test_a_stream_whose_client_leaves_before_its_first_token_is_counted_by_its_prompt(world):
    world.first.next(ok(hold=True), model=UNHEARD)
    body = {"model": UNHEARD, "messages": [{"role": "user", "content": "word " * 2000}], "stream": True}
    with socket.create_connection(("127.0.0.1", world.port)) as client:
        client.sendall(request("POST", "/v1/chat/completions", json.dumps(body).encode(), key=world.key))
        until(lambda: world.first.matching(model=UNHEARD))
    row = world.row(asked_model=UNHEARD)
    assert (row["http_status"], row["estimated"]) == (499, True)
    assert row["input"] > 1500
    assert row["cost_microusd"] == row["input"] * 1_000_000


def test_a_target_asked_for_by_its_own_name_counts_on_the_route_that_leads_to_it(world):
    key = world.issue("goes around")
    statuses_seen = [chat(world.port, key, model).status for model in (COVERED, f"openai/{COVERED}", COVERED)]
    assert statuses_seen == [200, 429, 429]
