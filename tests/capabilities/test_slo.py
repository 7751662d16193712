import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

import servers
from datareeve.capabilities.databases import slo
from datareeve.capabilities.databases.latency import Moments, Within
from datareeve.capabilities.databases.operations.check_slo import CheckSlo
from datareeve.capabilities.databases.workload_history import Delta, Stretch
from datareeve.core import clock
from datareeve.core.estate import WorkloadSource
from datareeve.core.operation import Severity


def level(families, windows=None, **more):
    return slo.Level(
        target_ms=100.0,
        goal=0.95,
        of="the time since yesterday",
        basis="moments",
        main=slo.Span(families=families),
        windows=windows or {},
        names={key: f"SELECT {key} FROM t" for key in families},
        **more,
    )


def counted(calls, least, most=None):
    return Within(calls=calls, least=least, most=least if most is None else most)


@pytest.mark.parametrize(
    ("families", "verdict"),
    [
        ({"a": counted(100, 96)}, "met"),
        ({"a": counted(100, 94)}, "missed"),
        ({"a": counted(100, 90, 99)}, "cannot be told"),
        ({"a": counted(1000, 1000), "b": counted(10, 0)}, "met"),  # one family is slow, the whole is not
        ({}, "not known"),
    ],
)
def test_the_verdict_holds_for_every_distribution_or_is_not_told(families, verdict):
    plan = CheckSlo(system="app").plan(level(families))
    assert plan.figures["slo_verdict"] == verdict
    assert [finding.rule for finding in plan.findings] == (["slo-missed"] if verdict == "missed" else [])
    assert plan.nothing_to_do == plan.summary


def test_the_error_budget_is_what_may_still_go_wrong():
    figures = CheckSlo(system="app").plan(level({"a": counted(1000, 980), "b": counted(1000, 990)})).figures
    assert figures["slo_budget"] == {
        "calls": 2000, "allowed_over": 100.0, "over_at_least": 30, "over_at_most": 30, "left_calls_at_least": 70.0,
        "left_calls_at_most": 70.0, "left_share_at_least": 0.7, "left_share_at_most": 0.7,
    }  # fmt: skip
    assert [row["fingerprint"] for row in figures["slo_families"]] == ["a", "b"]


def test_a_missed_level_names_the_families_with_most_slow_calls():
    plan = CheckSlo(system="app").plan(
        level({"fast": counted(10, 10), "slow": counted(90, 10), "bit": counted(100, 95)})
    )
    (finding,) = plan.findings
    assert "SELECT slow FROM t (80 of 90)" in finding.what
    assert "SELECT fast" not in finding.what


def burning(**bad):
    return {name: slo.Span(families={"a": counted(1000, 1000 - over)}) for name, over in bad.items()}


@pytest.mark.parametrize(
    ("windows", "fired"),
    [
        (burning(**{"1h": 800, "5m": 900, "6h": 400, "30m": 400}), [("app (1h)", Severity.CRITICAL)]),
        (burning(**{"1h": 800, "5m": 10}), []),  # the trouble is over
        (burning(**{"6h": 320, "30m": 310, "1h": 300, "5m": 300}), [("app (6h)", Severity.CRITICAL)]),
        (burning(**{"3d": 60, "6h": 60}), [("app (3d)", Severity.WARNING)]),
        (burning(**{"3d": 40, "6h": 40, "1h": 40, "5m": 40}), []),
        (
            {
                "1h": slo.Span(families={"a": counted(1000, 0, 600)}),
                "5m": slo.Span(families={"a": counted(100, 0, 60)}),
            },
            [],
        ),  # not sure
    ],
)
def test_an_alert_fires_where_a_long_and_a_short_window_surely_burn(windows, fired):
    plan = CheckSlo(system="app").plan(level({"a": counted(10**6, 10**6)}, windows))
    assert [(f.subject, f.severity) for f in plan.findings] == fired


def test_old_counts_fire_no_alert():
    windows = burning(**{"1h": 900, "5m": 900})
    assert (
        CheckSlo(system="app").plan(level({"a": counted(10**6, 10**6)}, windows, current=False)).findings
        == ()
    )


def test_each_stretch_has_bounds_of_its_own():
    """Fast for an hour, slow for an hour: bounds of the two are sharper than those of their sum."""
    begin = datetime(2026, 11, 22, 10, tzinfo=UTC)
    fast = Delta(calls=1000, total_ms=10_000, squares=110_000, least=1, most=900)
    slow = Delta(calls=1000, total_ms=500_000, squares=260_000_000, least=1, most=900)
    stretches = [
        Stretch(begin=begin, end=begin + timedelta(hours=1), families={"a": fast}),
        Stretch(begin=begin + timedelta(hours=1), end=begin + timedelta(hours=2), families={"a": slow}),
    ]
    apart = slo.of_stretches(stretches, 100.0, frozenset()).whole
    at_once = slo.of_moments({"a": (fast + slow).moments()}, 100.0).whole
    assert apart.most - apart.least < at_once.most - at_once.least
    assert (
        slo.of_stretches(stretches, 100.0, frozenset({"a"})).whole.calls == 0
    )  # nested in functions: counted by its caller


def test_moments_without_calls_are_left_out():
    assert slo.of_moments({"a": Moments(calls=0, total=0, squares=0)}, 100.0).families == {}


# -- from files -------------------------------------------------------------------------------------------------------------------


def checked(tmp_path, database, lines, kind="trace", **inputs):
    (tmp_path / "w").write_text("".join(f"{line}\n" for line in lines))
    registry = servers.registry(tmp_path, database, workload=WorkloadSource(kind=kind, path="w"))
    registry.add(Targetless())
    try:
        operation = CheckSlo(system="app", **inputs)
        return operation.plan(operation.observe(registry))
    finally:
        registry.close()


class Targetless:
    """An estate without targets of its own."""

    name = "estate"
    kind = "estate"

    def read(self, action, **arguments):
        return None

    def close(self):
        pass


def line(ms, at, sql="SELECT a FROM t WHERE b = %s"):
    return json.dumps(
        {"at": clock.stamp(at), "session": 1, "sql": sql, "parameters": ["secret"], "ms": ms, "rows": 1}
    )


def test_a_trace_gives_exact_shares_and_windows_that_end_with_it(tmp_path, database):
    now = clock.now()
    lines = [line(10, now - timedelta(hours=2, seconds=n)) for n in range(90)]
    lines += [line(500 if n < 40 else 10, now - timedelta(minutes=1, seconds=n)) for n in range(50)][::-1]
    plan = checked(tmp_path, database, sorted(lines, key=lambda text: json.loads(text)["at"]))
    assert plan.figures["slo_basis"] == "every call"
    assert plan.figures["slo_share_at_least"] == plan.figures["slo_share_at_most"] == round(100 / 140, 6)
    assert plan.figures["slo_burn"]["1h"] == [16.0, 16.0]  # 80 % slow where 5 % may be
    assert [finding.rule for finding in plan.findings] == ["slo-missed", "slo-budget-burns"]
    assert "secret" not in plan.model_dump_json()


def test_a_trace_within_its_target_has_no_finding(tmp_path, database):
    plan = checked(tmp_path, database, [line(10, clock.now() - timedelta(seconds=n)) for n in range(100)])
    assert (plan.figures["slo_verdict"], plan.findings) == ("met", ())


def test_another_target_can_be_asked_for(tmp_path, database):
    lines = [line(10, clock.now() - timedelta(seconds=n)) for n in range(100)]
    assert checked(tmp_path, database, lines, target_ms=5).figures["slo_verdict"] == "missed"


def logged(ms):
    message = f"duration: {ms}.000 ms  statement: SELECT a FROM t WHERE b = 'secret'"
    return json.dumps({"timestamp": "2026-11-22 10:00:00.000 UTC", "session_id": "1.1", "message": message})


def test_a_log_of_slow_statements_alone_tells_no_share(tmp_path, database):
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("ALTER SYSTEM SET log_min_duration_statement = 250")
        admin.execute("SELECT pg_reload_conf()")
        try:
            plan = checked(tmp_path, database, [logged(300), logged(400)], kind="log")
        finally:
            admin.execute("ALTER SYSTEM RESET log_min_duration_statement")
            admin.execute("SELECT pg_reload_conf()")
    assert plan.figures["slo_verdict"] == "not known"
    assert "log_min_duration_statement" in " ".join(plan.figures["slo_notes"])
    assert plan.findings == ()


def test_a_file_of_statements_tells_no_times(tmp_path, database):
    plan = checked(tmp_path, database, ["SELECT 1 FROM t;"], kind="sql")
    assert (plan.figures["slo_verdict"], plan.findings) == ("not known", ())
    assert "tells no times" in plan.summary


def test_without_a_source_it_is_said_what_to_do(systems):
    systems.add(Targetless())
    operation = CheckSlo(system="app")
    plan = operation.plan(operation.observe(systems))
    assert "CREATE EXTENSION pg_stat_statements" in plan.summary
    assert plan.findings == ()
