"""What the loop of `datareeve serve` does for pipelines at each look: occasions are written down, and whoever runs them is told."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from datareeve.capabilities.pipelines.scheduling.journal import Journal
from datareeve.capabilities.pipelines.scheduling.occasions import Occasion, Seen, due, rule_of
from datareeve.capabilities.pipelines.scheduling.publications import RUN, Publications
from datareeve.core import clock
from datareeve.core.errors import DatareeveError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from datetime import datetime

    from datareeve.capabilities.pipelines.spec import Schedule
    from datareeve.core.ledger import Ledger
    from datareeve.core.operation import Plan

    Schedules = Callable[[], Mapping[str, Schedule | DatareeveError]]
    Arrived = Callable[[Schedule, datetime], dict[str, str]]
    Start = Callable[[str], None]


class Dispatcher:
    """Pipelines' schedules, as things to be done at each look of the loop.

    `schedules`: every pipeline that has one, or what is wrong with its file; `arrived`: the complete files that one waits for; `start`: called
    with a pipeline that has something to be done, at every look until it is done, so that it may be lost on the way.
    """

    def __init__(
        self,
        ledger: Ledger,
        plan_of: Callable[[str], Plan],
        schedules: Schedules,
        arrived: Arrived,
        start: Start,
    ) -> None:
        self._ledger, self._schedules, self._arrived, self._start = ledger, schedules, arrived, start
        self._journal = Journal(ledger)
        self._publications = Publications(ledger, plan_of)

    def __call__(self, now: datetime) -> Iterator[tuple[str, Callable[[], None]]]:
        """What is to be done now, pipeline by pipeline, so that what is wrong with one is no other's trouble."""
        schedules = self._schedules()
        self._journal.refresh()
        waiting = any(isinstance(one, DatareeveError) is False and one.after for one in schedules.values())  # type: ignore[union-attr]
        published = self._publications.latest() if waiting else {}
        for name, schedule in schedules.items():
            yield f"pipeline {name}", partial(self._look, name, schedule, now, published)

    def _look(
        self, name: str, schedule: Schedule | DatareeveError, now: datetime, published: dict[str, str]
    ) -> None:
        if isinstance(schedule, DatareeveError):
            raise schedule
        known = self._journal.of(name).known
        if known.rule != rule_of(schedule):
            self._journal.watch(name, schedule, now)
        files = self._arrived(schedule, now) if schedule.on_file else {}
        found = due({name: schedule}, now, {name: known}, Seen(files={name: files}, published=published))
        for occasion in found:
            self._journal.met(occasion)
        self._tell_missed(name, found)
        self._wake(name, now)

    def _wake(self, name: str, now: datetime) -> None:
        for one in self._journal.refresh().of(name).open:
            waits = one.not_before()
            if waits is None or waits <= now:
                self._start(name)
                return

    def _tell_missed(self, name: str, found: Sequence[Occasion]) -> None:
        missed = [occasion for occasion in found if occasion.missed]
        if not missed:
            return
        body = {
            "type": "schedule-missed",
            "operation": RUN,
            "occasions": sum(occasion.missed for occasion in missed),
            "first": clock.stamp(missed[0].first_missed),
            "last": clock.stamp(missed[-1].at),
            "run": sum(not occasion.skipped for occasion in missed),
        }
        self._ledger.append("event", body, subject=name)
