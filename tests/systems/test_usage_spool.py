"""The spool: frames that are whole or not there, and folders in which other processes write, die, or leave rubbish."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

import usage_rig
from datareeve.capabilities.ai.gateway.usage_log import _flat
from datareeve.core.errors import Failed
from datareeve.systems import usage_spool
from datareeve.systems.gateway_store import GatewayStore
from datareeve.systems.usage_spool import Reader, Spool, decoded, drain, encoded, waiting


@pytest.fixture
def store(tmp_path):
    store = GatewayStore.open(tmp_path / "gateway.sqlite")
    yield store
    store.close()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


def row(number):
    return _flat(usage_rig.row(number))


def begun(number):
    return _flat(usage_rig.begun(number))


def left_behind(folder, *frames, instance="gw"):
    """A spool as a process leaves it that is killed."""
    spool = Spool(folder, instance)
    for frame in frames:
        spool.append(frame)
    spool.close(remove=False)
    return spool


def test_a_frame_is_read_as_it_was_written():
    frame = decoded(encoded(7, [begun(1)], [row(2)], ["req_3"]))
    assert (frame.number, frame.begun, frame.ended, frame.summed) == (7, [begun(1)], [row(2)], ["req_3"])


@given(st.binary(max_size=200))
def test_what_is_no_frame_is_none(line):
    assert decoded(line) is None


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_frame_of_which_one_byte_is_another_is_none_or_the_same_rows(place, byte):
    line = bytearray(encoded(7, [begun(1)], [row(2)]))
    place %= len(line) - 1
    before, line[place] = line[place], byte
    frame = decoded(bytes(line))
    digit = place == 0  # the number stands outside the sum: it may only be another number
    assert frame is None or before == byte or (digit and frame.ended == [row(2)])


def test_what_a_dead_process_left_is_moved_once_and_what_had_not_ended_is_interrupted(store, folder):
    left_behind(folder, encoded(1, [begun(1), begun(2)], [row(0)]), encoded(2, [begun(3)], [row(2)]))
    drained = drain(store, folder)
    assert (drained.spools, drained.rows, drained.interrupted, drained.damaged) == (1, 4, 2, 0)
    assert {r["id"]: r["status"] for r in usage_rig.usage_of(store)} == {
        "req_0": "ok", "req_1": "interrupted", "req_2": "ok", "req_3": "interrupted",
    }  # fmt: skip
    assert list(folder.iterdir()) == []
    assert drain(store, folder).spools == 0


def test_a_request_that_ended_within_a_sum_is_not_interrupted_too(store, folder):
    left_behind(folder, encoded(1, [begun(1), begun(2)], []), encoded(2, [], [row("sum")], ["req_1"]))
    assert drain(store, folder).interrupted == 1
    assert {r["id"] for r in usage_rig.usage_of(store)} == {"req_2", "req_sum"}


def test_the_spool_of_a_live_process_is_left_alone(store, folder):
    spool = Spool(folder, "gw")
    spool.append(encoded(1, [], [row(1)]))
    assert drain(store, folder).spools == 0
    assert waiting(folder) > 0
    spool.close(remove=False)
    assert drain(store, folder).rows == 1
    assert waiting(folder) == 0


def test_eight_that_drain_at_once_move_each_row_once(store, folder):
    for n in range(6):
        left_behind(folder, encoded(1, [begun(f"{n}-x")], [row(f"{n}-{i}") for i in range(50)]))
    with ThreadPoolExecutor(8) as pool:
        drained = list(pool.map(drain, [store] * 8, [folder] * 8))
    assert sum(d.rows for d in drained) == usage_rig.totals(store)["rows"] == 6 * 51
    usage_rig.assert_sums_are_those_of_the_rows(store)


def test_a_frame_that_is_torn_at_the_end_and_a_line_that_is_damaged_are_told_and_hinder_nothing(
    store, folder
):
    damaged = bytearray(encoded(2, [], [row(2)]))
    damaged[40] ^= 1
    spool = left_behind(folder, encoded(1, [], [row(1)]), bytes(damaged), encoded(3, [], [row(3)]))
    with spool.path.open("ab") as file:
        file.write(encoded(4, [], [row(4)])[:50])
    drained = drain(store, folder)
    assert (drained.rows, drained.damaged) == (2, 2)
    assert [r["id"] for r in usage_rig.usage_of(store)] == ["req_1", "req_3"]


@pytest.mark.parametrize("name", ["x.spool", "a.b.spool", "gw-1.x.spool", ".lock", "gw.lock", "gw-é.0.spool"])
def test_files_that_are_none_of_ours_hinder_nothing(store, folder, name):
    folder.mkdir()
    (folder / name).write_bytes(b"\xff\x00 rubbish\n" * 3)
    left_behind(folder, encoded(1, [], [row(1)]))
    assert drain(store, folder).rows == 1


def test_a_folder_that_is_not_there_holds_nothing(store, folder):
    assert drain(store, folder).spools == 0
    assert waiting(folder) == 0


def test_a_store_that_takes_nothing_leaves_the_spool_as_it_is(store, folder):
    left_behind(folder, encoded(1, [begun(2)], [row(1)]))
    with store.transaction() as t:
        t.run("ALTER TABLE usage RENAME TO elsewhere")
    with pytest.raises(Failed):
        drain(store, folder)
    with store.transaction() as t:
        t.run("ALTER TABLE elsewhere RENAME TO usage")
    assert drain(store, folder).rows == 2


def test_a_write_that_is_taken_in_part_leaves_the_file_as_it_was(folder, monkeypatch):
    spool = Spool(folder, "gw")
    spool.append(encoded(1, [], [row(1)]))
    size = spool.path.stat().st_size
    write = os.write
    monkeypatch.setattr(usage_spool.os, "write", lambda fd, data: write(fd, data[:30]))
    with pytest.raises(OSError, match="a part"):
        spool.append(encoded(2, [], [row(2)]))
    assert spool.path.stat().st_size == size
    monkeypatch.undo()
    spool.append(encoded(3, [], [row(3)]))
    assert [frame.number for frame in Reader(folder, spool.name).frames()] == [1, 3]
    spool.close(remove=True)


def test_a_reader_follows_files_as_they_are_begun_and_removed(folder):
    spool = Spool(folder, "gw")
    reader = Reader(folder, spool.name)
    assert list(reader.frames()) == []
    spool.append(encoded(1, [], []))
    assert [f.number for f in reader.frames()] == [1]
    spool.append(encoded(2, [], []))
    spool.rotate(encoded(3, [begun(1)], []), 2)
    spool.append(encoded(4, [], []))
    assert [f.number for f in reader.frames()] == [2, 3, 4]
    spool.remove_until(1)
    assert len(list(folder.glob("*.spool"))) == 2
    spool.remove_until(2)
    assert [f.number for f in Reader(folder, spool.name).frames()] == [3, 4]
    spool.close(remove=True)
    assert list(folder.iterdir()) == []


def test_a_spool_is_readable_by_its_owner_only(folder):
    spool = left_behind(folder, encoded(1, [], []))
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert spool.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("instance", ["../up", "a/b", "host.example:4141", "é[*]?", "x" * 500])
def test_the_name_of_an_instance_is_no_path(store, folder, instance):
    left_behind(folder, encoded(1, [], [row(1)]), instance=instance)
    assert list(folder.parent.glob("*.spool")) == []
    assert drain(store, folder).rows == 1


def test_a_folder_that_cannot_be_written_is_told_by_name(tmp_path):
    (tmp_path / "spool").write_text("a file where the folder should be")
    with pytest.raises(Failed) as caught:
        Spool(tmp_path / "spool", "gw")
    assert caught.value.code == "gateway.spool"


@pytest.mark.parametrize("done", [True, False])
def test_a_spool_that_somebody_drains_before_its_process_has_it_is_another(store, folder, monkeypatch, done):
    """Between making the lock's file and locking it, it looks like that of a process that is gone."""
    flock, holding = usage_spool.fcntl.flock, []

    def slow(lock, how):
        monkeypatch.setattr(usage_spool.fcntl, "flock", flock)
        if done:
            drain(store, folder)
        else:
            holding.append(usage_spool._lock(folder, next(folder.glob("*.lock")).stem))
        flock(lock, how)

    monkeypatch.setattr(usage_spool.fcntl, "flock", slow)
    left_behind(folder, encoded(1, [], [row(0)]))
    for lock in holding:
        os.close(lock)
    drain(store, folder)
    assert usage_rig.totals(store)["rows"] == 1
    assert not list(folder.iterdir())
