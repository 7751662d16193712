"""Rows of usage into the store: exactly once, with sums that equal them, whatever is in the rows."""

from __future__ import annotations

import dataclasses
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import usage_rig
from datareeve.capabilities.ai.gateway.usage_log import _flat
from datareeve.core.errors import Failed
from datareeve.systems.gateway_store import GatewayStore
from datareeve.systems.usage_table import (
    CLASSES,
    COLUMNS,
    Move,
    class_of,
    cleaned,
    prune_usage,
    spool_frame,
    write_usage,
)

HOUR = 3600


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    where = tmp_path / "gateway.sqlite" if request.param == "sqlite" else request.getfixturevalue("database")
    store = GatewayStore.open(where)
    yield store
    store.close()


def flat(number, **changes):
    return _flat(usage_rig.row(number, **changes))


def test_a_row_comes_back_as_it_was_put_in(store):
    row = flat(1, at=1_795_400_000.125, first_ms=None)
    write_usage(store, [row], Move("s", 0, 1))
    (found,) = usage_rig.usage_of(store)
    assert tuple(found[name] for name in COLUMNS) == row


def test_a_batch_is_in_once_however_often_it_is_tried(store):
    batch = [flat(n) for n in range(100)]
    write_usage(store, batch, Move("s", 0, 7))
    with pytest.raises(Failed) as caught:
        write_usage(store, batch, Move("s", 0, 7))
    assert caught.value.code == "gateway-store.spool-moved"
    assert spool_frame(store, "s") == (7, False)
    assert usage_rig.totals(store) == {"rows": 100, "requests": 100, "cost": 123_400}
    usage_rig.assert_sums_are_those_of_the_rows(store)


def test_a_spool_that_is_done_with_takes_nothing_more(store):
    write_usage(store, [flat(1)], Move("s", 0, 3, closed=True))
    assert spool_frame(store, "s") == (3, True)
    with pytest.raises(Failed):
        write_usage(store, [flat(2)], Move("s", 3, 4))
    assert spool_frame(store, "another") == (0, False)


def test_a_batch_that_fails_in_its_last_part_leaves_nothing(store):
    with store.transaction() as t:
        t.run("ALTER TABLE latency_hourly RENAME TO elsewhere")
    with pytest.raises(Failed) as caught:
        write_usage(store, [flat(1)], Move("s", 0, 1))
    assert caught.value.code == "gateway-store.statement"
    assert usage_rig.totals(store)["rows"] == 0
    assert spool_frame(store, "s") == (0, False)


HOSTILE = {
    "nul": {"asked_model": "gpt\0-4"},
    "surrogate": {"asked_model": "\ud800"},
    "endless": {"asked_model": "m" * 10_000, "error": "\0"},
    "not a text": {"asked_model": None, "error": 17},
    "a figure beyond reason": {"cost_microusd": 10**30},
    "negative": {"cost_microusd": -(10**30)},
    "no figure": {"total_ms": math.inf, "first_ms": math.nan},
    "a text for a figure": {"total_ms": "soon", "http_status": "ok"},
}


@pytest.mark.parametrize("changes", HOSTILE.values(), ids=HOSTILE)
def test_a_row_that_no_table_would_take_is_counted_and_hinders_no_other(store, changes):
    write_usage(store, [flat(1), flat(2, **changes), flat(3)], Move("s", 0, 1))
    rows = usage_rig.usage_of(store)
    assert [r["id"] for r in rows] == ["req_1", "req_2", "req_3"]
    assert all(len(r["asked_model"]) <= 10_000 for r in rows)
    assert min(r["cost_microusd"] for r in rows) >= 0 or store.dialect == "sqlite"


def test_cleaning_leaves_a_sound_row_alone():
    row = flat(1)
    assert cleaned(row) == row


def test_names_and_ids_that_clients_invent_do_not_multiply_the_sums(store):
    refused = [
        flat(n, status="refused", asked_model=f"invented-{n}", provider="", model="") for n in range(50)
    ]
    files = [flat(f"f{n}", endpoint=f"/v1/files/file-{n}x/content") for n in range(50)]
    write_usage(store, refused + files, Move("s", 0, 1))
    with store.reading() as t:
        kept = t.rows("SELECT endpoint, asked_model, requests FROM usage_hourly ORDER BY endpoint")
    assert kept == [
        {"endpoint": "/v1/chat/completions", "asked_model": "", "requests": 50},
        {"endpoint": "/v1/files/*/content", "asked_model": "fast", "requests": 50},
    ]


ROWS = st.lists(
    st.builds(
        flat,
        st.integers(0, 10**9),
        at=st.floats(usage_rig.AT, usage_rig.AT + 3 * HOUR),
        virtual_key=st.sampled_from(["k1", "k2", ""]),
        asked_model=st.sampled_from(["fast", "slow"]),
        model=st.sampled_from(["", "gpt", "claude"]),
        status=st.sampled_from(["ok", "error", "refused", "interrupted"]),
        stream=st.booleans(),
        cached=st.booleans(),
        estimated=st.booleans(),
        first_ms=st.none() | st.floats(0, 1e5).map(lambda f: round(f, 2)),
        total_ms=st.floats(0, 1e5).map(lambda f: round(f, 2)),
        cost_microusd=st.integers(0, 10**9),
        price_version=st.sampled_from(["", "list-1"]),
        attempts=st.integers(0, 5),
    ),
    max_size=40,
)


@settings(max_examples=30, deadline=None)
@given(st.lists(ROWS, max_size=4))
def test_the_sums_are_those_of_the_rows(batches):
    with tempfile.TemporaryDirectory() as folder:
        store = GatewayStore.open(Path(folder) / "gateway.sqlite")
        for number, batch in enumerate(batches):
            write_usage(store, batch, Move("s", number, number + 1))
        usage_rig.assert_sums_are_those_of_the_rows(store)
        store.close()


def test_the_sums_are_those_of_the_rows_on_each_kind_of_store(store):
    for number in range(5):
        batch = [
            flat(
                f"{number}-{n}",
                at=usage_rig.AT + n * 100,
                status=("ok", "error", "refused")[n % 3],
                model=("gpt", "")[n % 2],
                stream=n % 5 == 0,
                first_ms=None if n % 4 else float(n),
            )
            for n in range(150)
        ]
        write_usage(store, batch, Move("s", number, number + 1))
    usage_rig.assert_sums_are_those_of_the_rows(store)


def test_a_row_that_stands_for_many_is_summed_as_many(store):
    row = (*flat(1, stream=True, price_version="")[:-1], 500)
    write_usage(store, [row], Move("s", 0, 1))
    with store.reading() as t:
        (sums,) = t.rows("SELECT requests, streams, unpriced, cost_microusd FROM usage_hourly")
    assert sums == {"requests": 500, "streams": 500, "unpriced": 500, "cost_microusd": 1234}


@given(st.floats(0, 10**9))
def test_a_class_of_latency_holds_what_is_in_it_and_is_no_wider_than_a_fifth(ms):
    bound = class_of(ms)
    assert bound in CLASSES
    assert ms <= bound or bound == CLASSES[-1]
    if 1 < ms <= CLASSES[-1]:
        assert bound <= ms * 1.201


def test_old_rows_are_removed_in_pieces_and_their_sums_stay(store):
    write_usage(store, [flat(n, at=usage_rig.AT + n) for n in range(25)], Move("s", 0, 1))
    assert prune_usage(store, usage_rig.AT + 20, most=15)
    assert not prune_usage(store, usage_rig.AT + 20, most=15)
    assert sorted(r["at"] - usage_rig.AT for r in usage_rig.usage_of(store)) == [20, 21, 22, 23, 24]
    with store.reading() as t:
        assert t.rows("SELECT sum(requests) AS n FROM usage_hourly")[0]["n"] == 25


def test_the_columns_are_those_of_the_row_and_no_other():
    names = {field.name for field in dataclasses.fields(usage_rig.row(1))} - {"tokens"}
    tokens = {field.name for field in dataclasses.fields(usage_rig.row(1).tokens)}
    assert set(COLUMNS) == names | tokens | {"requests"}
