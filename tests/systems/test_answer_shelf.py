"""One contract for the places where answers outlive a process."""

import contextlib
import time
from pathlib import Path

import pytest

import servers
from datareeve.core.errors import Unreachable
from datareeve.systems.answer_shelf import Entry, RedisBoard, StoreBoard
from datareeve.systems.gateway_store import GatewayStore


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    with servers.redis(tmp_path_factory.mktemp("redis")) as running:
        yield running.url


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("redis", marks=pytest.mark.system)])
def board(request, tmp_path):
    with contextlib.ExitStack() as stack:
        if request.param == "redis":
            url = request.getfixturevalue("redis_url")
            found = RedisBoard(url, prefix=f"{{{Path(tmp_path).name}}}:")
        else:
            where = (
                tmp_path / "gateway.sqlite"
                if request.param == "sqlite"
                else request.getfixturevalue("database")
            )
            store = GatewayStore.open(where)
            stack.callback(store.close)
            found = StoreBoard(store)
        stack.callback(found.close)
        yield found


def entry(key, body=b"\x00answer", *, at=None, seconds=100.0):
    at = time.time() if at is None else at
    return Entry(key, body, at, at + seconds)


def test_what_was_put_is_had_byte_for_byte(board):
    every_byte = bytes(range(256)) * 4000
    board.put([entry("a", every_byte), entry("b", b"")])
    assert board.get("a", time.time()) == every_byte
    assert board.get("b", time.time()) == b""
    assert board.get("c", time.time()) is None


def test_the_later_answer_counts(board):
    board.put([entry("a", b"one")])
    board.put([entry("a", b"two")])
    assert board.get("a", time.time()) == b"two"
    assert board.trim(time.time(), 3) == 0
    assert board.trim(time.time(), 2) == 1


def test_an_answer_ends(board):
    board.put([entry("a", seconds=0.05), entry("b")])
    ended = time.time() + 0.06
    deadline = time.monotonic() + 5
    while board.get("a", ended) is not None:  # Redis goes by its own clock
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert board.get("b", ended) == b"\x00answer"
    assert board.trim(ended, 1 << 20) == 1


def test_the_oldest_go_where_there_are_too_many(board):
    now = time.time()
    board.put([entry(f"k{n}", b"x" * 100, at=now + n, seconds=9000) for n in range(250)])
    assert board.trim(now + 250, 10_000) == 200
    assert board.get("k199", now) is None
    assert board.get("k200", now) == b"x" * 100
    assert board.trim(now + 250, 10_000) == 0
    assert board.trim(now + 20_000, 10_000) == 50
    assert board.trim(now + 20_000, 0) == 0


def test_a_redis_that_is_not_there_is_told(tmp_path):
    board = RedisBoard(f"unix://{tmp_path}/none")
    with pytest.raises(Unreachable) as told:
        board.get("a", 0.0)
    assert told.value.code == "gateway.cache-down"
    with pytest.raises(Unreachable):
        board.put([entry("a")])
    board.close()
