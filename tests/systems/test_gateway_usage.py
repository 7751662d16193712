"""Usage as the control plane reads it, in SQLite and in PostgreSQL; and that a person's own SQL reaches nothing else."""

from __future__ import annotations

import random

import pytest

import ai_usage_rig
from ai_usage_rig import at
from datareeve.core.errors import BadInput, Failed
from datareeve.systems import usage_sql
from datareeve.systems.gateway_store import StoredProviderKey


@pytest.fixture(params=["sqlite", "postgresql"])
def world(request, tmp_path):
    store = request.getfixturevalue("database") if request.param == "postgresql" else None
    with ai_usage_rig.estate(tmp_path, store) as made:
        yield made


def usage(world, **asked):
    return world.control.read("usage", **{"since": at(1, 0), "until": at(31, 0, month=12), **asked})


def test_sums_are_by_what_is_asked_for_the_dearest_first_and_times_in_order(world):
    world.requests(
        {"at": at(2), "times": 3, "team": "shop", "cost_microusd": 10},
        {"at": at(3), "times": 2, "team": "search", "cost_microusd": 100, "status": "error", "http_status": 500, "attempts": 3},
        {"at": at(1, month=12), "team": "shop", "cost_microusd": 1},
    )  # fmt: skip
    teams = usage(world, by=["team"])
    assert [(row["team"], row["requests"], row["failed"], row["attempts"], row["cost_microusd"]) for row in teams] == [
        ("search", 2, 2, 6, 200), ("shop", 4, 0, 4, 31)]  # fmt: skip
    days = usage(world, by=["day", "team"])
    assert [(row["day"], row["team"], row["requests"]) for row in days] == [
        ("2026-11-02", "shop", 3), ("2026-11-03", "search", 2), ("2026-12-01", "shop", 1)]  # fmt: skip
    months = usage(world, by=["month"])
    assert [(row["month"], row["requests"], row["cost_microusd"]) for row in months] == [
        ("2026-11", 5, 230),
        ("2026-12", 1, 1),
    ]
    assert usage(world)[0]["requests"] == 6
    assert usage(world, where={"team": "search"}, by=["model"])[0]["model"] == "openai/gpt-4.1-mini"
    assert all(type(value) in (int, float, str) for row in teams for value in row.values())


def test_where_nothing_was_used_there_is_nothing_and_no_store_is_made(tmp_path):
    with ai_usage_rig.estate(tmp_path) as world:
        world.store.close()
        (tmp_path / ".datareeve" / "gateway.sqlite").unlink()
        assert usage(world, by=["team"]) == []
        assert world.control.read("repeats", since=0, until=1) == []
        assert world.control.read("usage_by_sql", sql="SELECT 1 FROM usage") == {
            "columns": [],
            "rows": [],
            "more": False,
        }
        assert not (tmp_path / ".datareeve" / "gateway.sqlite").exists()


def test_usage_is_by_known_words_only(world):
    for by in ("virtual_keys", "hour; DROP TABLE usage", "sum(1)", ""):
        with pytest.raises(BadInput, match="Usage is not counted by"):
            usage(world, by=[by])
        with pytest.raises(BadInput):
            usage(world, where={by: "x"})


def test_a_value_is_never_read_as_sql(world):
    world.requests({"at": at(2), "team": "o'x' OR 1=1 --"})
    assert usage(world, where={"team": "o'x' OR 1=1 --"})[0]["requests"] == 1
    assert usage(world, where={"team": "' OR 1=1 --"})[0]["requests"] == 0


def test_repeats_are_within_a_team_and_tell_when_they_were_asked(world):
    world.requests(
        {"at": at(2), "times": 3, "every": 60, "digest": "d1"},
        {"at": at(2), "digest": "d1", "team": "search"},
        {"at": at(2), "digest": "d2"},
        {"at": at(2), "digest": "d1", "cached": True, "cost_microusd": 0},
    )  # fmt: skip
    (found,) = world.control.read("repeats", since=at(1), until=at(3))
    assert (found["digest"], found["team"], found["requests"], found["cost_microusd"]) == (
        "d1",
        "shop",
        3,
        2160,
    )
    assert [moment[0] - at(2) for moment in found["asked"]] == [0, 60, 120]


def test_crowds_loops_failures_and_outages_are_counted(world):
    world.requests(
        {"at": at(2), "times": 60, "every": 0.5, "digest": "d1"},
        {"at": at(3), "times": 12, "every": 1, "digest": "bad", "status": "error", "http_status": 400, "error": "provider.400"},
        {"at": at(3), "times": 2, "status": "error", "http_status": 503},
        {"at": at(3), "status": "broken", "http_status": 200},
        {"at": at(3), "status": "refused", "http_status": 429, "provider": "", "model": ""},
    )  # fmt: skip
    (bulk,) = world.control.read("bulk", since=at(1), until=at(4))
    assert (bulk["requests"], bulk["minutes"], bulk["input"]) == (60, 1, 60_000)
    (loop,) = [one for one in world.control.read("loops", since=at(1), until=at(4)) if one["digest"] == "d1"]
    assert (loop["requests"], loop["since"]) == (60, at(2))
    (failing,) = world.control.read("failing", since=at(1), until=at(4))
    assert (failing["digest"], failing["requests"], failing["http_status"]) == ("bad", 12, 400)
    assert world.control.read("outages", since=at(1), until=at(4)) == {"openai": 3}
    (busy,) = world.control.read("busiest_minute", since=at(1), until=at(4))
    assert busy["requests"] == 60


def test_what_is_the_gateways_own_fault_or_the_clients_wish_is_no_outage(world):
    world.requests(
        {"at": at(2), "status": "error", "http_status": 502, "error": "upstream.cut"},
        {"at": at(2), "times": 2, "status": "interrupted", "http_status": 0, "error": "gateway.interrupted"},
        {"at": at(2), "status": "interrupted", "http_status": 0, "error": "gateway.stopped"},
        {"at": at(2), "status": "interrupted", "http_status": 500, "error": "gateway.internal"},
        {"at": at(2), "status": "broken", "http_status": 200, "error": "gateway.internal"},
        {"at": at(2), "times": 3, "status": "disconnected", "http_status": 499, "error": "gateway.client-left"},
        {"at": at(2), "times": 9, "status": "refused", "http_status": 429, "error": "gateway.rate-limit", "provider": "", "model": ""},
        {"at": at(2)},
    )  # fmt: skip
    span = {"since": at(1), "until": at(4)}
    assert world.control.read("outages", **span) == {"openai": 1}
    assert world.control.read("excused", **span) == {"openai": {"requests": 8, "own": 5}}
    (row,) = [one for one in usage(world, by=["provider"]) if one["provider"] == "openai"]
    assert (row["requests"], row["failed"], row["interrupted"]) == (10, 2, 4)


def test_all_that_repeats_is_in_one_look_what_it_is_in_several(world):
    pick = random.Random(5)  # noqa: S311 - no secret
    world.requests(*(
        {
            "at": at(2) + second * 7, "digest": pick.choice(["", "d1", "d2", "d3", f"once {second}"]), "prefix": pick.choice(["", "p1", "p2"]),
            "prefix_tokens": pick.randint(600, 4000), "team": pick.choice(["shop", "search"]), "key_name": pick.choice("ab"),
            "status": pick.choice(["ok", "ok", "ok", "error"]), "http_status": 400, "cached": pick.random() < 0.1,
            "cost_microusd": pick.randint(0, 3), "stream": pick.random() < 0.2,
        }
        for second in range(600)
    ))  # fmt: skip
    span = {"since": at(1), "until": at(3)}
    found = world.control.read("repetition", crowd=2, loop=5, fail=3, kept=60.0, **span)
    each = {"repeats": {}, "loops": {"crowd": 5}, "failing": {"crowd": 3}, "prefixes": {"kept": 60.0}, "bulk": {"crowd": 2}}  # fmt: skip
    assert found == {name: world.control.read(name, **span, **asked) for name, asked in each.items()}
    assert all(len(rows) > 1 for rows in found.values())
    assert world.control.read("repetition", crowd=2, loop=5, fail=3, kept=60.0, **span) == found


def test_percentiles_are_of_whole_answers_and_at_most_a_fifth_too_high(world):
    world.requests(*({"at": at(2), "total_ms": float(ms)} for ms in range(1, 101)))
    found = world.control.read("latencies", since=at(1), until=at(4))["openai"]
    assert 50 <= found["p50"] <= 60
    assert 95 <= found["p95"] <= 114


# -- a person's own SQL ----------------------------------------------------------------------------------------------------------


def test_a_question_in_sql_is_answered(world):
    world.requests({"at": at(2), "times": 3}, {"at": at(3), "model": "gpt-4.1", "cost_microusd": 5000})
    sql = "WITH dear AS (SELECT model, cost_microusd FROM usage WHERE cost_microusd > 1000) SELECT model, sum(cost_microusd) / 1e6 AS usd FROM dear GROUP BY model"
    found = world.control.read("usage_by_sql", sql=sql)
    assert found == {"columns": ["model", "usd"], "rows": [["gpt-4.1", 0.005]], "more": False}
    told = world.control.read(
        "usage_by_sql", sql="SELECT id FROM usage WHERE model LIKE 'gpt-4.1-%' ORDER BY at;", most=2
    )
    assert (len(told["rows"]), told["more"]) == (2, True)


HOSTILE = [
    "SELECT sealed FROM provider_keys",
    "SELECT digest FROM virtual_keys",
    "SELECT * FROM usage, prompts",
    "SELECT (SELECT sealed FROM provider_keys LIMIT 1) FROM usage",
    "SELECT * FROM datareeve_gateway.provider_keys",
    'SELECT * FROM "provider_keys"',
    "SELECT * FROM main.provider_keys",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pg_catalog.pg_authid",
    "SELECT * FROM pg_authid",
    "WITH usage AS (SELECT sealed FROM provider_keys) SELECT * FROM usage",
    "SELECT query_to_xml('SELECT * FROM provider_keys', true, true, '')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_catalog.pg_read_file('/etc/passwd')",
    "SELECT pg_sleep(100)",
    "SELECT lo_import('/etc/passwd')",
    "SELECT set_config('a.b', 'c', false)",
    "SELECT * FROM pragma_table_info('provider_keys')",
    "SELECT load_extension('x')",
    "SELECT * FROM dblink('', 'SELECT 1') AS t(a int)",
    "DELETE FROM usage",
    "WITH gone AS (DELETE FROM usage RETURNING *) SELECT * FROM gone",
    "SELECT * INTO other FROM usage",
    "SELECT * FROM usage FOR UPDATE",
    "SELECT 1 FROM usage; DELETE FROM usage",
    "UPDATE usage SET team = ''",
    "INSERT INTO usage SELECT * FROM usage",
    "CREATE TABLE t AS SELECT * FROM usage",
    "PRAGMA writable_schema = 1",
    "ATTACH DATABASE '/tmp/x' AS x",
    "COPY usage TO '/tmp/x'",
    "VACUUM",
    "EXPLAIN ANALYZE DELETE FROM usage",
    "SELECT $1 FROM usage",
    "",
    "SELECT",
    "\0",
    "(" * 5000,
    "SELECT 1 " + "-" * 20_000,
    "SELECT 'it''s' FROM /* */ provider_keys",
    "TABLE provider_keys",
    "SELECT * FROM usage UNION ALL SELECT * FROM prompts",
    "SELECT * FROM usage WHERE EXISTS (SELECT 1 FROM answers)",
]  # fmt: skip


def test_a_question_that_wants_more_is_refused_without_a_traceback(world):
    world.store.add_provider_key(StoredProviderKey(id="pk_1", provider="openai", sealed="v1.canary7f3a"))
    world.requests({"at": at(2)})
    answered = [sql[:80] for sql in HOSTILE if not refused(world, sql)]
    assert answered == []
    assert usage(world)[0]["requests"] == 1


def refused(world, sql):
    try:
        world.control.read("usage_by_sql", sql=sql)
    except BadInput as error:
        return error.code == "usage.sql" and "canary7f3a" not in str(error)
    return False


def test_sqlite_itself_refuses_what_a_parser_would_have_let_through(tmp_path):
    with ai_usage_rig.estate(tmp_path) as world:
        for sql in (
            "SELECT sealed FROM provider_keys",
            "DELETE FROM usage",
            "PRAGMA user_version = 3",
            "SELECT name FROM sqlite_master",
        ):
            with pytest.raises(BadInput):
                usage_sql._on_sqlite(world.store.database.path, sql, 10)


def test_postgresql_itself_refuses_what_a_parser_would_have_let_through(tmp_path, database):
    with ai_usage_rig.estate(tmp_path, database) as world:
        for sql in ("DELETE FROM usage", "SELECT 1; SELECT 2"):
            with pytest.raises((BadInput, Failed)):
                usage_sql._on_postgres(world.store, sql, 10)


def test_a_question_without_end_is_ended(world, monkeypatch):
    monkeypatch.setattr(usage_sql, "SECONDS", 0.2)
    world.requests({"at": at(2), "times": 300})
    with pytest.raises(Failed, match="took longer"):
        world.control.read(
            "usage_by_sql",
            sql="SELECT count(*) FROM usage a, usage b, usage c, usage d WHERE a.at + b.at + c.at > d.at",
        )
