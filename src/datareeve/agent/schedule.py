"""The loop of `datareeve serve`: what is due is run within the authority, its figures become samples, and alerts are looked at.

When a schedule last ran is kept in the ledger, so that neither a restart nor a second process runs an occasion twice, and none that fell
into a pause is lost without a word: it is written down as missed and run once. One error never ends the loop; it is written down too.
"""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

from datareeve.agent.escalation import Escalations
from datareeve.agent.watch import State, evaluate
from datareeve.core import clock, cron
from datareeve.core.errors import DatareeveError, NeedsApproval
from datareeve.core.estate import AlertRule, Estate, Schedule
from datareeve.core.ledger import Sample
from datareeve.core.operation import Effect
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from datareeve.agent.escalation import Sender
    from datareeve.core.ledger import Ledger
    from datareeve.core.operation import CatalogueView, Operation, Outcome, Plan

log = logging.getLogger(__name__)

STANDBY_SECONDS = 10
LATE = timedelta(minutes=2)  # a run this much after its moment was missed
MOST_COUNTED = 10_000  # missed occasions; there may have been more
REPEAT_AFTER = timedelta(hours=1)  # the same trouble of the same schedule is written down again after this
LOOK_BACK = timedelta(minutes=15)  # samples that an alert without a past is judged on
LONGEST_LOOK_BACK = timedelta(days=1)
MARKS = "schedules"  # the samples' system under which the last run of each schedule is kept, as seconds since 1970


class Due(Value):
    """A schedule whose moment has come. `occasions` counts every moment since its last run; more than one, or a late one, was missed."""

    name: str
    schedule: Schedule
    first: datetime
    last: datetime
    occasions: int

    def missed(self, now: datetime) -> bool:
        """Whether the loop was not there when it should have been."""
        return self.occasions > 1 or now - self.first > LATE


def due(
    schedules: Mapping[str, Schedule], last_runs: Mapping[str, datetime], now: datetime
) -> tuple[Due, ...]:
    """The schedules with a moment after their last run and not after `now`, each once. One without a last run has nothing to catch up.

    Summer time as Debian's cron has it: a moment that the clocks jump over comes right after the jump, one that they repeat comes once.
    Errors: `BadInput` `schedule.cron`, `schedule.timezone`.
    """
    found = (
        _due(name, schedule, last_runs[name], now)
        for name, schedule in schedules.items()
        if name in last_runs
    )
    return tuple(entry for entry in found if entry is not None)


def _due(name: str, schedule: Schedule, last_run: datetime, now: datetime) -> Due | None:
    moments = list(islice(_moments(name, schedule, last_run, now), MOST_COUNTED))
    if not moments:
        return None
    return Due(name=name, schedule=schedule, first=moments[0], last=moments[-1], occasions=len(moments))


def _moments(name: str, schedule: Schedule, after: datetime, until: datetime) -> Iterator[datetime]:
    return cron.moments(schedule.cron, schedule.timezone, after, until, name=name)


class Engine(Protocol):
    """What the loop needs of the application."""

    @property
    def ledger(self) -> Ledger:
        """The open ledger."""

    @property
    def catalogue(self) -> CatalogueView:
        """Every operation by name."""

    def reload(self) -> Estate:
        """The estate as its file says now. Called at every look. Errors: `BadInput`."""

    def preview(self, operation: Operation[Any]) -> Plan:
        """What the operation would do."""

    def apply(self, plan: Plan, *, by: str) -> Outcome:
        """Do it, within the authority. Errors: `NeedsApproval`, `Refused`, ..."""


More = Callable[[datetime], Iterable[tuple[str, Callable[[], None]]]]


class Serve:
    """The loop. `takes`: only operations of these effects, so that a long one need not hold up the watch of another loop.

    `more`: what else there is to do at a look, by the subject that trouble is written down under; the loop that acts does it.
    """

    def __init__(
        self,
        app: Engine,
        notify: Sender,
        *,
        takes: Iterable[Effect] = tuple(Effect),
        more: More | None = None,
    ) -> None:
        self._app = app
        self._more = more
        self._takes = frozenset(takes)
        self._escalations = Escalations(app.ledger, notify)
        self._estate = Estate()
        self._states: dict[str, State] | None = None
        self._troubles: dict[
            str, tuple[dict[str, str], datetime]
        ] = {}  # what was last written down, and when

    def run(self, stop: threading.Event | None = None) -> None:
        """Look once a minute until `stop` is set; in the main thread SIGTERM and SIGINT set it. What is being done is finished first.

        Of several processes on one ledger one is at work; another takes over when its lease ends.
        """
        stop = stop or threading.Event()
        with _stopped_by_signals(stop):
            while not stop.is_set():
                try:
                    self._run_alone(stop)
                except DatareeveError as error:  # another loop is at work, or the ledger is away
                    log.warning("The loop is not at work: %s", error.code)
                    stop.wait(STANDBY_SECONDS)

    def _run_alone(self, stop: threading.Event) -> None:
        ledger = self._app.ledger
        with ledger.lease(f"serve {'+'.join(sorted(self._takes))}") as fence:
            self._states = None  # another may have been at work meanwhile
            while not stop.is_set() and ledger.holds(fence):
                self.run_once(clock.now())
                stop.wait(60 - clock.now().timestamp() % 60)

    def run_once(self, now: datetime) -> None:
        """One look: the estate again, everything that is due, the alerts. Never raises an ordinary error."""
        with self._surviving("estate", now):
            self._estate = self._app.reload()
            self._troubles.pop("estate", None)
        for name, schedule in self._estate.schedules.items():
            with self._surviving(name, now):
                if _loop_of(self._app.catalogue.get(schedule.operation)) in self._takes:
                    self._run_if_due(name, schedule, now)
        if self._more is not None and Effect.REVERSIBLE in self._takes:
            with self._surviving("more", now):
                self._do_more(self._more(now), now)
                self._troubles.pop("more", None)
        if Effect.READ in self._takes:
            with self._surviving("alerts", now):
                self._look_at_alerts(self._estate.alerts, now)
                self._troubles.pop("alerts", None)

    def _do_more(self, more: Iterable[tuple[str, Callable[[], None]]], now: datetime) -> None:
        for subject, act in more:
            with self._surviving(subject, now):
                act()
                self._troubles.pop(subject, None)

    # -- schedules -------------------------------------------------------------------------------------------------------------

    def _run_if_due(self, name: str, schedule: Schedule, now: datetime) -> None:
        found = self._claim(name, schedule, now)
        if found is None:
            return
        if found.missed(now):
            self._missed(found)
        operation = self._app.catalogue.make(schedule.operation, schedule.inputs)
        at, plan = clock.stamp(), self._app.preview(operation)
        # What is sampled by a name of its own looks, though it may write a page of it too: its figures are those of the look.
        if operation.effect is Effect.READ or operation.sampled_as:
            self._add_samples(name, schedule, plan, at)
        if any(plan.all_steps()):
            self._apply(name, plan)
        self._troubles.pop(name, None)

    def _claim(self, name: str, schedule: Schedule, now: datetime) -> Due | None:
        """What is due of this schedule, marked as run before it is: a crash loses at most this run, and a restart repeats none."""
        ledger = self._app.ledger
        marks = ledger.samples(MARKS, name=name, limit=1)
        last_runs = {name: datetime.fromtimestamp(marks[0].value, UTC)} if marks else {}
        found = due({name: schedule}, last_runs, now)
        if found or not marks:
            ledger.add_samples([Sample(at=clock.stamp(now), system=MARKS, name=name, value=now.timestamp())])
        return found[0] if found else None

    def _missed(self, found: Due) -> None:
        body = {"operation": found.schedule.operation, "occasions": found.occasions}
        body |= {"first": clock.stamp(found.first), "last": clock.stamp(found.last)}
        self._record("schedule-missed", found.name, body)

    def _add_samples(self, name: str, schedule: Schedule, plan: Plan, at: str) -> None:
        system, labels = (
            str(schedule.inputs.get("system") or self._app.catalogue.get(schedule.operation).sampled_as),
            {"operation": schedule.operation, "schedule": name},
        )
        self._app.ledger.add_samples(
            [
                Sample(at=at, system=system, name=figure, value=float(value), labels=labels)
                for figure, value in plan.figures.items()
                if isinstance(value, (int, float)) and not isinstance(value, bool)
            ]
        )

    def _apply(self, name: str, plan: Plan) -> None:
        outcome = self._app.apply(plan, by=f"schedule:{name}")
        kind = "schedule-done" if outcome.status in ("done", "nothing to do") else "schedule-failed"
        self._record(kind, name, {"operation": plan.operation, "status": outcome.status}, run=outcome.run)

    # -- alerts ----------------------------------------------------------------------------------------------------------------

    def _look_at_alerts(self, rules: tuple[AlertRule, ...], now: datetime) -> None:
        if self._states is None:
            self._states = self._escalations.restore(self._app.ledger.entries("event"), rules)
        events, states = evaluate(rules, self._history(rules, now), self._states, clock.stamp(now))
        for event in events:
            self._escalations.announce(event)
        self._states = states  # not before: what could not be written down comes again
        self._escalations.deliver()

    def _history(
        self, rules: tuple[AlertRule, ...], now: datetime
    ) -> dict[tuple[str, str], list[tuple[str, float]]]:
        oldest: dict[tuple[str, str], str] = {}
        for rule in rules:
            seen = (self._states or {}).get(rule.name, State()).seen or clock.stamp(now - LOOK_BACK)
            since = max(seen, clock.stamp(now - LONGEST_LOOK_BACK))
            for sample in (rule.sample, *rule.tells):
                place = (rule.system, sample)
                oldest[place] = min(since, oldest.get(place, since))
        read = self._app.ledger.samples
        return {
            place: [(s.at, s.value) for s in read(place[0], name=place[1], since=since)]
            for place, since in oldest.items()
        }

    # -- trouble ---------------------------------------------------------------------------------------------------------------

    @contextmanager
    def _surviving(self, subject: str, now: datetime) -> Iterator[None]:
        """The boundary of one task: its error is written down, once an hour while it stays the same, and the loop goes on."""
        try:
            yield
        except NeedsApproval as error:
            self._trouble(subject, now, "waiting-for-approval", fingerprint=error.fingerprint)
        except DatareeveError as error:
            self._trouble(subject, now, "schedule-failed", error=error.code, what=error.what)
        except Exception as error:  # noqa: BLE001 - the loop must go on; the text is left out, for it may hold a row's value
            self._trouble(subject, now, "schedule-failed", error=type(error).__name__)

    def _trouble(self, subject: str, now: datetime, kind: str, **body: str) -> None:
        before, at = self._troubles.get(subject, ({}, now))
        if before != body or now - at >= REPEAT_AFTER:
            self._troubles[subject] = (body, now)
            self._record(kind, subject, body)

    def _record(self, kind: str, subject: str, body: Mapping[str, Any], run: str = "") -> None:
        try:
            self._app.ledger.append("event", {"type": kind, **body}, subject=subject, run=run)
        except DatareeveError as error:
            log.error("%s of %s cannot be written into the ledger: %s", kind, subject, error.code)  # noqa: TRY400 - no values


def _loop_of(operation: type[Operation[Any]]) -> Effect:
    """By which effect a loop takes an operation: what reads for long goes with what acts."""
    return Effect.REVERSIBLE if operation.takes_long else operation.effect


@contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {
        number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
