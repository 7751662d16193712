"""What check-pool sees in SHOW POOLS, and what it makes of it: status in, figures and findings out."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from datareeve.capabilities.databases import pool_health
from datareeve.capabilities.databases.operations.check_pool import CheckPool
from datareeve.core.errors import Unreachable
from datareeve.core.estate import AlertRule
from datareeve.systems.adapter import Adapter, reads

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
POOL = {
    "database": "shop", "user": "app", "cl_active": 4, "cl_waiting": 0, "sv_active": 2, "sv_idle": 3, "sv_used": 0, "sv_login": 0,
    "maxwait": 0, "maxwait_us": 0, "pool_mode": "transaction",
}  # fmt: skip
STATS = {
    "total_xact_count": 1000,
    "total_query_count": 3000,
    "total_xact_time": 8_000_000,
    "total_wait_time": 2_000_000,
}


def status(pool=None, stats=None, **changes):
    return {
        "running": True,
        "pools": [{**POOL, **(pool or {})}],
        "stats": [{**STATS, **(stats or {})}],
        "databases": [{"name": "shop", "pool_size": 5, "paused": 0, **changes}],
        "login_failures": changes.pop("login_failures", 0),
    }


class Front(Adapter):
    def __init__(self, answer):
        super().__init__("shop-pool")
        self.answer = answer

    @reads
    def status(self):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Estate(Adapter):
    def __init__(self, declared):
        super().__init__("estate")
        self.declared = declared

    @reads
    def get(self, where):
        return (
            {"kind": "pgbouncer", "database": "shop"} if self.declared and where[-1] == "shop-pool" else None
        )


class Ledger(Adapter):
    def __init__(self, samples):
        super().__init__("ledger")
        self.kept = samples

    @reads
    def samples(self, system, name=None, since=None, limit=None):
        found = [s for s in self.kept if name in (None, s["name"]) and (since is None or s["at"] >= since)]
        return found[-limit:] if limit else found


class Systems(dict):
    def names(self, kind=None):
        return ("shop-pool",) if self["estate"].declared else ()


def checked(answer, *, declared=True, samples=()):
    systems = Systems(
        {"shop-pool": Front(answer), "estate": Estate(declared), "ledger": Ledger(list(samples))}
    )
    with time_machine.travel(NOW, tick=False):
        operation = CheckPool(system="shop")
        return operation.plan(operation.observe(systems))


def sampled(seconds_ago, **figures):
    at = (NOW - timedelta(seconds=seconds_ago)).isoformat(timespec="microseconds")
    return [{"at": at, "name": name, "value": value, "labels": {}} for name, value in figures.items()]


def rules(plan):
    return {finding.rule: finding.severity for finding in plan.findings}


def test_a_pool_at_ease_is_healthy_without_a_finding():
    plan = checked(status())
    assert (plan.figures["pool_health"], rules(plan)) == ("healthy", {})
    assert (
        plan.nothing_to_do
        == "shop-pool is healthy, 0 findings; 2 of 5 connections at work, 0 clients waiting."
    )
    assert {key: plan.figures[key] for key in ("pool_used_percent", "pool_wait_ms_mean", "pool_transaction_ms_mean", "pool_size")} == {
        "pool_used_percent": 40.0, "pool_wait_ms_mean": 2.0, "pool_transaction_ms_mean": 8.0, "pool_size": 5.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("longest", "severity"),
    [({"maxwait": 0, "maxwait_us": 400_000}, "warning"), ({"maxwait": 7}, "critical")],
)
def test_a_full_pool_with_clients_behind_it_is_exhausted(longest, severity):
    plan = checked(status({"sv_active": 5, "cl_waiting": 9, **longest}))
    assert rules(plan) == {"pool-exhausted": severity}
    assert plan.figures["pool_health"] == "degraded"
    assert "9 clients wait" in plan.findings[0].what


def test_a_full_pool_without_a_client_behind_it_is_well_used():
    assert rules(checked(status({"sv_active": 5}))) == {}


def test_clients_that_wait_for_a_pool_that_is_not_full_point_to_the_server():
    plan = checked(status({"cl_waiting": 2, "maxwait": 3, "sv_login": 1, "sv_active": 0}))
    assert rules(plan) == {"pool-clients-waiting": "warning"}
    assert "1 connections are logging in" in plan.findings[0].why


def test_a_paused_pool_is_critical_and_is_not_told_twice():
    assert rules(checked(status({"cl_waiting": 2, "maxwait": 30}, paused=1))) == {"pool-paused": "critical"}


def test_a_long_mean_wait_is_measured_from_one_sample_to_the_next():
    before = sampled(
        60,
        pool_transactions_total=900,
        pool_queries_total=2700,
        pool_transaction_ms_total=7000,
        pool_wait_ms_total=0,
    )
    plan = checked(status({}, {"total_wait_time": 30_000_000}), samples=before)
    assert rules(plan) == {"pool-long-wait": "warning"}
    assert "waited 300 ms for a connection on average, over the last 60 s" in plan.findings[0].what
    assert plan.figures["pool_transactions_per_second"] == pytest.approx(100 / 60, abs=0.001)


def test_a_pool_that_started_again_since_the_sample_counts_from_its_start():
    before = sampled(60, pool_transactions_total=9999, pool_wait_ms_total=1, pool_login_failures_total=50)
    plan = checked(status(), samples=before)
    assert plan.figures["pool_wait_ms_mean"] == 2.0
    assert "pool_transactions_per_second" not in plan.figures


def test_refused_logins_are_told_once():
    assert rules(checked({**status(), "login_failures": 3})) == {"pool-login-failures": "warning"}
    before = sampled(60, pool_transactions_total=900, pool_login_failures_total=3)
    assert rules(checked({**status(), "login_failures": 3}, samples=before)) == {}
    assert checked({**status(), "login_failures": 5}, samples=before).findings[0].figures == {
        "pool_login_failures_new": 2.0
    }


def test_a_large_pool_of_which_a_day_used_a_quarter_is_mostly_idle():
    looks = [s for n in range(70) for s in sampled(60 * n + 60, pool_servers_active=3)]
    assert rules(checked(status(pool_size=20), samples=looks)) == {"pool-mostly-idle": "info"}
    assert rules(checked(status(pool_size=8), samples=looks)) == {}
    busy = [*looks, *sampled(30, pool_servers_active=18)]
    assert rules(checked(status(pool_size=20), samples=busy)) == {}


def test_a_declared_pool_that_does_not_run_is_down_and_one_never_made_is_absent():
    stopped = {"running": False, "pools": [], "stats": [], "databases": [], "login_failures": 0}
    down = checked(stopped)
    assert (down.figures["pool_health"], down.figures["pool_up"], rules(down)) == (
        "down",
        0.0,
        {"pool-down": "critical"},
    )
    absent = checked(stopped, declared=False)
    assert (absent.figures, absent.findings) == ({"pool_health": "none"}, ())
    assert "databases.configure-pool makes one" in absent.nothing_to_do


def test_a_pool_that_cannot_be_asked_is_down_with_the_reason():
    plan = checked(Unreachable("postgres.login", "shop-pool refused the login.", "Check the password."))
    assert plan.summary == "shop-pool is down: postgres.login: shop-pool refused the login."
    assert rules(plan) == {"pool-down": "critical"}


def test_every_alert_watches_a_figure_that_is_there_and_ends_below_where_it_begins():
    figures = checked(status()).figures
    for key, fields in pool_health.ALERTS.items():
        rule = AlertRule(name=key, system="shop", **fields)
        assert rule.sample in figures, key
        assert rule.clear is None or rule.above is None or rule.clear < rule.above
