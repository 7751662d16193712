"""One incident for each cause: broken rules that one thing explains are told together, with since when, what it touches, and what likely did it.

Pure. The causes are looked for in order, from what explains most (the system is down, the table was changed) to what explains one column. A rule
belongs to one incident. An incident is the same as before where cause and subject are; it ends with the first run in which nothing of it is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import Field

from datareeve.capabilities.quality.verdicts import Says, Verdict
from datareeve.core.value import Value, fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from datareeve.capabilities.quality.rule import Contract, Rule

CAUSES = {  # what an incident says of itself
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
UNMEASURED = frozenset(
    ("system-down", "table-missing", "schema-change", "no-rights", "not-run")
)  # why rules could not be run
LATE, AMOUNT = frozenset(("freshness",)), frozenset(("row-count", "volume", "learned", "agreement"))
HOLES, TWICE = frozenset(("continuity", "gaps")), frozenset(("unique", "near-duplicates"))
DOUBLED_SHARE = 0.02  # of a table's rows that are there twice, from which on it is a load and not a slip


class Incident(Value):
    """One cause, and what it broke."""

    id: str
    contract: str
    system: str
    cause: str
    subject: str  # the table, or table.column
    rules: tuple[str, ...]
    opened: str
    last_seen: str
    ended: str | None = None
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
        many = f"{len(self.rules)} rule{'s' if len(self.rules) != 1 else ''}"
        return f"{self.subject} {CAUSES[self.cause]}: {many}"


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
    groups = _grouped(contract, system, verdicts, seen)
    run = _Run(
        contract.name, system, {rule.id: rule for rule in contract.rules}, {v.rule: v for v in verdicts}, seen
    )
    now = [run.incident(cause, subject, ids) for (cause, subject), ids in groups.items()]
    now = [_with_upstream(one, now, seen) for one in now]
    # One whose rules could not be run this time is neither over nor seen again.
    told = {v.rule for v in verdicts if v.says is not Says.NOT_RUN}
    still, there = {one.id for one in now}, set(seen.rules or run.rules)
    over = [
        one.model_copy(update={"ended": seen.at})
        for one in seen.open
        if one.id not in still and there & set(one.rules) <= told
    ]
    return [*now, *over]


# -- grouping --------------------------------------------------------------------------------------------------------------------------


class _Broken(NamedTuple):
    """A rule that does not pass."""

    rule: Rule
    verdict: Verdict

    def says(self, *words: str) -> bool:
        """Whether it was not run for that reason."""
        return self.verdict.says is Says.NOT_RUN and any(word in self.verdict.reason for word in words)

    @property
    def ran(self) -> bool:
        """Whether it was measured."""
        return self.verdict.says is not Says.NOT_RUN

    @property
    def doubles(self) -> bool:
        """Whether so many rows are there twice that it is a load, and not a slip."""
        twice = self.verdict.failing or 0
        return (
            self.ran
            and self.rule.kind in TWICE
            and twice >= DOUBLED_SHARE * max(self.verdict.checked or 0, 1)
        )

    @property
    def too_much(self) -> bool:
        """Whether an amount is above what is asked."""
        figure, bounds = self.verdict.figure, self.rule.bounds
        if figure is None or not self._of_amount:
            return False
        most = next((b for b in (bounds.at_most, bounds.below, bounds.equal_to) if b is not None), None)
        most = self.verdict.figures.get("high", most)
        return most is not None and figure > most

    @property
    def too_little(self) -> bool:
        """Whether an amount is below what is asked."""
        return self.ran and self._of_amount and not self.too_much

    @property
    def _of_amount(self) -> bool:
        """Whether the rule is about how many rows there are."""
        return self.rule.kind in AMOUNT and self.rule.metric == "row-count"


class _Grouping:
    """The broken rules that no cause has taken yet, and those that one has."""

    def __init__(self, contract: Contract, verdicts: Sequence[Verdict]) -> None:
        rules = {rule.id: rule for rule in contract.rules}
        self.left = [_Broken(rules[v.rule], v) for v in verdicts if v.says not in (Says.PASS, Says.NOT_YET)]
        self.groups: dict[tuple[str, str], list[str]] = {}

    def take(self, cause: str, subject: str, wanted: Callable[[_Broken], bool]) -> bool:
        """Put what is wanted into one group; whether there was anything."""
        found = [one for one in self.left if wanted(one)]
        self.left = [one for one in self.left if one not in found]
        if found:
            self.groups.setdefault((cause, subject), []).extend(one.rule.id for one in found)
        return bool(found)


def _grouped(
    contract: Contract, system: str, verdicts: Sequence[Verdict], seen: Seen
) -> dict[tuple[str, str], list[str]]:
    grouping = _Grouping(contract, verdicts)
    down = ("does not answer", ".unreachable", ".lost", *filter(None, [seen.down]))
    grouping.take("system-down", system, lambda b: b.says(*down))
    tables = dict.fromkeys(rule.table for rule in contract.rules)
    for table in tables:
        _of_table(grouping, table)
    for table in tables:
        _of_parent(grouping, table)
    while grouping.left:
        first = grouping.left[0]
        if first.ran:
            _of_columns(grouping, first.rule)
        else:
            _not_run(grouping, first.rule, seen)
    return grouping.groups


def _of_table(grouping: _Grouping, table: str) -> None:
    """What happened to a table as a whole."""
    here = [one for one in grouping.left if one.rule.table == table]
    if any(b.says("has no table") or b.verdict.keys_left_out == "the table is missing" for b in here):
        grouping.take("table-missing", table, lambda b: b.rule.table == table)
        return
    changed = _changed_columns(here)
    if changed or any(b.rule.kind == "schema" or b.says("has no column") for b in here):
        grouping.take(
            "schema-change",
            table,
            lambda b: (
                b in here
                and (
                    b.rule.kind == "schema" or b.says("has no column") or bool(changed & set(b.rule.columns))
                )
            ),
        )
    grouping.take("no-rights", table, lambda b: b in here and b.says("may not read", "no right", "no-rights"))
    if any(b.doubles for b in here):
        grouping.take(
            "doubled-load", table, lambda b: b in here and b.ran and (b.rule.kind in TWICE or b.too_much)
        )
    elif any(b.too_little for b in here):
        grouping.take(
            "truncated-load",
            table,
            lambda b: b in here and b.ran and (b.too_little or b.rule.kind in HOLES | LATE),
        )
    if any(b.ran and b.rule.kind in LATE for b in here):
        grouping.take("stale-load", table, lambda b: b in here and b.ran and b.rule.kind in LATE | HOLES)


def _changed_columns(broken: Sequence[_Broken]) -> set[str]:
    """Columns that the schema rule names as missing or of another type."""
    told = [part for b in broken if b.rule.kind == "schema" for part in b.verdict.keys_left_out.split("; ")]
    return {
        name
        for b in broken
        for name in b.rule.columns
        if any(part.startswith(f"{name} is ") for part in told)
    }


def _of_parent(grouping: _Grouping, table: str) -> None:
    """Orphans of a parent that is missing, stale or truncated are part of that."""
    for cause in ("table-missing", "truncated-load", "stale-load"):
        if (cause, table) in grouping.groups:
            grouping.take(
                cause,
                table,
                lambda b: b.rule.kind == "foreign-key" and b.rule.arguments.get("table") == table,
            )


def _of_columns(grouping: _Grouping, rule: Rule) -> None:
    """What is wrong with a column, or with several together."""
    whole = len(rule.columns) != 1 or rule.kind in TWICE
    subject = rule.table if whole else f"{rule.table}.{rule.columns[0]}"
    like = (rule.table, rule.columns, _what(rule))
    grouping.take(
        _what(rule) or ("rows" if whole else "values"),
        subject,
        lambda b: b.ran and (b.rule.table, b.rule.columns, _what(b.rule)) == like,
    )


def _not_run(grouping: _Grouping, rule: Rule, seen: Seen) -> None:
    """What could not be measured goes on with what it broke before; else it is its table's, and says no more than that."""
    stood = (one for one in seen.open if rule.id in one.rules and one.cause not in UNMEASURED)
    before = next(((one.cause, one.subject) for one in stood), ("not-run", rule.table))
    grouping.take(*before, lambda b: b.rule.id == rule.id)


def _what(rule: Rule) -> str:
    """What a rule's breach is by its kind, whatever its columns; '' where its columns say."""
    return "orphans" if rule.kind == "foreign-key" else "duplicates" if rule.kind in TWICE else ""


# -- what is known of each -------------------------------------------------------------------------------------------------------------


class _Run(NamedTuple):
    """One run of a contract on a system, and what is known beside it."""

    contract: str
    system: str
    rules: dict[str, Rule]
    verdicts: dict[str, Verdict]
    seen: Seen

    def incident(self, cause: str, subject: str, ids: Sequence[str]) -> Incident:
        """The incident of some broken rules, which goes on where it stood open."""
        seen, rules = self.seen, [self.rules[id_] for id_ in ids]
        before = next((one for one in seen.open if (one.cause, one.subject) == (cause, subject)), None)
        table = rules[0].table if cause != "system-down" else ""
        opened = before.opened if before else seen.at
        dataset = _dataset(self.system, seen.tables.get(table, table), seen.datasets)
        good = [seen.last_good[id_] for id_ in ids if id_ in seen.last_good]
        return Incident(
            id=before.id
            if before
            else f"I-{fingerprint([self.contract, self.system, cause, subject, opened])[:8]}",
            contract=self.contract,
            system=self.system,
            cause=cause,
            subject=subject,
            rules=tuple(sorted(ids)),
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
