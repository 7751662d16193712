"""Task intake: the delegation template in every dress, or a sentence."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datareeve.agent.task import Task, parse, render
from datareeve.core.errors import BadInput

DELEGATIONS = Path(__file__).parent / "delegations"
EXAMPLE = (DELEGATIONS / "ISS-0345.txt").read_text(encoding="utf-8")
BULLETS = (
    "Design optimal schema for application needs",
    "Configure connection pooling and performance settings",
    "Implement proper indexing strategy",
    "Set up automated backups and recovery",
    "Configure monitoring and alerting",
    "Optimize query performance",
    "Document database architecture",
)
TASK = Task(
    title="Configure PostgreSQL for production",
    temporal_context="Today is 2025-07-20. Production launch next week.",
    today=date(2025, 7, 20),
    description="Set up and optimize PostgreSQL database",
    bullets=BULLETS,
    authority="ALL database operations",
    expected_results="Production-ready PostgreSQL setup",
    ticket="ISS-0345",
    progress_reporting="Report performance benchmarks and backup status",
)


def test_the_example_is_read_with_every_field():
    assert parse(EXAMPLE) == TASK


@pytest.mark.parametrize(
    "dress",
    [
        pytest.param(lambda t: t.replace("\n", "\r\n"), id="windows line ends"),
        pytest.param(lambda t: t.replace("\n", "\r"), id="old mac line ends"),
        pytest.param(lambda t: t.replace("**", ""), id="no bold"),
        pytest.param(lambda t: t.replace("**:", ":**"), id="colon within the bold"),
        pytest.param(lambda t: t.replace("**", "__"), id="underscores"),
        pytest.param(lambda t: t.replace("\n- ", "\n* "), id="asterisks"),
        pytest.param(lambda t: t.replace("\n- ", "\n\u2022 "), id="round bullets"),
        pytest.param(lambda t: t.replace("\n- ", "\n7. "), id="numbers"),
        pytest.param(lambda t: t.replace("\n- ", "\n  2) "), id="numbers, indented"),
        pytest.param(lambda t: t.replace("\n- ", "\n- [ ] "), id="check boxes"),
        pytest.param(lambda t: t.replace("\n- ", "\n\n- "), id="blank lines between bullets"),
        pytest.param(lambda t: f"```markdown\n{t}```\n", id="in a code fence"),
        pytest.param(lambda t: "\ufeff" + t, id="byte order mark"),
        pytest.param(lambda t: t.encode(), id="bytes"),
        pytest.param(
            lambda t: t.replace("**Task**", "**TASK**").replace("**Authority**", "**authority**"),
            id="mixed case",
        ),
        pytest.param(lambda t: t.replace("ISS-0345", "\u201cISS-0345\u201d"), id="smart quotes"),
        pytest.param(lambda t: t.replace("**Task**: ", "**Task**:\n"), id="value on the next line"),
        pytest.param(
            lambda t: t.replace("connection pooling and", "connection pooling\n  and"), id="wrapped bullet"
        ),
        pytest.param(
            lambda t: t.replace("**", "### **").replace("** ", "").replace("### **:", "**:"), id="headings"
        ),
    ],
)
def test_the_example_is_read_in_every_dress(dress):
    assert parse(dress(EXAMPLE)) == TASK


@pytest.mark.parametrize(
    ("label", "field"),
    [
        ("TEMPORAL CONTEXT", "temporal_context"),
        ("**Authority**", "authority"),
        ("**Ticket Reference**", "ticket"),
    ],
)
def test_any_field_but_the_task_may_be_missing(label, field):
    text = "\n".join(line for line in EXAMPLE.splitlines() if not line.startswith(label))
    task = parse(text)
    assert getattr(task, field) == ""
    assert task.bullets == BULLETS


def test_a_field_that_the_template_does_not_have_is_kept():
    task = parse(EXAMPLE + "**Cost Center**: 4711\nDue Date: Friday\nAsked by: Ada\n")
    assert task.extra == {"Cost Center": "4711", "Due Date": "Friday"}
    assert task.asked_by == "Ada"


def test_nested_bullets_are_bullets_of_their_own_and_a_heading_is_not_work():
    task = parse("**Task**: Prepare\n- Speed:\n  - tune settings\n  - add indexes\n- back up")
    assert task.bullets == ("Speed:", "tune settings", "add indexes", "back up")
    assert task.work == ("tune settings", "add indexes", "back up")


def test_one_sentence_is_a_task():
    task = parse("Back up the database: nightly, please.\n")
    assert (task.title, task.bullets, task.description) == ("Back up the database: nightly, please.", (), "")
    assert task.work == ("Back up the database: nightly, please.",)


def test_sentences_are_separate_work():
    assert parse("Tune the settings. Back up the database v1.2 now! ok").work == (
        "Tune the settings.",
        "Back up the database v1.2 now! ok",
    )


def test_a_sentence_with_bullets_below_is_a_task():
    task = parse("Please do this:\n- tune settings\n- take a backup")
    assert task.title == "Please do this:"
    assert task.work == ("tune settings", "take a backup")


def test_a_bullet_about_an_authority_is_not_a_field():
    assert parse("**Task**: Look\n- Authority: find out who may write").bullets == (
        "Authority: find out who may write",
    )


def test_another_agents_name_is_read():
    assert parse("**QA Agent**: Test it\n**Task**: Test it").agent == "QA"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("task.empty", ""),
        ("task.empty", "  \n\t\r\n"),
        ("task.empty", "```\n```"),
        ("task.empty", "**Task**:\n\n**Authority**: all"),
        ("task.empty", "**Data Engineer Agent**: Configure PostgreSQL\n\n**Authority**: ALL\n**Ticket Reference**: ISS-1"),
        ("task.empty", (DELEGATIONS / "template.txt").read_text(encoding="utf-8")),
        ("task.several", EXAMPLE + EXAMPLE),
        ("task.encoding", b"Back up \xff the database"),
        ("task.encoding", "Back up \udc80 the database"),
        ("task.control-characters", "Back up\x00 the database"),
        ("task.control-characters", "Back up \x1b[31mthe database"),
        ("task.control-characters", "Back up \u202eesabatad eht"),
        ("task.control-characters", "Back up \U000e0041the database"),
        ("task.too-large", "x" * 1_000_001),
        ("task.too-large", "\u00e9" * 600_000),
    ],
)  # fmt: skip
def test_a_text_that_is_no_task_is_refused(code, text):
    with pytest.raises(BadInput) as caught:
        parse(text)
    assert caught.value.code == code
    assert caught.value.remedy


def test_five_megabytes_are_refused_unread():
    text = EXAMPLE + "\n- more" * 700_000
    started = time.perf_counter()
    with pytest.raises(BadInput, match="larger than 1 MB"):
        parse(text)
    assert time.perf_counter() - started < 0.05


@pytest.mark.parametrize("filler", [" ", "*", "a", "- ", "#", "a: ", "(", "\t", "> "])
def test_the_largest_text_of_one_kind_is_read_in_time(filler):
    text = "Back up the database\n" + filler * (900_000 // len(filler))
    started = time.perf_counter()
    parse(text)
    assert time.perf_counter() - started < 5


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_whatever_is_given_gives_a_task_or_bad_input(text):
    try:
        assert parse(text).title or parse(text).description
    except BadInput as error:
        assert error.code.startswith("task.")  # noqa: PT017 - a task is as good an answer


LINES = st.sampled_from(
    ["**Task**: do", "- a", "  - b", "Authority: x", "", "TEMPORAL CONTEXT: Today is 2025-02-30", "**X Y**: z", "plain", "```", "**Ops Agent**: q"]
)  # fmt: skip


@given(st.lists(LINES, max_size=12))
def test_lines_of_a_template_in_any_order_give_a_task_or_bad_input(lines):
    try:
        parse("\n".join(lines))
    except BadInput as error:
        assert error.code in ("task.empty", "task.several")  # noqa: PT017 - a task is as good an answer


WORDS = (
    st.text("abc XYZ-.,", min_size=1, max_size=30)
    .map(str.strip)
    .filter(lambda t: t[:1].isalpha() and ". " not in t)
)


@given(
    title=WORDS,
    description=WORDS,
    bullets=st.lists(WORDS, max_size=5),
    authority=st.just("") | WORDS,
    ticket=st.just("") | WORDS,
    extra=st.dictionaries(st.sampled_from(["Cost Center", "Due Date"]), WORDS),
)
def test_a_rendered_task_is_read_as_the_same_task(**fields):
    task = Task(temporal_context="Today is 2025-07-20.", today=date(2025, 7, 20), **fields)
    assert parse(render(task)) == task


def test_the_example_rendered_is_read_as_the_same_task():
    assert parse(render(TASK)) == TASK
    assert render(TASK) == EXAMPLE
