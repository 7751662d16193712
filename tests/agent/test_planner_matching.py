"""From words to operations: ranking, confidence, splitting, and what is never planned."""

from __future__ import annotations

import time

import fakes
import pytest
from utterances import UNSEEN, UTTERANCES

from datareeve.agent import playbooks
from datareeve.agent.bm25 import Document, Index, stem, terms
from datareeve.agent.known import Known
from datareeve.agent.matching import Matcher, clauses
from datareeve.agent.planner import Planner
from datareeve.agent.task import Task
from datareeve.core.catalogue import Catalogue
from datareeve.core.errors import NotOurWork


@pytest.fixture(scope="module")
def matcher():
    return Matcher(fakes.catalogue(), playbooks.load())


@pytest.mark.parametrize(
    "family",
    [
        "optimize optimise optimizing optimization optimisation optimised",
        "query queries querying",
        "index indexes indexed indexing indices",
        "document documenting documented documentation",
        "restore restores restoring restored",
        "schedule scheduling scheduled",
        "recover recovery recovered",
    ],
)
def test_a_family_of_words_has_one_stem(family):
    assert len({terms(word)[0] for word in family.split()}) == 1


def test_words_of_another_family_keep_apart():
    assert (
        len({stem(word) for word in ("index", "query", "restore", "document", "schedule", "tune", "pool")})
        == 7
    )


def test_bm25_gives_the_published_figure():
    """Two documents of three and one words; 'pool' is in one: idf = ln(1 + 1.5/1.5), norm = 1.2 * (0.25 + 0.75 * 3/2)."""
    index = Index(
        {
            k: Document(key=k, utterances=(t,))
            for k, t in {"a": "pool connection limit", "b": "restore"}.items()
        }
    )
    (score,) = index.search("pool")
    assert score.key == "a"
    assert score.rank == pytest.approx(0.6931 * 2.2 / (1 + 1.2 * (0.25 + 0.75 * 3 / 2)), abs=1e-4)
    assert score.coverage == 1


def test_a_word_that_no_document_knows_counts_against_every_reading():
    index = Index(
        {"a": Document(key="a", utterances=("back up",)), "b": Document(key="b", utterances=("restore",))}
    )
    assert index.search("back up the spaceship")[0].coverage < 0.7


@pytest.mark.parametrize(
    ("bullet", "parts"),
    [
        (
            "Configure connection pooling and performance settings",
            ["databases.configure-pool", "databases.tune-settings"],
        ),
        (
            "Back up the database, then document the database",
            ["databases.back-up", "databases.document-schema"],
        ),
        (
            "Find slow queries; schedule nightly backups",
            ["databases.find-slow-queries", "databases.schedule-backups"],
        ),
        ("Set up automated backups and recovery", ["databases.set-up-backups"]),
        ("Configure monitoring and alerting", ["databases.watch"]),
        ("Monitoring and alerting", ["databases.watch"]),
        ("Implement rate limiting and retry logic", ["ai.set-limits"]),
        ("Fine-tune a model", ["later:ai"]),
        ("Find missing primary keys and foreign keys", ["databases.review-schema"]),
    ],
)
def test_a_compound_bullet_is_split_only_where_its_parts_are_surer_than_the_whole(matcher, bullet, parts):
    matches = matcher.split(bullet)
    assert [match.readings[0].key for match in matches] == parts
    assert {match.decision for match in matches} == {"later" if parts == ["later:ai"] else "planned"}


def test_the_verb_is_carried_to_the_parts_that_have_none():
    assert clauses("Configure connection pooling and performance settings.") == (
        "Configure connection pooling",
        "Configure performance settings",
    )
    assert clauses("Back up the database and tune settings") == ("Back up the database", "tune settings")


def test_a_question_is_answered_by_looking_only(matcher):
    match = matcher.match("Which foreign keys are missing?")
    assert match.readings[0].key == "databases.review-schema"
    assert all(
        not key.endswith(("repair-schema", "add-foreign-key")) for key in (r.key for r in match.readings)
    )


def test_a_doubtful_bullet_is_asked_with_three_readings(matcher):
    match = matcher.match("Take care of backups")
    assert match.decision == "question"
    assert len(match.readings) == 3
    assert {reading.key for reading in match.readings} <= {f"databases.{n}" for n in ("back-up", "set-up-backups", "drill-restore", "schedule-backups", "restore")}  # fmt: skip


def test_a_later_capability_makes_way_for_its_operations():
    move = fakes.operation(
        "storage.set-lifecycle",
        "Set lifecycle rules on a bucket.",
        ("set lifecycle rules on S3 buckets", "move old objects of a bucket to cold storage"),
    )
    before = Matcher(fakes.catalogue(), playbooks.load())
    assert before.match("Set lifecycle rules on the S3 buckets").decision == "later"
    matcher = Matcher(fakes.catalogue(move), playbooks.load())
    match = matcher.match("Set lifecycle rules on the S3 buckets")
    assert match.readings[0].key == "storage.set-lifecycle"
    assert not any(reading.key == "later:storage" for reading in match.readings)


BOOKS = {
    frozenset(o.partition(".")[2] for o in b.operations): b.name
    for b in playbooks.load()
    if len(b.operations) > 1
}
BOOKS[frozenset({"review-schema", "repair-schema"})] = "repair-schema"


def outcome_of(planner, words):
    """What becomes of words: 'refused', 'agent:X', 'later', 'ask', or the operations planned, as a short name."""
    try:
        made = planner.plan(Task(title=words))
    except NotOurWork as error:
        return f"agent:{error.what.split(' Agent')[0].rsplit('the ', 1)[-1]}"
    names = [part.operation.partition(".")[2] for part in made.plan.parts]
    if names:
        return BOOKS.get(frozenset(names), "+".join(names))
    if made.questions:
        return "ask"
    return "later" if "this version has no operation" in made.plan.blockers[0] else "refused"


def judge(catalogue, utterances=UTTERANCES):
    known = Known(
        systems=("app", "wh"),
        tables=lambda system: (
            ("public.customers", "public.orders", "public.flights") if system == "app" else ("main.orders",)
        ),
    )
    planner = Planner(catalogue, fakes.preview, lambda kind: ("app",), known)
    answers = [(words, right, outcome_of(planner, words)) for words, right in utterances]
    needs_input = {name.partition(".")[2] for name in catalogue.names() if fakes.needs_input(catalogue, name)}
    correct = [
        w
        for w, right, got in answers
        if got in right.split("|") or (got == "ask" and needs_input & set(right.split("|")))
    ]
    wrong = [
        (w, right, got)
        for w, right, got in answers
        if got not in right.split("|") and got not in ("ask", "refused")
    ]
    return len(correct) / len(answers), wrong, [a for a in answers if a[2] not in a[1].split("|")]


def test_what_people_say_is_understood_or_asked_back():
    """None is confidently misunderstood; at least 85 % come to what is right, or to a question for inputs that were not said."""
    accuracy, wrong, missed = judge(fakes.catalogue())
    assert len(UTTERANCES) >= 120
    assert wrong == []
    assert accuracy >= 0.85, missed


def test_unseen_words_are_asked_back_rather_than_misunderstood():
    """Nothing wrong is planned; one may be told to wait for a later version or another agent, which changes nothing."""
    accuracy, wrong, missed = judge(fakes.catalogue(), UNSEEN)
    assert [w for w in wrong if w[2] != "later" and not w[2].startswith("agent:")] == []
    assert len(wrong) <= 1
    assert accuracy >= 0.6, missed


def test_the_real_catalogue_understands_as_well():
    """As above with the operations that exist, and the stand-ins of those that do not yet."""
    from datareeve import capabilities  # noqa: PLC0415 - the one place where the two meet

    fake = fakes.catalogue()
    real = {name: load() for name, load in capabilities.operations().items()}
    accuracy, wrong, missed = judge(
        Catalogue([*(fake.get(n) for n in fake.names() if n not in real), *real.values()])
    )
    assert len(wrong) <= 1, wrong
    assert accuracy >= 0.8, missed


@pytest.mark.parametrize("words", [words for words, right in UTTERANCES if right == "refused"])
def test_what_would_destroy_or_command_is_refused_in_any_company(matcher, words):
    for text in (
        words,
        f"Set up automated backups and recovery; {words}",
        f"{words} and tune settings",
        words.upper(),
    ):
        (match,) = matcher.split(text)
        assert match.decision == "refused", text


@pytest.mark.parametrize(
    "words",
    [
        "Drop the unused index flights_old_idx",
        "Restore after an accidental delete",
        "Show the foreign keys",
        "Reduce data loss",
    ],
)
def test_the_guard_lets_honest_work_through(matcher, words):
    assert matcher.match(words).decision != "refused"


def test_matching_is_quick(matcher):
    started = time.perf_counter()
    for words, _ in UTTERANCES:
        matcher.split(words)
    assert (time.perf_counter() - started) / len(UTTERANCES) < 0.01
