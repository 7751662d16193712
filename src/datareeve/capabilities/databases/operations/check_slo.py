"""`databases.check-slo`: whether enough queries are fast enough, and how much may still go wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from datareeve.capabilities.databases import slo, workload
from datareeve.capabilities.databases import workload_history as history
from datareeve.capabilities.databases.latency import Moments, Within
from datareeve.core import clock
from datareeve.core.estate import Targets
from datareeve.core.operation import Finding, Operation, Plan, Severity, Systems

if TYPE_CHECKING:
    from datareeve.core.operation import Reader

NAMED = 3  # families in a finding
PERCENT = 100


class CheckSlo(Operation[slo.Level]):
    """Check the service level of queries: the share that is fast enough, its error budget, and how fast it burns.

    Holds the queries of the last 30 days against the estate's targets (query_share of them, 95 %, shall take at most query_ms_p95, 100 ms), as
    the workload's source counted them: exactly from a trace or a log of all statements, between guaranteed bounds from pg_stat_statements,
    which keeps no percentiles; where the bounds lie on both sides of the goal it says that it cannot be told. With snapshots
    (databases.record-workload) also over the last hour and six hours. Changes nothing.
    """

    name: ClassVar[str] = "databases.check-slo"
    examples: ClassVar[tuple[str, ...]] = (
        "check the service level objective of queries",
        "how much error budget is left",
        "are 95 % of queries under the target",
        "which query families break the SLO",
        "is the error budget burning too fast",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql",)

    system: str = Field(description="the database's name in the estate")
    target_ms: float | None = Field(
        None, gt=0, description="a query shall take at most this; default: targets.query_ms_p95 of the estate"
    )
    share: float | None = Field(
        None, gt=0, lt=1, description="the share that shall; default: targets.query_share of the estate"
    )
    top: int = Field(
        20, ge=1, le=500, description="how many families are listed, those with most slow calls first"
    )

    def observe(self, systems: Systems) -> slo.Level:
        """What the workload's source counted, and its history."""
        targets = Targets(**(systems["estate"].read("get", where=["targets"]) or {}))
        target, goal = self.target_ms or targets.query_ms_p95, self.share or targets.query_share
        reader = systems[self.system]
        source = reader.read("workload_source")
        if source["kind"] in {"trace", "log", "sql"}:
            return _of_file(reader, target, goal)
        if source["why_empty"]:
            return slo.Level(
                target_ms=target, goal=goal, of="", basis="nothing", why_unknown=f"{source['why_empty']}."
            )
        past = history.load(systems, self.system, clock.now() - slo.PERIOD)
        return (
            _of_history(past, target, goal) if len(past.shots) > 1 else _of_statistics(reader, target, goal)
        )

    def plan(self, facts: slo.Level) -> Plan:
        """The verdict; nothing is changed."""
        summary = _summary(facts)
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=summary,
            nothing_to_do=summary,
            findings=(*self._missed(facts), *self._burning(facts)),
            figures=self._figures(facts),
        )

    def _missed(self, facts: slo.Level) -> tuple[Finding, ...]:
        if facts.verdict != "missed":
            return ()
        low, high = facts.main.whole.shares
        found = Finding(
            rule="slo-missed",
            subject=self.system,
            what=f"{_percents(low, high)} of {facts.main.whole.calls:,} queries took at most {facts.target_ms:g} ms in {facts.of}, {facts.goal:.4g} is the goal."
            f" Most of the slow ones: {_named(facts)}.",
            why="The error budget is used up: users wait longer than they were promised.",
            instead="Begin with the first of these families: databases.explain-query with its fingerprint, databases.advise-indexes.",
            severity=Severity.WARNING,
            figures=facts.budget(),
        )
        return (found,)

    def _burning(self, facts: slo.Level) -> tuple[Finding, ...]:
        return tuple(
            Finding(
                rule="slo-budget-burns",
                subject=f"{self.system} ({alert.long})",
                what=f"The last {alert.long} and the last {alert.short} used up the error budget at least {alert.rate:g} times as fast as it lasts 30 days.",
                why=f"At this rate it is gone in {slo.PERIOD.total_seconds() / slo.HOUR / (facts.burn(alert.long) or (alert.rate,))[0]:,.0f} hours.",
                instead=f"Look at what changed in that time (databases.show-workload, since={alert.long}). Slowest: {_named(facts, alert.long)}.",
                severity=alert.severity,
                figures={name: facts.burn(name) for name in alert[:2]},
            )
            for alert in facts.burning()[:1]  # the fastest: the others follow from it
        )

    def _figures(self, facts: slo.Level) -> dict[str, Any]:
        low, high = facts.main.whole.shares if facts.main.families else (None, None)
        return {
            "slo_target_ms": facts.target_ms,
            "slo_goal_share": facts.goal,
            "slo_verdict": facts.verdict,
            "slo_basis": facts.basis,
            "slo_of": facts.of,
            "slo_share_at_least": None if low is None else round(low, 6),
            "slo_share_at_most": None if high is None else round(high, 6),
            "slo_budget": facts.budget() if facts.main.families else {},
            "slo_burn": {name: _rounded(facts.burn(name)) for name in ("1h", "6h")},
            "slo_notes": list(facts.notes) + ([facts.why_unknown] if facts.why_unknown else []),
            "slo_families": [
                {"fingerprint": key, "sql": facts.names.get(key, ""), **_row(one, facts.goal)}
                for key, one in facts.offenders()[: self.top]
            ],
        }


# -- where it is known from -------------------------------------------------------------------------------------------------------


def _of_file(reader: Reader, target: float, goal: float) -> slo.Level:
    counted = reader.read("within", target_ms=target, windows=list(slo.WINDOWS.values()))
    read = workload.read(reader)
    names = {family.fingerprint: family.sql for family in read.families}
    place = f"{read.source.place} ({read.source.kind})"
    common = {"target_ms": target, "goal": goal, "names": names, "notes": read.source.notes}
    if not counted["windows"][""]:
        return slo.Level(of=place, basis="nothing", why_unknown=f"{place} tells no times.", **common)
    if not counted["exact"]:
        return _of_slow_ones(reader, counted, place, common)
    began = counted["began"] or 0.0
    spans = {name: counted["windows"].get(f"{seconds:g}") for name, seconds in slo.WINDOWS.items()}
    covered = (counted["as_of"] or 0.0) - began
    windows = {
        name: slo.of_counts(found, slo.WINDOWS[name])
        for name, found in spans.items()
        if found and covered >= slo.COVERED * slo.WINDOWS[name]
    }
    main = slo.of_counts(counted["windows"][""], covered)
    return slo.Level(
        of=place,
        basis="every call",
        main=main,
        windows=windows,
        current=_is_now(counted["as_of"]),
        **common,
    )


def _of_slow_ones(reader: Reader, counted: dict[str, Any], place: str, common: dict[str, Any]) -> slo.Level:
    """A log that holds only slow statements: how many were over the target is exact, of how many the server's own counters tell."""
    least, total = counted["at_least_ms"], reader.read("calls_counted")
    why = f"{place} holds only a part of the statements, so the share is not known."
    if (
        least is None
        or least > common["target_ms"]
        or total is None
        or counted["began"] is None
        or counted["began"] > total["since"]
    ):
        hint = " Load pg_stat_statements, or set log_min_duration_statement = 0 for a while."
        return slo.Level(of=place, basis="nothing", why_unknown=why + hint, **common)
    span = counted["as_of"] - total["since"]
    since = reader.read("within", target_ms=common["target_ms"], windows=[span])["windows"][f"{span:g}"]
    over = sum(calls - fast for calls, fast in since.values())
    calls = max(int(total["calls"]), over)
    main = slo.Span(
        families={"all": Within(calls=calls, least=calls - over, most=calls - over)}, seconds=span
    )
    of = f"{place}, of the calls that pg_stat_statements counted"
    return slo.Level(of=of, basis="slow calls", main=main, current=_is_now(counted["as_of"]), **common)


def _of_history(past: history.History, target: float, goal: float) -> slo.Level:
    stretches = past.stretches(past.shots[0].at)
    nested = frozenset(key for key, name in past.names.items() if name.nested)
    remarks = tuple(dict.fromkeys(remark for stretch in stretches for remark in stretch.remarks))
    rest = sum(stretch.rest.calls for stretch in stretches)
    left_out = (f"{rest:,} calls of rare statements stand in no family and are left out",) if rest else ()
    main = slo.of_stretches(stretches, target, nested)
    return slo.Level(
        target_ms=target,
        goal=goal,
        of=f"the time from {past.shots[0].at:%Y-%m-%d %H:%M} to {past.shots[-1].at:%Y-%m-%d %H:%M} UTC",
        basis="moments" if main.families else "nothing",
        main=main,
        windows=slo.windows_of(past, target),
        current=clock.now() - past.shots[-1].at <= slo.STALE,
        names={key: name.sql for key, name in past.names.items()},
        notes=(*remarks, *left_out),
        why_unknown="" if main.families else "No query ran between the snapshots.",
    )


def _of_statistics(reader: Reader, target: float, goal: float) -> slo.Level:
    read = workload.read(reader)
    moments = {
        f.fingerprint: Moments(
            calls=f.calls, total=f.total_ms or 0.0, squares=f.squares, least=f.min_ms, most=f.max_ms
        )
        for f in read.families
        if f.squares is not None and not f.nested
    }
    main = slo.of_moments(moments, target)
    since = read.source.reset
    of = (
        f"the time since {datetime.fromtimestamp(since, UTC):%Y-%m-%d %H:%M} UTC"
        if since
        else "the time since the counters began"
    )
    hint = "there are no snapshots yet, so the last hour is not known: schedule databases.record-workload"
    return slo.Level(
        target_ms=target,
        goal=goal,
        of=of,
        basis="moments" if main.families else "nothing",
        main=main,
        names={family.fingerprint: family.sql for family in read.families},
        notes=(*read.source.notes, hint),
        why_unknown="" if main.families else (read.source.why_empty or "No query has run yet."),
    )


def _is_now(as_of: float | None) -> bool:
    return as_of is not None and clock.now().timestamp() - as_of <= slo.STALE.total_seconds()


# -- in words ---------------------------------------------------------------------------------------------------------------------


def _summary(facts: slo.Level) -> str:
    level = f"{PERCENT * facts.goal:g} % of queries at most {facts.target_ms:g} ms"
    if facts.verdict == "not known":
        return f"Whether {level} is kept is not known: {facts.why_unknown}"
    told = {
        "met": "is kept",
        "missed": "is missed",
        "cannot be told": "may be kept or missed, for the source keeps no percentiles",
    }[facts.verdict]
    low, high = facts.main.whole.shares
    seen = f"{_percents(low, high)} of {facts.main.whole.calls:,} queries were, in {facts.of}"
    worst = f" Most in doubt or slow: {_named(facts)}." if facts.verdict != "met" else ""
    return f"The level of {level} {told}: {seen}; {_left(facts)}.{worst}"


def _left(facts: slo.Level) -> str:
    budget = facts.budget()
    low, high = budget["left_share_at_least"], budget["left_share_at_most"]
    if low is None:
        return "nothing was asked of the error budget"
    if high < 0:
        return f"the error budget is used up {1 - high:.1f} times over"
    return f"{_percents(max(0.0, low), high)} of the error budget is left"


def _named(facts: slo.Level, window: str = "") -> str:
    span = facts.windows[window] if window else facts.main
    ordered = facts.model_copy(update={"main": span}).offenders()[:NAMED]
    return (
        "; ".join(f"{_short(facts.names.get(key, key))} ({_counted(one)})" for key, one in ordered) or "none"
    )


def _counted(one: Within) -> str:
    over = (one.calls - one.most, one.calls - one.least)
    return (
        f"{over[0]:,} of {one.calls:,}"
        if over[0] == over[1]
        else f"{over[0]:,} to {over[1]:,} of {one.calls:,}"
    )


def _short(sql: str) -> str:
    return sql if len(sql) <= workload.SHORT else f"{sql[: workload.SHORT - 1]}…"


def _percents(low: float, high: float) -> str:
    one, other = f"{PERCENT * low:.2f}", f"{PERCENT * high:.2f}"
    return f"{one} %" if one == other else f"{one} to {other} %"


def _rounded(rate: tuple[float, float] | None) -> list[float] | None:
    return None if rate is None else [round(one, 3) for one in rate]


def _row(one: Within, goal: float) -> dict[str, Any]:
    low, high = one.shares
    return {
        "calls": one.calls,
        "over_at_least": one.calls - one.most,
        "over_at_most": one.calls - one.least,
        "share_at_least": round(low, 6),
        "share_at_most": round(high, 6),
        "verdict": slo.verdict(one, goal),
    }
