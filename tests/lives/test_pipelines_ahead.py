"""What a plan says beforehand: what is touched downstream, how much, how long, at what cost; and what became of it."""

import pytest

from pipelines_flow_rig import Project, source, target

pytestmark = pytest.mark.parametrize("kind", ["duckdb", "postgresql"])
SCHEMA = "CREATE TABLE t (id int PRIMARY KEY, v text)"


@pytest.fixture
def world(kind, pg18, tmp_path):
    """A source of a thousand rows, an empty target, and a pipeline with a load and a model."""
    with pg18.database(SCHEMA) as url, pg18.database() as there:
        source(url, "INSERT INTO t SELECT n, 'v' FROM generate_series(1, 1000) n", "ANALYZE t")
        systems = {"app": {"kind": "postgresql", "url": url}, "there": target(kind, there)}
        with Project(tmp_path, systems) as project:
            project.source, project.there = url, there
            load = {"source": {"system": "app", "table": "t"}, "keys": ["id"], "mode": "upsert"}
            project.pipeline(loads={"t": load}, models={"m": {"query": "SELECT id FROM t"}})
            yield project


def views(project, kind, *statements):
    """Views that others made on the target."""
    if kind == "postgresql":
        source(project.there, *statements)
        return
    import duckdb  # noqa: PLC0415 - as a user of the file does

    project.app.close()
    with duckdb.connect(str(project.folder / project.systems["there"]["path"])) as connection:
        for statement in statements:
            connection.execute(statement)
    project.app = type(project.app).open(project.folder)


def test_before_any_run_how_long_is_unknown_and_nothing_is_guessed(world):
    plan = world.plan()
    assert plan.figures["rows_expected"] == 1000
    assert plan.figures["seconds_expected"] == "unknown"
    assert plan.figures["cost"] == "nothing, all is read on this machine"
    assert plan.figures["downstream"] == {"models": ["m"], "pipelines": [], "views": []}
    assert "how long is unknown" in plan.summary
    assert all(step.predicted.seconds is None for step in plan.all_steps())


def test_after_a_run_its_figures_are_expected_and_stand_beside_what_happened(world):
    world.done()
    plan = world.plan()
    predicted = {step.id: step.predicted for step in plan.all_steps()}
    assert predicted["load t"].seconds > 0
    assert predicted["model m"].rows == 1000
    assert "1 former run" in predicted["model m"].basis
    assert plan.figures["seconds_expected"] > 0
    done = world.done()
    taken = {step.step: step for part in done.parts for step in part.steps}
    assert taken["load t"].result["rows"] == 1000
    assert taken["load t"].seconds > 0


def test_views_and_other_pipelines_that_read_what_is_published_are_named(world, kind):
    world.done()
    views(
        world,
        kind,
        "CREATE VIEW one AS SELECT id FROM t",
        "CREATE VIEW two AS SELECT id FROM one",
        "CREATE VIEW none AS SELECT 't' AS t",
    )
    reads = {"source": {"system": "there", "table": "m"}}
    world.pipeline("reader", target="there", loads={"copied": reads})
    world.pipeline("other", target="there", loads={"elsewhere": {"source": {"system": "app", "table": "t"}}})
    schema = "public" if kind == "postgresql" else "main"
    expected = {"models": ["m"], "pipelines": ["reader"], "views": [f"{schema}.one", f"{schema}.two"]}
    plan = world.plan()
    assert plan.figures["downstream"] == expected
    assert f"pipelines reader; views {schema}.one, {schema}.two" in plan.summary
    assert world.plan(operation="pipelines.build").figures["downstream"] == expected


def test_what_is_downstream_is_told_of_a_publication_too(world):
    world.done(operation="pipelines.build")
    plan = world.plan(operation="pipelines.publish")
    assert plan.figures["downstream"]["models"] == ["m"]
    assert plan.figures["rows_expected"] > 0


def test_a_source_on_another_host_costs_what_its_owner_asks_and_no_price_is_made_up(world):
    world.pipeline("far", loads={"x": {"source": {"http": {"url": "https://api.example.com/rows"}}}})
    loaded = world.app.catalogue.make("pipelines.publish", {"pipeline": "far"})
    facts = loaded.observe(world.app.systems)
    assert facts.ahead.elsewhere == {"x": "api.example.com"}


def test_a_backfill_says_its_rows_what_follows_later_and_what_it_took_before(world):
    load = {"source": {"system": "app", "table": "t"}, "keys": ["id"], "mode": "upsert", "cursor": "id"}
    world.pipeline(loads={"t": load}, models={"m": {"query": "SELECT id FROM t"}})
    world.done()
    span = {"load": "t", "since": "1", "until": "301", "interval": "100"}
    plan = world.plan(operation="pipelines.backfill", **span)
    assert plan.figures["rows_expected"] == 300
    assert plan.figures["downstream"]["models"] == ["m"]
    assert "Expected: 300 rows, bytes unknown" in plan.summary
    done = world.done(operation="pipelines.backfill", **span)
    taken = {step.step: step.result for part in done.parts for step in part.steps}
    assert taken["load t"]["rows"] == 300


def test_a_backfill_of_many_intervals_counts_each_of_them(world):
    load = {"source": {"system": "app", "table": "t"}, "keys": ["id"], "mode": "upsert", "cursor": "id"}
    world.pipeline(loads={"t": load})
    world.done()
    span = {"pipeline": "p", "load": "t", "since": "1", "until": "301", "interval": "1"}
    counted = world.app.catalogue.make("pipelines.backfill", span).observe(world.app.systems).counted
    assert len(counted) == 300
    assert {(there, here) for _, _, there, here in counted} == {(1, 1)}


def test_a_model_reads_a_table_beyond_the_thousandth_column(world, kind):
    columns = ", ".join(f"{number} AS c{number}" for number in range(1200))
    views(world, kind, f"CREATE TABLE wide AS SELECT {columns}")
    world.pipeline(models={"m": {"query": "SELECT c1100 FROM wide"}})
    world.done()
    assert world.rows("SELECT c1100 FROM m") == [(1100,)]


def test_runs_in_the_estates_own_environment_are_those_that_name_it_and_those_that_name_none(world, kind):
    world.pipeline(
        loads={"t": {"source": {"system": "app", "table": "t"}, "keys": ["id"], "mode": "upsert"}},
        environments={"dev": {"schema": "dev"}},
    )
    world.estate(pipelines={"environment": "dev"})
    world.app.close()
    world.app = type(world.app).open(world.folder)
    world.done()
    world.done(environment="dev")
    for asked in ({}, {"environment": "dev"}):
        status = world.app.preview(world.app.catalogue.make("pipelines.status", {"pipeline": "p", **asked}))
        assert status.figures["runs"] == 2
    assert world.plan(environment="dev").figures["seconds_expected"] != "unknown"
