"""From two tables to the rows that differ: counts and sums by segment, and only what differs is looked into.

Segments lie on one grid: from `low` on, each `width` wide, a power of two; finer ones divide coarser ones. Depth first, so that a table of
which every row differs gives its first differing rows after a few statements, and its other segments as a bound.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datareeve.capabilities.quality.reconcile.asking import TooLong, TooMany
from datareeve.capabilities.quality.reconcile.statements import GREATEST, HASHES, LEAST, Side, within

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.quality.reconcile.asking import Asking, Both, Rows
    from datareeve.capabilities.quality.reconcile.statements import Range

PARTS = 512  # segments that a table is first divided into
ANSWERS = 800  # segments, or rows, that one statement gives
LEAF = 250  # rows of a segment that are fetched, as fingerprints
EXAMPLES = 20  # keys that are told
FINER = 9  # binary digits by which a segment is divided at once, at most
FARTHEST = 2**62  # keys beyond are put into segments by their hash

Figures = tuple[int, int]  # rows, and the sum of their fingerprints
Identity = tuple[str | None, ...]
NOTHING: Figures = (0, 0)


@dataclass
class Segment:
    """Rows whose keys lie in a range, on both sides. `range` None: keys that have no place in the order."""

    range: Range | None
    width: int
    left: Figures = NOTHING
    right: Figures = NOTHING

    @property
    def differs(self) -> bool:
        """Whether count or sum do."""
        return self.left != self.right

    @property
    def beyond(self) -> bool:
        """Whether it lies outside the range that both had when the comparison began: rows that came meanwhile."""
        return self.range is not None and (self.range[0] == LEAST or self.range[1] == GREATEST)

    @property
    def rows(self) -> int:
        """Of the side that has more."""
        return max(self.left[0], self.right[0])


@dataclass
class Difference:
    """One key, or where there is none one fingerprint, that both sides do not have alike."""

    place: int | None
    only_left: int = 0
    only_right: int = 0
    differing: int = 0
    repeated: bool = False  # there is more than one row of that key on a side


@dataclass
class Found:
    """What the search has found."""

    left: int = 0  # rows
    right: int = 0
    segments: int = 0  # compared
    differing_segments: int = 0  # of those first compared
    only_left: int = 0  # in segments that the other side has nothing of, beyond `differences`
    only_right: int = 0
    differences: dict[Identity, Difference] = field(default_factory=dict)
    examples_left: list[Identity] = field(default_factory=list)  # keys of those
    examples_right: list[Identity] = field(default_factory=list)
    not_looked_into: list[Segment] = field(default_factory=list)

    @property
    def rows_of_differences(self) -> int:
        """Rows that are told one by one."""
        return sum(one.only_left + one.only_right + one.differing for one in self.differences.values())


class Search:
    """The grid, and the way down."""

    def __init__(self, both: Both, most: int, progress: Callable[[str], None]) -> None:
        self.both, self.most, self.progress = both, most, progress
        self.low = 0
        self.found = Found()

    def run(self) -> Found:
        """Compare, and look into what differs."""
        bounds = self._bounds()
        first = self._by_key(*bounds) if bounds else self._whole()
        found = self.found
        found.left, found.right = (
            sum(part) for part in zip(*((one.left[0], one.right[0]) for one in first), strict=True)
        )
        found.segments, waiting = len(first), [one for one in first if one.differs]
        found.differing_segments = len(waiting)
        self.progress(
            f"{found.left:,} rows beside {found.right:,}; {len(waiting)} of {len(first)} segments differ"
        )
        waiting.reverse()
        while waiting and found.rows_of_differences < self.most:
            waiting += reversed(self._look_into(_batch(waiting)))
        found.not_looked_into += waiting
        return found

    # -- the first look ------------------------------------------------------------------------------------------------------------

    def _bounds(self) -> Range | None:
        """The keys' range on both sides together, where keys are integers near enough; (0, 0) where there are no rows."""
        if not self.both.left.side.by_integer:
            return None
        rows = [row for part in self.both.rows(Side.bounds) for row in part]
        try:
            ends = [int(row[end]) for row in rows for end in ("min_key", "max_key") if row[end] is not None]
        except ValueError:
            ends = [-GREATEST]  # SQLite: a text among them
        if not ends:
            return (0, 0)
        if min(ends) > -FARTHEST and max(ends) < FARTHEST:
            return min(ends), max(ends)
        for asking in (self.both.left, self.both.right):
            asking.side.by_integer = False
        return None

    def _whole(self) -> list[Segment]:
        """One sum of all: where there is no order to divide by, equal tables cost nothing for it."""
        left, right = map(_figures, self.both.rows(Side.whole))
        return [Segment(HASHES, HASHES[1], left.get(0, NOTHING), right.get(0, NOTHING))]

    def _by_key(self, least: int, greatest: int) -> list[Segment]:
        span = greatest - least + 1
        width = 1 << max(0, -(-span // PARTS) - 1).bit_length()
        parts = -(-span // width)
        self.low = least
        left, right = self.both.each(lambda asking: self._first(asking, width, parts))
        numbers = sorted({*left, *right}, key=lambda n: (n is None, n or 0))
        made = [Segment(self._range(n, width, parts), width, left.get(n, NOTHING), right.get(n, NOTHING)) for n in numbers]  # fmt: skip
        return made or [Segment(None, 1)]

    def _range(self, number: int | None, width: int, parts: int) -> Range | None:
        if number is None:
            return None
        low = LEAST if number < 0 else self.low + number * width
        return low, self.low if number < 0 else GREATEST if number >= parts else low + width

    def _first(self, asking: Asking, width: int, parts: int) -> dict[int | None, Figures]:
        try:
            return _figures(asking.rows(asking.side.first(self.low, width, parts)))
        except TooLong:
            whole = (self.low, self.low + width * parts)
            found: dict[int | None, Figures] = dict(self._within(asking, width, _halves(whole, width)))
            return found | _figures(asking.rows(asking.side.first(self.low, width, parts, only_beyond=True)))

    # -- the way down --------------------------------------------------------------------------------------------------------------

    def _within(self, asking: Asking, width: int, ranges: list[Range]) -> dict[int | None, Figures]:
        """Counts and sums by segment of some ranges; what takes too long is asked half by half."""
        try:
            return _figures(asking.rows(asking.side.segments(self.low, width, ranges)))
        except TooLong:
            half = ranges if len(ranges) > 1 else _halves(ranges[0], width)
            if len(half) == 1:
                raise
            middle = len(half) // 2
            return self._within(asking, width, half[:middle]) | self._within(asking, width, half[middle:])

    def _look_into(self, batch: list[Segment]) -> list[Segment]:
        """Some segments of one width: their rows where they are few, else the segments within them that differ."""
        if batch[0].rows <= LEAF or batch[0].width == 1 or batch[0].range is None:
            self._compare(batch)
            return []
        if batch[0].left[0] == 0 or batch[0].right[0] == 0:
            self._one_sided(batch[0])
            return []
        if batch[0].beyond:
            self.found.not_looked_into += batch
            return []
        made = self._finer(batch)
        self.found.segments += len(made)
        differing = [one for one in made if one.differs]
        self.progress(
            f"{len(differing)} of {len(made)} finer segments differ; {self.found.rows_of_differences:,} rows found"
        )
        return differing

    def _finer(self, batch: list[Segment]) -> list[Segment]:
        width, ranges = _finer_width(batch[0]), [one.range for one in batch if one.range]
        left, right = self.both.each(lambda asking: self._within(asking, width, ranges))
        return [Segment((self.low + n * width, self.low + (n + 1) * width), width, left.get(n, NOTHING), right.get(n, NOTHING)) for n in sorted({n for n in (*left, *right) if n is not None})]  # fmt: skip

    def _one_sided(self, segment: Segment) -> None:
        """A segment that one side has nothing of: its rows are counted already, and a few of its keys are enough."""
        self.found.only_left += segment.left[0]
        self.found.only_right += segment.right[0]
        asking, examples = (
            (self.both.left, self.found.examples_left)
            if segment.left[0]
            else (self.both.right, self.found.examples_right)
        )
        if segment.range and len(examples) < EXAMPLES:
            where = within([segment.range])
            examples += differences(asking.rows(asking.side.rows(where, limit=EXAMPLES)), [])

    def _compare(self, batch: list[Segment]) -> None:
        ranges = [one.range for one in batch if one.range]

        odd = len(ranges) < len(batch)

        def said(side: Side) -> str:
            return side.rows(" OR ".join([within(ranges)] * bool(ranges) + [side.odd()] * odd))

        try:
            left, right = self.both.rows(said)
        except TooMany:
            if len(batch) == 1:
                self.found.not_looked_into += batch
                return
            self._compare(batch[: len(batch) // 2])
            self._compare(batch[len(batch) // 2 :])
            return
        self.found.differences |= differences(left, right)


def differences(left: Rows, right: Rows) -> dict[Identity, Difference]:
    """The keys whose rows are not alike: rows of one key are a multiset of fingerprints."""
    found: dict[Identity, tuple[int | None, Counter[str], Counter[str]]] = {}
    for side, rows in enumerate((left, right)):
        for row in rows:
            keys = tuple(value for name, value in row.items() if name.startswith("k") and name[1:].isdigit())
            identity = keys or (row["hash"],)
            place, *both = found.setdefault(identity, (_number(row["place"]), Counter(), Counter()))
            both[side][row["hash"]] += int(row["n"])
    made = {}
    for identity, (place, ours, theirs) in found.items():
        rest_left, rest_right = (ours - theirs).total(), (theirs - ours).total()
        if rest_left or rest_right:
            both_have = min(rest_left, rest_right)
            repeated = max(ours.total(), theirs.total()) > 1
            made[identity] = Difference(
                place, rest_left - both_have, rest_right - both_have, both_have, repeated
            )
    return made


def _number(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def _figures(rows: Rows) -> dict[int | None, Figures]:
    made: dict[int | None, Figures] = {}
    for row in rows:
        sums = [int(value) for name, value in row.items() if name.startswith("sum")]
        segment = None if row["segment"] is None else int(row["segment"])
        made[segment] = (int(row["n"]), sum(piece << 30 * n for n, piece in enumerate(sums)))
    return {segment: figures for segment, figures in made.items() if figures[0]}


def _finer_width(segment: Segment) -> int:
    low, high = segment.range or HASHES
    wanted = max(1, -(-segment.rows // LEAF) * 2)
    return max(1, (1 << (high - low - 1).bit_length()) >> min(FINER, wanted.bit_length()))


def _batch(waiting: list[Segment]) -> list[Segment]:
    """The next segments that are looked into by one statement, taken from the end."""
    batch = [waiting.pop()]
    first = batch[0]
    leaf = first.rows <= LEAF and first.range is not None
    divides = not leaf and first.width > 1 and first.left[0] and first.right[0]
    room = ANSWERS - (first.rows if leaf else 1 << FINER)
    while waiting and (leaf or divides):
        following = waiting[-1]
        alike = (
            following.range is not None
            and (following.rows <= LEAF) == leaf
            and (leaf or (following.width == first.width and _finer_width(following) == _finer_width(first)))
        )
        cost = following.rows if leaf else following.width // _finer_width(following)
        if not alike or cost > room or not (leaf or (following.left[0] and following.right[0])):
            break
        room -= cost
        batch.append(waiting.pop())
    return batch


def _halves(whole: Range, width: int) -> list[Range]:
    low, high = whole
    middle = low + max(1, (high - low) // width // 2) * width
    return [(low, middle), (middle, high)] if middle < high else [whole]
