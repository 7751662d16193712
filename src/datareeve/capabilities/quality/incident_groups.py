"""Broken rules by what broke them: the causes are looked for in order, from what explains most (the system is down) to what explains one column. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.one_cause import HOLES, TWICE, Broken, repeated, together
from datareeve.capabilities.quality.verdicts import Says

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from datareeve.capabilities.quality.incidents import Seen
    from datareeve.capabilities.quality.rule import Contract, Rule
    from datareeve.capabilities.quality.verdicts import Verdict

LATE, AMOUNT = frozenset(("freshness",)), frozenset(("row-count", "volume", "learned", "agreement"))
OF_COLUMNS = frozenset(("values", "rows", "duplicates", "orphans"))  # causes that are known by their rules
DOUBLED_SHARE = 0.02  # of a table's rows that are there twice, from which on it is a load and not a slip
MISSING = re.compile(  # of SQL of the contract's own, as engines say it
    r"""(?:there is no table|no such table:|(?<!of )relation|Table) ["'`]?([^"'`]+?)["'`]?(?: does(?: not|n't) exist)?\.*$"""
)
NO_RIGHTS = ("may not read", "no right", "no-rights", "cannot be read")

Groups = dict[tuple[str, str], list[str]]  # by cause and subject: the ids of the rules


def groups(contract: Contract, system: str, verdicts: Sequence[Verdict], seen: Seen) -> Groups:
    """Every rule that does not pass, once."""
    rules = {rule.id: rule for rule in contract.rules}
    broken = [Broken(rules[v.rule], v) for v in verdicts if v.says not in (Says.PASS, Says.NOT_YET)]
    grouping = _Grouping(broken)
    grouping.take("closed", system, lambda b: _says(b, "could not be opened"))
    away = ("does not answer", ".unreachable", ".lost", *filter(None, [seen.down]))
    grouping.take("system-down", system, lambda b: _says(b, *away))
    named = {physical: name for name, physical in seen.tables.items()}
    for one in broken:
        if missing := _missing(one, named):
            grouping.take("table-missing", missing, lambda b, m=missing: _missing(b, named) == m)  # type: ignore[misc]
    every = dict.fromkeys(rule.table for rule in contract.rules)
    for table in every:
        _of_table(grouping, table)
    for table in every:
        _of_parent(grouping, table)
    keys = {table.name: set(table.key) for table in contract.tables}
    for group in together([one for one in grouping.left if one.ran], contract.rules):
        grouping.put(_cause(group), _subject(group, keys), group)
    for one in list(grouping.left):
        _not_run(grouping, one, seen)
    return grouping.groups


class _Grouping:
    """The broken rules that no cause has taken yet, and those that one has."""

    def __init__(self, broken: Sequence[Broken]) -> None:
        self.left = list(broken)
        self.groups: Groups = {}

    def take(self, cause: str, subject: str, wanted: Callable[[Broken], bool]) -> None:
        """Put what is wanted into one group."""
        self.put(cause, subject, [one for one in self.left if wanted(one)])

    def put(self, cause: str, subject: str, found: Sequence[Broken]) -> None:
        """Put some into one group."""
        self.left = [one for one in self.left if one not in found]
        if found:
            self.groups.setdefault((cause, subject), []).extend(one.rule.id for one in found)


def _says(one: Broken, *words: str) -> bool:
    """Whether it was not run for that reason."""
    return not one.ran and any(word in one.verdict.reason for word in words)


# -- tables ----------------------------------------------------------------------------------------------------------------------------


def _missing(one: Broken, named: Mapping[str, str]) -> str:
    """The table that is not there, as the contract calls it; '' where it is another reason."""
    reason = "" if one.ran else one.verdict.reason
    if " has no table " in reason or one.verdict.keys_left_out == "the table is missing":
        return one.rule.table
    if reason.startswith("There is no table "):
        return str(_other(one.rule))
    found = MISSING.search(reason)
    name = found[1] if found else ""
    return named.get(name, name.rpartition(".")[2] if reason.startswith("mysql.") else name)


def _of_table(grouping: _Grouping, table: str) -> None:
    """What happened to a table as a whole."""
    here = [one for one in grouping.left if one.rule.table == table]
    changed = _changed_columns(here)
    if changed or any(b.rule.kind == "schema" or _says(b, "has no column") for b in here):
        grouping.put("schema-change", table, [b for b in here if b.rule.kind == "schema" or _says(b, "has no column") or changed & set(b.rule.columns)])  # fmt: skip
    grouping.put("no-rights", table, [b for b in here if _says(b, *NO_RIGHTS)])
    ran = [b for b in here if b.ran and b in grouping.left]
    if any(_doubles(b) and not any(repeated(b, other) for other in ran) for b in ran):
        grouping.put("doubled-load", table, [b for b in ran if b.rule.kind in TWICE or _too_much(b) or _sums(b)])  # fmt: skip
    elif any(_too_little(b) for b in ran):
        grouping.put("truncated-load", table, [b for b in ran if _too_little(b) or _sums(b) or b.rule.kind in HOLES | LATE])  # fmt: skip
    elif any(b.rule.kind in LATE for b in ran):
        grouping.put("stale-load", table, [b for b in ran if b.rule.kind in LATE | HOLES])


def _changed_columns(broken: Sequence[Broken]) -> set[str]:
    """Columns that the schema rule names as missing or of another type."""
    told = [part for b in broken if b.rule.kind == "schema" for part in b.verdict.keys_left_out.split("; ")]
    return {
        name
        for b in broken
        for name in b.rule.columns
        if any(part.startswith(f"{name} is ") for part in told)
    }


def _of_parent(grouping: _Grouping, table: str) -> None:
    """Orphans of a parent that is missing, stale or truncated are part of that; so is a sum that no longer agrees with its own."""
    for cause in ("table-missing", "truncated-load", "stale-load", "doubled-load"):
        if (cause, table) in grouping.groups:
            kinds = {"agreement"} if cause == "doubled-load" else {"agreement", "foreign-key"}
            grouping.take(cause, table, lambda b: b.rule.kind in kinds and _other(b.rule) == table)  # noqa: B023 - taken at once


def _other(rule: Rule) -> Any:
    """The other table that a rule is about."""
    return (rule.arguments.get("with") or {}).get("table") or rule.arguments.get("table")


# -- loads -----------------------------------------------------------------------------------------------------------------------------


def _doubles(one: Broken) -> bool:
    """Whether so many rows are there twice that it is a load, and not a slip."""
    twice = one.verdict.failing or 0
    return one.rule.kind in TWICE and twice >= DOUBLED_SHARE * max(one.verdict.checked or 0, 1)


def _of_amount(one: Broken) -> bool:
    """Whether the rule is about how many rows there are."""
    return one.rule.kind in AMOUNT and one.rule.metric == "row-count"


def _sums(one: Broken) -> bool:
    """Whether it is a sum over all rows, which goes with their number."""
    return one.rule.kind in ("aggregate", "agreement") and one.rule.metric in ("sum", "count")


def _too_much(one: Broken) -> bool:
    """Whether an amount is above what is asked."""
    figure, bounds = one.verdict.figure, one.rule.bounds
    if figure is None or not _of_amount(one):
        return False
    most = next((b for b in (bounds.at_most, bounds.below, bounds.equal_to) if b is not None), None)
    most = one.verdict.figures.get("high", most)
    return most is not None and figure > most


def _too_little(one: Broken) -> bool:
    """Whether an amount is below what is asked."""
    return _of_amount(one) and not _too_much(one)


# -- columns ---------------------------------------------------------------------------------------------------------------------------


def _cause(group: Sequence[Broken]) -> str:
    kinds = {one.rule.kind for one in group}
    if kinds == {"foreign-key"}:
        return "orphans"
    if kinds <= TWICE:
        return "duplicates"
    return "values" if any(len(one.rule.columns) == 1 for one in group) else "rows"


def _subject(group: Sequence[Broken], keys: Mapping[str, set[str]]) -> str:
    """'orders.total', 'orders (total, unit_price)', 'items.amount and orders.total': columns that a rule of their own is about come first."""
    if len(group) == 1 and group[0].rule.kind == "sql":  # what it is about, only its name says
        return f"{group[0].rule.table} ({group[0].rule.id})"
    if any(_of_key(one.rule, keys) for one in group) and {one.rule.kind for one in group} <= TWICE:
        return group[0].rule.table  # whole rows are there twice, and with them whatever else should be unique
    found: dict[str, dict[str, None]] = {}
    for one in sorted(group, key=lambda one: len(one.rule.columns) != 1):
        columns = found.setdefault(one.rule.table, {})
        columns |= {} if _of_key(one.rule, keys) else dict.fromkeys(one.rule.columns)
    return " and ".join(_placed(table, list(columns)) for table, columns in found.items())


def _of_key(rule: Rule, keys: Mapping[str, set[str]]) -> bool:
    """Whether it says that each row of its table is there once."""
    return rule.kind in TWICE and (len(rule.columns) != 1 or set(rule.columns) == keys.get(rule.table))


def _placed(table: str, columns: Sequence[str]) -> str:
    if len(columns) == 1:
        return f"{table}.{columns[0]}"
    return f"{table} ({', '.join(columns)})" if columns else table


def _not_run(grouping: _Grouping, one: Broken, seen: Seen) -> None:
    """What could not be measured goes on with what it broke before; else it is its table's, and says no more than that."""
    stood = next((i for i in seen.open if one.rule.id in i.rules and i.cause in MEASURED), None)
    if stood is None:
        grouping.put("not-run", one.rule.table, [one])
        return
    now = (key for key, ids in grouping.groups.items() if key[0] in MEASURED and set(stood.rules) & set(ids))
    cause, subject = next(now, (stood.cause, stood.subject))
    grouping.put(cause, subject, [one])


MEASURED = OF_COLUMNS | {"stale-load", "truncated-load", "doubled-load"}
