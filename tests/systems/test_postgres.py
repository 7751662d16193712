"""Reading PostgreSQL: one statement, READ ONLY, and no value in an error."""

import psycopg
import pytest

import servers
from datareeve.core.errors import BadInput, DatareeveError, Failed

ESCAPE = "COMMIT; BEGIN READ WRITE; DELETE FROM t; COMMIT"


@pytest.fixture
def app(systems, database):
    run(database, "CREATE TABLE t (n int)")
    run(database, "INSERT INTO t VALUES (1)")
    return systems["app"]


def run(database, statement):
    with psycopg.connect(database, autocommit=True) as connection:
        answer = connection.execute(statement)
        return answer.fetchall() if answer.description else None


@pytest.mark.parametrize(
    ("action", "arguments"),
    [
        ("query", {}),
        ("explain", {}),
        ("explain", {"generic": True}),
        ("plan_of", {}),
    ],
)
@pytest.mark.parametrize(
    "sql",
    [
        f"SELECT 1; {ESCAPE}",
        f"SELECT 1 /* /* */ ; {ESCAPE}; -- */ */",
        rf"SELECT 1, '\'; {ESCAPE}; --'",
        "ANALYZE DELETE FROM t",
        "(ANALYZE) DELETE FROM t",
        "DELETE FROM t",
    ],
)
def test_no_text_that_is_read_or_explained_changes_a_row(app, database, action, arguments, sql):
    for text in (sql, sql.replace("SELECT 1", "SELECT $1::int")):
        try:
            app.read(action, sql=text, **arguments)
        except DatareeveError as error:
            assert error.code  # noqa: PT017 - some of them are one harmless statement, and are answered
    assert run(database, "SELECT count(*) FROM t") == [(1,)]


@pytest.mark.parametrize("sql", [f"SELECT 1; {ESCAPE}", f"SELECT $1::int; {ESCAPE}"])
def test_several_statements_are_told_as_such(app, sql):
    with pytest.raises(BadInput) as refused:
        app.read("plan_of", sql=sql)
    assert refused.value.code == "postgres.several-statements"


@pytest.mark.parametrize("state", ["45000", "42501", "55006"])
def test_what_a_function_raises_is_not_repeated_whatever_its_code(app, database, state):
    body = f"BEGIN RAISE EXCEPTION 'mail of %', 'ann@example.org' USING ERRCODE = '{state}'; END"
    run(database, f"CREATE FUNCTION told() RETURNS int LANGUAGE plpgsql AS $$ {body} $$")
    with pytest.raises(Failed) as failed:
        app.read("query", sql="SELECT told()")
    assert "ann@example.org" not in str(failed.value)
    assert failed.value.code == f"postgres.{state}"


def test_a_server_that_is_down_has_nothing_to_settle(tmp_path):
    """What a run left must not stop its undo from starting the server again."""
    with servers.server() as server:
        app = servers.registry(tmp_path, server.url, server.local)["app"]
        server.local.stop()
        app.settle("r1")
        assert not server.local.running()
