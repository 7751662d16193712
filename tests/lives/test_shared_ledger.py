"""The ledger in the very database that is worked on: effects commit with their outcomes."""

import psycopg
import pytest

import rig
import servers
from datareeve.app import App
from datareeve.core.operation import Call, Claim, Effect, Step

ESTATE = """version: 1
ledger: {url}
systems:
  app: {{kind: postgresql, url: {url}, schemas: [public]}}
authority:
  rules: [{{decision: allow}}]
"""


@pytest.fixture
def app(tmp_path, database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE planes (tailnum text)")
        connection.execute("INSERT INTO planes SELECT 'N' || n FROM generate_series(1, 100) AS n")
        connection.execute("CREATE TABLE flights AS SELECT tailnum FROM planes, generate_series(1, 3)")
    (tmp_path / "estate.yaml").write_text(ESTATE.format(url=database))
    app = App.open(tmp_path)
    yield app
    app.close()


def schema(database):
    with psycopg.connect(database) as connection:
        return connection.execute(
            "SELECT conname, contype, convalidated FROM pg_constraint WHERE conrelid IN ('planes'::regclass, 'flights'::regclass) AND contype <> 'n' ORDER BY 1"
        ).fetchall()


def test_keys_are_added_and_taken_back_in_the_ledgers_own_transactions(app, database):
    outcome = app.apply(
        app.preview(app.catalogue.make("databases.repair-schema", {"system": "app"})), by="ann"
    )
    assert outcome.status == "done", [part.reason for part in outcome.parts]
    assert schema(database) == [("flights_tailnum_fkey", "f", True), ("planes_pkey", "p", True)]
    assert app.undo(outcome.run, by="ann").status == "undone"
    assert schema(database) == []
    assert app.verify_ledger()["entries"] > 20


def test_a_restart_of_the_server_that_holds_the_ledger_is_recorded_there(tmp_path):
    step = Step(
        id="restart",
        call=Call(system="app", action="restart"),
        why="A setting asks for it.",
        effect=Effect.REVERSIBLE,
        probe=Claim(text="it answers", call=rig.sql("SELECT true")),
        undo=(Call(system="app", action="restart"),),
        restarts=True,
    )
    plan = rig.Some(wanted=("d",)).plan(rig.NoFacts())
    with servers.server() as server, server.database(*rig.SCHEMA) as url:
        runner, ledger, registry = rig.make_runner(tmp_path, url, url)
        registry.add(servers.registry(tmp_path, url, server.local)["app"])
        outcome = runner.apply(plan.model_copy(update={"steps": (step, *plan.steps)}), by="ann")
        assert outcome.status == "done"
        assert runner.undo(outcome.run, by="ann").status == "undone"
        registry.close()
        ledger.close()
