import psycopg
import pytest

from datareeve.capabilities.databases.operations.drop_index import DropIndex, DropIndexFacts

DEFINITION = "CREATE INDEX by_b ON public.t USING btree (b) WHERE (a > 1)"


def test_an_index_is_dropped_and_its_undo_gives_it_back_whole(systems, database):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE t (a int, b text)")
        app.execute("CREATE INDEX by_b ON t (b) WHERE a > 1")
        app.execute("COMMENT ON INDEX by_b IS 'for Ada''s list'")
        read = "SELECT pg_get_indexdef('by_b'::regclass), obj_description('by_b'::regclass, 'pg_class')"
        operation = DropIndex(system="app", index="by_b")
        plan = operation.plan(operation.observe(systems))
        assert plan.requirements[0].holds(systems["app"].read("query", **plan.requirements[0].call.arguments))
        (step,) = plan.steps
        systems["app"].perform("execute", run="r1", **step.call.arguments)
        assert operation.verify(systems, plan)[0].verdict == "holds"
        assert operation.plan(operation.observe(systems)).nothing_to_do == "There is no index public.by_b."
        for _ in range(2):  # idempotent
            for call in step.undo:
                systems["app"].perform("execute", run="r1", **call.arguments)
        assert app.execute(read).fetchone() == (DEFINITION, "for Ada's list")


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        (
            "t_pkey",
            "public.t_pkey carries the target of the foreign key u_a_fkey on u: drop that constraint first if it is not needed.",
        ),
        (
            "t_pkey",
            "public.t_pkey carries the primary key t_pkey on t: drop that constraint first if it is not needed.",
        ),
        (
            "t_b_key",
            "public.t_b_key carries the unique constraint t_b_key on t: drop that constraint first if it is not needed.",
        ),
    ],
)
def test_an_index_that_a_constraint_rests_on_is_refused_with_what_rests_on_it(
    systems, database, index, reason
):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE t (a int PRIMARY KEY, b text UNIQUE)")
        app.execute("CREATE TABLE u (a int REFERENCES t)")
    operation = DropIndex(system="app", index=index)
    plan = operation.plan(operation.observe(systems))
    assert plan.steps == ()
    assert reason in plan.blockers


def test_the_undo_puts_the_index_back_where_it_was():
    facts = DropIndexFacts(table="public.t", definition=DEFINITION, tablespace="fast", is_clustered=True)
    (step,) = DropIndex(system="app", index="by_b").plan(facts).steps
    assert [call.arguments["sql"] for call in step.undo] == [
        "DROP INDEX CONCURRENTLY IF EXISTS public.by_b",
        "CREATE INDEX CONCURRENTLY by_b ON public.t USING btree (b) TABLESPACE fast WHERE (a > 1)",
        "ALTER TABLE public.t CLUSTER ON by_b",
    ]


def test_an_invalid_index_is_not_made_again():
    facts = DropIndexFacts(table="public.t", definition=DEFINITION, is_valid=False)
    (step,) = DropIndex(system="app", index="by_b").plan(facts).steps
    assert (step.undo, step.no_undo) == ((), "It is invalid, what a failed build left: it is not made again.")
