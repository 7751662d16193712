"""Whether two broken rules have one cause: the rows that break them, how many they are, and what the contract says of their columns. Pure.

Rows are known by their keys, of which a verdict holds a few. Where the keys agree, or the counts are the same, it is one cause; where the keys
show other rows, it is not, whatever else speaks for it. Where the rows do not tell, columns that one rule is about belong together.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.capabilities.quality.rule import ROW_KINDS
from datareeve.capabilities.quality.verdicts import Says

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from datareeve.capabilities.quality.rule import Rule
    from datareeve.capabilities.quality.verdicts import Verdict

TWICE = frozenset(("unique", "near-duplicates"))
HOLES = frozenset(("continuity", "gaps"))
SHIFTED = frozenset(("range", "aggregate", "learned", "distribution"))  # what another unit breaks
OF_ROWS = ROW_KINDS | {"foreign-key"}  # whose keys name the rows themselves
MOST_SHARED = 0.25  # of a table: of more rows, that two rules have some in common is no sign
ALIKE, NEAR, MANY = (
    0.5,
    0.95,
    50,
)  # counts, or keys, that are alike, and nearly equal; so many that this is no chance
FEWEST = 5  # rows without keys: fewer are as many as others by chance

Column = tuple[str, str]


class Broken(NamedTuple):
    """A rule that does not pass."""

    rule: Rule
    verdict: Verdict

    @property
    def ran(self) -> bool:
        """Whether it was measured."""
        return self.verdict.says is not Says.NOT_RUN

    @property
    def columns(self) -> set[Column]:
        """The columns that it is about, those of another table too."""
        own = {(self.rule.table, name) for name in self.rule.columns}
        beside = self.rule.arguments.get("with") or {}
        if self.rule.kind == "agreement" and beside.get("column"):
            own.add((str(beside.get("table")), str(beside["column"])))
        if self.rule.kind == "foreign-key":
            table, names = str(self.rule.arguments.get("table")), self.rule.arguments.get("columns") or ()
            own |= {(table, str(name)) for name in names}
        return own


def together(broken: Sequence[Broken], every: Iterable[Rule]) -> list[list[Broken]]:
    """Broken rules, those of one cause together, in the order in which they came. `every`: the contract's rules, which say what columns belong together."""
    links = [columns for rule in every if len(columns := _linked_by(rule)) > 1]
    groups: list[list[Broken]] = []
    for one in broken:
        if one.rule.kind == "sql":
            continue
        near = [group for group in groups if any(_one_cause(one, other, links) for other in group)]
        merged = [other for group in near for other in group]
        groups = [group for group in groups if group not in near] + [[*merged, one]]
    for loose, fits in (("agreement", _counts_rows), ("sql", _names)):
        groups = _joined(broken, groups, loose, fits)
    return groups


def _joined(
    broken: Sequence[Broken],
    groups: list[list[Broken]],
    kind: str,
    fits: Callable[[Broken, Sequence[Broken]], bool],
) -> list[list[Broken]]:
    """With rules of a kind that stand alone in the one group that they are about, where there is one."""
    alone = [one for one in broken if one.rule.kind == kind and not any(one in group and len(group) > 1 for group in groups)]  # fmt: skip
    rest = [list(group) for group in groups if group[0] not in alone]
    for one in alone:
        found = [group for group in rest if group[0] not in alone and fits(one, group)]
        if len(found) == 1:
            found[0].append(one)
        else:
            rest.append([one])
    return rest


def _counts_rows(sum_: Broken, group: Sequence[Broken]) -> bool:
    """Whether rows of its tables are missing, or there twice: what it adds up is then another."""
    tables = {sum_.rule.table, (sum_.rule.arguments.get("with") or {}).get("table")}
    return any(
        one.rule.kind in TWICE | HOLES | {"foreign-key"} and tables & {table for table, _ in one.columns}
        for one in group
    )


def _linked_by(rule: Rule) -> set[Column]:
    """The columns that a rule holds beside one another."""
    return Broken(rule, None).columns if rule.kind in ("condition", "agreement") else set()  # type: ignore[arg-type]


def _names(query: Broken, group: Sequence[Broken]) -> bool:
    """Whether a query names a column whose values are wrong, and as badly: what is known and only warned of explains no failure."""
    text, table = str(query.rule.arguments.get("query", "")), query.rule.table
    wrong = [one for one in group if one.rule.kind not in TWICE | {"foreign-key"} and one.verdict.says is query.verdict.says]  # fmt: skip
    names = {name for one in wrong for of, name in one.columns if of == table}
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) for name in names)


def _one_cause(a: Broken, b: Broken, links: Sequence[set[Column]]) -> bool:
    if a.rule.table == b.rule.table:
        if a.rule.kind in TWICE or b.rule.kind in TWICE:
            return _repeated(a, b)
        if a.rule.columns == b.rule.columns and len(a.rule.columns) == 1:
            return True
        if a.rule.kind in OF_ROWS and b.rule.kind in OF_ROWS and (same := same_rows(a, b)) is not None:
            return same
    if a.rule.kind == b.rule.kind == "foreign-key":
        return _same_values(a, b)
    return _linked(a, b, links)


def _repeated(a: Broken, b: Broken) -> bool:
    """What is there twice: with what else is, and with the wrong value that it is of."""
    if a.rule.kind in TWICE and b.rule.kind in TWICE:
        return _ratio(a, b) >= ALIKE
    return repeated(a, b) or repeated(b, a)


def repeated(twice: Broken, other: Broken) -> bool:
    """Whether values of a column are there twice because so many of it are wrong."""
    of_it = twice.rule.columns == other.rule.columns and len(other.rule.columns) == 1
    fits = twice.rule.kind in TWICE and other.rule.kind in OF_ROWS
    return of_it and fits and 0 < _failing(twice) <= _failing(other)


def _linked(a: Broken, b: Broken, links: Sequence[set[Column]]) -> bool:
    """Whether the contract says that their columns belong together: a broken rule is about both, or one that holds and both are shifted."""
    if "not-null" in (a.rule.kind, b.rule.kind) and a.columns != b.columns:
        return False  # NULL breaks nothing else
    if a.columns & b.columns:
        return True
    shifted = a.rule.kind in SHIFTED and b.rule.kind in SHIFTED
    return shifted and any(a.columns & link and b.columns & link for link in links)


# -- rows ------------------------------------------------------------------------------------------------------------------------------


def same_rows(a: Broken, b: Broken) -> bool | None:
    """Whether two rules of a table are broken by the same rows, or one by some of the other's; None where that is not known."""
    equal, names = _failing(a) == _failing(b) > 0, _key_of(a) & _key_of(b)
    if not names:
        return True if equal and _failing(a) >= FEWEST else None
    ours, theirs = _keys(a, names), _keys(b, names)
    shared = len(ours & theirs) / min(len(ours), len(theirs))
    if shared >= ALIKE and (_share(a, b) <= MOST_SHARED or _ratio(a, b) >= ALIKE):
        return True
    if _whole(a) and _whole(b):
        return shared >= ALIKE
    # Engines read by several processes: each statement then names some of many rows, from wherever it began.
    elsewhere = not shared and (max(ours) < min(theirs) or max(theirs) < min(ours))
    return True if _failing(a) >= MANY and (equal or (elsewhere and _ratio(a, b) >= NEAR)) else None


def _failing(one: Broken) -> int:
    return one.verdict.failing or 0


def _ratio(a: Broken, b: Broken) -> float:
    """How near their counts are: 1 where they are the same."""
    few, many = sorted((_failing(a), _failing(b)))
    return few / many if many else 0.0


def _share(a: Broken, b: Broken) -> float:
    """Of the rule that more rows break, which part of its rows."""
    worse = max(a, b, key=_failing)
    return _failing(worse) / max(worse.verdict.checked or 0, 1)


def _key_of(one: Broken) -> set[str]:
    return set(one.verdict.keys[0]) if one.verdict.keys else set()


def _keys(one: Broken, names: set[str]) -> set[Any]:
    return {tuple(_sortable(row.get(name)) for name in sorted(names)) for row in one.verdict.keys}


def _sortable(value: Any) -> tuple[float, str]:
    return (value, "") if isinstance(value, (int, float)) else (0.0, str(value))


def _whole(one: Broken) -> bool:
    """Whether every row that breaks it is named."""
    return len(one.verdict.keys) >= _failing(one)


def _same_values(a: Broken, b: Broken) -> bool:
    """Whether two references lead to the same rows that are not there."""
    if a.rule.arguments.get("table") != b.rule.arguments.get("table"):
        return False
    ours, theirs = _values(a), _values(b)
    return len(ours & theirs) >= ALIKE * max(min(len(ours), len(theirs)), 1)


def _values(one: Broken) -> set[Any]:
    return {tuple(str(row.get(name)) for name in one.rule.columns) for row in one.verdict.keys if set(one.rule.columns) <= set(row)}  # fmt: skip
