"""Planning: bullets to parts, with labels, order, notes, questions and blockers."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import fakes
import pytest

from datareeve.agent import task as tasks
from datareeve.agent.planner import Planner, describe
from datareeve.agent.report import report
from datareeve.agent.task import Task
from datareeve.core.catalogue import Catalogue
from datareeve.core.errors import NotOurWork
from datareeve.core.operation import Effect, Plan
from datareeve.systems.adapter import Adapter

DELEGATIONS = Path(__file__).parent / "delegations"
EXAMPLE = tasks.parse((DELEGATIONS / "ISS-0345.txt").read_text(encoding="utf-8"))
AI = tasks.parse((DELEGATIONS / "ISS-0456.txt").read_text(encoding="utf-8"))
CLOCK = date(2026, 11, 22)


def planner(catalogue=None, preview=fakes.preview, systems=("app",)):
    return Planner(
        catalogue or fakes.catalogue(), preview, lambda kind: systems if kind == "postgresql" else ()
    )


def test_every_bullet_of_the_example_is_planned():
    made = planner().plan(EXAMPLE, today=CLOCK)
    assert made.questions == ()
    assert made.plan.blockers == ()
    assert [(p.part_id, p.operation) for p in made.plan.parts] == [
        ("1.1", "databases.review-schema"),
        ("4", "databases.set-up-backups"),
        ("1.2", "databases.repair-schema"),
        ("2.1", "databases.configure-pool"),
        ("2.2", "databases.tune-settings"),
        ("3", "databases.advise-indexes"),
        ("5", "databases.watch"),
        ("6.1", "databases.find-slow-queries"),
        ("7", "databases.document-schema"),
    ]
    assert {p.serves for p in made.plan.leaves()} == set(EXAMPLE.bullets)
    assert made.plan.figures["served"] == {"1": ["1.1", "1.2"], "2": ["2.1", "2.2"], "3": ["3"], "4": ["4"], "5": ["5"], "6": ["6.1", "3"], "7": ["7"]}  # fmt: skip
    assert made.plan.inputs["ticket"] == "ISS-0345"
    assert {leaf.inputs["system"] for leaf in made.plan.leaves()} == {"app"}


def test_the_notes_say_date_order_sharing_and_authority():
    notes = "\n".join(planner().plan(EXAMPLE, today=CLOCK).notes)
    assert "today is 2025-07-20; the clock says 2026-11-22 (490 days apart)" in notes
    assert "read from the task's date, 2025-07-20" in notes
    assert "“next week” is 2025-07-21 to 2025-07-27." in notes
    assert "“Optimize query performance” is also answered by part 3" in notes
    assert "Order of carrying out: 1.1, 4, 1.2, 2.1, 2.2, 3, 5, 6.1, 7." in notes
    assert "a backup that was proven to restore comes before anything is changed" in notes
    assert "“ALL database operations”; what may be done unattended is what estate.yaml says" in notes


def test_the_clock_is_used_without_a_note_where_the_dates_agree():
    notes = planner().plan(EXAMPLE, today=date(2025, 7, 20)).notes
    assert not any("clock" in note for note in notes)


def test_part_ids_are_unique_and_inner_needs_are_prefixed():
    made = planner().plan(EXAMPLE, today=CLOCK)
    leaves = list(made.plan.leaves())
    assert len({leaf.part_id for leaf in leaves}) == len(leaves)
    inner = {leaf.part_id: leaf.needs for leaf in leaves if leaf.part_id.startswith("4")}
    assert inner == {"4.1": (), "4.2": ("4.1",), "4.3": ("4.2",)}


def test_an_inner_id_of_two_levels_is_prefixed_once():
    def nested(op):
        leaf = Plan(
            operation="databases.create-index",
            summary="i",
            steps=(fakes.step("i"),),
            part_id="2.1",
            needs=("1",),
        )
        middle = Plan(operation="databases.advise-indexes", summary="m", part_id="2", parts=(leaf,))
        first = Plan(operation="databases.back-up", summary="b", part_id="1")
        return Plan(operation=op.name, summary="s", parts=(first, middle))

    made = planner(preview=nested).plan(Task(title="Back up the database"))
    assert [(leaf.part_id, leaf.needs) for leaf in made.plan.leaves()] == [("1.1", ()), ("1.2.1", ("1.1",))]


def test_planning_again_gives_the_same_fingerprint():
    first, again = (planner().plan(EXAMPLE, today=day).plan for day in (CLOCK, date(2026, 11, 23)))
    assert first.fingerprint == again.fingerprint
    other = planner().plan(EXAMPLE.model_copy(update={"ticket": "ISS-1"}), today=CLOCK).plan
    assert other.fingerprint != first.fingerprint


def test_every_bullet_of_the_ai_example_is_planned():
    made = planner().plan(AI, today=CLOCK)
    assert made.questions == ()
    assert made.plan.blockers == ()
    assert [(p.part_id, p.operation) for p in made.plan.parts] == [
        ("3", "ai.set-up-gateway"),
        ("1", "ai.set-up-keys"),
        ("2", "ai.set-limits"),
        ("5.1", "ai.usage"),
        ("5.2", "ai.set-budget"),
        ("5.3", "ai.watch-gateway"),
        ("6", "ai.set-fallback"),
        ("7", "ai.set-cache"),
        ("4", "ai.drill-gateway"),
    ]
    assert {p.serves for p in made.plan.leaves()} == set(AI.bullets)
    notes = "\n".join(made.notes)
    assert "ai.set-up-gateway is carried out before ai.set-up-keys" in notes
    assert "the drill tries the settings as they are left" in notes


def test_a_task_that_is_all_anothers_work_names_the_agent():
    with pytest.raises(NotOurWork) as caught:
        planner().plan(
            Task(title="Launch", bullets=("Write a React login page", "Deploy the database to Kubernetes"))
        )
    assert caught.value.exit_status == 5
    assert "Engineer Agent's work" in caught.value.what
    assert "Ops Agent's work" in caught.value.what


def test_one_bullet_of_anothers_work_does_not_stop_the_rest():
    made = planner().plan(Task(title="Launch", bullets=("Write a React login page", "Take a backup")))
    assert [part.part_id for part in made.plan.parts] == ["2"]
    assert made.plan.blockers == (
        "1. “Write a React login page”: This is the Engineer Agent's work: application business logic and user interface code.",
    )


def test_a_task_for_another_agent_is_not_ours():
    with pytest.raises(NotOurWork, match="QA Agent"):
        planner().plan(Task(title="Back up the database", agent="QA"))


def test_a_doubtful_bullet_asks_and_plans_nothing():
    made = planner().plan(Task(title="Take care of backups"))
    assert made.plan.parts == ()
    (question,) = made.questions
    assert len(question.readings) == 3
    assert "What is meant?" in question.text


def test_a_sentence_is_planned_as_bullet_one():
    made = planner().plan(tasks.parse("Back up the database"))
    assert [(p.part_id, p.operation, p.serves) for p in made.plan.parts] == [
        ("1", "databases.back-up", "Back up the database")
    ]


def test_the_wide_task_in_one_sentence_is_its_playbook():
    made = planner().plan(tasks.parse("Configure PostgreSQL for production"))
    assert len(made.plan.parts) == 9
    assert made.plan.parts[1].operation == "databases.set-up-backups"


@pytest.mark.parametrize(
    ("words", "system"),
    [
        ("Back up the database", None),
        ("Back up the shop database", "shop"),
        ("Back up the database system=hr", "hr"),
    ],
)
def test_of_several_systems_the_named_one_is_taken_and_none_is_guessed(words, system):
    made = planner(systems=("shop", "hr")).plan(tasks.parse(words))
    if system:
        assert made.plan.parts[0].inputs["system"] == system
    else:
        assert made.plan.parts == ()
        assert "The estate has shop, hr" in made.questions[0].text


def test_an_estate_without_a_database_is_a_blocker():
    made = planner(systems=()).plan(tasks.parse("Back up the database"))
    assert "The estate has no postgresql" in made.plan.blockers[0]


def test_inputs_are_taken_only_where_they_were_said():
    said = planner().plan(tasks.parse("Create an index on sales.orders (customer_id, created_at)"))
    assert said.plan.parts[0].inputs == {"system": "app", "table": "orders", "columns": ["customer_id", "created_at"], "schema_name": "sales"}  # fmt: skip
    brief = planner().plan(tasks.parse("Add an index on orders customer_id"))
    assert brief.plan.parts[0].inputs == {"system": "app", "table": "orders", "columns": ["customer_id"], "schema_name": "public"}  # fmt: skip
    unsaid = planner().plan(tasks.parse("Index this table"))
    assert unsaid.plan.parts == ()
    assert "needs table, columns" in unsaid.questions[0].text


def test_an_error_while_looking_is_that_bullets_blocker():
    def preview(op):
        if op.name == "databases.back-up":
            Adapter("app").read("nothing")
        return fakes.preview(op)

    made = planner(preview=preview).plan(Task(title="t", bullets=("Take a backup", "Tune settings")))
    first, second = made.plan.parts
    assert "has no read 'nothing'" in first.blockers[0]
    assert second.steps


def test_changes_that_would_go_without_their_backup_are_named():
    def preview(op):
        plan = fakes.preview(op)
        blocked = op.name in ("databases.set-up-backups", "databases.tune-settings")
        return plan.model_copy(update={"blockers": ("no replication",)}) if blocked else plan

    notes = planner(preview=preview).plan(EXAMPLE, today=CLOCK).notes
    [note] = [note for note in notes if "is blocked" in note]
    assert note.startswith(
        "databases.set-up-backups is blocked: databases.repair-schema, databases.configure-pool, databases.advise-indexes would be"
    )
    assert not [note for note in planner().plan(EXAMPLE, today=CLOCK).notes if "is blocked" in note]


def test_an_operation_that_is_not_in_the_catalogue_is_a_blocker():
    fake = fakes.catalogue()
    without = Catalogue([fake.get(n) for n in fake.names() if n != "databases.find-slow-queries"])
    made = planner(catalogue=without).plan(tasks.parse("Optimize query performance"))
    assert [part.operation for part in made.plan.parts] == ["databases.advise-indexes"]
    assert "databases.find-slow-queries" in made.plan.blockers[0]


def test_the_same_leaf_of_two_composites_is_done_once():
    def preview(op):
        inner = Plan(
            operation="databases.create-index",
            inputs={"table": "t"},
            summary="i",
            steps=(fakes.step("i"),),
            part_id="1",
        )
        return Plan(operation=op.name, inputs=op.inputs(), summary="s", parts=(inner,))

    made = planner(preview=preview).plan(Task(title="t", bullets=("Repair the schema", "Advise indexes")))
    first, second = made.plan.leaves()
    assert (len(first.steps), len(second.steps)) == (1, 0)
    assert (second.nothing_to_do, second.needs) == ("Part 1.1 does this.", ("1.1",))


def test_a_plan_with_nothing_left_to_do_says_so():
    def preview(op):
        return Plan(operation=op.name, inputs=op.inputs(), summary="s", nothing_to_do="It is there.")

    assert planner(preview=preview).plan(EXAMPLE, today=CLOCK).plan.nothing_to_do


def test_a_plan_is_described_as_plain_text():
    made = planner().plan(EXAMPLE, today=CLOCK)
    text = describe(made.plan)
    assert text.startswith(
        "Configure PostgreSQL for production: 11 operations, 9 steps.\n\n1. Design optimal schema"
    )
    assert "4.2 databases.drill-restore (after 4.1)" in text
    assert (
        "reversible; can be undone; expected 336,776 rows, 7.2 MB, 1.5 s, lock SHARE UPDATE EXCLUSIVE (rehearsed on a copy)"
        in text
    )
    assert text.endswith(f"Effect: reversible. Fingerprint: {made.plan.fingerprint}")
    assert made.plan.effect is Effect.REVERSIBLE


def test_what_stands_in_the_way_of_several_parts_is_said_once_with_those_that_wait_for_it():
    def preview(op):
        plan = fakes.preview(op)
        blocked = op.name != "databases.watch"
        return (
            plan.model_copy(update={"blockers": ("no provider",), "summary": "no provider"})
            if blocked
            else plan
        )

    made = planner(preview=preview).plan(EXAMPLE, today=CLOCK)
    told = [(leaf.part_id, leaf.summary, leaf.blockers) for leaf in made.plan.leaves() if leaf.blockers]
    (first, summary, (blocker,)), *others = told
    assert summary == blocker
    waiting = [part for part, _, _ in others]
    assert len(waiting) >= 6
    assert blocker.startswith("no provider (Parts ")
    assert all(f" {part} databases." in blocker for part in waiting)
    said = f"Waits for part {first}, which is blocked."
    assert {(text, *blockers) for _, text, blockers in others} == {(said, said)}
    markdown = report(EXAMPLE, None, plan=made.plan).markdown()
    assert markdown.count("no provider") == 1
    assert said not in markdown


def test_a_blocked_plan_is_described_with_its_blockers():
    later = Task(title="Analytics", bullets=("Build a revenue dashboard", "Design an ETL pipeline"))
    text = describe(planner().plan(later, today=CLOCK).plan)
    assert text.count("! ") == 2


def test_planning_the_example_costs_little_beyond_looking():
    made = planner()
    made.plan(EXAMPLE, today=CLOCK)
    started = time.perf_counter()
    planner().plan(EXAMPLE, today=CLOCK)
    assert time.perf_counter() - started < 0.25  # 50 ms on a quiet machine
