"""Foreign keys are added, validated and taken back on real servers."""

import psycopg
import pytest

from datareeve.capabilities.databases.operations.add_foreign_key import AddForeignKey
from schema_life import carry_out, dump, plan_of, undo

OPERATION = AddForeignKey(
    system="app",
    table="flights",
    columns=("carrier",),
    references_table="airlines",
    references_columns=("code",),
)
LENIENT = OPERATION.model_copy(update={"not_valid_ok": True})


@pytest.fixture
def app(database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE airlines (code text PRIMARY KEY, name text)")
        connection.execute("CREATE TABLE flights (carrier varchar(3))")
        connection.execute("INSERT INTO airlines VALUES ('AA', 'American'), ('UA', 'United')")
        connection.execute("INSERT INTO flights VALUES ('AA'), ('UA'), ('UA'), (NULL)")
        yield connection


def test_a_foreign_key_lives_and_leaves_no_trace(pg18, app, systems, database):
    before = dump(pg18, database)
    plan = plan_of(OPERATION, systems)
    carry_out(plan, systems)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        app.execute("INSERT INTO flights VALUES ('ZZ')")
    assert plan_of(OPERATION, systems).nothing_to_do
    undo(plan, systems, times=2)
    assert dump(pg18, database) == before


def test_orphans_are_counted_named_and_left_alone(app, systems):
    app.execute("INSERT INTO flights SELECT 'Z' || n % 30 FROM generate_series(1, 60) AS n")
    plan = plan_of(OPERATION, systems)
    assert plan.blockers[0].startswith("public.flights (carrier): 60 of 63 rows refer to 30 keys")
    assert len(plan.findings[0].figures["orphan_keys"]) == 20
    assert app.execute("SELECT count(*) FROM flights").fetchone() == (64,)


def test_with_leave_it_holds_for_new_rows_and_is_validated_once_the_orphans_are_gone(
    pg18, app, systems, database
):
    app.execute("INSERT INTO flights VALUES ('ZZ')")
    carry_out(plan_of(LENIENT, systems), systems)
    with pytest.raises(psycopg.errors.ForeignKeyViolation):
        app.execute("INSERT INTO flights VALUES ('YY')")
    assert "NOT VALID" in plan_of(LENIENT, systems).nothing_to_do
    app.execute("INSERT INTO airlines VALUES ('ZZ', 'Zed')")
    before = dump(pg18, database)
    plan = plan_of(LENIENT, systems)
    carry_out(plan, systems)
    undo(plan, systems, times=2)
    assert dump(pg18, database) == before


def test_a_key_that_the_database_does_not_keep_unique_cannot_be_referred_to(app, systems):
    to_name = OPERATION.model_copy(update={"references_columns": ("name",)})
    assert plan_of(to_name, systems).blockers[0].startswith("public.airlines (name) is not a key")


def test_a_key_of_several_columns_exempts_rows_with_a_null_as_the_standard_says(app, systems):
    app.execute("CREATE TABLE days (a int, b text, UNIQUE (b, a))")
    app.execute("CREATE TABLE uses (x int, y text)")
    app.execute("INSERT INTO days VALUES (1, 'p')")
    app.execute("INSERT INTO uses VALUES (1, 'p'), (2, NULL), (NULL, 'q')")
    operation = AddForeignKey(
        system="app", table="uses", columns=("x", "y"), references_table="days", references_columns=("a", "b")
    )
    carry_out(plan_of(operation, systems), systems)
    app.execute("ALTER TABLE uses DROP CONSTRAINT uses_x_y_fkey")
    app.execute("INSERT INTO uses VALUES (3, 'r')")
    assert plan_of(operation, systems).findings[0].figures["orphan_keys"] == ["(3,r)"]


def test_a_lock_that_another_session_holds_is_waited_for_in_turns_and_then_given_up(app, systems, database):
    plan = plan_of(OPERATION, systems)
    arguments = {**plan.steps[0].call.arguments, "lock_timeout_ms": 50, "attempts": 1}
    with psycopg.connect(database) as other:
        other.execute("LOCK TABLE airlines IN ROW EXCLUSIVE MODE")
        with pytest.raises(Exception, match="lock was not granted"):
            systems["app"].perform("execute", run="r1", **arguments)
    carry_out(plan, systems)
