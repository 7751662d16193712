"""One incident for each cause: broken rules that one thing explains are told together, with since when, what it touches, and what likely did it.

Pure. A rule belongs to one incident. An incident goes on where the same befalls the same table, or where a column's rule that it had is still broken;
it ends with the first run in which nothing of it is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from datareeve.capabilities.quality import incident_words
from datareeve.capabilities.quality.counting import counted
from datareeve.capabilities.quality.incident_groups import OF_COLUMNS, groups
from datareeve.capabilities.quality.verdicts import Says, Verdict
from datareeve.core.value import Value, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from datareeve.capabilities.quality.rule import Contract, Rule

CAUSES = {  # what an incident says of itself
    "closed": "could not be opened",
    "system-down": "does not answer",
    "table-missing": "is not there",
    "schema-change": "has other columns than the contract",
    "no-rights": "may not be read",
    "stale-load": "has not been loaded",
    "truncated-load": "was loaded in part",
    "doubled-load": "was loaded twice, or in part twice",
    "duplicates": "holds rows more than once",
    "orphans": "refers to rows that are not there",
    "values": "holds values that the contract does not allow",
    "rows": "breaks rules across its columns",
    "not-run": "could not be checked",
}


class Incident(Value):
    """One cause, and what it broke."""

    id: str
    contract: str
    system: str
    cause: str
    subject: str  # the table, or table.column
    rules: tuple[str, ...]
    what: str = ""  # 'holds NULL and values out of range': of columns, what was measured
    opened: str
    last_seen: str
    ended: str | None = None
    part_of: str = ""  # the incident that its rules are in now, by its id: then it is not over, but known to be another's
    last_good: str | None = None  # when the first of its rules last passed
    severity: str = "error"
    likely: str = ""  # what probably did it, from the ledger
    caused_by: str = ""  # the incident upstream, by its id
    dataset: str = ""  # of estate.yaml, where the table is declared as one
    impact: tuple[str, ...] = ()  # datasets that are made of it
    owners: tuple[str, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)  # rule: rows that break it

    @property
    def words(self) -> str:
        """'flights was loaded in part: 3 rules'."""
        return f"{self.subject} {self.what or CAUSES[self.cause]}: {counted(len(self.rules), 'rule')}"


class Seen(Value):
    """What is known beside the verdicts."""

    at: str
    open: tuple[Incident, ...] = ()  # as they stood before
    last_good: dict[str, str] = Field(default_factory=dict)  # rule: when it last passed
    datasets: dict[str, dict[str, Any]] = Field(default_factory=dict)  # estate.yaml
    changes: dict[str, dict[str, str]] = Field(
        default_factory=dict
    )  # table: the last run that touched it {run, operation, summary, at}
    elsewhere: tuple[Incident, ...] = ()  # open ones of other contracts and systems
    tables: dict[str, str] = Field(default_factory=dict)  # contract's name of a table: physical
    rules: tuple[str, ...] = ()  # of the whole contract, where only some of it was run; none: those that were
    down: str = ""  # why the system went away: what is then the reason of rules that were not run


def incidents(contract: Contract, system: str, verdicts: Sequence[Verdict], seen: Seen) -> list[Incident]:
    """Every incident of this contract on this system: new, going on, and those that have ended just now."""
    found = groups(contract, system, verdicts, seen)
    run = _Run(
        contract.name, system, {rule.id: rule for rule in contract.rules}, {v.rule: v for v in verdicts}, seen
    )
    stood = _stood(found, seen.open)
    now = [run.incident(cause, subject, ids, stood.get((cause, subject))) for (cause, subject), ids in found.items()]  # fmt: skip
    now = [_with_upstream(one, now, seen) for one in now]
    # One whose rules could not be run this time is neither over nor seen again.
    told = {v.rule for v in verdicts if v.says is not Says.NOT_RUN}
    still, there = {one.id for one in now}, set(seen.rules or run.rules)
    over = [
        one.model_copy(update={"ended": seen.at, "part_of": _part_of(one, now)})
        for one in seen.open
        if one.id not in still and there & set(one.rules) <= told
    ]
    return [*now, *over]


def _stood(
    found: Mapping[tuple[str, str], Sequence[str]], open_: Sequence[Incident]
) -> dict[tuple[str, str], Incident]:
    """The incident that each group goes on with: the one of its cause and subject; of columns, that which had most of its rules."""
    stood: dict[tuple[str, str], Incident] = {}
    for key, ids in found.items():
        left = [one for one in open_ if one not in stood.values() and _goes_on(one, key, ids)]
        if left:
            stood[key] = max(left, key=lambda one, ids=ids: len(set(one.rules) & set(ids)))  # type: ignore[misc]
    return stood


def _goes_on(one: Incident, key: tuple[str, str], ids: Sequence[str]) -> bool:
    if one.cause in OF_COLUMNS and key[0] in OF_COLUMNS:
        return bool(set(one.rules) & set(ids))
    return (one.cause, one.subject) == key


def _part_of(one: Incident, now: Sequence[Incident]) -> str:
    """The incident that all of its rules are in now, by its id."""
    return next((other.id for other in now if set(one.rules) <= set(other.rules)), "")


# -- what is known of each -------------------------------------------------------------------------------------------------------------


class _Run(NamedTuple):
    """One run of a contract on a system, and what is known beside it."""

    contract: str
    system: str
    rules: dict[str, Rule]
    verdicts: dict[str, Verdict]
    seen: Seen

    def incident(self, cause: str, subject: str, ids: Sequence[str], before: Incident | None) -> Incident:
        """The incident of some broken rules, which goes on with one that stood open."""
        seen, rules = self.seen, [self.rules[id_] for id_ in ids]
        table = {"closed": "", "system-down": "", "table-missing": subject}.get(cause, rules[0].table)
        opened = before.opened if before else seen.at
        dataset = _dataset(self.system, seen.tables.get(table, table), seen.datasets)
        good = [seen.last_good[id_] for id_ in ids if id_ in seen.last_good]
        found = Incident(
            id=before.id
            if before
            else f"I-{fingerprint([self.contract, self.system, cause, subject, opened])[:8]}",
            contract=self.contract,
            system=self.system,
            cause=cause,
            subject=subject,
            rules=tuple(sorted(ids)),
            what=incident_words.what(rules, whole=subject == table) if cause in OF_COLUMNS else "",
            opened=opened,
            last_seen=seen.at,
            last_good=min(good) if good else None,
            severity="error" if any(self.verdicts[id_].says is Says.FAIL for id_ in ids) else "warning",
            likely=before.likely if before and before.likely else _likely(cause, table, good, seen),
            dataset=dataset,
            impact=tuple(downstream(dataset, seen.datasets)),
            owners=tuple(dict.fromkeys(rule.owner for rule in rules if rule.owner)),
            counts={id_: failing for id_ in ids if (failing := self.verdicts[id_].failing)},
        )
        return self._with_unasked(found, before) if before else found

    def _with_unasked(self, found: Incident, before: Incident) -> Incident:
        """With its rules that were not asked this time: it is still about them."""
        unasked = (set(before.rules) & set(self.seen.rules)) - set(self.rules)
        if not unasked:
            return found
        rules = tuple(sorted({*found.rules, *unasked}))
        return found.model_copy(update={"rules": rules, "subject": before.subject, "what": before.what})


def _likely(cause: str, table: str, good: Sequence[str], seen: Seen) -> str:
    """The last run that touched the table since its rules last passed."""
    change = seen.changes.get(table)
    if change is None or (good and change["at"] < min(good)):
        return ""
    what = (
        "the change of its schema"
        if cause == "schema-change"
        else "the load"
        if change["operation"].startswith("pipelines.")
        else "the run"
    )
    return f"{what} {change['run']} ({change['operation']}, {change['at'][:16].replace('T', ' ')})"


def _with_upstream(one: Incident, now: Iterable[Incident], seen: Seen) -> Incident:
    """With the incident of what it is made of, where there is one."""
    above = set(upstream(one.dataset, seen.datasets))
    for other in (*now, *seen.elsewhere):
        if other.dataset in above:
            likely = one.likely or f"{other.subject} upstream: incident {other.id}"
            return one.model_copy(update={"caused_by": other.id, "likely": likely})
    return one


def _dataset(system: str, table: str, datasets: Mapping[str, Mapping[str, Any]]) -> str:
    """The dataset of a table; '' where none is declared."""
    bare = table.rpartition(".")[2]
    own = (
        name
        for name, one in datasets.items()
        if one.get("system") == system and str(one.get("table")).rpartition(".")[2] == bare
    )
    return next(own, "")


def downstream(dataset: str, datasets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every dataset that is made of that one, directly or not."""
    return _reached(
        dataset,
        lambda name: [other for other, one in datasets.items() if name in (one.get("derived_from") or ())],
    )


def upstream(dataset: str, datasets: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Every dataset that it is made of, directly or not."""
    return _reached(dataset, lambda name: list(datasets.get(name, {}).get("derived_from") or ()))


def _reached(dataset: str, next_of: Callable[[str], list[str]]) -> list[str]:
    found: dict[str, None] = {}
    waiting = next_of(dataset) if dataset else []
    while waiting:
        name = waiting.pop(0)
        if name not in found and name != dataset:
            found[name] = None
            waiting += next_of(name)
    return list(found)
