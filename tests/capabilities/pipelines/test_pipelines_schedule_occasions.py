"""Which occasions there are: none is lost and none comes twice, whatever the pauses and the restarts."""

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datareeve.capabilities.pipelines.scheduling.journal import Story
from datareeve.capabilities.pipelines.scheduling.occasions import (
    LATE,
    Known,
    Seen,
    check,
    due,
    rule_of,
    skips,
)
from datareeve.capabilities.pipelines.spec import Schedule
from datareeve.core import cron
from datareeve.core.errors import BadInput

NOON = datetime(2026, 7, 20, 12, 0, tzinfo=UTC)  # a Monday
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Ledger:
    """The entries of one pipeline, as they would be written; every look begins from them alone."""

    def __init__(self, schedule):
        self.schedule = schedule
        self.entries = []

    def write(self, **body):
        self.entries.append(SimpleNamespace(seq=len(self.entries) + 1, at="", body=body))

    def story(self):
        story = Story()
        for entry in self.entries:
            story.take(entry)
        return story

    def watch(self, now):
        self.write(state="watched", at=now.isoformat(), rule=rule_of(self.schedule))

    def look(self, now, files=None, published=None):
        known = self.story().known
        if known.rule != rule_of(self.schedule):
            self.watch(now)
        seen = Seen(files={"p": files or {}}, published=published or {})
        found = due({"p": self.schedule}, now, {"p": known}, seen)
        for occasion in found:
            state, late = "skipped" if occasion.skipped else "due", now - occasion.at > LATE
            self.write(state=state, late=late, occasion=occasion.model_dump(mode="json"))
        return found

    def end_all(self):
        for one in self.story().open:
            self.write(state="begun", key=one.occasion.key, attempt=1)
            self.write(state="ended", key=one.occasion.key, attempt=1, status="done")


def watched(schedule, since=NOON):
    ledger = Ledger(schedule)
    ledger.watch(since)
    return ledger


def test_the_first_look_at_a_clock_has_nothing_to_catch_up_with():
    ledger = Ledger(Schedule(cron="* * * * *"))
    assert ledger.look(NOON) == ()
    assert [o.at for o in ledger.look(NOON + MINUTE)] == [NOON + MINUTE]


def test_what_was_decided_is_not_decided_again():
    ledger = watched(Schedule(cron="0 * * * *"))
    assert len(ledger.look(NOON + HOUR)) == 1
    ledger.end_all()
    assert ledger.look(NOON + HOUR + MINUTE) == ()


def test_two_loops_that_decide_the_same_occasion_have_one_between_them():
    ledger = watched(Schedule(cron="0 * * * *", on_file="*.csv"))
    known = ledger.story().known
    for _ in range(2):
        for occasion in due(
            {"p": ledger.schedule}, NOON + 10 * MINUTE, {"p": known}, Seen(files={"p": {"a": "1"}})
        ):
            ledger.write(state="due", occasion=occasion.model_dump(mode="json"))
    assert len(ledger.story().open) == 1


@pytest.mark.parametrize(
    ("catch_up", "runs", "skipped", "missed"),
    [
        ("latest", [NOON + 5 * HOUR], [], 5),
        ("none", [], [NOON + 5 * HOUR], 5),
        ("all", [NOON + n * HOUR for n in range(1, 6)], [], 5),
    ],
)
def test_what_was_missed_is_told_and_run_as_the_schedule_says(catch_up, runs, skipped, missed):
    ledger = watched(Schedule(cron="0 * * * *", catch_up=catch_up))
    found = ledger.look(NOON + 5 * HOUR + 30 * MINUTE)
    assert [o.at for o in found if not o.skipped] == runs
    assert [o.at for o in found if o.skipped] == skipped
    assert sum(o.missed for o in found) == missed
    assert found[0].first_missed == NOON + HOUR
    assert ledger.look(NOON + 5 * HOUR + 31 * MINUTE) == ()


def test_a_moment_on_time_after_a_pause_is_run_even_where_nothing_is_caught_up_with():
    ledger = watched(Schedule(cron="0 * * * *", catch_up="none"))
    (found,) = ledger.look(NOON + 5 * HOUR)
    assert (found.skipped, found.missed) == (False, 4)


def test_while_one_is_open_the_next_waits_and_comes_as_one_when_it_ended():
    ledger = watched(Schedule(cron="0 * * * *"))
    ledger.look(NOON + HOUR)
    assert ledger.look(NOON + 2 * HOUR) == ledger.look(NOON + 3 * HOUR) == ()
    ledger.end_all()
    (found,) = ledger.look(NOON + 3 * HOUR + 10 * MINUTE)
    assert (found.at, found.missed) == (NOON + 3 * HOUR, 2)


def test_a_clock_that_is_written_anew_has_no_moments_in_the_past():
    ledger = watched(Schedule(cron="0 0 * * 1"))
    ledger.schedule = Schedule(cron="*/5 * * * *")
    assert ledger.look(NOON + DAY) == ()
    assert len(ledger.look(NOON + DAY + 5 * MINUTE)) == 1


def test_a_minute_that_was_missed_for_two_years_is_run_once_for_its_newest_moment():
    ledger = watched(Schedule(cron="* * * * *"), NOON - 730 * DAY)
    (found,) = ledger.look(NOON)
    assert (found.at, found.missed) == (NOON, 9_999)
    seldom = watched(Schedule(cron="* 3 1 * *", catch_up="latest"), NOON - 9000 * DAY)
    (found,) = seldom.look(NOON)
    assert found.at == datetime(2026, 7, 1, 3, 59, tzinfo=UTC)


# -- days --------------------------------------------------------------------------------------------------------------------------


def test_days_that_are_skipped_have_no_occasion_and_are_not_missed():
    ledger = watched(
        Schedule(cron="0 6 * * *", timezone="Europe/Berlin", skip_days=("Sat", "Sunday", "2026-07-22"))
    )
    at = [o.at.astimezone(cron.zone_of("Europe/Berlin")).date() for o in watched(ledger.schedule.model_copy(update={"catch_up": "all"})).look(NOON + 9 * DAY)]  # fmt: skip
    assert at == [date(2026, 7, day) for day in (21, 23, 24, 27, 28, 29)]


@pytest.mark.parametrize(
    ("day", "skipped"),
    [("2026-12-25", True), ("2026-12-26", True), ("2026-12-27", False), ("2026-12-28", False), ("2026-10-03", True), ("2026-07-03", False)],
)  # fmt: skip
def test_public_holidays_are_those_of_the_country(day, skipped):
    assert skips(("holidays:DE",))(date.fromisoformat(day)) is skipped


def test_the_free_weekday_of_a_holiday_at_a_weekend_is_skipped_too():
    assert skips(("holidays:US",))(date(2026, 7, 3))


@pytest.mark.parametrize("day", ["holidays:XX", "holidays:", "Caturday", "2026-02-30", "", "12-24"])
def test_what_is_no_day_is_bad_input(day):
    with pytest.raises(BadInput) as caught:
        check("p", Schedule(skip_days=(day,)))
    assert caught.value.code == "schedule.skip-days"


# -- files and what is above ---------------------------------------------------------------------------------------------------------


def test_a_file_that_is_new_or_changed_is_an_occasion_once():
    ledger = watched(Schedule(on_file="*.csv"))
    (first,) = ledger.look(NOON, {"a.csv": "10:1"})
    ledger.end_all()
    assert ledger.look(NOON + MINUTE, {"a.csv": "10:1"}) == ()
    (second,) = ledger.look(NOON + MINUTE, {"a.csv": "12:2", "b.csv": "1:1"})
    assert first.files == {"a.csv": "10:1"}
    assert (second.files, second.causes) == ({"a.csv": "12:2", "b.csv": "1:1"}, ("file",))
    assert first.key != second.key


def test_a_file_that_goes_back_to_what_it_was_is_a_change_as_well():
    ledger = watched(Schedule(on_file="*.csv"))
    for mark in ("10:1", "12:2", "10:1"):
        assert len(ledger.look(NOON, {"a.csv": mark})) == 1
        ledger.end_all()


def test_files_that_arrive_on_a_skipped_day_wait_for_the_next():
    ledger = watched(Schedule(on_file="*.csv", skip_days=("Mon",)))
    assert ledger.look(NOON, {"a.csv": "1:1"}) == ()
    assert len(ledger.look(NOON + DAY, {"a.csv": "1:1"})) == 1


def test_it_runs_once_when_all_above_have_published_anew():
    ledger = watched(Schedule(after=("a", "b")))
    assert ledger.look(NOON, published={"a": "1"}) == ()
    assert len(ledger.look(NOON, published={"a": "2", "b": "1"})) == 1
    ledger.end_all()
    assert ledger.look(NOON, published={"a": "3", "b": "1"}) == ()
    (found,) = ledger.look(NOON, published={"a": "3", "b": "2"})
    assert found.upstream == {"a": "3", "b": "2"}
    ledger.end_all()
    assert ledger.look(NOON, published={"a": "3", "b": "2"}) == ()


def test_a_moment_and_a_file_at_once_are_one_occasion():
    ledger = watched(Schedule(cron="0 * * * *", on_file="*.csv"))
    (found,) = ledger.look(NOON + HOUR, {"a.csv": "1:1"})
    assert (found.causes, found.files) == (("clock", "file"), {"a.csv": "1:1"})


# -- whatever happens --------------------------------------------------------------------------------------------------------------

CRONS = ("*/5 * * * *", "0 * * * *", "30 2 * * *", "*/7 1-4 * * *")
BEGINNINGS = ("2026-03-28T18:00", "2026-10-24T18:00", "2026-10-03T06:00", "2026-06-01T00:00")


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(CRONS),
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "America/New_York"]),
    st.sampled_from(BEGINNINGS),
    st.lists(st.tuples(st.integers(1, 240), st.booleans(), st.booleans()), min_size=1, max_size=20),
    st.sampled_from(["all", "latest", "none"]),
)
def test_no_moment_is_lost_and_none_is_met_twice_whatever_the_pauses_and_restarts(
    zone_cron, zone, begin, looks, catch_up
):
    """A look may come late, may die before what it decided is written, and what is open may end or not."""
    now = start = datetime.fromisoformat(begin).replace(tzinfo=UTC)
    ledger = watched(Schedule(cron=zone_cron, timezone=zone, catch_up=catch_up), start)
    for minutes, dies, ends in looks:
        now += timedelta(minutes=minutes)
        before = list(ledger.entries)
        ledger.look(now)
        if dies:
            ledger.entries = before
        if ends:
            ledger.end_all()
    ledger.end_all()
    now += timedelta(minutes=1)
    ledger.look(now)
    entries = [entry.body for entry in ledger.entries if "occasion" in entry.body]
    met = [entry["occasion"] for entry in entries]
    real = list(cron.moments(zone_cron, zone, start, now))
    at = [datetime.fromisoformat(one["at"]) for one in met]
    assert at == sorted(set(at))  # none twice, and in order
    if catch_up == "all":
        assert at == real
    else:  # each moment was run, or is counted as missed
        on_time = sum(not entry["late"] for entry in entries)
        assert on_time + sum(one["missed"] for one in met) == len(real)


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans(), st.booleans()), max_size=25)
)
def test_no_file_is_lost_and_none_is_met_twice_whatever_the_restarts(happenings):
    ledger = watched(Schedule(on_file="*"))
    now, files, met = NOON, {}, {}
    for path, mark, dies, ends in happenings:
        now += MINUTE
        files[path] = str(mark)
        before = list(ledger.entries)
        found = ledger.look(now, files)
        if dies:
            ledger.entries = before
        else:
            for occasion in found:
                assert all(met.get(path) != mark for path, mark in occasion.files.items())
                met |= occasion.files
        if ends:
            ledger.end_all()
    ledger.end_all()
    for occasion in ledger.look(now + MINUTE, files):
        met |= occasion.files
    assert met == files
    assert Known() == Known.model_validate(Known().model_dump())
