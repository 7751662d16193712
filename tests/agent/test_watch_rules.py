"""Alert rules as a function: samples in, events out."""

from hypothesis import given
from hypothesis import strategies as st

from datareeve.agent.watch import State, evaluate
from datareeve.core.estate import AlertRule

DISK = AlertRule(name="disk", system="app", sample="disk_used_percent", above=85, clear=80, for_samples=2)


def feed(rule, values, states=None):
    """The events of readings one after another, as (kind, index of the sample)."""
    history = {(rule.system, rule.sample): [(stamp(i), value) for i, value in enumerate(values)]}
    events, after = evaluate([rule], history, states or {})
    return [(event.kind, int(event.at)) for event in events], after


def stamp(index):
    return f"{index:06d}"


def test_it_fires_after_so_many_samples_in_a_row_and_ends_at_its_clear_level():
    events, _ = feed(DISK, [86, 84, 86, 87, 84, 81, 80, 86])
    assert events == [("fired", 3), ("cleared", 6)]


def test_since_is_the_first_sample_beyond_the_threshold():
    history = {("app", "disk_used_percent"): [(stamp(i), value) for i, value in enumerate([86, 50, 88, 90])]}
    (event,), _ = evaluate([DISK], history, {})
    assert (event.since, event.at, event.value) == (stamp(2), stamp(3), 90)


def test_the_threshold_itself_is_not_beyond():
    assert feed(DISK, [85, 85, 85])[0] == []


def test_a_figure_too_low_fires_and_ends_at_its_own_level():
    rule = AlertRule(
        name="cache", system="app", sample="cache_hit_percent", below=90, clear=95, for_samples=1
    )
    assert feed(rule, [91, 89, 92, 94, 95])[0] == [("fired", 1), ("cleared", 4)]


def test_without_a_clear_level_it_ends_at_the_threshold():
    rule = AlertRule(name="archive", system="app", sample="archive_failing", above=0, for_samples=1)
    assert feed(rule, [0, 1, 1, 0])[0] == [("fired", 1), ("cleared", 3)]


def test_no_figure_is_not_a_good_figure():
    _, firing = feed(DISK, [90, 90])
    events, after = evaluate([DISK], {}, firing)
    assert events == ()
    assert after["disk"].firing


def test_samples_that_were_seen_are_not_counted_again():
    _, once = feed(DISK, [90])
    assert feed(DISK, [90], once)[0] == []
    assert feed(DISK, [90, 90], once)[0] == [("fired", 1)]


def test_a_figure_that_is_not_a_number_changes_nothing():
    assert feed(DISK, [90, float("nan"), 90])[0] == [("fired", 2)]


def test_a_rule_that_is_gone_is_forgotten():
    assert evaluate([], {}, {"disk": State(firing=True)}) == ((), {})


@given(st.lists(st.floats(80.01, 100), max_size=60))
def test_a_figure_swinging_around_the_threshold_is_told_at_most_once(values):
    events, _ = feed(DISK, values)
    assert len(events) <= 1


@given(st.lists(st.floats(0, 100), max_size=60))
def test_events_alternate_and_each_firing_is_preceded_by_as_many_samples_as_the_rule_asks(values):
    events, _ = feed(DISK, values)
    assert [kind for kind, _ in events] == (["fired", "cleared"] * len(events))[: len(events)]
    for kind, index in events:
        if kind == "fired":
            assert min(values[index - 1 : index + 1]) > 85
        else:
            assert values[index] <= 80


@given(st.lists(st.floats(0, 100), max_size=40), st.integers(0, 40))
def test_looking_twice_gives_the_same_events_as_looking_once(values, cut):
    whole, _ = feed(DISK, values)
    first, after = feed(DISK, values[:cut])
    second, _ = feed(DISK, values, after)
    assert first + second == whole
