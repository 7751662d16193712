"""Indexes that can go, on a real server: dropped without what depends on them suffering, and built again by the undo."""

import psycopg
import pytest

import maintenance_rig
import servers
from datareeve.capabilities.databases.operations.drop_unused_indexes import DropUnusedIndexes


@pytest.fixture
def crowded(database):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE customers (id int PRIMARY KEY, email text)")
        app.execute(
            "CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, day date, note text)"
        )
        app.execute("INSERT INTO customers SELECT n, 'c' || n FROM generate_series(1, 1000) AS n")
        app.execute(
            "INSERT INTO orders SELECT n, 1 + n % 1000, now(), 'x' FROM generate_series(1, 5000) AS n"
        )
        app.execute("CREATE INDEX orders_again ON orders (id)")  # as the primary key
        app.execute("CREATE INDEX orders_day ON orders (day)")
        app.execute("CREATE INDEX orders_day_note ON orders (day, note)")  # begins with the one before
        app.execute("CREATE INDEX orders_day_desc ON orders (day DESC)")
        app.execute("CREATE INDEX orders_some ON orders (day) WHERE note IS NULL")
        app.execute("CREATE INDEX orders_customer ON orders (customer)")  # serves the foreign key
        app.execute("CREATE UNIQUE INDEX customers_email ON customers (email)")
        app.execute("CREATE INDEX customers_email_2 ON customers (email)")
        app.execute("CREATE INDEX orders_broken ON orders (note)")
        app.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'orders_broken'::regclass")
        yield app


def dropped(plan):
    return sorted(step.id.removeprefix("drop-index ") for step in plan.all_steps())


def test_only_what_is_proved_goes_by_itself_and_comes_back(tmp_path, database, crowded, pg18):
    crowded.execute("DROP INDEX orders_broken")
    dumped = servers.dump_schema(pg18.local.bin, database)
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(DropUnusedIndexes(system="app"))
        assert dropped(plan) == ["customers_email_2", "orders_again", "orders_day"]
        assert "public.orders_day_note begins with its keys" in next(
            s.why for s in plan.all_steps() if s.id == "drop-index orders_day"
        )
        outcome = maintenance_rig.life(app, DropUnusedIndexes(system="app"))
        assert app.undo(outcome.run, by="test").status == "undone"
    assert servers.dump_schema(pg18.local.bin, database) == dumped


def test_an_invalid_one_goes_for_good(tmp_path, database, crowded):
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(DropUnusedIndexes(system="app"))
        (step,) = [s for s in plan.all_steps() if s.id == "drop-index orders_broken"]
        assert step.no_undo
        assert step.why.startswith("A failed build left it invalid")
        assert app.apply(plan, by="test").status == "done"


def test_unused_ones_go_when_asked_but_not_those_that_serve_a_foreign_key(tmp_path, database, crowded):
    with maintenance_rig.opened(tmp_path, database) as app:
        operation = DropUnusedIndexes(system="app", unused_days=30)
        facts = operation.observe(app.systems)
        early = operation.plan(facts)
        assert early.blockers[0].startswith("The use of indexes has been counted for 0")
        plan = operation.plan(facts.model_copy(update={"counted_days": 31.0}))
        assert dropped(plan) == [
            "customers_email_2", "orders_again", "orders_broken", "orders_day", "orders_day_desc", "orders_some",
        ]  # fmt: skip
        assert [(f.rule, f.subject) for f in plan.findings] == [
            ("unused-index-kept", "public.orders_customer")
        ]


def test_partitions_and_replica_identities_are_left_alone(tmp_path, database):
    with psycopg.connect(database, autocommit=True) as made:
        made.execute("CREATE TABLE p (id int NOT NULL, a int) PARTITION BY RANGE (id)")
        made.execute("CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)")
        made.execute("CREATE INDEX p_a ON p (a)")
        made.execute("CREATE INDEX p_a_id ON p (a, id)")
        made.execute("CREATE TABLE r (id int NOT NULL)")
        made.execute("CREATE UNIQUE INDEX r_id ON r (id)")
        made.execute("CREATE UNIQUE INDEX r_id_2 ON r (id)")
        made.execute("ALTER TABLE r REPLICA IDENTITY USING INDEX r_id")
    with maintenance_rig.opened(tmp_path, database) as app:
        assert dropped(app.preview(DropUnusedIndexes(system="app"))) == ["r_id_2"]


@pytest.mark.parametrize("at", ["before effect", "after effect"])
def test_a_worker_that_dies_in_the_middle_is_followed(tmp_path, database, crowded, at):
    outcome = maintenance_rig.killed_in_the_middle(tmp_path, database, DropUnusedIndexes(system="app"), at=at)
    assert outcome.status == "done"
    left = crowded.execute("SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'").fetchone()[0]
    assert left == 7


def test_a_tidy_database_has_nothing_to_drop(tmp_path, database):
    with psycopg.connect(database, autocommit=True) as made:
        made.execute("CREATE TABLE t (id int PRIMARY KEY, a int)")
        made.execute("CREATE INDEX t_a ON t (a, id)")
    with maintenance_rig.opened(tmp_path, database) as app:
        plan = app.preview(DropUnusedIndexes(system="app"))
        assert (plan.nothing_to_do, plan.findings) == (
            "2 indexes were looked at: each is valid and answers something that no other one does.", (),
        )  # fmt: skip
