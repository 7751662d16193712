"""State of sessions in recorded statements, whatever they are recorded in."""

import json

import pytest

import servers
from datareeve.core.estate import WorkloadSource
from datareeve.systems.session_features import session_features

KEEPS = [
    ("LISTEN news", "LISTEN"),
    ("create temp table t (a int)", "temporary table"),
    ("CREATE LOCAL TEMPORARY TABLE t AS SELECT 1", "temporary table"),
    ("SELECT pg_advisory_lock(7)", "session advisory lock"),
    ("SELECT pg_try_advisory_lock_shared(7)", "session advisory lock"),
    ("SET search_path = tenant_7", "SET"),
    ("set session statement_timeout to 5", "SET"),
    ("PREPARE q (int) AS SELECT $1", "PREPARE"),
    ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "cursor WITH HOLD"),
]
KEEPS_NOT = [
    "SET LOCAL search_path = a",
    "SET TRANSACTION READ ONLY",
    "SET client_encoding TO 'UTF8'",
    "SELECT pg_advisory_xact_lock(7)",
    "SELECT pg_advisory_unlock(7)",
    "SELECT 'LISTEN to the news'",
    "UPDATE t SET a = 1",
    "PREPARE TRANSACTION 'x'",
    "DECLARE c CURSOR FOR SELECT 1",
    "SELECT * FROM temporary_offers",
]


def found(folder, kind, text):
    (folder / "workload").write_text(text)
    systems = servers.registry(
        folder, "postgresql://x@localhost/x", workload=WorkloadSource(kind=kind, path="workload")
    )
    return session_features(systems["app"])


FORMS = {
    "sql": lambda sql: f"SELECT 1;\n{sql};\n",
    "trace": lambda sql: json.dumps({"at": "x", "session": 1, "sql": sql, "parameters": []}) + "\n",
    "log": lambda sql: (
        f'2026-01-05 12:00:00 UTC,"app","shop",1,"127.0.0.1:1",1,1,"idle",,,,LOG,00000,"statement: {sql}"\n'
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("sql", "feature"), KEEPS)
def test_what_a_session_keeps_is_found(tmp_path, sql, feature, form):
    assert found(tmp_path, form, FORMS[form](sql)) == {feature: 1}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("sql", KEEPS_NOT)
def test_what_ends_with_its_transaction_is_not(tmp_path, sql, form):
    assert found(tmp_path, form, FORMS[form](sql)) == {}


def test_a_file_that_is_gone_and_a_server_without_statistics_show_nothing(tmp_path, systems):
    assert session_features(systems["app"]) == {}
    missing = servers.registry(
        tmp_path, "postgresql://x@localhost/x", workload=WorkloadSource(kind="sql", path="gone")
    )
    assert session_features(missing["app"]) == {}
