"""Rules of authority: there is no way around one by spelling."""

from datetime import UTC, datetime

import pytest

import rig
from datareeve.core.authority import decide, in_window
from datareeve.core.errors import BadInput
from datareeve.core.estate import Authority, Rule

SUNDAY_NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "path", ["data/secret/x", "data/../data/secret/x", "./data/secret/x", "data//secret/x"]
)
def test_another_spelling_of_a_path_is_under_the_same_rule(path):
    step = rig.FILE.model_copy(update={"paths": (path,)})
    rules = (Rule(decision="never", paths=("data/secret/*",)), Rule(decision="allow"))
    assert decide(Authority(rules=rules), step, "test.some", SUNDAY_NOON).decision == "never"


@pytest.mark.parametrize(
    ("window", "inside"),
    [
        ("00:00-00:00", True),
        ("00:00-24:00", True),
        ("Sun 13:00-13:00", False),
        ("Sat 13:00-13:00", True),
        ("Mon-Fri 22:00-06:00", False),
    ],
)
def test_a_window_that_ends_when_it_starts_is_a_day_long(window, inside):
    assert in_window(window, SUNDAY_NOON) is inside


@pytest.mark.parametrize("window", ["25:00-26:00", "10:00-24:30", "10:60-11:00"])
def test_a_window_at_no_hour_of_the_clock_is_refused(window):
    with pytest.raises(BadInput):
        in_window(window, SUNDAY_NOON)


@pytest.mark.parametrize(
    "rules",
    [
        (),
        (Rule(decision="allow"),),
        (Rule(decision="allow", operations=("test.some",), effects=("reversible", "irreversible")),),
    ],
)
def test_a_step_that_needs_a_person_is_allowed_by_no_rule(rules):
    step = rig.FILE.model_copy(update={"needs_person": True})
    decided = decide(Authority(rules=rules), step, "test.some", SUNDAY_NOON)
    assert (decided.decision, decided.rule) == ("approve", "only ever by a person's approval")


def test_a_step_that_needs_a_person_may_be_forbidden():
    step = rig.FILE.model_copy(update={"needs_person": True})
    rules = (Rule(decision="allow"), Rule(decision="never"))
    assert decide(Authority(rules=rules), step, "test.some", SUNDAY_NOON).decision == "never"
