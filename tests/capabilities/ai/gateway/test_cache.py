"""The response cache: which questions are equal, who shares an answer, who waits for whom, and what is kept for how long."""

import asyncio
import time
from types import SimpleNamespace

import orjson
import pytest

from datareeve.capabilities.ai.gateway.cache import LARGEST_SHARE, OVERHEAD, Cache, Flight, Place, Stored
from datareeve.capabilities.ai.gateway.config import Route, VirtualKey
from datareeve.capabilities.ai.gateway.dialects import meaning, table
from datareeve.capabilities.ai.gateway.shelving import packed, unpacked
from datareeve.capabilities.ai.gateway.usage import Tokens
from datareeve.core.estate_gateway import GatewaySettings, ModelRoute

NOW = 1_795_400_000.0
HEADERS = [(b"content-type", b"application/json"), (b"set-cookie", b"no"), (b"openai-version", b"2020-10-01")]
TOKENS = Tokens(10, 5, cache_read=2)
HELLO = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


class Clock:
    now = NOW

    def __call__(self):
        return self.now


def config(**cache):
    settings = GatewaySettings(cache={"seconds": 100, **cache})
    return SimpleNamespace(settings=settings, routes={})


def made(clock=None, shelf=None, **settings):
    return Cache(config(**settings), clock or Clock(), shelf)


def place(  # noqa: PLR0913 - what an answer depends on
    cache, body=None, *, path="/v1/chat/completions", key=None, route="m", headers=(), raw=None, **settings
):
    dialect = table.of("POST", path)
    raw = raw or orjson.dumps(body or HELLO)
    asked = dialect.asked(raw, orjson.loads(raw))
    found = Route(route, (), ModelRoute(targets=("openai/m",), **settings))
    return cache.place(
        asked,
        meaning.meaning(asked),
        dialect=dialect,
        route=found,
        key=key or person(),
        headers=list(headers),
    )


def person(name="a", **how):
    return VirtualKey(id=name, digest=b"", name=name, **how)


def fill(cache, where, body=b"answer", microusd=7):
    async def go():
        found = await cache.look(where)
        assert isinstance(found, Flight)
        found.fill(HEADERS, body, tokens=TOKENS, microusd=microusd, target="openai/m")

    asyncio.run(go())


def look(cache, where):
    async def go():
        found = await cache.look(where)
        if isinstance(found, Flight):
            found.give_up()
            return None
        return found

    return asyncio.run(go())


def test_a_hit_is_the_answer_byte_for_byte_with_what_it_cost():
    cache = made()
    fill(cache, place(cache), b"\x00\xffany bytes\r\n")
    found = look(cache, place(cache))
    assert (found.body, found.tokens, found.microusd, found.target) == (
        b"\x00\xffany bytes\r\n",
        TOKENS,
        7,
        "openai/m",
    )
    assert found.headers == [HEADERS[0], HEADERS[2]]
    assert cache.hits == 1


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"messages": HELLO["messages"], "model": "m"}, True),
        ({**HELLO, "user": "ann", "metadata": {"a": "b"}}, True),
        ({**HELLO, "temperature": 0.5}, False),
        ({**HELLO, "model": "n"}, False),
        ({**HELLO, "stream": True}, False),
        ({"model": "m", "messages": [{"role": "user", "content": "hello "}]}, False),
    ],
)
def test_questions_are_equal_by_what_they_mean(other, same):
    cache = made()
    assert (place(cache).digest == place(cache, other).digest) is same


def test_a_key_written_twice_never_shares_an_answer():
    cache = made()
    twice = b'{"model":"m","messages":[{"role":"user","content":"other","content":"hello"}]}'
    assert place(cache, raw=twice).digest != place(cache).digest


def test_answers_are_shared_within_a_team_and_route_only():
    cache = made()
    one = place(cache, key=person("a", team="x")).digest
    assert place(cache, key=person("b", team="x")).digest == one
    assert place(cache, key=person("b", team="y")).digest != one
    assert place(cache, key=person("b")).digest != one
    assert place(cache, key=person("a", team="x"), route="other").digest != one


def test_streams_that_tell_their_usage_are_not_those_that_do_not():
    cache = made()
    plain = {**HELLO, "stream": True}
    assert (
        place(cache, plain).digest
        != place(cache, {**plain, "stream_options": {"include_usage": True}}).digest
    )


def test_headers_that_change_an_answer_count():
    cache = made()
    body = {"model": "m", "max_tokens": 5, "messages": HELLO["messages"]}
    one = place(cache, body, path="/v1/messages", headers=[(b"anthropic-beta", b"x")])
    assert one.digest != place(cache, body, path="/v1/messages").digest
    assert (
        one.digest
        == place(cache, body, path="/v1/messages", headers=[(b"anthropic-beta", b"x"), (b"x-a", b"b")]).digest
    )


@pytest.mark.parametrize(
    "how",
    [
        {"key": person(cache=False)},
        {"headers": [(b"cache-control", b"No-Cache")]},
        {"headers": [(b"cache-control", b"max-age=0, no-store")]},
        {"cache_seconds": 0},
        {"body": {"model": "m", "input": "x", "previous_response_id": "r"}, "path": "/v1/responses"},
        {"body": {"model": "m", "input": "x", "store": True}, "path": "/v1/responses"},
        {"body": {"model": "m", "prompt": "x"}, "path": "/v1/images/generations"},
    ],
)
def test_some_want_no_cache(how):
    cache = made()
    assert place(cache) is not None
    assert place(cache, **how) is None


def test_only_deterministic_means_temperature_nought_and_embeddings():
    cache = made(only_deterministic=True)
    assert place(cache) is None
    assert place(cache, {**HELLO, "temperature": 0}) is not None
    assert place(cache, {"model": "m", "input": "x"}, path="/v1/embeddings") is not None


def test_a_routes_own_seconds_count_first_and_switch_it_on_where_it_is_off():
    assert place(made(), cache_seconds=5).seconds == 5
    assert place(made(seconds=0)) is None
    routes = {"m": Route("m", (), ModelRoute(targets=("openai/m",), cache_seconds=5))}
    own = Cache(SimpleNamespace(settings=GatewaySettings(), routes=routes), Clock())
    assert place(own, cache_seconds=5).seconds == 5


def test_an_answer_is_good_until_its_end():
    clock = Clock()
    cache = made(clock)
    fill(cache, place(cache))
    clock.now += 99.9
    assert look(cache, place(cache)) is not None
    clock.now += 0.1
    assert look(cache, place(cache)) is None
    assert cache.size == (0, 0)


def test_memory_is_bounded_and_the_longest_unused_go_first():
    cache = made(max_mb=1)
    size = (1 << 20) // LARGEST_SHARE
    places = [Place(bytes([n]), 100, stream=False) for n in range(20)]
    for where in places[:15]:
        fill(cache, where, b"x" * size)
    assert cache.size == (15, 15 * (size + OVERHEAD))
    assert look(cache, places[0]) is not None
    for where in places[15:]:
        fill(cache, where, b"x" * size)
    assert cache.size[1] <= 1 << 20
    assert look(cache, places[0]) is not None
    assert look(cache, places[1]) is None
    fill(cache, Place(b"large", 100, stream=False), b"x" * (size + 1))
    assert look(cache, Place(b"large", 100, stream=False)) is None
    cache.adopt(config(max_mb=2))
    assert cache.size[0] == 15


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


async def waiting(cache, where, number):
    tasks = [asyncio.create_task(cache.look(where)) for _ in range(number)]
    await settled()
    return tasks


def test_equal_questions_at_once_are_asked_once():
    async def go():
        cache = made()
        where = place(cache)
        flight = await cache.look(where)
        others = await waiting(cache, where, 5)
        assert not any(task.done() for task in others)
        flight.fill(HEADERS, b"answer", tokens=TOKENS, microusd=7, target="t")
        assert [(await task).body for task in others] == [b"answer"] * 5
        assert (cache.hits, cache.flights) == (5, {})

    asyncio.run(go())


def test_where_the_first_fails_exactly_one_other_asks_and_the_rest_wait_for_it():
    async def go():
        cache = made()
        where = place(cache)
        flight = await cache.look(where)
        others = await waiting(cache, where, 5)
        flight.give_up()
        await settled()
        leaders = [task.result() for task in others if task.done()]
        assert len(leaders) == 1
        assert isinstance(leaders[0], Flight)
        leaders[0].fill(HEADERS, b"second", tokens=TOKENS, microusd=7, target="t")
        rest = (
            [task for task in others if task.result() is not leaders[0]]
            if all(t.done() for t in others)
            else others
        )
        bodies = [found.body for found in await asyncio.gather(*rest) if isinstance(found, Stored)]
        assert bodies == [b"second"] * 4

    asyncio.run(go())


def test_who_waits_may_leave_without_harm():
    async def go():
        cache = made()
        where = place(cache)
        flight = await cache.look(where)
        one, two = await waiting(cache, where, 2)
        one.cancel()
        await settled()
        flight.fill(HEADERS, b"answer", tokens=TOKENS, microusd=7, target="t")
        assert (await two).body == b"answer"
        assert one.cancelled()

    asyncio.run(go())


class Slow:
    """A shelf that answers when it is told to."""

    def __init__(self):
        self.asked = 0
        self.kept = {}
        self.answer = asyncio.get_running_loop().create_future()

    async def get(self, place):
        self.asked += 1
        return await asyncio.shield(self.answer)

    def put(self, place, stored):
        self.kept[place] = stored


def test_who_waits_for_anothers_answer_waits_no_longer_than_it_may():
    async def main():
        cache = made()
        where = place(cache)
        first = await cache.look(where)
        late = await cache.look(where, deadline=time.monotonic() + 0.05)
        left = await cache.look(where, gone=lambda: True)
        assert first is not late is not left
        late.give_up()  # it was not the one that others wait for
        assert cache.flights[where.digest] is first
        first.give_up()
        assert cache.flights == {}

    asyncio.run(main())


def stored(until=NOW + 50, body=b"shelved"):
    return Stored([], body, stream=False, tokens=TOKENS, microusd=7, target="t", until=until)


def test_the_shelf_is_asked_once_for_all_who_wait_and_what_it_gives_is_in_memory_then():
    async def go():
        shelf = Slow()
        cache = made(shelf=shelf)
        where = place(cache)
        tasks = await waiting(cache, where, 4)
        shelf.answer.set_result(stored())
        assert {(await task).body for task in tasks} == {b"shelved"}
        assert (await cache.look(where)).body == b"shelved"
        assert (shelf.asked, cache.flights) == (1, {})

    asyncio.run(go())


def test_what_ended_on_the_shelf_is_asked_anew_and_kept_there():
    async def go():
        shelf = Slow()
        cache = made(shelf=shelf)
        where = place(cache)
        shelf.answer.set_result(stored(until=NOW))
        flight = await cache.look(where)
        flight.fill(HEADERS, b"new", tokens=TOKENS, microusd=7, target="t")
        assert shelf.kept[where.digest].body == b"new"

    asyncio.run(go())


def test_who_leaves_while_the_shelf_is_asked_leaves_the_question_to_the_next():
    async def go():
        shelf = Slow()
        cache = made(shelf=shelf)
        where = place(cache)
        first, second = await waiting(cache, where, 2)
        first.cancel()
        await settled()
        shelf.answer.set_result(None)
        found = await second
        assert isinstance(found, Flight)
        found.give_up()

    asyncio.run(go())


def test_an_entry_is_packed_whole_and_what_is_none_is_nothing():
    one = Stored(
        [(b"content-type", b"text/event-stream; \xe9")],
        b"\n\x00body\n",
        stream=True,
        tokens=TOKENS,
        microusd=9,
        target="p/m",
        until=NOW,
    )
    assert unpacked(packed(one)) == one
    for junk in (
        b"",
        b"\n",
        b"{}\nx",
        b"[1,2]\nx",
        b'[2,[],true,[],0,"t",1]\n',
        b'[1,[[1,2]],true,[],0,"t",1]\n',
    ):
        assert unpacked(junk) is None
