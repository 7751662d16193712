"""Facts in, pool out: sizes, modes, logins and refusals of configure-pool. No server is asked."""

import pytest

from datareeve.capabilities.databases import pooling
from datareeve.capabilities.databases.operations.configure_pool import ConfigurePool, ConfigurePoolFacts
from datareeve.capabilities.databases.pooling import Load, PoolServer, Target, Verifiers
from datareeve.capabilities.databases.settings import HostFacts

SERVER = PoolServer(
    max_connections=100, reserved=3, connections=40, listeners=0, session_locks=0, temporary_tables=0,
    sees_sessions=True, may_read_verifiers=True, may_read_hba=True,
)  # fmt: skip
HOST = HostFacts(memory_bytes=16 * 1024**3, cores=8, storage="ssd")
BUSY = Load(
    transactions=120_000, busy_ms=60_000_000, seconds=3600, basis="the busiest of 9 sampled intervals"
)


def facts(server=None, **changes):
    given = {
        "target": Target(host="127.0.0.1", port=5432, dbname="shop", user="app"),
        "server": SERVER.model_copy(update=server or {}),
        "host": HOST,
        "load": None,
        "login_method": "scram-sha-256",
        "verifiers": Verifiers(scram=3, md5=0, own=True),
        "installed": (1, 23, 1),
        "running": False,
        "serves": False,
        "port": 6432,
        "port_taken": False,
        "file": None,
        "digest": None,
        "declared": None,
    }
    return ConfigurePoolFacts(**{**given, **changes})


def plan_of(operation=None, **changes):
    return (operation or ConfigurePool(system="shop")).plan(facts(**changes))


def values(plan):
    return pooling.parse(plan.steps[0].call.arguments["text"])["pgbouncer"]


def test_without_a_measured_load_the_cores_decide():
    pool = values(plan_of())
    assert (
        pool["default_pool_size"],
        pool["reserve_pool_size"],
        pool["max_db_connections"],
        pool["max_client_conn"],
    ) == ("17", "4", "87", "400")


def test_a_measured_load_is_sized_by_littles_law_and_the_arithmetic_is_shown():
    plan = plan_of(load=BUSY)
    assert values(plan)["default_pool_size"] == "25"
    assert plan.figures["littles_law"] == (
        "33.3 transactions/s x 500.0 ms each = 16.67 connections busy (the busiest of 9 sampled intervals); with 25 of them (1.5 x)"
        " 95% wait at most 10 ms for one (Erlang C: 3.9% wait at all)"
    )
    assert plan.figures["littles_law"] in plan.steps[0].why
    assert {key: plan.figures[key] for key in ("arrivals_per_second", "transaction_ms_mean", "connections_busy")} == {
        "arrivals_per_second": 33.333, "transaction_ms_mean": 500.0, "connections_busy": 16.667,
    }  # fmt: skip


@pytest.mark.parametrize(("max_connections", "size"), [(100, "87"), (20, "12"), (5, "1")])
def test_the_server_keeps_connections_for_superusers_backups_and_direct_logins(max_connections, size):
    plan = plan_of(
        load=BUSY.model_copy(update={"busy_ms": 1e12}), server={"max_connections": max_connections}
    )
    assert values(plan)["default_pool_size"] == size


def test_a_given_size_is_taken_within_what_the_server_allows():
    assert values(plan_of(ConfigurePool(system="shop", size=9)))["default_pool_size"] == "9"
    assert values(plan_of(ConfigurePool(system="shop", size=500)))["default_pool_size"] == "87"


def test_without_load_and_host_no_size_is_guessed():
    plan = plan_of(host=None)
    assert plan.steps == ()
    assert plan.blockers == (
        "Neither load nor host of shop is known: give systems.shop.host in estate.yaml, or the size.",
    )


@pytest.mark.parametrize("seen", ["listeners", "session_locks", "temporary_tables"])
def test_state_of_a_session_makes_it_session_mode(seen):
    assert values(plan_of())["pool_mode"] == "transaction"
    assert values(plan_of(server={seen: 2}))["pool_mode"] == "session"
    assert (
        values(plan_of(ConfigurePool(system="shop", mode="transaction"), server={seen: 2}))["pool_mode"]
        == "transaction"
    )


@pytest.mark.parametrize(
    ("version", "kept_apart"),
    [((1, 18, 0), False), ((1, 20, 1), False), ((1, 21, 0), True), ((1, 25, 0), True)],
)
def test_prepared_statements_work_in_transaction_mode_from_1_21(version, kept_apart):
    plan = plan_of(installed=version)
    assert ("max_prepared_statements" in values(plan)) is kept_apart
    assert ("pool-prepared-statements" in [f.rule for f in plan.findings]) is not kept_apart


@pytest.mark.parametrize(
    ("method", "host", "listen", "auth"),
    [
        ("trust", "127.0.0.1", "127.0.0.1", "trust"),
        ("trust", "db.internal", "127.0.0.1", "scram-sha-256"),
        ("trust", "127.0.0.1", "0.0.0.0", "scram-sha-256"),  # noqa: S104 - what must not be trusted
        ("scram-sha-256", "127.0.0.1", "127.0.0.1", "scram-sha-256"),
        (None, "127.0.0.1", "127.0.0.1", "scram-sha-256"),
    ],
)
def test_logins_are_trusted_only_where_the_server_trusts_them_and_nobody_else_can_reach_the_pool(
    method, host, listen, auth
):
    target = Target(host=host, port=5432, dbname="shop", user="app")
    plan = plan_of(ConfigurePool(system="shop", listen=listen), login_method=method, target=target)
    assert values(plan)["auth_type"] == auth
    assert ("pool-trusts-logins" in [f.rule for f in plan.findings]) is (auth == "trust")
    assert ("pool-without-tls" in [f.rule for f in plan.findings]) is (listen != "127.0.0.1")


def test_missing_rights_and_passwords_are_blockers_with_the_statement():
    assert plan_of(verifiers=None).blockers == (
        "SCRAM verifiers cannot be read; let a superuser run: GRANT SELECT ON pg_authid TO app;",
    )
    assert plan_of(verifiers=Verifiers(scram=2, md5=1, own=False)).blockers == (
        "app has no SCRAM password: give it one (\\password app) with password_encryption = scram-sha-256.",
    )


def test_roles_with_md5_passwords_are_told_by_number():
    assert {f.rule: f.figures for f in plan_of(verifiers=Verifiers(scram=2, md5=4, own=True)).findings} == {
        "pool-md5-roles": {"roles": 4}
    }


def served(**changes):
    """Facts of a pool that runs as this version would configure it."""
    text = plan_of(**changes).steps[0].call.arguments["text"]
    entry = {"kind": "pgbouncer", "database": "shop", "port": 6432}
    return {**changes, "file": text, "digest": "d0", "declared": entry, "running": True, "serves": True}


def test_a_pool_that_serves_as_advised_is_left_alone_whatever_its_comments_say():
    state = served()
    assert (
        plan_of(**state).nothing_to_do == "shop-pool serves as advised: 17 server connections on port 6432."
    )
    commented = "\n".join(line for line in state["file"].splitlines() if not line.startswith(";"))
    assert plan_of(**{**state, "file": commented}).nothing_to_do


def test_a_size_that_is_still_enough_is_kept_and_one_that_is_not_grows():
    state = served(load=BUSY)
    calmer = BUSY.model_copy(update={"busy_ms": BUSY.busy_ms * 0.6})
    assert plan_of(**{**state, "load": calmer}).nothing_to_do
    busier = BUSY.model_copy(update={"busy_ms": BUSY.busy_ms * 1.5})
    assert values(plan_of(**{**state, "load": busier}))["default_pool_size"] == "35"


def test_a_pool_that_ran_before_gets_its_former_file_back_and_keeps_running():
    plan = plan_of(ConfigurePool(system="shop", size=30), **served())
    assert [step.id for step in plan.steps] == ["write data/pgbouncer/shop-pool.ini", "start shop-pool"]
    assert [call.action for call in plan.steps[0].undo] == ["restore", "start"]
    assert "stop" not in [call.action for step in plan.steps for call in step.undo]


def test_a_file_that_cannot_be_read_as_ini_is_written_anew():
    assert plan_of(file="[pgbouncer\nnonsense", digest="d0").steps[0].undo[0].arguments["digest"] == "d0"


def test_odd_names_are_quoted_for_pgbouncer():
    target = Target(host="db", port=5433, dbname="my shop's", user="app", sslmode="verify-full")
    plan = plan_of(target=target)
    assert "\"my shop's\" = host='db' port=5433 dbname='my shop''s'" in plan.steps[0].call.arguments["text"]
    assert values(plan)["server_tls_sslmode"] == "verify-full"


def look(minute, active_ms, transactions):
    at = f"2025-07-20T10:{minute:02}:00.000000+00:00"
    return [
        {"at": at, "name": "active_ms_total", "value": active_ms},
        {"at": at, "name": "transactions_total", "value": transactions},
    ]


def test_the_busiest_interval_of_the_samples_counts_and_a_reset_counter_does_not():
    samples = [
        *look(0, 0, 0),
        *look(1, 60_000, 600),
        *look(2, 300_000, 1200),
        *look(3, 10_000, 5),
        *look(4, 11_000, 20),
    ]
    busiest = pooling.busiest_interval(samples)
    assert (busiest.concurrency, busiest.transactions, busiest.seconds) == (4.0, 600, 60)
    assert busiest.basis == "the busiest of 3 sampled intervals"


@pytest.mark.parametrize(
    "samples", [[], look(0, 5, 5), [*look(0, 5, 5), *look(1, 5, 5)], look(0, 5, 5)[:1] + look(1, 9, 9)[:1]]
)
def test_samples_that_show_no_work_give_no_load(samples):
    assert pooling.busiest_interval(samples) is None
