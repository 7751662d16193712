"""Primary keys are added, proved and taken back on real servers; the schema is then what it was, byte for byte."""

from pathlib import Path

import psycopg
import pytest

import servers
from datareeve.capabilities.databases.operations.add_primary_key import AddPrimaryKey
from datareeve.core.errors import Failed
from schema_life import carry_out, dump, perform, plan_of, undo

ORDERS = (
    'CREATE TABLE orders (day date, "Order No" int NOT NULL, note text)',
    "INSERT INTO orders SELECT date '2026-01-01' + n, n % 7, 'x' FROM generate_series(1, 500) AS n",
)
OPERATION = AddPrimaryKey(system="app", table="orders", columns=("day", "Order No"))


@pytest.fixture(scope="module")
def pg15():
    with servers.server(binaries=Path("/usr/lib/postgresql/15/bin")) as server:
        yield server


@pytest.fixture(params=["pg18", pytest.param("pg15", marks=pytest.mark.system)])
def server(request):
    return request.getfixturevalue(request.param)


def test_a_primary_key_lives_and_leaves_no_trace(server, tmp_path):
    with server.database(*ORDERS) as url:
        systems = servers.registry(tmp_path, url)
        before = dump(server, url)
        plan = plan_of(OPERATION, systems)
        carry_out(plan, systems)
        after = dump(server, url)
        assert 'ADD CONSTRAINT orders_pkey PRIMARY KEY (day, "Order No")' in after
        assert "CHECK" not in after
        assert (
            plan_of(OPERATION, systems).nothing_to_do == "public.orders has the primary key (day, Order No)."
        )
        undo(plan, systems, times=2)
        assert dump(server, url) == before
        systems.close()


def test_a_plan_that_stopped_after_any_step_is_undone_wholly(server, tmp_path):
    with server.database(*ORDERS) as url:
        systems = servers.registry(tmp_path, url)
        before = dump(server, url)
        plan = plan_of(OPERATION, systems)
        for done in range(1, len(plan.steps)):
            part = plan.model_copy(update={"steps": plan.steps[:done], "checks": ()})
            carry_out(part, systems)
            undo(part, systems)
            assert dump(server, url) == before
        systems.close()


def test_rows_that_stand_in_the_way_are_counted_and_nothing_is_planned(systems, database):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE t (k int)")
        app.execute("INSERT INTO t VALUES (1), (1), (1), (2), (NULL)")
    plan = plan_of(AddPrimaryKey(system="app", table="t", columns=("k",)), systems)
    assert plan.blockers == (
        "public.t: 2 rows repeat another row's (k), 1 have a null in it. Mend or remove those rows, or choose other columns.",
    )


def test_a_duplicate_that_comes_after_planning_fails_the_build_and_its_undo_clears_the_invalid_index(
    systems, database
):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE t (k int)")
        app.execute("INSERT INTO t VALUES (1), (2)")
        plan = plan_of(AddPrimaryKey(system="app", table="t", columns=("k",)), systems)
        app.execute("INSERT INTO t VALUES (2)")
        with pytest.raises(Failed, match="UniqueViolation"):
            perform(plan.steps[0].call, systems)
        assert app.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid").fetchone() == (1,)
        perform(plan.steps[0].undo[0], systems)
        assert app.execute("SELECT count(*) FROM pg_index WHERE indrelid = 't'::regclass").fetchone() == (0,)


@pytest.mark.parametrize(
    ("statement", "blocker"),
    [
        ("SELECT 1", "There is no table public.t."),
        ("CREATE VIEW t AS SELECT 1 AS k", "public.t is not a plain table"),
        ("CREATE TABLE t (k int) PARTITION BY RANGE (k)", "public.t is not a plain table"),
        ("CREATE TABLE t (other int)", "public.t has no column k."),
        ("CREATE TABLE t (k int, id int PRIMARY KEY)", "public.t has another primary key, (id)."),
    ],
)
def test_a_table_that_cannot_take_the_key_is_a_blocker(systems, database, statement, blocker):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute(statement)
    assert (
        plan_of(AddPrimaryKey(system="app", table="t", columns=("k",)), systems)
        .blockers[0]
        .startswith(blocker)
    )
