"""The progress report: the seeds' fields, only measured figures, no value of a row."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import fakes
import pytest

from datareeve.agent.report import EMOJI, NOT_MEASURED, report
from datareeve.agent.task import Task
from datareeve.core.operation import (
    Call,
    Check,
    Claim,
    Finding,
    Outcome,
    PartOutcome,
    Plan,
    Severity,
    StepOutcome,
    Verdict,
)

TASK = Task(title="Configure PostgreSQL for production", ticket="ISS-0345")
CLAIM = Claim(text="flights_tailnum_idx is valid", call=Call(system="app", action="query"), expected="valid")
PLAN = Plan(
    operation="task",
    summary="s",
    parts=(
        Plan(
            operation="databases.create-index",
            summary="Create the index.",
            part_id="2",
            steps=(fakes.step("i"),),
        ),
        Plan(operation="databases.watch", summary="Watch.", part_id="10"),
    ),
)
INDEX = PartOutcome(
    part_id="2",
    operation="databases.create-index",
    serves="Implement proper indexing strategy",
    summary="Create the index.",
    status="done",
    steps=(StepOutcome(step="i", status="done", seconds=0.42, result={"rows": 336776, "bytes": 7_700_000}),),
    checks=(Check(claim=CLAIM, verdict=Verdict.HOLDS, observed="valid", at="2026-11-22T20:00:00+00:00"),),
    figures={
        "workload_ms_before": 1200.0,
        "workload_ms_predicted": 800.0,
        "workload_ms_after": 780.0,
        "ratio": 3,
    },
)
WATCH = PartOutcome(
    part_id="10",
    operation="databases.watch",
    serves="Configure monitoring and alerting",
    status="nothing to do",
    reason="It is watched.",
    figures={"connections_used_percent": 12, "disk_used_percent": 41.2, "database_bytes": 52_428_800, "latency_ms_p50": 0.8, "latency_ms_p95": 12.5, "latency_ms_p99": 40.0, "queries_per_second": 210.4, "rpo_seconds": 1.5, "rto_seconds": 9.25},
    findings=(
        Finding(rule="orphans", subject="public.flights (tailnum)", what="52606 rows have no plane.", instead="Add them or set NULL.", figures={"rows": 52606, "keys": [f"N{i}" for i in range(30)]}),
    ),
)  # fmt: skip


def outcome(*parts, status="done"):
    return Outcome(run="r1", plan="f" * 64, status=status, parts=parts, started_at="2026-11-22T20:00:00+00:00", ended_at="2026-11-22T20:01:00+00:00")  # fmt: skip


def test_the_seeds_fields_stand_first_and_in_their_order():
    text = report(TASK, outcome(WATCH, INDEX), plan=PLAN).markdown()
    assert text.startswith(
        f"{EMOJI} Data Engineer Agent Progress Report\n- Task: Configure PostgreSQL for production (ISS-0345)\n"
    )
    names = [
        re.sub(r"^[-* ]+", "", line).split(":")[0]
        for line in text.splitlines()
        if line.startswith(("- ", "  * "))
    ]
    assert names[:17] == [
        "Task",
        "Status",
        "Database Status",
        "Health",
        "Performance",
        "Storage",
        "Connections",
        "API Status",
        "Completed Operations",
        "2 databases.create-index",
        "10 databases.watch",
        "Data Metrics",
        "Records Processed",
        "Pipeline Status",
        "Restore point (RPO)",
        "Restore time (RTO)",
        "Blockers",
    ]


def test_figures_come_from_the_parts_by_key():
    text = report(TASK, outcome(WATCH, INDEX), plan=PLAN).markdown()
    assert "- Status: completed (2 of 2 operations done and verified)" in text
    assert "* Health: healthy (it answered, and nothing critical was found)" in text
    assert "* Performance: 210.4 queries/s; latency p50 0.8 ms, p95 12.5 ms, p99 40 ms" in text
    assert (
        "* Storage: disk used 41 %; database 50.0 MB; growth not measured (growth needs size samples over an hour"
        in text
    )
    assert "* Restore time (RTO): 9.2 s" in text
    assert "- API Status: not configured in this estate" in text


def test_a_fresh_look_wins_over_the_run():
    made = report(
        TASK, outcome(WATCH), figures={"disk_used_percent": 55, "health": "degraded", "api_status": "up"}
    )
    assert made.figures["disk_used_percent"] == 55
    assert made.database[0].text == "degraded"
    assert made.api == "up"


def test_what_nobody_measured_is_said_to_be_unmeasured():
    made = report(TASK, outcome())
    text = made.markdown()
    assert "* Health: not measured (no part of this run looked at the server's health)" in text
    assert (
        f"* Performance: {NOT_MEASURED} (no part of this run measured the workload); latency {NOT_MEASURED}"
        in text
    )
    assert not re.search(r"\d+ (ms|%|queries/s)", text)


@pytest.mark.parametrize("value", ["'; DROP", None, True, [1], {"a": 1}])
def test_a_figure_of_another_kind_is_not_taken(value):
    assert report(TASK, outcome(), figures={"queries_per_second": value, "made_up": 1}).figures == {}


def test_a_critical_finding_makes_it_degraded():
    critical = Finding(rule="wraparound", subject="app", what="w", severity=Severity.CRITICAL)
    made = report(TASK, outcome(WATCH.model_copy(update={"findings": (critical, *WATCH.findings)})))
    assert made.database[0].text == "degraded (critical: wraparound)"
    assert made.findings[0] == critical


def test_advice_tried_on_a_copy_stands_beside_the_workload_run_again():
    (row,) = report(
        TASK, outcome(INDEX), figures={"workload_ms_before": 1500, "workload_ms_after": 900.0}
    ).advice
    assert row.predicted == "1,200.0 ms to 780.0 ms (-35%), tried on a copy"
    assert row.actual == "1,500.0 ms to 900.0 ms (-40%)"
    (row,) = report(TASK, outcome(INDEX)).advice
    assert row.actual == "not measured (the workload was not run again)"


def test_findings_blockers_and_figures_of_a_composite_are_told():
    left = Finding(rule="orphans", subject="public.flights (tailnum)", what="w")
    inner = PLAN.parts[0].model_copy(update={"part_id": "1.1"})
    composite = Plan(operation="databases.repair-schema", summary="r", part_id="1", parts=(inner,), findings=(left,), blockers=("Two candidates.",), figures={"database_bytes": 2048})  # fmt: skip
    done = INDEX.model_copy(update={"part_id": "1.1"})
    made = report(TASK, outcome(done), plan=PLAN.model_copy(update={"parts": (composite,)}))
    assert made.findings == (left,)
    assert made.blockers == ("1: Two candidates.",)
    assert made.figures["database_bytes"] == 2048


def test_a_part_that_answers_two_bullets_is_told_for_both():
    task = TASK.model_copy(update={"bullets": ("Optimize", "Implement proper indexing strategy")})
    plan = PLAN.model_copy(update={"figures": {"served": {"1": ["2"], "2": ["2"]}}})
    assert (
        report(task, outcome(INDEX), plan=plan).completed[0].serves
        == "Implement proper indexing strategy; Optimize"
    )


def test_a_prediction_stands_beside_what_happened():
    (row,) = report(TASK, outcome(INDEX), plan=PLAN).predictions
    assert row.predicted.startswith("336,776 rows, 7.2 MB, 1.5 s, lock SHARE UPDATE EXCLUSIVE")
    assert row.actual == "336,776 rows, 7.3 MB, 0.42 s"


def test_evidence_says_verdict_and_how_to_look_again():
    text = report(TASK, outcome(INDEX), plan=PLAN).markdown()
    assert "| 2 | flights_tailnum_idx is valid | holds | valid |" in text
    assert "`datareeve evidence r1 --recheck`" in text
    assert "`datareeve undo r1`" in text
    assert "- 2 i: undo gives back what was before" in text


@pytest.mark.parametrize(
    "observed", ["Ada Lovelace", {"name": "Ada Lovelace"}, ["Ada Lovelace"], "Ada Lovelace, +44"]
)
def test_what_a_check_observed_is_shown_only_where_it_cannot_be_a_rows_value(observed):
    part = INDEX.model_copy(
        update={"checks": (Check(claim=CLAIM, verdict=Verdict.FAILS, observed=observed),)}
    )
    made = report(TASK, outcome(part, status="failed"), plan=PLAN)
    assert "Ada" not in made.markdown() + made.html() + made.json()


def test_at_most_twenty_keys_of_a_finding_are_shown():
    text = report(TASK, outcome(WATCH)).markdown()
    assert "rows: 52606; keys: N0, N1," in text
    assert "N19" in text
    assert "N20" not in text
    assert "N20" not in report(TASK, outcome(WATCH)).json()


@pytest.mark.parametrize(
    ("given", "plan", "status", "reason"),
    [
        (None, PLAN, "in progress", "planned, not carried out"),
        (None, Plan(operation="task", summary="", blockers=("1. x",)), "blocked", "nothing could be planned"),
        (outcome(INDEX), PLAN, "completed", "1 of 1 operations done and verified"),
        (outcome(INDEX), PLAN.model_copy(update={"blockers": ("3. “x”: no",)}), "blocked", "1 of 1 operations done and verified; 1 not planned"),
        (outcome(INDEX.model_copy(update={"status": "failed", "reason": "locked"}), status="failed"), PLAN, "blocked", "0 of 1 operations done and verified"),
        (outcome(INDEX.model_copy(update={"blockers": ("orphans",)})), PLAN, "completed", "1 of 1 operations done and verified; 1 waiting for a decision, see Blockers"),
    ],
)  # fmt: skip
def test_the_status_is_what_happened(given, plan, status, reason):
    made = report(TASK, given, plan=plan)
    assert (made.status, made.status_reason) == (status, reason)


def test_blockers_come_from_the_plan_the_parts_and_what_failed():
    failed = INDEX.model_copy(update={"status": "failed", "reason": "lock timeout", "blockers": ("no disk",)})
    made = report(
        TASK, outcome(failed, status="failed"), plan=PLAN.model_copy(update={"blockers": ("3. “x”: no",)})
    )
    assert made.blockers == ("3. “x”: no", "2: no disk", "2: databases.create-index failed: lock timeout")


def test_the_page_is_one_well_formed_file_that_escapes_what_people_wrote():
    evil = '<script>alert("x")</script>'
    made = report(
        Task(title=evil), outcome(INDEX.model_copy(update={"serves": evil}), WATCH), plan=PLAN, notes=(evil,)
    )
    page = made.html()
    assert "<script" not in page
    assert page.count("&lt;script&gt;") >= 4
    assert not re.search(r"(?:src|href)=|url\(|@import", page)
    assert unclosed(page) == []
    assert "<script" not in made.markdown()
    assert all(line.count("|") - line.count("\\|") in (0, 4, 5) for line in made.markdown().splitlines())


def unclosed(page: str) -> list[str]:
    """The elements that are not closed in order."""
    open_ones: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag != "meta":
                open_ones.append(tag)

        def handle_endtag(self, tag):
            assert open_ones.pop() == tag

    Reader().feed(page)
    return open_ones


def test_the_json_is_the_whole_report():
    made = report(TASK, outcome(WATCH, INDEX), plan=PLAN)
    data = json.loads(made.json())
    assert data["status"] == "completed"
    assert data["figures"]["workload_ms_after"] == 780.0
    assert [done["part_id"] for done in data["completed"]] == ["2", "10"]


def test_a_report_without_a_task_is_the_estates_status():
    made = report(None, None, figures={"database_bytes": 1024})
    assert made.title == "Status of the estate"
    assert "database 1.0 kB" in made.markdown()


def test_an_estate_that_is_being_told_of_a_bar_keeps_its_table_whole():
    part = INDEX.model_copy(update={"serves": "a | b\nc"})
    assert "| a \\| b c | 2 databases.create-index |" in report(TASK, outcome(part)).markdown()
