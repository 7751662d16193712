"""The page: written with `html`, quiet while it is fresh, taken back; every trouble on it, and nothing that reaches out."""

import inspect
import re
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import time_machine

from datareeve.capabilities.databases.health import Health, Session, Standby
from datareeve.capabilities.databases.health_facts import PageFacts
from datareeve.capabilities.databases.health_page import AREAS, chart, count, render, size, spark
from datareeve.capabilities.databases.health_trend import Forecast
from datareeve.capabilities.databases.operations.check_health import CheckHealth, verdict
from datareeve.capabilities.databases.rules.health import RULES, findings
from datareeve.core import clock
from health_rig import check, looking, remember

NOON = datetime(2026, 7, 20, 12, 0, tzinfo=UTC)
PAGE = {"html": "data/health.html"}


def carry_out(systems, calls):
    for call in calls:
        systems[call.system].perform(call.action, run="r1", **call.arguments)


def test_a_page_is_written_quiet_while_fresh_written_again_after_a_minute_and_taken_back(
    systems, ledger, tmp_path
):
    with time_machine.travel(NOON, tick=False):
        (step,) = check(systems, **PAGE).steps
        carry_out(systems, [step.call])
        assert systems["files"].read("digest", path="data/health.html") == step.probe.expected
    with time_machine.travel(NOON + timedelta(seconds=30), tick=False):
        assert check(systems, **PAGE).nothing_to_do == "Looking changes nothing."
    with time_machine.travel(NOON + timedelta(seconds=90), tick=False):
        (again,) = check(systems, **PAGE).steps
        carry_out(systems, [again.call])
        carry_out(systems, again.undo)
        assert systems["files"].read("digest", path="data/health.html") == step.probe.expected
        carry_out(systems, step.undo)
        carry_out(systems, step.undo)
    assert not (tmp_path / "data").exists()


def test_the_same_facts_give_the_same_plan_and_looking_without_html_writes_nothing(systems, ledger):
    operation = CheckHealth(system="app", **PAGE)
    facts = operation.observe(systems)
    assert operation.plan(facts).fingerprint == operation.plan(facts).fingerprint
    assert check(systems).steps == ()


def page_of(health):
    found = findings(health)
    return render(health, found, verdict(health, found))


def test_the_page_needs_no_script_no_network_and_escapes_what_others_named():
    session = Session(
        pid=7, state="idle in transaction", transaction_seconds=99, state_seconds=99, application="<script>x"
    )
    text = page_of(Health(system="app", at=clock.stamp(NOON), sessions=(session,)))
    assert "&lt;script&gt;x" in text
    assert re.search(r"<script|<link|src=|https?://|@import|url\(", text) is None


def test_every_rule_has_a_light_of_its_own():
    lit = {rule for area in AREAS for rule in area.rules}
    told = set()
    for find in RULES:
        told |= set(re.findall(r'rule="([a-z-]+)"', inspect.getsource(inspect.getmodule(find))))
    assert told - lit == set()
    assert lit - told == set()


def test_trends_growth_and_the_disks_end_stand_on_the_page(tmp_path, safe_server, database):
    with (
        time_machine.travel(NOON, tick=False),
        looking(tmp_path, database, safe_server.local) as systems,
    ):
        with psycopg.connect(database, autocommit=True) as app:
            app.execute("CREATE TABLE grown AS SELECT generate_series(1, 20000) AS n")
            app.execute("ANALYZE")
        now = check(systems).figures
        ledger = systems["ledger"]._ledger
        for hours in range(24 * 8, 0, -1):
            remember(
                ledger,
                NOON - timedelta(hours=hours),
                disk_free_bytes=now["disk_free_bytes"] * (1 + hours / 24 / 10),
                **{"table_bytes:public.grown": now["table_bytes:public.grown"] * (1 - hours / 24 / 10)},
            )
        for minutes in range(600, 0, -10):
            remember(ledger, NOON - timedelta(minutes=minutes), transactions_per_second=minutes % 70)
        text = check(systems, **PAGE).steps[0].call.arguments["text"]
    assert "Full on 2026-07-30" in text
    assert 'class="coming"' in text
    assert text.count('<path class="line"') >= 2
    assert "last 10 h" in text
    assert re.search(r"public\.grown</td><td>[\d.]+ [KM]iB</td>\s*<td><span class=\"up\">[\d.]+ KiB", text)


def test_a_server_that_is_down_and_a_standby_have_a_page_too():
    down = page_of(
        Health(system="app", at=clock.stamp(NOON), down="postgres.unreachable: app cannot be reached.")
    )
    assert 'pill down">down' in down
    standby = Standby(name="east", state="streaming", sync_state="sync", lag_bytes=2**31, lag_seconds=90)
    text = page_of(Health(system="app", at=clock.stamp(NOON), in_recovery=True, standbys=(standby,)))
    assert "east" in text
    assert "2.0 GiB" in text
    assert "This is a standby" in text


def test_a_line_of_fewer_than_three_samples_is_not_drawn_and_a_flat_one_stays_in_its_box():
    moments = [clock.stamp(NOON + timedelta(minutes=n)) for n in range(3)]
    assert spark([(m, 1.0) for m in moments[:2]]) is None
    flat = spark([(m, 1.0) for m in moments])
    assert 0 <= flat["y"] <= 40


def test_an_end_that_may_never_come_is_drawn_inside_the_chart():
    coming = Forecast(
        bytes_per_day=1,
        date="2026-07-30",
        earliest="2026-07-25",
        latest=None,
        days=10,
        days_earliest=5,
        confidence="low",
        observed_days=2,
    )
    health = Health(system="app", at=clock.stamp(NOON), figures={"disk_free_bytes": 10.0}, disk_full=coming)
    drawn = chart(((clock.stamp(NOON - timedelta(days=2)), 12.0),), health)
    assert all(
        0 <= float(number) <= 721 for number in re.findall(r"-?[\d.]+", drawn["between"] + drawn["coming"])
    )
    assert chart((), health) is None


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 B"), (1536, "1.5 KiB"), (-(2**30), "-1.0 GiB"), (0.4, "0 B")]
)
def test_sizes_are_said_with_their_unit(number, said):
    assert size(number) == said


def test_counts_are_said_short():
    assert [count(n) for n in (0, 3, 0.26, 12345, 2_500_000)] == ["0", "3", "0.26", "12,345", "2.5 M"]


def test_page_facts_are_a_value():
    assert PageFacts() == PageFacts()
