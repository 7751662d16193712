from datetime import timedelta

import pytest

from datareeve.core import clock
from datareeve.core.ledger import open_ledger
from datareeve.core.snapshots import Snapshots


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request, tmp_path):
    url = f"sqlite:///{tmp_path}/l.db" if request.param == "sqlite" else request.getfixturevalue("database")
    opened = open_ledger(url)
    yield opened
    opened.close()


def test_snapshots_are_kept_by_moment_found_by_run_and_forgotten(ledger):
    kept = Snapshots(ledger)
    moments = [clock.stamp(clock.now() - timedelta(minutes=5 * n)) for n in (3, 2, 1)]
    for n, at in enumerate(moments):
        assert kept.put("app", "workload", {"n": n}, run=f"r{n}", at=at) > 0
    kept.put("other", "workload", {"n": 9}, run="r0")
    assert [one.body["n"] for one in kept.get("app", "workload")] == [0, 1, 2]
    assert [one.body["n"] for one in kept.get("app", "workload", limit=1)] == [2]
    since = clock.stamp(clock.now() - timedelta(minutes=12))
    assert [one.body["n"] for one in kept.get("app", "workload", since=since)] == [
        0,
        1,
        2,
    ]  # from the last before it on
    assert kept.moments("app", "workload", run="r1") == [moments[1]]
    assert kept.forget("app", "workload", kept.moments("app", "workload", run="r1")) == 1
    assert kept.forget("app", "workload", []) == 0
    assert [one.run for one in kept.get("app", "workload")] == ["r0", "r2"]


def test_a_second_body_of_one_moment_takes_the_place_of_the_first(ledger):
    kept = Snapshots(ledger)
    kept.put("app", "names", {"a": 1}, run="", at="")
    kept.put("app", "names", {"a": 2}, run="", at="")
    assert [one.body for one in kept.get("app", "names")] == [{"a": 2}]


def test_thinning_leaves_other_systems_and_the_chains_as_they_are(ledger):
    kept = Snapshots(ledger)
    old = clock.now() - timedelta(days=5)
    for minute in range(0, 60, 5):
        kept.put("app", "workload", {}, run="r", at=clock.stamp(old.replace(minute=minute)))
    kept.put("other", "workload", {}, run="r", at=clock.stamp(old))
    assert kept.thin("app", "workload") == 11
    assert len(kept.moments("other", "workload")) == 1
    assert ledger.verify() == {"entries": 0, "samples": 0}
