"""What an application asked of a database between two moments: differences of the snapshots that `databases.record-workload` takes.

The one idea: counters only ever grow, so two snapshots give everything between them but what the server forgot. Where it did (a reset, a
crash, an evicted entry) the figures are a lower bound, and a remark says so. Everything here is pure; `load` alone reads.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.databases.latency import Moments, quantile_at_most
from datareeve.capabilities.databases.workload import Family, Source, Workload
from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datareeve.core.operation import Systems

NAMES = "workload-names"
LATEST_GAP = 2.0  # seconds by which a server's clock and ours may differ
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
FAR_FUTURE = timedelta(minutes=5)


class Delta(Value):
    """What one family did in a stretch of time. Times in milliseconds; `least` and `most` bound every single call, where known."""

    calls: int = 0
    total_ms: float = 0.0
    squares: float = 0.0
    magnitude: float = 0.0  # of the squares that were subtracted
    least: float | None = None
    most: float | None = None
    resources: dict[str, float] = Field(default_factory=dict)

    def moments(self) -> Moments:
        """What is known of the times of its calls."""
        return Moments(
            calls=self.calls,
            total=self.total_ms,
            squares=self.squares,
            least=self.least,
            most=self.most,
            magnitude=self.magnitude,
        )

    def __add__(self, other: Delta) -> Delta:
        if not self.calls or not other.calls:
            return self if self.calls else other
        both = {
            "least": None if None in (self.least, other.least) else min(self.least, other.least),  # type: ignore[type-var]
            "most": None if None in (self.most, other.most) else max(self.most, other.most),  # type: ignore[type-var]
        }
        names = self.resources.keys() | other.resources.keys()
        return Delta(
            calls=self.calls + other.calls,
            total_ms=self.total_ms + other.total_ms,
            squares=self.squares + other.squares,
            magnitude=self.magnitude + other.magnitude,
            resources={name: self.resources.get(name, 0) + other.resources.get(name, 0) for name in names},
            **both,
        )


class Name(Value):
    """A family, as the list of a system's families has it."""

    fingerprint: str
    sql: str
    is_write: bool
    parsed: bool
    tables: tuple[str, ...]
    nested: bool
    first_at: str


class Shot(Value):
    """One snapshot: counters of each family by its fingerprint, and of the rest."""

    at: datetime
    source: str
    reset: float | None
    started: float | None
    dealloc: int | None
    families: dict[str, dict[str, float]]
    rest: dict[str, float] = Field(default_factory=dict)
    hidden: dict[str, float] = Field(default_factory=dict)

    @property
    def epoch(self) -> float:
        """Its moment in seconds since 1970."""
        return self.at.timestamp()


class Stretch(Value):
    """What happened between two snapshots."""

    begin: datetime
    end: datetime
    families: dict[str, Delta]
    rest: Delta = Delta()
    remarks: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """How long it was."""
        return (self.end - self.begin).total_seconds()


class History(Value):
    """The snapshots of a system, oldest first, and the names of its families."""

    system: str
    names: dict[str, Name]
    shots: tuple[Shot, ...]

    def stretches(self, since: datetime, until: datetime | None = None) -> tuple[Stretch, ...]:
        """Between each two neighbouring snapshots from the last one at or before `since` on."""
        before = [n for n, shot in enumerate(self.shots) if shot.at <= since]
        first = before[-1] if before else 0
        chosen = [shot for shot in self.shots[first:] if until is None or shot.at <= until]
        return tuple(between(a, b) for a, b in pairwise(chosen))

    def new_since(self, moment: datetime) -> tuple[Name, ...]:
        """Families first seen after a moment; none where the history does not reach back to it."""
        if not self.shots or self.shots[0].at > moment:
            return ()
        return tuple(name for name in self.names.values() if datetime.fromisoformat(name.first_at) > moment)


# -- reading ----------------------------------------------------------------------------------------------------------------------


def load(systems: Systems, system: str, since: datetime) -> History:
    """The snapshots of a system from the last one at or before `since` on."""
    ledger = systems["ledger"]
    named = ledger.read("snapshots", system=system, kind=NAMES, limit=1)
    entries = named[0]["body"]["families"] if named else []
    names = [Name(**dict(zip(Name.model_fields, entry, strict=True))) for entry in entries]
    found = ledger.read("snapshots", system=system, since=clock.stamp(since))
    shots = tuple(_shot(one, names) for one in found)
    return History(system=system, names={name.fingerprint: name for name in names}, shots=shots)


def _shot(found: dict[str, Any], names: Sequence[Name]) -> Shot:
    body = found["body"]
    columns: dict[str, list[float | None]] = body["columns"]
    families = {
        names[place].fingerprint: {
            name: value for name, values in columns.items() if (value := values[row]) is not None
        }
        for row, place in enumerate(body["places"])
    }
    others = {
        key: {k: v for k, v in body.get(key, {}).items() if v is not None} for key in ("rest", "hidden")
    }
    head = {key: body[key] for key in ("source", "reset", "started", "dealloc")}
    return Shot(at=datetime.fromisoformat(found["at"]), families=families, **head, **others)


def moment_of(text: str, now: datetime | None = None) -> datetime:
    """'1h', '30m', '2d', 'yesterday' or a moment in ISO 8601 (UTC where no zone is given). Errors: `BadInput` `history.since`."""
    now = now or clock.now()
    if text.strip().lower() == "yesterday":
        return now - timedelta(days=1)
    if match := re.fullmatch(r"\s*(\d{1,5})\s*([mhdw])\s*", text):
        return now - timedelta(**{UNITS[match[2]]: int(match[1])})
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        raise BadInput(
            "history.since", f"{text!r} is no moment.", "Write 30m, 1h, 2d or 2026-11-22T10:00."
        ) from None
    found = found if found.tzinfo else found.replace(tzinfo=now.tzinfo)
    if found > now + FAR_FUTURE:
        raise BadInput("history.since", f"{text} is in the future.", "Give a moment that has passed.")
    return found


def window(systems: Systems, system: str, since: str | datetime) -> Workload:
    """The workload of a system since a moment ('1h', ISO 8601), from its snapshots; empty, with the reason, where there are none."""
    start = moment_of(since) if isinstance(since, str) else since
    return workload_of(load(systems, system, start), start)


# -- differences ------------------------------------------------------------------------------------------------------------------


def between(before: Shot, after: Shot) -> Stretch:
    """What happened between two snapshots, and what is not known of it."""
    remarks = []
    began_anew = _began_anew(before, after)
    if began_anew:
        remarks.append(f"the counters began anew at {_clock(after.reset)}: what ran before that is missing")
    elif _lost(before, after):
        remarks.append(
            f"the server started at {_clock(after.started)} without its counters (a crash loses them): what ran before that is missing"
        )
        began_anew = True
    evicted = (after.dealloc or 0) - (before.dealloc or 0)
    if not began_anew and before.dealloc is not None and evicted > 0:
        remarks.append(
            f"rare statements were evicted {evicted:,} times: some calls are missing (raise pg_stat_statements.max)"
        )
    earlier: dict[str, dict[str, float]] = {} if began_anew else before.families
    whole = began_anew or not before.rest  # everything that was counted then had a row of its own
    families = {}
    for key, counters in after.families.items():
        delta = _grown(earlier.get(key), counters, before, is_new=whole or _is_new(counters, before))
        if delta is not None and delta.calls:
            families[key] = delta
    rest = _rest({} if began_anew else before.rest, after.rest, before)
    return Stretch(begin=before.at, end=after.at, families=families, rest=rest, remarks=tuple(remarks))


def _rest(earlier: dict[str, float], later: dict[str, float], before: Shot) -> Delta:
    """The growth of the rest; nothing where a family rose out of it and took its counters along."""
    if later.get("calls", 0.0) < earlier.get("calls", 0.0) or not later:
        return Delta()
    return _grown(earlier, later, before, is_new=True) or Delta()


def _began_anew(before: Shot, after: Shot) -> bool:
    return after.source != before.source or after.reset != before.reset


def _lost(before: Shot, after: Shot) -> bool:
    """Whether most counters went back although nobody reset them (13 does not say that it was; a crash forgets)."""
    both = before.families.keys() & after.families.keys()
    back = sum(after.families[key]["calls"] < before.families[key]["calls"] for key in both)
    restarted = after.started is not None and before.started is not None and after.started > before.started
    return bool(both) and back > (0 if restarted else len(both) / 2)


def _is_new(counters: dict[str, float], before: Shot) -> bool:
    """Whether a family's entry was surely made after a snapshot (17 and newer tell when)."""
    return counters.get("since", 0.0) > before.epoch + LATEST_GAP


def _grown(
    earlier: dict[str, float] | None, later: dict[str, float], before: Shot, *, is_new: bool
) -> Delta | None:
    """The growth of a family's counters; None where they stood in the rest before, so that it is not known."""
    if earlier is None and not is_new:
        return None
    start = earlier or {}
    if later.get("calls", 0) < start.get("calls", 0) or later.get("squares", 0.0) < start.get("squares", 0.0):
        start = {}  # evicted and made again: at least what it counted since
    calls = int(later["calls"] - start.get("calls", 0))
    extremes_hold = "max_ms" in later and not later.get("minmax_since", 0.0) > before.epoch
    return Delta(
        calls=calls,
        total_ms=max(0.0, later.get("total_ms", 0.0) - start.get("total_ms", 0.0)),
        squares=later.get("squares", 0.0) - start.get("squares", 0.0),
        magnitude=start.get("squares", 0.0) * 2,
        least=later.get("min_ms") if extremes_hold or not start else None,
        most=later.get("max_ms") if extremes_hold or not start else None,
        resources={
            name: max(0.0, value - start.get(name, 0.0))
            for name, value in later.items()
            if name not in DISTRIBUTION and value > start.get(name, 0.0)
        },
    )


DISTRIBUTION = {"calls", "total_ms", "squares", "min_ms", "max_ms", "since", "minmax_since"}


def _clock(epoch: float | None) -> str:
    return (
        "an unknown moment"
        if epoch is None
        else f"{datetime.fromtimestamp(epoch, clock.now().tzinfo):%Y-%m-%d %H:%M} UTC"
    )


def summed(stretches: Iterable[Stretch]) -> dict[str, Delta]:
    """Each family over several stretches."""
    total: dict[str, Delta] = {}
    for stretch in stretches:
        for key, delta in stretch.families.items():
            total[key] = total[key] + delta if key in total else delta
    return total


# -- as a workload ----------------------------------------------------------------------------------------------------------------


def workload_of(history: History, since: datetime) -> Workload:
    """The families of a window, longest first."""
    stretches = history.stretches(since)
    if not stretches:
        return Workload(source=_no_source(history), families=(), loops=())
    seconds = sum(stretch.seconds for stretch in stretches)
    remarks = tuple(dict.fromkeys(remark for stretch in stretches for remark in stretch.remarks))
    rest = sum((stretch.rest.calls for stretch in stretches), 0)
    totals = summed(stretches)
    families = tuple(
        _family(history.names[key], delta)
        for key, delta in sorted(totals.items(), key=lambda item: (-item[1].total_ms, item[0]))
    )
    source = Source(
        kind=history.shots[-1].source,
        place=f"snapshots from {stretches[0].begin:%Y-%m-%d %H:%M} to {stretches[-1].end:%Y-%m-%d %H:%M} UTC",
        seconds=seconds,
        statements=sum(delta.calls for delta in totals.values()),
        other=max(0, rest),
        notes=remarks,
    )
    return Workload(source=source, families=families, loops=())


def _no_source(history: History) -> Source:
    shots = len(history.shots)
    why = (
        f"There is {'one snapshot' if shots else 'no snapshot'} of {history.system}'s workload in that time, and a window needs two: "
        f"`datareeve run databases.record-workload --system {history.system}`, or schedule it every 5 minutes"
    )
    return Source(kind="none", place="nowhere", why_empty=why)


def _family(name: Name, delta: Delta) -> Family:
    moments = delta.moments()
    bound = quantile_at_most(moments, 95)
    known = dict.fromkeys(("p50_ms", "p95_ms", "p99_ms"))
    return Family(
        fingerprint=name.fingerprint,
        sql=name.sql,
        calls=delta.calls,
        total_ms=round(delta.total_ms, 3),
        mean_ms=round(moments.mean, 3),
        rows=int(delta.resources.get("rows", 0)),
        is_write=name.is_write,
        parsed=name.parsed,
        tables=name.tables,
        leading_wildcard=False,
        examples=0,
        example_ref=name.fingerprint,
        min_ms=delta.least,
        max_ms=delta.most,
        squares=delta.squares,
        nested=name.nested,
        p95_at_most_ms=None if bound is None else round(bound, 3),
        resources={key: value for key, value in delta.resources.items() if key != "rows"},
        **known,
    )


class Trend(Value):
    """One family over time: per stretch calls a second, mean milliseconds, and what 95 % of calls are surely not above."""

    fingerprint: str
    calls_per_second: tuple[float | None, ...]
    mean_ms: tuple[float | None, ...]
    p95_at_most_ms: tuple[float | None, ...]


def trends(stretches: Sequence[Stretch], fingerprints: Sequence[str]) -> tuple[Trend, ...]:
    """The trend of some families over neighbouring stretches; None where a family did not run."""
    return tuple(_trend(stretches, key) for key in fingerprints)


def _trend(stretches: Sequence[Stretch], key: str) -> Trend:
    deltas = [(stretch, stretch.families.get(key)) for stretch in stretches]
    return Trend(
        fingerprint=key,
        calls_per_second=tuple(
            round(delta.calls / stretch.seconds, 4) if delta and stretch.seconds else None
            for stretch, delta in deltas
        ),
        mean_ms=tuple(round(delta.moments().mean, 3) if delta else None for _, delta in deltas),
        p95_at_most_ms=tuple(
            round(bound, 3)
            if delta and (bound := quantile_at_most(delta.moments(), 95)) is not None
            else None
            for _, delta in deltas
        ),
    )


LEAST_LOOKUPS = 20  # in a stretch, for it to say something
IN_STEP = 0.1  # by which rows and lookups may differ
MOST_OF_THEM = 0.8  # of the stretches


def in_step(stretches: Sequence[Stretch], parent: str, child: str) -> bool:
    """Whether a lookup was called about as often as another query gave rows, not in sum only but in most stretches."""
    both = [(s.families.get(parent, Delta()), s.families.get(child, Delta())) for s in stretches]
    told = [
        (rows.resources.get("rows", 0.0), calls.calls) for rows, calls in both if calls.calls >= LEAST_LOOKUPS
    ]
    follows = sum(abs(rows - calls) <= IN_STEP * calls for rows, calls in told)
    return bool(told) and follows >= MOST_OF_THEM * len(told)


def merged(stretches: Sequence[Stretch], at_most: int) -> tuple[Stretch, ...]:
    """The same time in at most so many stretches: neighbours become one."""
    size = max(1, -(-len(stretches) // at_most))
    groups = [stretches[start : start + size] for start in range(0, len(stretches), size)]
    return tuple(
        Stretch(
            begin=group[0].begin,
            end=group[-1].end,
            families=summed(group),
            rest=sum((one.rest for one in group), Delta()),
            remarks=tuple(dict.fromkeys(remark for one in group for remark in one.remarks)),
        )
        for group in groups
    )
