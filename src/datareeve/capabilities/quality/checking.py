"""What checking a contract on a system does on the quality desk: run, judge, keep, and tell what broke."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality import incidents, running
from datareeve.capabilities.quality.compiling import Compiled
from datareeve.capabilities.quality.counting import counted, pass_rate
from datareeve.capabilities.quality.rule import Contract, Rule
from datareeve.capabilities.quality.verdicts import Says, Verdict
from datareeve.core import clock
from datareeve.core.errors import DatareeveError, Unreachable
from datareeve.core.operation import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.core.operation import Reader
    from datareeve.systems.quality_desk import Desk

WORK = "check"
FLAPPING_LOOKS = 10  # earlier verdicts of a rule that are looked at
FLAPPING_TURNS = 4  # between good and bad among them, from which on it flaps
HISTORY_MOST = 5000
RULES_SHOWN = 6  # of an incident


def work(desk: Desk, given: dict[str, Any]) -> dict[str, Any]:
    """Run a contract on a system, keep the verdicts, and give figures and findings."""
    contract = Contract.model_validate(given["contract"])
    compiled = Compiled.model_validate(given["compiled"])
    system, read_on = given["system"], given["read_on"]

    def history(rule: Rule) -> list[Any]:
        return desk.store.history(contract.name, system, rule.id, most=HISTORY_MOST)

    # First: a store that cannot be written is known before a database is read.
    desk.store.forget(clock.stamp(clock.now() - timedelta(days=desk.estate.quality.keep_days)))
    results = running.run(_reader(desk, read_on), compiled, contract.rules, desk.estate.quality, history)
    before = _before(desk, contract, system)
    seen = _seen(desk, contract, system, tuple(given.get("rules") or ()), results.down)

    def opened(standing: list[dict[str, Any]]) -> list[dict[str, Any]]:
        found = incidents.incidents(
            contract, system, results.verdicts, _standing(seen, contract, system, standing)
        )
        return [_row(one) for one in found]

    run, rows = _rows(desk.run, contract, system, results, partial=bool(given.get("partial")))
    found = [incidents.Incident.model_validate(one["told"]) for one in desk.store.put_run(run, rows, opened)]
    told = [*(_told(one) for one in found), *_findings(contract, system, results.verdicts, before)]
    return {**figures(results.verdicts), "incidents": sum(one.ended is None for one in found), "check_seconds": results.seconds,
            "snapshot": results.snapshot or "none", "snapshots": results.snapshots, "findings": [finding.model_dump(mode="json") for finding in told]}  # fmt: skip


class _Shut:
    """A system that could not be opened: it answers nothing, and says why."""

    def __init__(self, name: str, error: DatareeveError) -> None:
        self.name, self.kind, self._error = name, "", error

    def read(self, action: str, /, **arguments: Any) -> Any:
        """No answer. Errors: `Unreachable`."""
        del action, arguments
        raise Unreachable(self._error.code, f"{self.name} could not be opened: {self._error.what}")


def _reader(desk: Desk, name: str) -> Reader:
    try:
        return desk.systems[name]
    except DatareeveError as error:
        return _Shut(name, error)


# -- incidents -------------------------------------------------------------------------------------------------------------------------


def _seen(desk: Desk, contract: Contract, system: str, rules: tuple[str, ...], down: str) -> incidents.Seen:
    """What is known beside the verdicts and what stands open: when rules last passed, lineage, and who changed the tables last."""
    recent = desk.store.recent(contract.name, system, most=FLAPPING_LOOKS)
    good: dict[str, str] = {}
    for row in recent:
        if row["says"] == Says.PASS.value:
            good.setdefault(row["rule"], row["at"])
    physical = {table.name: table.physical_name for table in contract.tables}
    changes = desk.systems["ledger"].read(
        "last_change", resources=[name for table in physical.values() for name in _resources(system, table)]
    )
    return incidents.Seen(
        at=clock.stamp(),
        last_good=good,
        datasets={name: one.model_dump(mode="json") for name, one in desk.estate.datasets.items()},
        changes={
            table: changes[name]
            for table, own in physical.items()
            for name in _resources(system, own)
            if name in changes
        },
        tables=physical,
        rules=rules,
        down=down,
    )


def _standing(
    seen: incidents.Seen, contract: Contract, system: str, standing: list[dict[str, Any]]
) -> incidents.Seen:
    """With the incidents that stand open: this contract's on this system, and those of others."""
    parts: dict[bool, list[incidents.Incident]] = {True: [], False: []}
    for one in standing:
        own = (one["contract"], one["system"]) == (contract.name, system)
        parts[own].append(incidents.Incident.model_validate(one["told"]))
    return seen.model_copy(update={"open": tuple(parts[True]), "elsewhere": tuple(parts[False])})


def _resources(system: str, table: str) -> tuple[str, ...]:
    """What a table is leased as: with its schema, or as it is called."""
    return (f"{system}:{table}",) if "." in table else (f"{system}:public.{table}", f"{system}:{table}")


def _row(one: incidents.Incident) -> dict[str, Any]:
    own = {
        name: getattr(one, name)
        for name in ("id", "contract", "system", "cause", "subject", "opened", "last_seen", "ended")
    }
    return {**own, "told": one.model_dump(mode="json")}


def _told(one: incidents.Incident) -> Finding:
    """An incident, as it stands now or as it ended."""
    over = one.ended is not None
    parts = [
        f"its rules last passed {_short(one.last_good)}" if one.last_good else "",
        f"likely {one.likely}" if one.likely else "",
        f"it touches {', '.join(one.impact)}" if one.impact else "",
    ]
    return Finding(
        rule=f"incident-{'over' if over else one.cause}",
        subject=f"{one.system}: incident {one.id}",
        what=f"{f'Part of incident {one.part_of} now: ' if one.part_of else 'Over: ' if over else ''}{one.words} ({', '.join(one.rules[:RULES_SHOWN])}{' …' if len(one.rules) > RULES_SHOWN else ''}).",
        why=f"First seen {_short(one.opened)}{''.join(f'; {part}' for part in parts if part)}.",
        instead=f"{', '.join(one.owners)} answers for it." if one.owners and not over else "",
        severity=Severity.INFO
        if over
        else Severity.CRITICAL
        if one.severity == "error"
        else Severity.WARNING,
        figures={
            "incident": one.id,
            "cause": one.cause,
            "rules": list(one.rules),
            **({"impact": list(one.impact)} if one.impact else {}),
        },
    )


def _short(stamp: str) -> str:
    return f"{stamp[:16].replace('T', ' ')} UTC"


# -- figures ---------------------------------------------------------------------------------------------------------------------------


def figures(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """How many rules passed and did not; the pass rate is of those that passed or failed, for a warning is neither."""
    counts = {says: sum(v.says is says for v in verdicts) for says in Says}
    rate = pass_rate(counts[Says.PASS], counts[Says.PASS] + counts[Says.FAIL])
    return {
        "rules": len(verdicts),
        "passed": counts[Says.PASS],
        "warned": counts[Says.WARN],
        "failed": counts[Says.FAIL],
        "not_run": counts[Says.NOT_RUN],
        **({"not_yet": counts[Says.NOT_YET]} if counts[Says.NOT_YET] else {}),
        "proved": sum(bool(v.proof) for v in verdicts),
        **({"pass_percent": rate} if rate is not None else {}),
    }


def _rows(
    run_id: str, contract: Contract, system: str, results: running.Results, *, partial: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A run and its verdicts as they are kept."""
    at = clock.stamp()
    told = figures(results.verdicts)
    run = {
        "run": run_id, "contract": contract.name, "system": system, "version": contract.version, "began": results.began,
        "snapshot": results.snapshot, "seconds": results.seconds, "down": results.down,
        **{name: told[name] for name in ("passed", "warned", "failed", "not_run")}, "partial": int(partial),
    }  # fmt: skip
    rows = [
        {
            "rule": v.rule,
            "at": at,
            "says": v.says.value,
            "figure": v.figure,
            "failing": v.failing,
            "checked": v.checked,
            "told": v.model_dump(mode="json"),
        }
        for v in results.verdicts
    ]
    return run, rows


def _before(desk: Desk, contract: Contract, system: str) -> dict[str, list[str]]:
    """What each rule said lately, newest first."""
    found: dict[str, list[str]] = {}
    for row in desk.store.recent(contract.name, system, most=FLAPPING_LOOKS):
        found.setdefault(row["rule"], []).append(row["says"])
    return found


def _findings(
    contract: Contract, system: str, verdicts: Sequence[Verdict], before: dict[str, list[str]]
) -> list[Finding]:
    rules = {rule.id: rule for rule in contract.rules}
    bad = [v for v in verdicts if v.says is not Says.PASS]
    order = {Says.FAIL: 0, Says.NOT_RUN: 1, Says.WARN: 2, Says.NOT_YET: 3}
    return [
        _finding(rules[v.rule], system, v, before.get(v.rule, []))
        for v in sorted(bad, key=lambda v: (order[v.says], v.rule))
    ]


SEVERITIES = {
    Says.FAIL: Severity.CRITICAL, Says.NOT_RUN: Severity.WARNING, Says.WARN: Severity.WARNING, Says.NOT_YET: Severity.INFO,
}  # fmt: skip


def _finding(rule: Rule, system: str, verdict: Verdict, before: list[str]) -> Finding:
    flaps = turns([verdict.says.value, *before]) >= FLAPPING_TURNS
    why = [rule.text] if rule.text and rule.kind not in ("sql", "condition") else []
    why += [f"{rule.owner} answers for it."] if rule.owner else []
    return Finding(
        rule=f"{rule.kind}-{verdict.says.value.replace(' ', '-')}",
        subject=f"{system}: {rule.words}",
        what=said(rule, verdict) + (" It flaps: it has turned several times lately." if flaps else ""),
        why=" ".join(why),
        severity=SEVERITIES[verdict.says],
        figures={
            "rule": rule.id,
            **{
                key: value
                for key in ("figure", "failing", "checked")
                if (value := getattr(verdict, key)) is not None
            },
            **({"keys": [dict(one) for one in verdict.keys]} if verdict.keys else {}),
            **(
                {"keys_left_out": verdict.keys_left_out} if verdict.keys_left_out and not verdict.keys else {}
            ),
        },
    )


def said(rule: Rule, verdict: Verdict) -> str:
    """A verdict in one sentence, without a value of a row."""
    if verdict.says in (Says.NOT_RUN, Says.NOT_YET):
        return f"Not run: {verdict.reason.rstrip('.')}."
    if rule.kind == "schema" and verdict.keys_left_out:
        return f"{verdict.keys_left_out}."  # it begins with a name, which is told as it is
    if verdict.failing is not None:
        return _counted(rule, verdict, verdict.failing)
    if rule.unit == "seconds" and verdict.figure is not None:
        most = rule.bounds.at_most if rule.bounds.at_most is not None else rule.bounds.below
        return f"It is {spell(verdict.figure)} old{f'; it may be at most {spell(most)}' if most else ''}."
    if rule.kind in ("learned", "volume") and verdict.reason:  # which says the figure, and what was expected
        return f"It is {verdict.reason.rstrip('.')}."
    bounds = f"; {rule.bounds.words} is asked" if rule.bounds.words else ""
    reason = f": {verdict.reason.rstrip('.')}" if verdict.reason else ""
    return (
        f"It is {verdict.figure:.6g}{bounds}{reason}."
        if verdict.figure is not None
        else f"It does not hold{reason}."
    )


def _counted(rule: Rule, verdict: Verdict, failing: int) -> str:
    """How many rows break it, or are missing."""
    if rule.kind in ("gaps", "continuity"):
        there = (
            f", beside {verdict.checked:,} that {'is' if verdict.checked == 1 else 'are'} there"
            if verdict.checked
            else ""
        )
        return f"{failing:,} {'is' if failing == 1 else 'are'} missing{there}."
    of = f"{failing:,} of {counted(verdict.checked, 'row')}" if verdict.checked else counted(failing, "row")
    about = "" if verdict.exact else f" (in a sample; {_between(verdict)})"
    unnamed = failing and not verdict.keys and verdict.keys_left_out
    named = f" {'It is' if failing == 1 else 'They are'} not named: {verdict.keys_left_out}."
    return f"{of} {'breaks' if failing == 1 else 'break'} it{about}.{named if unnamed else ''}"


def _between(verdict: Verdict) -> str:
    low, high = verdict.between or (0.0, 0.0)
    return f"in all between {low:,.0f} and {high:,.0f}, with 95 % confidence"


UNITS = ((365.25 * 86400, "years"), (86400.0, "days"), (3600.0, "h"), (60.0, "min"))


def spell(seconds: float) -> str:
    """'3.5 h', '13 years'."""
    size, unit = next(((s, u) for s, u in UNITS if seconds >= 2 * s), (1.0, "s"))
    return f"{seconds / size:,.3g} {unit}"


def turns(says: Sequence[str]) -> int:
    """How often a rule turned between good and bad."""
    good = [one == Says.PASS.value for one in says if one not in (Says.NOT_RUN.value, Says.NOT_YET.value)]
    return sum(a != b for a, b in pairwise(good))
