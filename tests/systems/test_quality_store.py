"""The quality store on SQLite and PostgreSQL: what is old goes, what stands open stays, and two runs at once tell of one cause once."""

from __future__ import annotations

import threading
from contextlib import closing

import pytest

from datareeve.systems import quality_store
from datareeve.systems.quality_store import QualityStore

OLD, BEFORE, NEW = (f"2026-0{month}-01T00:00:00.000000+00:00" for month in (1, 5, 6))


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request, tmp_path):
    return tmp_path / "q.sqlite" if request.param == "sqlite" else request.getfixturevalue("database")


@pytest.fixture
def store(where):
    with closing(QualityStore.open(where)) as opened:
        yield opened


def run(name, at):
    return {"run": name, "contract": "c", "system": "s", "version": "1", "began": at, "snapshot": None, "seconds": 1.0, "down": "",
            "passed": 1, "warned": 0, "failed": 0, "not_run": 0, "partial": 0}  # fmt: skip


def verdicts(at, count=3):
    return [
        {"rule": f"r{n}", "at": at, "says": "pass", "figure": 0.0, "failing": 0, "checked": 9, "told": {}}
        for n in range(count)
    ]


def incident(name, opened, ended=None):
    return {"id": name, "contract": "c", "system": "s", "cause": "values", "subject": "t", "opened": opened, "last_seen": opened, "ended": ended,
            "told": {"id": name}}  # fmt: skip


def test_what_is_older_than_it_is_kept_goes_and_what_stands_open_stays(store):
    store.put_run(
        run("old", OLD), verdicts(OLD), lambda _: [incident("over", OLD, OLD), incident("open", OLD)]
    )
    store.put_run(run("new", NEW), verdicts(NEW), lambda _: [incident("just over", OLD, NEW)])
    store.put_mark({"contract": "c", "system": "s", "rule": "r1", "at": OLD, "kind": "one-off", "why": "w", "by_whom": "b", "marked": OLD})  # fmt: skip
    assert store.forget(BEFORE) == 3
    assert [one["run"] for one in store.runs()] == ["new"]
    assert store.verdicts("old", "c", "s") == []
    assert len(store.verdicts("new", "c", "s")) == 3
    assert {one["id"] for one in store.incidents()} == {"open", "just over"}
    assert len(store.marks()) == 1
    assert store.forget(BEFORE) == 0


def test_years_of_verdicts_go_the_oldest_first_and_so_many_at_once(store, monkeypatch):
    monkeypatch.setattr(quality_store, "FORGOTTEN_AT_ONCE", 4)
    for day in range(1, 4):
        at = f"2026-01-0{day}T00:00:00.000000+00:00"
        store.put_run(run(f"day {day}", at), verdicts(at))
    assert [store.forget(BEFORE) for _ in range(3)] == [6, 3, 0]


def test_who_opens_incidents_sees_those_that_another_run_opened_meanwhile(where):
    """The second waits until the first has kept its own."""
    first_looks, second_began = threading.Event(), threading.Event()
    seen = {}

    def keep(name, before):
        def opened(standing):
            before()
            seen[name] = [one["id"] for one in standing]
            return [] if standing else [incident(f"I-{name}", NEW)]

        with closing(QualityStore.open(where)) as own:
            own.put_run(run(name, NEW), verdicts(NEW), opened)

    def first():
        keep("first", lambda: (first_looks.set(), second_began.wait(20)))

    def second():
        first_looks.wait(20)
        second_began.set()
        keep("second", lambda: None)

    threads = [threading.Thread(target=one) for one in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert seen == {"first": [], "second": ["I-first"]}


def test_what_stands_open_of_a_contract_is_known_however_much_stands_open_elsewhere(store, monkeypatch):
    monkeypatch.setattr(quality_store, "MOST", 1)
    elsewhere = {**incident("I-elsewhere", NEW), "contract": "d"}
    store.put_run(run("first", OLD), verdicts(OLD), lambda _: [incident("I-own", OLD), elsewhere])
    seen = []
    store.put_run(run("second", NEW), verdicts(NEW), lambda standing: seen.extend(standing) or [])
    assert {one["id"] for one in seen} == {"I-own", "I-elsewhere"}


def test_who_forgets_while_another_does_leaves_it_to_them(database):
    with closing(QualityStore.open(database)) as one, closing(QualityStore.open(database)) as other:
        one.put_run(run("old", OLD), verdicts(OLD))
        with one._database.transaction() as held:
            held.rows(f"SELECT pg_advisory_xact_lock({quality_store.FORGETTING})")
            assert other.forget(BEFORE) == 0
        assert other.forget(BEFORE) == 3
