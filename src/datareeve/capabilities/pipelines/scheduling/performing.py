"""Carrying open occasions of one pipeline out, one after the other: by a process of its own, which may be killed at any moment.

Whoever comes next finds everything in the ledger: an attempt whose run was interrupted is carried on by resuming that run; one whose run ended
just before its process died is written down as it ended; one without a run is begun. What this process holds is a lease, `schedule NAME`, under
which alone it writes: one that was stopped and wakes up later has lost it.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from datareeve.capabilities.pipelines.failures import classify
from datareeve.capabilities.pipelines.scheduling.endings import (
    WELL,
    Ending,
    again_at,
    ending_of,
    failed,
)
from datareeve.capabilities.pipelines.scheduling.journal import Attempt, Journal, Open
from datareeve.capabilities.pipelines.scheduling.publications import RECENT, RUN
from datareeve.capabilities.pipelines.spec_checks import seconds_of
from datareeve.core import clock
from datareeve.core.errors import BadInput, DatareeveError, LeaseLost, NeedsApproval
from datareeve.core.runner import INTERRUPTED
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from datareeve.capabilities.pipelines.spec import Schedule
    from datareeve.core.ledger import Fence, Ledger
    from datareeve.core.operation import CatalogueView, Operation, Outcome, Plan
    from datareeve.core.runner import Progress, RunSummary

BUSY_SECONDS = 15.0  # until a pipeline, or a place in a pool, that another holds is asked for again
MOST_RESUMED = 5  # a run whose process dies again and again is taken back
GRACE_SECONDS = 60.0  # for the step under way when the time is up


class Runs(Protocol):
    """What is asked about runs."""

    def interrupted(self, like: Plan) -> list[RunSummary]:
        """The runs that did the same as a plan and that nobody is at any more, oldest first."""

    def runs(self, newest: int | None = None) -> list[RunSummary]:
        """Runs, oldest first."""


class Engine(Protocol):
    """What performing needs of the application."""

    @property
    def ledger(self) -> Ledger:
        """The open ledger."""

    @property
    def catalogue(self) -> CatalogueView:
        """Every operation by name."""

    @property
    def runner(self) -> Runs:
        """What is known of runs."""

    def preview(self, operation: Operation[Any]) -> Plan:
        """What the operation would do."""

    def apply(self, plan: Plan, *, by: str, progress: Progress) -> Outcome:
        """Do it, within the authority."""

    def resume(self, run: str, *, by: str, progress: Progress) -> Outcome:
        """Carry a run on."""

    def undo(self, run: str, *, by: str, progress: Progress) -> Outcome:
        """Take a run back."""

    def outcome(self, run: str) -> Outcome:
        """What became of a run."""


class Rest(Value):
    """What is left when a process is done with a pipeline: nothing, or something in so many seconds."""

    again_seconds: float | None = None
    ended: int = 0  # attempts that it brought to an end


class Stopped(Exception):
    """The process was told to stop, between two steps."""


class Overrun(Exception):
    """The attempt took longer than it may."""


class Stop:
    """Asked before every step whether to go on. `give_up` ends the process at once: the step under way does not come back in time."""

    def __init__(self, give_up: Callable[[], None]) -> None:
        self.asked = threading.Event()
        self.overrun = threading.Event()
        self.give_up = give_up

    def __call__(self, event: str, **fields: Any) -> None:
        """The runner's progress. Errors: `Stopped`, `Overrun`."""
        if event != "part" and (event, fields.get("status")) != ("step", "begins"):
            return
        if self.overrun.is_set():
            raise Overrun
        if self.asked.is_set():
            raise Stopped


def perform(engine: Engine, name: str, schedule: Schedule, *, pools: Mapping[str, int], stop: Stop) -> Rest:
    """Carry out what is open of a pipeline and may begin now. Errors: those of the ledger; `LeaseLost` `lease.lost` where another took over."""
    try:
        with engine.ledger.lease(f"schedule {name}") as fence:
            return _Performing(engine, name, schedule, pools, stop, fence).all()
    except LeaseLost as lost:
        if lost.code != "lease.held":
            raise
        return Rest(again_seconds=BUSY_SECONDS)


class _Performing:
    """The work of one process on one pipeline, under its lease."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it works with
        self,
        engine: Engine,
        name: str,
        schedule: Schedule,
        pools: Mapping[str, int],
        stop: Stop,
        fence: Fence,
    ) -> None:
        self._engine, self._name, self._schedule, self._pools = engine, name, schedule, pools
        self._stop, self._fence, self._by = stop, fence, f"schedule:{name}"
        self._journal = Journal(engine.ledger)
        self._ended = 0

    def all(self) -> Rest:
        """One occasion after the other, the oldest first, until none may begin."""
        while True:
            waiting = self._journal.refresh().of(self._name).open
            if not waiting:
                return self._rest(None)
            not_before = waiting[0].not_before()
            if not_before is not None and (left := (not_before - clock.now()).total_seconds()) > 0:
                return self._rest(left)
            if self._stop.asked.is_set():
                return self._rest(0.0)
            again = self._one(waiting[0])
            if again is not None:
                return self._rest(again)

    def _rest(self, seconds: float | None) -> Rest:
        return Rest(again_seconds=seconds, ended=self._ended)

    def _one(self, one: Open) -> float | None:
        """One attempt, in its place of the pool. Gives in how many seconds it is to be tried again, where it could not be brought to an end."""
        with _place(self._engine.ledger, self._schedule.pool, self._pools) as place:
            if not place:
                return BUSY_SECONDS
            attempt = self._begun(one)
            try:
                with self._in_time(one):
                    ending = self._ending(one, attempt)
            except Stopped:
                self._write(one, "stopped")
                return 0.0
            except Overrun:
                ending = self._taken_back(
                    attempt, "pipelines.timeout", f"It took longer than {self._schedule.timeout}."
                )
            except LeaseLost as lost:
                if lost.code != "lease.held":
                    raise
                return BUSY_SECONDS
            self._end(one, attempt, ending)
            return None

    def _begun(self, one: Open) -> Attempt:
        if one.last is None or one.last.ended:
            self._write(one, "begun", attempt=one.last.number + 1 if one.last else 1)
            one = next(o for o in self._journal.refresh().of(self._name).open if o.seq == one.seq)
        assert one.last is not None  # noqa: S101 - it has just been begun
        return one.last

    def _write(self, one: Open, state: str, **told: Any) -> None:
        self._journal.attempt(one.occasion, state, self._fence, **told)

    # -- one attempt -------------------------------------------------------------------------------------------------------------

    def _ending(self, one: Open, attempt: Attempt) -> Ending:
        try:
            return self._carried_out(one, attempt)
        except (LeaseLost, Stopped, Overrun):
            raise
        except NeedsApproval as needed:
            return Ending(
                status="waiting for approval", code=needed.code, what=needed.what, kind="code",
                next_step=classify(needed.code).next_step, fingerprint=needed.fingerprint,
            )  # fmt: skip
        except DatareeveError as error:
            if error.code.startswith("ledger."):
                raise  # it cannot be written down either: whoever comes next begins here
            return failed(error.code, error.what)
        except Exception as error:  # noqa: BLE001 - a scheduled run must end; the text is left out, for it may hold a row's value
            return failed("internal", f"{type(error).__name__} in the pipeline's own code.")

    def _carried_out(self, one: Open, attempt: Attempt) -> Ending:
        mine = self._run_of(attempt)
        if mine is None:
            return self._anew()
        if mine.status not in (INTERRUPTED, "under way"):
            return ending_of(self._engine.outcome(mine.run))
        if attempt.overrun:
            raise Overrun
        if attempt.resumed >= MOST_RESUMED:
            return self._taken_back(
                attempt, "pipelines.crashed", f"Its process died {attempt.resumed + 1} times."
            )
        self._write(one, "resumed", run=mine.run)
        return ending_of(self._engine.resume(mine.run, by=self._by, progress=self._stop))

    def _anew(self) -> Ending:
        """Runs of the same pipeline that nobody is at any more, a person's too, are carried on first: they hold half of it."""
        pool = self._schedule.pool
        if pool is not None and pool not in self._pools:
            remedy = f"Put `pools: {{{pool}: 2}}` under `pipelines` in estate.yaml."
            raise BadInput("pipelines.no-pool", f"There is no pool {pool!r}.", remedy)
        operation = self._engine.catalogue.make(RUN, {"pipeline": self._name})
        plan = self._engine.preview(operation)
        for halted in self._engine.runner.interrupted(plan):
            self._engine.resume(halted.run, by=self._by, progress=self._stop)
            plan = self._engine.preview(operation)
        return ending_of(self._engine.apply(plan, by=self._by, progress=self._stop))

    def _run_of(self, attempt: Attempt) -> RunSummary | None:
        """The run that an attempt began, where it came so far."""
        begun = {
            entry.run
            for entry in self._engine.ledger.entries("run", limit=RECENT)
            if entry.seq > attempt.seq and entry.body["state"] == "started" and entry.body["by"] == self._by
        }
        return next((run for run in reversed(self._engine.runner.runs(RECENT)) if run.run in begun), None)

    def _taken_back(self, attempt: Attempt, code: str, what: str) -> Ending:
        mine = self._run_of(attempt)
        if mine is not None and mine.status in (INTERRUPTED, "under way"):
            self._engine.undo(mine.run, by=self._by, progress=_nobody)
        return failed(code, what).model_copy(update={"run": mine.run if mine else ""})

    @contextmanager
    def _in_time(self, one: Open) -> Iterator[None]:
        """When the time is up, the run stops before its next step; where that does not come, the process ends, and the run is taken back."""
        if self._schedule.timeout is None:
            yield
            return
        most = float(seconds_of(self._schedule.timeout))
        timers = [
            threading.Timer(most, self._stop.overrun.set),
            threading.Timer(most + GRACE_SECONDS, self._give_up, [one]),
        ]
        for timer in timers:
            timer.daemon = True
            timer.start()
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()
            self._stop.overrun.clear()

    def _give_up(self, one: Open) -> None:
        try:
            self._write(one, "overrun")
        finally:
            self._stop.give_up()

    # -- its end -----------------------------------------------------------------------------------------------------------------

    def _end(self, one: Open, attempt: Attempt, ending: Ending) -> None:
        again = ending.retry and attempt.number <= self._schedule.retries
        told = ending.model_dump(exclude={"retry"})
        if again:
            told["again_at"] = clock.stamp(
                again_at(self._schedule, one.occasion.key, attempt.number, clock.now())
            )
        self._write(one, "ended", attempt=attempt.number, **told)
        self._ended += 1
        kind = "schedule-done" if ending.status in WELL else "schedule-failed"
        body = {
            "type": kind,
            "operation": RUN,
            "status": ending.status,
            "error": ending.code,
            "kind": ending.kind,
        }
        self._engine.ledger.append(
            "event", {**body, "again_at": told.get("again_at", "")}, subject=self._name, run=ending.run
        )


def _nobody(event: str, **fields: Any) -> None:
    del event, fields


@contextmanager
def _place(ledger: Ledger, pool: str | None, pools: Mapping[str, int]) -> Iterator[bool]:
    """A place in a pool, over all machines; whether there was one. Without a pool there always is."""
    if pool is None or pool not in pools:
        yield True
        return
    for number in range(1, pools[pool] + 1):
        try:
            held = ledger.lease(f"pool {pool} {number}")
            held.__enter__()  # its error means that another place is tried; one within the block does not
        except LeaseLost:
            continue
        try:
            yield True
        finally:
            held.__exit__(None, None, None)
        return
    yield False
