"""The same suite on both ledgers."""

import sqlite3
import subprocess
import sys
import threading

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.core.errors import DatareeveError, LeaseLost, LedgerDamaged
from datareeve.core.ledger import Sample, open_ledger


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/ledger.sqlite"
    return request.getfixturevalue("database")


@pytest.fixture
def ledger(url):
    ledger = open_ledger(url)
    yield ledger
    ledger.close()


def raw(url, *statements):
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    else:
        connection = psycopg.connect(url, autocommit=True, options="-c search_path=datareeve")
    with connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def test_what_is_appended_is_read_back_in_order(ledger):
    assert ledger.append("task", {"title": "a"}, subject="t1") == 1
    assert ledger.append("run", {"état": "fait", "n": [1, 2.5, None, True]}, run="r1") == 2
    assert [(e.kind, e.subject, e.run, e.body) for e in ledger.entries()] == [
        ("task", "t1", "", {"title": "a"}),
        ("run", "", "r1", {"état": "fait", "n": [1, 2.5, None, True]}),
    ]
    assert [e.kind for e in ledger.entries(run="r1")] == ["run"]
    assert [e.kind for e in ledger.entries(limit=1)] == ["run"]
    assert ledger.verify() == {"entries": 2, "samples": 0}


def test_opening_again_keeps_everything(ledger, url):
    ledger.append("task", {"title": "a"})
    again = open_ledger(url)
    assert len(again.entries()) == 1
    assert again.verify()["entries"] == 1
    again.close()


def test_rows_cannot_be_changed_through_sql(ledger, url):
    ledger.append("task", {"title": "a"})
    for statement in ("UPDATE entries SET body = '{}'", "DELETE FROM entries"):
        with pytest.raises((sqlite3.DatabaseError, psycopg.Error), match="append-only"):
            raw(url, statement)


@pytest.mark.parametrize(
    "tampering",
    [
        'UPDATE entries SET body = \'{"title":"z"}\' WHERE seq = 2',
        "DELETE FROM entries WHERE seq = 2",
        "DELETE FROM entries WHERE seq = 3",
        "UPDATE entries SET at = '2000-01-01' WHERE seq = 1",
    ],
)
def test_tampering_behind_the_triggers_is_found(ledger, url, tampering):
    for title in "abc":
        ledger.append("task", {"title": title})
    drop = (
        ["DROP TRIGGER entries_no_UPDATE", "DROP TRIGGER entries_no_DELETE"]
        if url.startswith("sqlite")
        else ["DROP TRIGGER entries_stay ON entries"]
    )
    raw(url, *drop, tampering)
    with pytest.raises(LedgerDamaged):
        ledger.verify()


def test_samples_are_chained_and_filtered(ledger):
    ledger.add_samples(
        [Sample(at="2026-01-01T00:00:00+00:00", system="app", name="x", value=value) for value in (1.5, 2.0)]
    )
    ledger.add_samples(
        [Sample(at="2026-01-02T00:00:00+00:00", system="app", name="y", value=0.1, labels={"u": "ms"})]
    )
    assert [s.value for s in ledger.samples("app", name="x")] == [1.5, 2.0]
    assert [s.name for s in ledger.samples("app", since="2026-01-02")] == ["y"]
    assert ledger.verify()["samples"] == 3


def test_many_writers_make_one_unbroken_chain(ledger):
    def write():
        for n in range(20):
            ledger.append("event", {"n": n})

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.verify()["entries"] == 80


def test_two_runs_cannot_hold_one_table(ledger):
    with ledger.lease("r1", ["app:public.flights"]):
        with pytest.raises(LeaseLost, match="r1"), ledger.lease("r2", ["app:public.flights"]):
            pass
        with ledger.lease("r3", ["app:public.planes"]):
            pass
    with ledger.lease("r2", ["app:public.flights"]):
        pass


def test_a_worker_whose_lease_was_taken_cannot_record(ledger):
    first = ledger.acquire("r1", seconds=-1)
    second = ledger.acquire("r1")
    assert second.token > first.token
    assert not ledger.holds(first)
    with pytest.raises(LeaseLost):
        ledger.append("step", {"moment": "outcome"}, run="r1", fence=first)
    ledger.append("step", {"moment": "outcome"}, run="r1", fence=second)
    assert ledger.verify()["entries"] == 1


def test_a_worker_whose_table_was_taken_by_another_run_holds_nothing(ledger):
    first = ledger.acquire("r1", ["app:public.flights"], seconds=-1)
    assert ledger.holds(first)
    ledger.acquire("r2", ["app:public.flights"])
    assert not ledger.holds(first)


def test_the_lease_of_a_dead_process_is_free_at_once(ledger, url):
    code = f"from datareeve.core.ledger import open_ledger; open_ledger({url!r}).acquire('r1', seconds=3600)"
    subprocess.run([sys.executable, "-c", code], check=True)
    with ledger.lease("r1"):
        pass


def test_a_fenced_effect_commits_with_its_outcome_or_not_at_all(pg18, database):
    ledger = open_ledger(database)
    raw(database, "CREATE TABLE public.t (n int)")
    zombie = ledger.acquire("r1", seconds=-1)
    ledger.acquire("r1")
    with pytest.raises(LeaseLost), ledger.fenced_transaction(zombie) as transaction:
        transaction.driver_connection.execute("INSERT INTO public.t VALUES (1)")
    overtaken = ledger.acquire("r2", ["app:public.t"], seconds=-1)
    ledger.acquire("r3", ["app:public.t"])
    with pytest.raises(LeaseLost), ledger.fenced_transaction(overtaken) as transaction:
        transaction.driver_connection.execute("INSERT INTO public.t VALUES (1)")
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM public.t").fetchone() == (0,)
    ledger.close()


def test_a_newer_ledger_is_refused(ledger, url):
    raw(url, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(DatareeveError) as caught:
        open_ledger(url)
    assert caught.value.code == "ledger.newer"


def test_a_file_that_is_no_database_is_said_to_be_damaged(tmp_path):
    (tmp_path / "ledger.sqlite").write_text("not a database at all, but long enough to be taken for one" * 20)
    with pytest.raises(LedgerDamaged):
        open_ledger(f"sqlite:///{tmp_path}/ledger.sqlite")


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(
        st.text(), st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5)
    )
)
def test_any_json_survives_and_verifies(tmp_path_factory, body):
    path = tmp_path_factory.mktemp("ledger") / "l.sqlite"
    ledger = open_ledger(f"sqlite:///{path}")
    try:
        ledger.append("event", body)
        assert ledger.entries()[0].body == body
        assert ledger.verify()["entries"] == 1
    finally:
        ledger.close()


def test_several_entries_are_added_together_or_not_at_all(ledger):
    two = [("step", {"moment": "outcome"}, "1/a"), ("step", {"moment": "intent"}, "1/b")]
    fence = ledger.acquire("r1", seconds=-1)
    ledger.append_all(two, run="r1", fence=fence)
    assert [entry.subject for entry in ledger.entries(run="r1")] == ["1/a", "1/b"]
    ledger.acquire("r1")
    with pytest.raises(LeaseLost):
        ledger.append_all(two, run="r1", fence=fence)
    assert ledger.append("event", {}) == 3
    assert ledger.verify()["entries"] == 3


def test_many_writers_of_several_entries_make_one_unbroken_chain(ledger):
    def write(run):
        fence = ledger.acquire(run)
        other = open_ledger(url_of(ledger))
        for n in range(15):
            two = [("step", {"n": n}, "1/a"), ("step", {"n": n}, "1/b")]
            other.append_all(two, run=run, fence=fence)
        other.close()

    threads = [threading.Thread(target=write, args=(f"r{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ledger.verify()["entries"] == 180


def url_of(ledger):
    return ledger.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")


def test_plans_are_found_by_the_names_in_them_and_no_sign_of_a_name_stands_for_others(ledger):
    names = {
        "p1": "app:public.50%_off",
        "p2": "app:public.500_off",
        "p3": "app:public.50%xoff",
        "p4": 'app:"quoted"',
        "p5": "app:été",
    }
    for plan, name in names.items():
        ledger.append("plan", {"resources": [name]}, subject=plan)
    ledger.append("run", {"resources": ["app:public.50%_off"]}, subject="p1")

    def found(*asked, plans=tuple(names)):
        return [one.subject for one in ledger.plans_naming(plans, asked)]

    assert found("app:public.50%_off") == ["p1"]
    assert found("app:public.50%xoff", 'app:"quoted"') == ["p3", "p4"]
    assert found("app:été") == ["p5"]
    assert not found("app:public.50%")  # a part of a name is no name
    assert not found("app:public.50%_off", plans=("p2",))
    assert not found()
    assert not found("app:été", plans=())


def test_a_new_file_is_made_as_the_migrations_make_it(tmp_path, monkeypatch):
    """The script that makes it at once is `dumped` of what they make: write that into it after a new migration."""
    made = tmp_path / "made.sqlite"
    open_ledger(f"sqlite:///{made}").close()
    migrated = tmp_path / "migrated.sqlite"
    monkeypatch.setattr("datareeve.core.ledger._made_new", lambda _: False)
    open_ledger(f"sqlite:///{migrated}").close()
    assert dumped(made) == dumped(migrated)


def dumped(path):
    """All that is in a file, as a script of SQL."""
    with sqlite3.connect(path) as connection:
        return "\n".join(connection.iterdump())
