"""How large an index will be, from what the planner's statistics tell of its columns: nothing is built, and no extension is needed.

A B-tree is laid out as `CREATE INDEX` lays it out: leaf pages filled to the fill factor, equal keys merged into posting lists of at most
a tenth of a page, inner pages filled to 70 %. Source: PostgreSQL's nbtree README and nbtsort.c, nbtdedup.c, hashpage.c, brin_revmap.c, ginentrypage.c.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

PAGE = 8192
BTREE_ROOM = PAGE - 24 - 16  # without the page's header and the B-tree's own trailer
INNER_FILL = 70  # percent, of B-tree pages above the leaves
LINE_POINTER = 4
TUPLE_HEADER = 8
TID = 6
LONGEST_POSTING = 808  # bytes: a tenth of a page, aligned, less a line pointer
SHORT = 127  # a varying value up to here is stored without alignment
ALIGNED_LOSS = 3.5  # what rounding up to 8 bytes costs on average, where lengths vary widely
HASH_ITEM = 20
HASH_FILL = 75
BRIN_REVMAP_ITEMS = 1360
BRIN_ROOM = PAGE - 24 - 8
GIN_ENTRIES_HEADER = 24
GIN_POSTING_BYTES = 2.0  # a delta-coded row pointer; 1 where a key is in nearly every row, 4 where it is rare

# How far a real index may be from the estimate, as a factor, by method. Measured in tests/systems/test_index_size.py.
ERROR = {"btree": 1.2, "hash": 1.3, "brin": 2.0, "gin": 2.5, "gist": 2.5, "spgist": 2.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What is known of an index column. `distinct` and `null_share` as in pg_stats (negative: a share of the rows)."""

    width: float  # bytes, of values that are not null
    length: int = -1  # of the type; -1: it varies
    align: int = 4
    spread: float = 0.5  # by which share of the width lengths scatter to either side
    null_share: float = 0.0
    distinct: float = -1.0
    common: tuple[float, ...] = ()  # the shares of the most common values
    merges: bool = True  # equal values are equal in every bit, so a B-tree may keep one of them
    elements: float = 1.0  # keys a value falls apart into, for GIN
    all_elements: float = 0.0  # different ones of them in all; 0: not known


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexFacts:
    """What an index's size follows from. `rows`: those that a partial index's predicate lets in."""

    method: str
    rows: float
    keys: tuple[Column, ...]
    included: tuple[Column, ...] = ()
    is_unique: bool = False
    fill: int = 90
    table_rows: float = 0.0
    distinct_at_most: float = math.inf  # keys, where a foreign key or extended statistics tell
    table_pages: int = 0
    pages_per_range: int = 128


@dataclass(frozen=True, slots=True)
class IndexSize:
    """Pages of 8 KB; levels above the leaves; the factor that the real size may be off by, either way."""

    pages: int
    height: int
    error: float

    @property
    def bytes(self) -> int:
        """The size in bytes."""
        return self.pages * PAGE


def index_size(facts: IndexFacts) -> IndexSize:
    """The size that a newly built index will have."""
    pages, height = {"btree": _btree, "hash": _hash, "brin": _brin, "gin": _gin}.get(facts.method, _gist)(
        facts
    )
    return IndexSize(pages, height, ERROR.get(facts.method, 3.0))


# -- B-tree -----------------------------------------------------------------------------------------------------------------------


def _btree(facts: IndexFacts) -> tuple[int, int]:
    room = BTREE_ROOM - PAGE * (100 - facts.fill) // 100
    leaves = math.ceil(_leaf_bytes(facts, room) / room) if facts.rows >= 1 else 0
    return with_inner_pages(max(leaves, 1 if facts.rows >= 1 else 0), _tuple_bytes(facts.keys))


def with_inner_pages(leaves: int, key_bytes: float) -> tuple[int, int]:
    """All pages of a B-tree with so many leaves, its metapage included, and how many levels stand above the leaves."""
    fan_out = max(
        2, int((BTREE_ROOM - PAGE * (100 - INNER_FILL) // 100) // (min(key_bytes, 2700) + LINE_POINTER))
    )
    pages, level, height = 1 + leaves, leaves, 0
    while level > 1:
        level = math.ceil(level / fan_out)
        pages += level
        height += 1
    return pages, height


def inner_pages(pages: int, facts: IndexFacts) -> tuple[int, int]:
    """Pages and height of an existing B-tree of so many pages."""
    return with_inner_pages(max(pages - 1 - pages // 100, 1), _tuple_bytes(facts.keys))


def _leaf_bytes(facts: IndexFacts, room: int) -> float:
    """What the leaves hold, line pointers and the unused end of each page included."""
    size = _tuple_bytes((*facts.keys, *facts.included))
    nulls = facts.rows * (facts.keys[0].null_share if len(facts.keys) == 1 else 0.0)
    if facts.is_unique or facts.included or not all(key.merges for key in facts.keys):
        return facts.rows * _paged(size + LINE_POINTER, room)
    if nulls:  # these are a group of their own
        size = _tuple_bytes((replace(facts.keys[0], null_share=0.0),))
    groups = [*_common_groups(facts), _rest_group(facts, nulls)]
    total = sum(count * _group_bytes(size, rows, room) for count, rows in groups if count >= 1)
    return total + (_group_bytes(TUPLE_HEADER * 2, nulls, room) if nulls >= 1 else 0.0)


def _common_groups(facts: IndexFacts) -> list[tuple[float, float]]:
    """The most common values, each a group of its own: [(1, rows)]. Only of a single column are they known."""
    if len(facts.keys) > 1:
        return []
    return [(1.0, share * facts.rows) for share in facts.keys[0].common]


def _rest_group(facts: IndexFacts, nulls: float) -> tuple[float, float]:
    """The other values: how many, and the rows of each."""
    common = facts.keys[0].common if len(facts.keys) == 1 else ()
    rows = max(facts.rows * (1 - sum(common)) - nulls, 0.0)
    values = max(distinct(facts) - len(common), 1.0)
    return (min(values, rows), max(rows / values, 1.0)) if rows >= 1 else (0.0, 0.0)


def distinct(facts: IndexFacts) -> float:
    """How many different keys the rows have, columns taken as independent of each other."""
    every = max(facts.table_rows, facts.rows, 1.0)
    values = math.prod(
        max(key.distinct if key.distinct > 0 else -key.distinct * every, 1.0) for key in facts.keys
    )
    # So many draws from so many values leave some values undrawn.
    if len(facts.keys) > 1 and values < every * 1e6:
        values *= -math.expm1(-every / values)
    values = min(values, every, facts.distinct_at_most)
    if facts.rows < every:
        values *= 1 - (1 - facts.rows / every) ** (every / values)
    return max(min(values, facts.rows), 1.0)


def _group_bytes(size: float, rows: float, room: int) -> float:
    """The leaf bytes of one value that so many rows have on average (the counts scattered around it as chance would)."""
    longest = max(int((LONGEST_POSTING - size) // TID), 1)
    if rows > longest / 2:
        whole, left = divmod(rows, longest)
        posting = _aligned(size + longest * TID) + LINE_POINTER
        return whole * _paged(posting, room) + (
            _aligned(size + left * TID) + LINE_POINTER if left >= 1 else 0.0
        )
    mean = _poisson_mean(rows)
    single = mean * math.exp(-mean) / -math.expm1(-mean) if mean > 0 else 1.0
    if single > 0.999:  # noqa: PLR2004 - nothing to merge
        return rows * _paged(size + LINE_POINTER, room)
    several = (rows - single) / (1 - single)
    return (
        single * (size + LINE_POINTER) + (1 - single) * (size + several * TID + ALIGNED_LOSS + LINE_POINTER)
    ) * 1.01  # the end of a page that the next posting list did not fit


def _poisson_mean(rows: float) -> float:
    """The parameter of a Poisson distribution without zero that has this mean."""
    if rows <= 1.0:
        return 0.0
    mean = rows
    for _ in range(30):
        mean = rows * -math.expm1(-mean)
    return mean


def _paged(item: float, room: int) -> float:
    """An item's share of a page, with what is left over at the page's end."""
    return room / max(room // item, 1)


def _tuple_bytes(columns: tuple[Column, ...]) -> float:
    """An index tuple without its line pointer, for rows with and without nulls."""
    complete = math.prod(1 - column.null_share for column in columns)
    plain = _rounded(TUPLE_HEADER, columns)
    if complete == 1:
        return plain
    # The width of a column in rows where some column is null, it or another.
    present = tuple(
        replace(c, width=c.width * max(1 - c.null_share - complete, 0) / (1 - complete)) for c in columns
    )
    return complete * plain + (1 - complete) * _rounded(2 * TUPLE_HEADER, present)


def _rounded(header: int, columns: tuple[Column, ...]) -> float:
    """Header and values, rounded up to 8 bytes; the average of that, where lengths vary."""
    place = float(header)
    for column in columns:
        if column.length > 0 or column.width > SHORT:
            place = math.ceil(place / column.align) * column.align
        place += column.width
    scatter = math.hypot(*(column.width * column.spread for column in columns if column.length < 0))
    if scatter == 0:
        return _aligned(place)
    # Statistics cut the fraction off an average width: the real one is half a byte more.
    low, high = place + 0.5 - max(scatter, 0.5), place + 0.5 + max(scatter, 0.5)
    return (_rounding(high) - _rounding(low)) / (high - low)


def _rounding(size: float) -> float:
    """The integral of rounding up to 8, from 0."""
    whole, left = divmod(size, 8)
    return 8 * 8 * whole * (whole + 1) / 2 + left * 8 * (whole + 1)


def _aligned(size: float) -> float:
    return math.ceil(size / 8) * 8


# -- others -----------------------------------------------------------------------------------------------------------------------


def _hash(facts: IndexFacts) -> tuple[int, int]:
    """Buckets are made in powers of two, from 512 on in quarters of one; equal values overflow into further pages."""
    wanted = math.ceil(facts.rows / (PAGE * HASH_FILL // 100 // HASH_ITEM))
    buckets = 2 ** max(1, math.ceil(math.log2(max(wanted, 2))))
    if wanted > 512:  # noqa: PLR2004 - see hashpage.c, _hash_spareindex
        low = 2 ** (math.ceil(math.log2(wanted)) - 1)
        buckets = low + math.ceil((wanted - low) * 4 / low) * low // 4
    full = (PAGE - 24 - 16) // HASH_ITEM
    values = min(distinct(facts), facts.rows) or 1.0
    # Fewer values than buckets leave buckets empty and others overflowing.
    used = buckets * -math.expm1(-values / buckets)
    overflow = used * max(math.ceil(facts.rows / max(used, 1) / full - 1), 0)
    return int(buckets + overflow + 2), 0


def _brin(facts: IndexFacts) -> tuple[int, int]:
    ranges = math.ceil(max(facts.table_pages, 1) / facts.pages_per_range)
    item = _aligned(8 + 2 * sum(key.width for key in facts.keys)) + LINE_POINTER
    revmap = math.ceil(ranges / BRIN_REVMAP_ITEMS)
    return 1 + revmap + math.ceil(ranges * item / BRIN_ROOM), 0


def _gin(facts: IndexFacts) -> tuple[int, int]:
    """Rough: an entry for each different element, and a compressed row pointer for each element of each row."""
    pages = 2.0
    for key in facts.keys:
        rows = facts.rows * (1 - key.null_share)
        postings = rows * key.elements
        entries = min(key.all_elements or postings, postings)
        size = _aligned(TUPLE_HEADER + min(key.width, 16)) + LINE_POINTER + GIN_ENTRIES_HEADER / 2
        pages += (entries * size + postings * GIN_POSTING_BYTES) / (PAGE * 0.75)
    return math.ceil(pages), 1 if pages > 3 else 0  # noqa: PLR2004 - metapage, root and one leaf


def _gist(facts: IndexFacts) -> tuple[int, int]:
    item = _aligned(TUPLE_HEADER + sum(max(key.width, 8) for key in facts.keys)) + LINE_POINTER
    pages = 1 + facts.rows * item / (PAGE * 0.7)
    return math.ceil(pages * 1.02), max(int(math.log(max(pages, 1), 100)), 0)
