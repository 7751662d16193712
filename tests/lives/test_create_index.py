import psycopg

from datareeve.capabilities.databases.operations.create_index import CreateIndex


def test_an_index_is_planned_and_its_statement_works(systems, database):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE flights (tailnum text, dest text)")
        operation = CreateIndex(system="app", table="flights", columns=("tailnum",))
        plan = operation.plan(operation.observe(systems))
        assert [step.id for step in plan.steps] == ["create-index flights_tailnum_idx"]
        assert not plan.steps[0].probe.holds(
            systems["app"].read("query", **plan.steps[0].probe.call.arguments)
        )
        systems["app"].perform("execute", run="r1", **plan.steps[0].call.arguments)
        assert operation.verify(systems, plan)[0].verdict == "holds"
        assert operation.plan(operation.observe(systems)).nothing_to_do


def test_a_column_that_is_not_there_is_told_before_anything_is_built(systems, database):
    with psycopg.connect(database, autocommit=True) as app:
        app.execute("CREATE TABLE flights (tailnum text, dest text)")
        operation = CreateIndex(
            system="app", table="flights", columns=("dest", "(lower(tailnum))", "tail"), include=("nose",)
        )
        plan = operation.plan(operation.observe(systems))
        assert plan.blockers == ("public.flights has no column nose, tail.",)
        assert not plan.steps
