"""Processes that are killed: what was flushed is there, what had not ended is interrupted, nothing is there twice."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

import usage_rig
from datareeve.systems.gateway_store import GatewayStore
from datareeve.systems.usage_spool import drain

if TYPE_CHECKING:
    from pathlib import Path

CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["usage_rig", "psycopg"])
PROMISED_SECONDS = 0.25
DICE = random.Random(20261123)  # noqa: S311 - kills, no secrets
QUICK = pytest.param("quick", id="quick")
MANY = pytest.param("many", id="many", marks=pytest.mark.kills)  # a minute


@pytest.fixture(params=["sqlite", "postgresql"])
def kind(request):
    return request.param


@pytest.fixture
def where(kind, tmp_path, request):
    return str(tmp_path / "gateway.sqlite") if kind == "sqlite" else request.getfixturevalue("database")


@pytest.mark.parametrize("extent", [QUICK, MANY])
def test_killed_at_any_moment_what_was_flushed_is_there_once_and_what_had_not_ended_is_interrupted(
    kind, where, tmp_path, extent
):
    seen = {"ended": 0, "interrupted": 0}
    lives = {"quick": 6, "many": 15}[extent]
    for number in range(lives):
        told, folder = tmp_path / f"told-{number}", tmp_path / "spool"
        child = CHILDREN.Process(
            target=usage_rig.write_until_killed,
            args=(where, str(folder), str(told), DICE.choice([4_000, 1 << 24])),
        )
        child.start()
        _wait_until(lambda told=told: told.exists() and told.stat().st_size > 300)
        time.sleep(DICE.uniform(0, 0.5))
        os.kill(child.pid, signal.SIGKILL)
        child.join()
        _check_life(where, folder, told, seen)
    assert min(seen.values()) > 10 * lives


def _check_life(where: str, folder: Path, told: Path, seen: dict[str, int]) -> None:
    begun, ended, flushed, last = _read(told)
    store = GatewayStore.open(where)
    drained = drain(store, folder)
    rows = usage_rig.usage_of(store)
    by_id = {r["id"]: r for r in rows}
    assert len(by_id) == len(rows) == usage_rig.totals(store)["requests"]
    complete = {key for key, r in by_id.items() if r["status"] == "ok"}
    interrupted = {key for key, r in by_id.items() if r["status"] == "interrupted"}
    assert complete | interrupted == set(by_id)
    # All that was flushed, exactly.
    assert complete >= {key for key, at in ended.items() if at < flushed}
    assert set(by_id) >= {key for key, at in begun.items() if at < flushed}
    # And so all that was 250 ms old.
    old = last - PROMISED_SECONDS
    assert complete >= {key for key, at in ended.items() if at < old}
    assert interrupted >= {key for key, at in begun.items() if at < old and key not in ended}
    # Nothing that never was; an end is never taken back.
    assert complete <= set(ended)
    assert interrupted <= set(begun) - {key for key, at in ended.items() if at < flushed}
    assert all((by_id[key]["cost_microusd"], by_id[key]["estimated"], by_id[key]["error"]) ==
               (usage_rig.ESTIMATE, True, "gateway.interrupted") for key in interrupted)  # fmt: skip
    assert (drained.interrupted, drained.damaged) == (len(interrupted), 0)
    usage_rig.assert_sums_are_those_of_the_rows(store)
    assert list(folder.iterdir()) == []
    seen["ended"] += len(complete)
    seen["interrupted"] += len(interrupted)
    _empty(store)
    store.close()


def _read(told: Path) -> tuple[dict[str, float], dict[str, float], float, float]:
    begun: dict[str, float] = {}
    ended: dict[str, float] = {}
    flushed = last = 0.0
    for line in told.read_text().splitlines(keepends=True):
        if not line.endswith("\n"):
            break
        what, key, at = line.split()
        last = float(at)
        if what == "F":
            flushed = last
        else:
            (begun if what == "B" else ended)[f"req_{key}"] = last
    return begun, ended, flushed, last


@pytest.mark.parametrize("extent", [QUICK, MANY])
@pytest.mark.parametrize("role", ["write", "drain"])
def test_killed_at_a_boundary_while_writing_or_draining_nothing_is_lost_or_doubled(
    kind, where, tmp_path, role, extent
):
    """Each life is cut at another boundary, until one comes to its end; what is left is drained, and adds up."""
    step = {"many": 7, "quick": 23}[extent]
    for boundary in range(DICE.randrange(step), 1000, step):
        folder = tmp_path / f"spool-{boundary}"
        folder.mkdir()
        if role == "drain":  # a life that was cut in the middle leaves something to drain
            _child(where, folder, 60, "write")
        _child(where, folder, boundary, role)
        finished = (folder / "ended").exists()
        (folder / "ended").unlink(missing_ok=True)
        with ThreadPoolExecutor(3) as pool:  # three at once: one does it
            list(pool.map(_drained, [where] * 3, [folder] * 3))
        _adds_up(where, finished=finished and role == "write")
        assert list(folder.iterdir()) == []
        if finished:
            assert boundary > 10
            return
    pytest.fail("never came to its end")


def _child(where: str, folder: Path, boundary: int, role: str) -> None:
    child = CHILDREN.Process(target=usage_rig.work_until_boundary, args=(where, str(folder), boundary, role))
    child.start()
    child.join()


def _drained(where: str, folder: Path) -> None:
    store = GatewayStore.open(where)
    drain(store, folder)
    store.close()


def _adds_up(where: str, *, finished: bool) -> None:
    store = GatewayStore.open(where)
    rows = usage_rig.usage_of(store)
    assert len({r["id"] for r in rows}) == len(rows) <= 24
    assert not finished or len(rows) == 24
    usage_rig.assert_sums_are_those_of_the_rows(store)
    _empty(store)
    store.close()


def _empty(store: GatewayStore) -> None:
    with store.transaction() as t:
        for table in ("usage", "usage_hourly", "latency_hourly"):
            t.run(f"DELETE FROM {table}")


def _wait_until(true, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)
