"""Which indexes a workload could use. Pure: what plans ask of tables in, candidates out.

A candidate is made for each way that a scan could be narrowed: the columns compared with values, the most selective first, then one range or
the order asked for; columns joined with another table; columns carried along so that the table need not be read; only the rows
that are ever asked for; and the access methods that suit a column's type. Nothing is judged here beyond the obvious: a twin and a clone do that.

Sources: the manual's chapters 11 (Indexes), 67 to 72 (B-tree, GiST, GIN, BRIN operator classes).
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from datareeve.capabilities.databases import sql
from datareeve.capabilities.databases.index_facts import (
    RANDOM_COST,
    ROW_COST,
    Candidate,
    Condition,
    FamilyNeeds,
    ScanNeed,
    Situation,
    Table,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SMALL_TABLE_ROWS = 500  # below this, reading the whole table is as fast
ENOUGH_ROWS = 10  # an index that leaves so few rows needs no further column
MOST_COLUMNS = 4
MOST_INCLUDED = 6
MOST_CARRIED_SHARE = 0.5  # of a row's width, carried along in an index
MOST_CANDIDATES = 400  # what a twin is asked about
BRIN_CORRELATION, BRIN_PAGES = 0.9, 1000
FEW_VALUES = 64  # a constant of a partial index must be one of few values: a status, never a name
DESCENT_COST = 3.0  # from an index's root to a leaf
RANGE_SHARE = 0.3  # a range's part of the rows, where nothing is known
FIRST_PAGE = 20.0  # rows
OPERATOR_CLASS = {"contains": "jsonb_path_ops"}

Keys = tuple[str, ...]


def candidates(situation: Situation) -> tuple[Candidate, ...]:
    """Every candidate, those first whose families' scans weigh most; at most 400."""
    found: dict[tuple[object, ...], Candidate] = {}
    worth: dict[tuple[object, ...], float] = {}
    for need in situation.needs:
        for scan in need.scans:
            for one in _of_scan(scan, situation):
                known = found.get(one.identity, one)
                families = dict.fromkeys((*known.families, need.fingerprint))
                found[one.identity] = one.model_copy(update={"families": tuple(families)})
                worth[one.identity] = worth.get(one.identity, 0.0) + _weight(scan, need, situation)
    ordered = sorted(found, key=lambda key: (-worth[key], len(str(key)), str(key)))
    return tuple(found[key] for key in ordered[:MOST_CANDIDATES])


def _weight(scan: ScanNeed, need: FamilyNeeds, situation: Situation) -> float:
    share = min(scan.cost / need.cost, 1.0) if need.cost else 0.0
    return situation.time_of(need) * share


def _of_scan(scan: ScanNeed, situation: Situation) -> Iterator[Candidate]:
    table = situation.table(scan.schema_name, scan.table)
    if table is None or situation.rows_of(situation.root(table)) < SMALL_TABLE_ROWS:
        return
    home = situation.root(table)  # an index of a partitioned table is one index
    made = chain(_ordered(scan, table), _partial(scan, table), _special(scan, table, situation))
    for one in made:
        placed = one.model_copy(update={"schema_name": home.schema_name, "table": home.name})
        if not _is_served(placed, situation):
            yield placed


def _candidate(table: Table, keys: Keys, **more: object) -> Candidate:
    return Candidate.model_validate(
        {"schema_name": table.schema_name, "table": table.name, "keys": keys, **more}
    )


# -- B-trees ----------------------------------------------------------------------------------------------------------------------


def _ordered(scan: ScanNeed, table: Table) -> Iterator[Candidate]:
    """B-trees: keys alone, and with the columns that the statement needs beside them."""
    for keys in dict.fromkeys(k[:MOST_COLUMNS] for k in _keys(scan, table) if k):
        yield _candidate(table, keys)
        if carried := _carried(scan, table, keys):
            yield _candidate(table, keys, include=carried)
    for order in (*scan.orders, *scan.groups):
        directions = tuple(term.direction for term in order)
        if len(order) <= MOST_COLUMNS and len(set(directions)) > 1:
            lead = tuple(_until_few(table, _equal(scan, table)))
            tail = tuple(term.key for term in order if term.key not in lead)
            options = ("",) * len(lead) + tuple(t.direction for t in order if t.key not in lead)
            yield _candidate(table, (*lead, *tail), key_options=options)
    for one in _usable(scan, table):
        if one.kind == "like" and one.pattern == "prefix" and _is_text_of_locale(table, one):
            yield _candidate(table, (one.key,), key_options=("text_pattern_ops",))


def _keys(scan: ScanNeed, table: Table) -> Iterator[Keys]:
    """The keys that could narrow a scan, the order of columns being decided by how few rows each leaves."""
    equal = _equal(scan, table)
    ranged = [c.key for c in _usable(scan, table) if c.kind == "range" and not c.joined]
    groups = _joined(scan, table)
    enough = tuple(_until_few(table, equal))
    yield enough
    yield from ((key,) for key in (*equal, *ranged))
    yield from ((*enough, key) for key in ranged if key not in enough)
    for group in groups:
        yield group
        yield from (group[:1], (*group, *(k for k in equal[:1] if k not in group)))
        yield tuple(dict.fromkeys((*enough[:2], *group)))
        yield from ((*group, key) for key in ranged[:2] if key not in group)
    for order in (*scan.orders, *scan.groups):
        if len({term.direction for term in order}) == 1:  # one read backwards serves the other direction
            tail = tuple(term.key for term in order)
            yield tail
            yield tuple(dict.fromkeys((*equal, *tail)))
    for arms in scan.arms:
        for arm in arms:
            yield tuple(dict.fromkeys(c.key for c in arm if c.kind in {"equal", "any", "range"}))[:2]


def _usable(scan: ScanNeed, table: Table) -> Iterator[Condition]:
    """The conditions on columns that are there, a plain column's harmless cast taken off."""
    for one in scan.conditions:
        columns = [table.column(name) for name in one.columns]
        if any(column is None for column in columns):
            continue
        if one.cast and not _is_same_type(one, table):
            one = one.model_copy(update={"key": f"(({one.key})::{one.cast})"})  # noqa: PLW2901 - the same condition, as an expression
        yield one


def _is_same_type(one: Condition, table: Table) -> bool:
    """Whether a cast leaves the value as it is stored: varchar to text."""
    column = table.column(one.columns[0])
    return column is not None and column.category == "S" and column.type != "character" and one.cast == "text"


def _equal(scan: ScanNeed, table: Table) -> list[str]:
    keys = {
        c.key: _distinct(table, c)
        for c in _usable(scan, table)
        if c.kind in {"equal", "any"} and not c.joined
    }
    keys |= {
        c.key: _distinct(table, c) for c in _usable(scan, table) if c.kind == "like" and c.pattern == "exact"
    }
    return sorted((k for k in keys if keys[k] > 1), key=lambda k: (-keys[k], k))


def _joined(scan: ScanNeed, table: Table) -> list[Keys]:
    """Groups of keys that are compared with the same other scan, and each alone."""
    by_other: dict[tuple[str, ...], dict[str, None]] = {}
    for one in _usable(scan, table):
        if one.joined and one.kind in {"equal", "any", "range"}:
            by_other.setdefault(one.joined, {})[one.key] = None
    singles = [(key,) for keys in by_other.values() for key in keys]
    several = [tuple(keys) for keys in by_other.values() if len(keys) > 1]
    everything = tuple(dict.fromkeys(key for keys in by_other.values() for key in keys))
    return list(
        dict.fromkeys((*singles, *several, *((everything[::-1], everything) if len(everything) > 1 else ())))
    )


def _until_few(table: Table, keys: list[str]) -> list[str]:
    taken: list[str] = []
    rows = float(table.rows)
    for key in keys[:MOST_COLUMNS]:
        if rows <= ENOUGH_ROWS:
            break
        taken.append(key)
        rows /= max(table.distinct(key), 1.0)
    return taken


def _distinct(table: Table, one: Condition) -> float:
    return max(table.distinct(name) for name in one.columns)


def _carried(scan: ScanNeed, table: Table, keys: Keys) -> Keys:
    """The columns to include so that the index alone answers; none where that would be most of the row, or nothing."""
    columns = [c for c in table.columns if c.name in scan.needed and c.name not in keys]
    if not columns or len(columns) > MOST_INCLUDED or any(k.startswith("(") for k in keys):
        return ()
    rest, width = tuple(c.name for c in columns), sum(c.width for c in columns)
    whole = sum(c.width for c in table.columns) or 1
    return rest if width <= MOST_CARRIED_SHARE * whole else ()


def _is_text_of_locale(table: Table, one: Condition) -> bool:
    column = table.column(one.columns[0])
    return column is not None and column.category == "S" and not column.collation_is_c


# -- only the rows that are asked for ---------------------------------------------------------------------------------------------


def _partial(scan: ScanNeed, table: Table) -> Iterator[Candidate]:
    """Partial indexes: two columns compared, NULL tests, booleans, and constants of few values that the application always gives."""
    found = {where: one for one in scan.conditions if (where := _predicate(one, table)) is not None}
    choices: list[tuple[str, tuple[Condition, ...]]] = [(where, (one,)) for where, one in found.items()]
    if len(found) > 1:
        choices.append((" AND ".join(sorted(found)), tuple(found.values())))
    for where, ones in choices:
        tested = {one.key for one in ones}
        others = scan.model_copy(
            update={"conditions": tuple(c for c in scan.conditions if c.key not in tested)}
        )
        keys = dict.fromkeys(k[:MOST_COLUMNS] for k in _keys(others, table) if k)
        alone = [(one.key,) for one in ones if one.kind != "within"] if not keys else []
        for key in (*keys, *alone):
            yield _candidate(table, key, where=where)
            told = {name for one in ones for name in one.columns}  # what the predicate tells need not be read
            if carried := tuple(c for c in _carried(others, table, key) if c not in told):
                yield _candidate(table, key, where=where, include=carried)


def _predicate(one: Condition, table: Table) -> str | None:
    if one.kind == "within" and all(table.column(name) for name in one.columns):
        return one.key
    column = table.column(one.columns[0]) if len(one.columns) == 1 else None
    if column is None or one.key != column.name:
        return None
    name = sql.identifier(column.name)
    if one.kind == "null" and 0 < column.null_share < 1 / 2:
        return f"{name} IS NULL"
    if one.kind == "not_null" and column.null_share > 1 / 2:
        return f"{name} IS NOT NULL"
    if one.kind in {"true", "false"} and column.category == "B":
        return name if one.kind == "true" else f"NOT {name}"
    few = 1 < table.distinct(column.name) <= FEW_VALUES
    return f"{name} = {one.fixed}" if one.kind == "equal" and one.fixed and few else None


# -- other access methods ---------------------------------------------------------------------------------------------------------


def _special(scan: ScanNeed, table: Table, situation: Situation) -> Iterator[Candidate]:
    """BRIN where rows lie in a column's order, GIN for what is inside a value, GiST for ranges."""
    for one in _usable(scan, table):
        column = table.column(one.columns[0])
        if column is None:
            continue
        if (
            one.kind == "range"
            and one.key == column.name
            and abs(column.correlation or 0) >= BRIN_CORRELATION
            and table.pages >= BRIN_PAGES
        ):
            yield _candidate(table, (one.key,), method="brin")
        yield from _inside(one, table, situation)


def _inside(one: Condition, table: Table, situation: Situation) -> Iterator[Candidate]:
    column = table.column(one.columns[0])
    kind = column.type if column is not None else ""
    is_column = column is not None and one.key == column.name
    if kind == "jsonb" and is_column and one.kind in {"contains", "has_key"}:
        if one.kind == "contains":
            yield _candidate(table, (one.key,), method="gin", key_options=("jsonb_path_ops",))
        yield _candidate(table, (one.key,), method="gin")
    elif (
        column is not None
        and column.category == "A"
        and one.kind in {"contains", "contained", "overlap", "any"}
    ) or one.kind == "search":
        yield _candidate(table, (one.key,), method="gin")
    elif column is not None and column.category == "R" and one.kind in {"contains", "contained", "overlap"}:
        yield _candidate(table, (one.key,), method="gist")
    elif (
        one.kind in {"like", "ilike", "regex"}
        and one.pattern != "prefix"
        and "pg_trgm" in situation.extensions
    ):
        yield _candidate(table, (one.key,), method="gin", key_options=("gin_trgm_ops",))


def wants_trigrams(situation: Situation) -> tuple[str, ...]:
    """Columns searched for a part of their text, where the extension that could index that is not installed."""
    if "pg_trgm" in situation.extensions:
        return ()
    found = (
        f"{scan.schema_name}.{scan.table} ({one.key})"
        for need in situation.needs
        for scan in need.scans
        for one in scan.conditions
        if one.kind in {"like", "ilike"} and one.pattern == "infix" and scan.cost > DESCENT_COST * 100
    )
    return tuple(dict.fromkeys(found))


# -- what is there already --------------------------------------------------------------------------------------------------------


def _is_served(one: Candidate, situation: Situation) -> bool:
    """Whether an index is there that begins with these keys, for all rows."""
    if one.method != "btree" or one.include or one.where or any(one.key_options):
        return False
    own = (i for i in situation.indexes if (i.schema_name, i.table_name) == (one.schema_name, one.table))
    return any(index.serves(one.keys) for index in own)


# -- a first estimate, before anything is tried -----------------------------------------------------------------------------------


def estimated(situation: Situation, at_least_percent: float) -> tuple[tuple[Candidate, float], ...]:
    """What is worth trying, by the planner's statistics alone: (candidate, percent of the workload it seems to save), best first.

    Only statements that read a whole large table count: whether another index would be better than one in use, only a trial can tell.
    """
    left = [
        c for c in candidates(situation) if c.method == "btree" and not c.include and not any(c.key_options)
    ]
    total = sum(situation.time_of(need) for need in situation.needs) or 1.0
    shares = {c.identity: _shares(c, situation) for c in left}
    best: dict[str, float] = {}
    taken = []
    while left:
        gains = [sum(max(0.0, ms - best.get(f, 0.0)) for f, ms in shares[c.identity].items()) for c in left]
        largest = max(range(len(left)), key=lambda i: (gains[i], -len(left[i].keys), left[i].keys))
        percent = gains[largest] * 100 / total
        if percent < 2 * at_least_percent:
            break
        one = left.pop(largest)
        taken.append((one, round(percent, 1)))
        for fingerprint, ms in shares[one.identity].items():
            best[fingerprint] = max(best.get(fingerprint, 0.0), ms)
    return tuple(taken)


def _shares(one: Candidate, situation: Situation) -> dict[str, float]:
    """Milliseconds of each family that the candidate seems to save."""
    return {
        need.fingerprint: max((_saving(one, scan, need, situation) for scan in need.scans), default=0.0)
        for need in situation.needs
        if need.fingerprint in one.families
    }


def _saving(one: Candidate, scan: ScanNeed, need: FamilyNeeds, situation: Situation) -> float:
    table = situation.table(scan.schema_name, scan.table)
    if table is None or "Seq Scan" not in scan.node or situation.root(table).name != one.table:
        return 0.0
    rows = float(table.rows)
    by_key = {c.key: c for c in scan.conditions if not c.joined}
    for key in one.keys:
        condition = by_key.get(key)
        if condition is None or condition.kind not in {"equal", "any"}:
            break
        rows /= _distinct(table, condition)
    rest = tuple(
        key for key in one.keys if by_key.get(key) is None or by_key[key].kind not in {"equal", "any"}
    )
    if rest and rest[0] in by_key:
        rows *= RANGE_SHARE
    elif rest and scan.limited and any(rest == tuple(t.key for t in order) for order in scan.orders):
        rows = min(rows, FIRST_PAGE)
    elif rest:
        return 0.0  # a join or a sort: only a trial can tell
    saved = max(0.0, scan.cost - (DESCENT_COST + rows * (RANDOM_COST + ROW_COST)))
    return situation.time_of(need) * min(saved / need.cost, 1.0) if need.cost else 0.0


def described(names: Iterable[str]) -> str:
    """A few names, then how many more."""
    listed = list(names)
    return ", ".join(listed[:3]) + (f" and {len(listed) - 3} more" if len(listed) > 3 else "")  # noqa: PLR2004 - a readable list
