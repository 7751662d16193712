import psycopg

from datareeve.capabilities.databases.operations.create_index import CreateIndex
from datareeve.core.operation import examine


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


def test_an_index_of_a_partitioned_table_is_built_part_by_part_and_undone(systems):
    app = systems["app"]
    for statement in (
        "CREATE TABLE events (at date NOT NULL, kind text) PARTITION BY RANGE (at)",
        "CREATE TABLE events_a PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
        "CREATE TABLE events_b PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')",
        "INSERT INTO events SELECT date '2024-06-01' + n, 'k' || n % 7 FROM generate_series(0, 500) AS n",
    ):
        app.perform("execute", run="r1", sql=statement)
    operation = CreateIndex(system="app", table="events", columns=("kind", "at"), key_options=("", "DESC"))
    plan = operation.plan(operation.observe(systems))
    assert [step.id for step in plan.steps] == [
        "create-index events_kind_at_idx",
        "create-index events_a_kind_at_idx",
        "attach-index events_a_kind_at_idx",
        "create-index events_b_kind_at_idx",
        "attach-index events_b_kind_at_idx",
    ]
    for step in plan.steps:
        assert examine(step.probe, systems).verdict == "fails"
        app.perform("execute", run="r1", **step.call.arguments)
        assert examine(step.probe, systems).verdict == "holds"
    assert [check.verdict for check in operation.verify(systems, plan)] == ["holds"]
    assert operation.plan(operation.observe(systems)).nothing_to_do
    for step in reversed(plan.steps):
        for call in step.undo * 2:  # once more does no harm
            app.perform("execute", run="r1", **call.arguments)
    assert (
        app.read("query", sql="SELECT count(*) FROM pg_indexes WHERE schemaname = 'public'", shape="scalar")
        == 0
    )


def test_partitions_of_partitions_are_told_to_be_done_first(systems):
    for statement in (
        "CREATE TABLE deep (at date, kind text) PARTITION BY RANGE (at)",
        "CREATE TABLE deep_a PARTITION OF deep DEFAULT PARTITION BY LIST (kind)",
    ):
        systems["app"].perform("execute", run="r1", sql=statement)
    operation = CreateIndex(system="app", table="deep", columns=("kind",))
    plan = operation.plan(operation.observe(systems))
    assert plan.blockers == (
        "deep has partitions of partitions (deep_a, ...): create the index on each of those first.",
    )
