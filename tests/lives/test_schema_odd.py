"""Schemas that real databases have and tidy examples lack."""

import psycopg
import pytest

from datareeve.capabilities.databases.operations.repair_schema import RepairSchema
from datareeve.capabilities.databases.operations.review_schema import ReviewSchema
from schema_life import carry_out, plan_of

REPAIR = RepairSchema(system="app")


@pytest.fixture
def app(database):
    with psycopg.connect(database, autocommit=True) as connection:
        yield connection


def starts(plan):
    return [part.summary for part in plan.parts]


def test_an_empty_database_is_fine(systems):
    assert plan_of(REPAIR, systems).nothing_to_do.startswith("All 0 tables")


def test_names_that_need_quotes_are_repaired(app, systems):
    app.execute('CREATE SCHEMA "My App"')
    app.execute('CREATE TABLE "My App"."Users" ("id" serial, "e%mail" text)')
    app.execute('CREATE TABLE "My App"."Or""ders" ("Users_id" int, "select" text)')
    app.execute('INSERT INTO "My App"."Users" ("e%mail") SELECT \'x\' || n FROM generate_series(1, 50) AS n')
    app.execute(
        'INSERT INTO "My App"."Or""ders" SELECT id, \'y\' FROM "My App"."Users", generate_series(1, 3)'
    )
    plan = plan_of(REPAIR, systems)
    assert starts(plan) == [
        "Make (id) the primary key of My App.Users (50 rows).",
        'Make My App.Or"ders (Users_id) a foreign key to My App.Users (id).',
    ]
    carry_out(plan, systems)
    assert plan_of(REPAIR, systems).nothing_to_do


def test_a_new_empty_schema_is_repaired_by_its_names_alone(app, systems):
    app.execute("CREATE TABLE customers (id bigint, name text)")
    app.execute("CREATE TABLE orders (order_id bigint, customer_id bigint, year int)")
    plan = plan_of(REPAIR, systems)
    carry_out(plan, systems)
    assert starts(plan)[-1] == "Make public.orders (customer_id) a foreign key to public.customers (id)."


def test_a_tree_refers_to_itself(app, systems):
    app.execute("CREATE TABLE nodes (id int PRIMARY KEY, parent_id int)")
    app.execute("INSERT INTO nodes SELECT n, nullif(n / 2, 0) FROM generate_series(1, 40) AS n")
    carry_out(plan_of(REPAIR, systems), systems)


def test_partitioned_tables_are_blocked_with_a_reason_and_their_partitions_are_not_tables_of_their_own(
    app, systems
):
    app.execute("CREATE TABLE events (id int, at date) PARTITION BY RANGE (at)")
    app.execute(
        "CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01')"
    )
    app.execute("INSERT INTO events VALUES (1, '2026-02-01'), (2, '2026-03-01')")
    plan = plan_of(REPAIR, systems)
    assert plan.parts == ()
    assert plan.blockers[0].startswith("public.events is not a plain table")


def test_columns_that_cannot_be_keys_are_passed_by(app, systems):
    app.execute("CREATE TABLE t (doc json, xs int[], p point, b bytea)")
    app.execute("INSERT INTO t VALUES ('{}', '{1}', '(1,2)', 'x')")
    plan = plan_of(REPAIR, systems)
    assert [f.what for f in plan.findings] == ["public.t has no primary key, and no natural key was found."]


def test_the_schemas_that_the_estate_declares_are_the_only_ones_looked_at(app, systems, tmp_path):
    app.execute("CREATE SCHEMA other")
    app.execute("CREATE TABLE other.t (id int)")
    app.execute("CREATE TABLE mine (id int)")
    (tmp_path / "estate.yaml").write_text(
        "version: 1\nsystems:\n  app:\n    kind: postgresql\n    url: postgresql://x@localhost/x\n    schemas: [public]\n"
    )
    assert [t.full_name for t in REPAIR.observe(systems).tables] == ["public.mine"]
    assert [t.full_name for t in ReviewSchema(system="app", schema_name="other").observe(systems).tables] == [
        "other.t"
    ]


def test_no_value_of_a_row_but_orphan_keys_is_in_a_review(app, systems):
    app.execute("CREATE TABLE people (person_id int, secret text)")
    app.execute("INSERT INTO people SELECT n, 'hunter2-' || n FROM generate_series(1, 30) AS n")
    plan = plan_of(ReviewSchema(system="app"), systems)
    assert plan.findings
    assert (
        "hunter2"
        not in plan.model_dump_json() + ReviewSchema(system="app").observe(systems).model_dump_json()
    )
