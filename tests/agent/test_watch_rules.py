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
    events, _ = feed(DISK, [86, 84, 86, 87, 84, 81, 80, 80, 86])
    assert events == [("fired", 3), ("cleared", 7)]


def test_one_good_sample_among_bad_ones_ends_nothing():
    events, _ = feed(DISK, [90, 90, 79, 90, 79, 84, 79, 79])
    assert events == [("fired", 1), ("cleared", 7)]


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
            assert max(values[index - 1 : index + 1]) <= 80


@given(
    st.integers(1, 6),
    st.floats(-1000, 1000),
    st.floats(0, 500),
    st.booleans(),
    st.lists(st.floats(0, 1), max_size=80),
    st.booleans(),
)
def test_noise_between_the_two_levels_changes_at_most_once_whatever_the_rule(  # noqa: PLR0913, PLR0917 - what hypothesis gives
    n, level, band, upwards, noise, started_firing
):
    """The band is closed at the threshold and open at `clear`: within it nothing fires, and what fires does not end."""
    sign = 1 if upwards else -1
    bounds = {"above" if upwards else "below": level, "clear": level - sign * band}
    rule = AlertRule(name="r", system="app", sample="x", for_samples=n, **bounds)
    values = [level - sign * band * part * 0.999 for part in noise]
    before = {"r": State(firing=True, since="0")} if started_firing else {}
    events, after = feed(rule, values, before)
    if band > 0.01:
        assert events == []
        assert after["r"].firing == started_firing
    assert len(events) <= 1


@given(st.integers(2, 6), st.lists(st.booleans(), max_size=80))
def test_a_figure_that_flips_faster_than_the_rule_asks_never_changes_it(n, coins):
    rule = AlertRule(name="r", system="app", sample="x", above=10, clear=5, for_samples=n)
    values, run = [], 0
    for high in coins:  # never n samples of one kind in a row
        run = run + 1 if values and (values[-1] > 10) == high else 1
        values.append(20.0 if high == (run < n) else 0.0)
        run = run if run < n else 1
    assert feed(rule, values)[0] == []
    assert feed(rule, values, {"r": State(firing=True, since="0")})[0] == []


@given(st.lists(st.floats(0, 100), max_size=60), st.sets(st.integers(0, 59)))
def test_samples_that_are_missing_fire_nothing_and_end_nothing_by_themselves(values, missing):
    kept = [value for index, value in enumerate(values) if index not in missing]
    gaps = {("app", DISK.sample): [(stamp(i), v) for i, v in enumerate(values) if i not in missing]}
    events, _ = evaluate([DISK], gaps, {})
    assert [e.kind for e in events] == [kind for kind, _ in feed(DISK, kept)[0]]


SILENT = AlertRule(name="no-data", system="app", sample="up", silent_seconds=600)


def at(minute):
    return f"2026-07-20T12:{minute:02d}:00.000000+00:00"


def listen(minutes, now, states=None):
    events, after = evaluate(
        [SILENT], {("app", "up"): [(at(m), 1.0) for m in minutes]}, states or {}, at(now)
    )
    return [(e.kind, e.value, e.since) for e in events], after


def test_silence_is_an_alert_of_its_own_that_ends_with_the_next_sample():
    assert listen([0, 1, 2], 12)[0] == []
    fired, state = listen([0, 1, 2], 13)
    assert fired == [("fired", 660, at(2))]
    assert listen([1, 2], 30, state)[0] == []
    assert listen([2, 31], 31, state)[0] == [("cleared", 0, at(2))]


def test_silence_is_no_good_and_no_bad_figure_and_a_system_never_heard_is_given_its_time():
    fired, state = listen([], 0)
    assert fired == []
    assert listen([], 9, state)[0] == []
    assert listen([], 11, state)[0] == [("fired", 660, at(0))]
    assert evaluate([DISK], {}, {}, at(59))[0] == ()


def test_what_a_rule_tells_is_of_the_same_look_as_its_event():
    rule = AlertRule(name="blocked", system="app", sample="s", above=1, tells=("blocking_root_pid", "other"))
    history = {
        ("app", "s"): [("1", 5.0), ("2", 6.0)],
        ("app", "blocking_root_pid"): [("1", 11.0), ("2", 4711.0)],
    }
    (event,), _ = evaluate([rule], history | {("app", "other"): [("1", 1.0)]}, {})
    assert event.figures == {"blocking_root_pid": 4711.0}


@given(st.lists(st.floats(0, 100), max_size=40), st.integers(0, 40))
def test_looking_twice_gives_the_same_events_as_looking_once(values, cut):
    whole, _ = feed(DISK, values)
    first, after = feed(DISK, values[:cut])
    second, _ = feed(DISK, values, after)
    assert first + second == whole
