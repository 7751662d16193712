"""What a series lets one expect of its next point, taken in point by point: nothing of a point is known when it is judged.

Several patterns (none, day of week, hour of day, hour of week, turn of the month) are smoothed at several paces side by side; the one that
foretold best lately, each point before it was seen, foretells. How far its surprises reach (`tails`) says how wide the band is: so wide that on
data where nothing is wrong as many alarms come a year as were asked for. Beside the band a slow drift is noticed (a weighted mean of the
surprises of the slowest pace: Roberts 1959) and a figure that has stopped moving (more equal ones in a row than chance gives).
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from datareeve.capabilities.quality.learned import slots
from datareeve.capabilities.quality.learned.points import Expectation, NotEnough, Point, Settings
from datareeve.capabilities.quality.learned.scales import JITTER, Scale, scale_of
from datareeve.capabilities.quality.learned.smoothing import CUT, MEAN_TO_SPREAD, PACES, Smoothing, middle
from datareeve.capabilities.quality.learned.tails import reach
from datareeve.core import holidays

if TYPE_CHECKING:
    from datetime import datetime

    from datareeve.capabilities.quality.learned.points import Mark
    from datareeve.capabilities.quality.learned.slots import Place

YEAR = 365.25 * slots.DAY
POOL = 2_000  # surprises that the reach is measured on
# Where a tenth of a count is nothing to notice, half a percent of the rows is none, and a fortieth of another figure.
OF_A_SHARE, OF_A_VALUE = 0.05, 0.25
SHARES = {"point": 0.35, "drift": 0.2, "frozen": 0.1}  # of the false alarms; a point has two sides
DRIFT_GAIN, DRIFT_SPREAD = 0.1, 0.2294  # and the spread of such a mean of unit surprises
TREND_GAIN = 0.01  # of how far it mostly lies from its slow level
DRIFT_LEAST, DRIFT_WANDERS = 4.0, 1.8
WILD, WILDEST = (
    3.5,
    5.0,
)  # spreads: a point beyond the limit, or the second, is not learned from, unless it lasts
EARLY, EARLY_POINTS = 20.0, 25  # how much farther surprises are taken to reach while few are known
# What an alarmed point says, at most, of how far surprises reach, in spreads and in limits: it may be what is looked for.
BEYOND, NEAR_MISS = 3.5, 1.2
OFTEN, RARE_OF = (
    0.08,
    3.0,
)  # of all points: wild as often as that they are no news; such a move is then so many spreads
HARDLY_EVER = 0.05  # of the points
SAME_SLOT = 3  # wild points in a row in one slot are how that slot is now
MEMORY = 100  # points, at least, that say which pattern and pace foretell best
SHORTLY, EXACTLY = 4, 12  # digits that a figure is told in
PAIR = 0.6  # the power of the chance that each of two in a row may have: a half, were they independent
MOSTLY = 0.8  # of a day's points tell of the day
EVERYWHERE = -1  # beside the slots, what all spread by
WIDTH_BEFORE = 6.0  # points' worth of belief that all slots spread alike

Cause = Literal["", "above", "below", "drift", "frozen"]


@dataclass(frozen=True, slots=True)
class Judged:
    """What a point is beside its expectation; no cause: nothing is to be noticed."""

    cause: Cause
    words: str
    expectation: Expectation | None
    wanting: NotEnough | None = None

    @property
    def alarm(self) -> bool:
        """Whether it is to be noticed."""
        return bool(self.cause)


class Watcher:
    """A series that is watched. `expect` and `judge` change nothing; `learn` takes a point in, in order of time."""

    def __init__(self, settings: Settings, step: float) -> None:
        self.settings, self.step = settings, step
        self.zone = slots.zone_of(settings.zone)
        self.calendar = settings.calendar
        self.slot_minutes = 60 if step >= slots.HOUR / 2 else 15
        self.least = settings.least_points or least_points(step)
        self.points_a_year = YEAR / step
        self.first: list[tuple[Point, Place]] = []
        self.began: datetime | None = None
        self.last: datetime | None = None
        self.learned = 0
        self.scale = Scale("as it is")
        self.smoothings: list[Smoothing] = []
        self.best: Smoothing | None = None
        self.days = Days(settings, step) if step < slots.DAY / 2 else None
        self.forgets = 1 / max(MEMORY, min(self.least, 400))
        self.widths: dict[int, list[float]] = {}
        self.pool: deque[float] = deque()
        self.ordered: list[float] = []
        self.limits = (9.0, 9.0)
        self.pair_limits = (9.0, 9.0)
        self.suspect = 0  # the side that the last point lay far out on, though within the band
        self.fresh = 0  # surprises since the limits were last taken
        self.run: list[tuple[Place, float]] = []
        self.run_side = 0
        self.slot_runs: dict[int, int] = {}
        self.rare: deque[tuple[int, float]] = deque(maxlen=20)
        self.excused: float | None = (
            None  # a figure that a person called a one-off, while nothing usual has come since
        )
        self.drift = self.trend = 0.0
        self.drift_for = self.calm_until = 0
        self.drifted: list[float] = []
        self.drift_limit = DRIFT_SPREAD * 2 * DRIFT_LEAST
        self.visits: Counter[float] = Counter()
        self.stays: Counter[float] = Counter()
        self.kept = self.moved = 0  # of all values: how often the next was equal, how often another
        self.stayed = 0
        self.value: float | None = None
        self.turns: dict[
            tuple[int, int], float
        ] = {}  # surprises of wild days of the month's turn, by smoothing and day
        self.before: dict[tuple[str, int, int, int], list[tuple[int, float]]] = {}

    # -- asked ---------------------------------------------------------------------------------------------------------------------

    def expect(self, at: datetime) -> Expectation | NotEnough:
        """What a point at `at` is expected to be."""
        best = self.best
        if best is None or self.began is None or self.last is None:
            return NotEnough(points=len(self.first), needed=self.least)
        place = self._place(at)
        foretold, unit = best.foretold(place), self._unit(best, place)
        unit *= self._wider_after_gap(at, best)
        low = foretold - (self.pair_limits if self.suspect < 0 else self.limits)[0] * unit
        high = foretold + (self.pair_limits if self.suspect > 0 else self.limits)[1] * unit
        for other in self._same_day_before(place):
            low, high = min(low, low + other), max(high, high + other)
        less, more = self._as_on_other_days(best, place)
        low, high = low + less, high + more
        back, sides = self.scale.back, self.settings.sides
        centre = back(foretold)
        least, most = self._no_smaller_than_matters(centre, back(low), back(high))
        if self.settings.naive and self.step < slots.DAY and slots.clock_changes(place.local, self.step):
            least, most = min(least, 0.0), most * 2
        return Expectation(
            centre=centre,
            low=least if sides != "high" else None,
            high=most if sides != "low" else None,
            basis=self.basis(on_holiday=bool(less or more)),
            trained_on=self.learned,
            begins=self.began.isoformat(),
            ends=self.last.isoformat(),
        )

    def judge(self, at: datetime, value: float) -> Judged:
        """What a figure at `at` is beside what was expected."""
        found = self.expect(at)
        if isinstance(found, NotEnough):
            return Judged("", found.reason, None, found)
        if self._is_excused(value, found):
            return Judged("", f"{self._told(value)}, as a person said was expected", found)
        if (found.high is not None and value > found.high) or math.isnan(value):
            return Judged("above", self._beside(value, found), found)
        if found.low is not None and value < found.low:
            return Judged("below", self._beside(value, found), found)
        drifts = self.drifts(at, value)
        drifts = drifts or (self.days.drifts if self.days else "")
        if words := drifts or self._frozen(value):
            return Judged("drift" if drifts else "frozen", words, found)
        return Judged("", f"{self._told(value)}, as expected: {self._band(found)}", found)

    def _beside(self, value: float, found: Expectation) -> str:
        """'24, where 31 to 88 is expected, most likely 55 (steady level by day of week; 2 false alarms a year)'."""
        ends = (end for end in (found.low, found.high) if end is not None)
        # Told in few digits, a figure just beyond the band would read as within.
        digits = EXACTLY if any(_number(value, SHORTLY) == _number(end, SHORTLY) for end in ends) else SHORTLY
        likely = f"{self._band(found, digits)} is expected, most likely {self._told(found.centre, digits)}"
        return f"{self._told(value, digits)}, where {likely} ({found.basis})"

    def _band(self, found: Expectation, digits: int = SHORTLY) -> str:
        low, high = found.low, found.high
        if self.settings.nature == "count":  # there is no half a row
            low, high = low and math.ceil(low - JITTER * low), high and math.floor(high + JITTER * high)
        if low is None or high is None:
            end, word = (low, "at least") if high is None else (high, "at most")
            return f"{word} {self._told(end or 0.0, digits)}"
        return f"{_number(low, digits)} to {self._told(high, digits)}"

    def _told(self, value: float, digits: int = SHORTLY) -> str:
        shown = round(value) if self.settings.nature == "count" and math.isfinite(value) else value
        return f"{_number(shown, digits)}{' %' if self.settings.nature == 'percent' else ''}"

    def _is_excused(self, value: float, found: Expectation) -> bool:
        """Whether a figure lies no farther out than one that a person called a one-off, with nothing usual in between: it is still that one."""
        if self.excused is None:
            return False
        return min(found.centre, self.excused) <= value <= max(found.centre, self.excused)

    def _no_smaller_than_matters(self, centre: float, low: float, high: float) -> tuple[float, float]:
        if self.still:
            return low, high
        wanted, nature = self.settings.least_change, self.settings.nature
        if nature in ("share", "percent"):
            room = wanted * OF_A_SHARE * self.scale.ceiling
        else:
            room = wanted * abs(centre) * (OF_A_VALUE if nature == "value" else 1.0)
        return min(low, max(self.scale.floor, centre - room)), max(
            high, min(self.scale.ceiling, centre + room)
        )

    @property
    def still(self) -> bool:
        """Whether it hardly ever moved: then any change is news."""
        return self.moved <= HARDLY_EVER * (self.kept + self.moved)

    def basis(self, *, on_holiday: bool = False) -> str:
        """What foretells, in words."""
        best = self.best
        if best is None:
            return ""
        by = " and ".join(part.name for part in best.parts)
        pace = {0.04: "slow", 0.15: "steady", 0.4: "quick"}[best.pace.level]
        told = f"{pace} level{' with trend' if best.pace.trend else ''}{f' by {by}' if by else ', no season'}"
        holiday = "; around a public holiday, where it may be as on another day" if on_holiday else ""
        return f"{told}{holiday}; {self.settings.false_alarms_per_year:g} false alarms a year"

    # -- learned -------------------------------------------------------------------------------------------------------------------

    def learn(self, point: Point) -> None:
        """Take a point in. One that was not measured, or that a person called a one-off, teaches nothing."""
        if point.value is None or point.value != point.value:
            return
        if point.mark == "one-off":
            self.excused = point.value
            return
        if self.best is not None and self._hangs(point):
            self._count_stay(point.value)
            return
        place = self._place(point.at)
        if self.days is not None:
            self.days.learn(point, place)
        self.learned += 1
        self.began = self.began or point.at
        if self.best is None:
            self.first.append((point, place))
            if len(self.first) >= self.least:
                self._begin()
        else:
            self._take(point, place, self.scale.there(point.value))
        self._count_stay(point.value)
        self.last = point.at

    def _begin(self) -> None:
        values = [point.value for point, _ in self.first if point.value is not None]
        since = max((n for n, (point, _) in enumerate(self.first) if point.mark == "new-normal"), default=0)
        since = since if len(values) - since >= self.settings.shift_points else 0
        self.scale = scale_of(self.settings.nature, values)
        scaled = [self.scale.there(value) for value in values][since:]
        places = [place for _, place in self.first][since:]
        years = self.step * len(values) / YEAR
        for parts in slots.patterns(self.step, years):
            for pace in PACES:
                smoothing = Smoothing(parts, pace)
                smoothing.begin(places, scaled)
                self.smoothings.append(smoothing)
        self.best = min(self.smoothings, key=_lost)
        for place, value in zip(places, scaled, strict=True):
            z = (value - self.best.foretold(place)) / (self._spread(self.best) or 1.0)
            self._widen(place, z)
            self._pool(max(-BEYOND, min(BEYOND, self.best.fitted * z)))

    def _take(self, point: Point, place: Place, value: float) -> None:
        best = self.best
        assert best is not None  # noqa: S101 - begun
        if point.mark == "new-normal":
            self._relevel([(place, value)])
            return
        surprise = value - best.foretold(place)
        z = surprise / (self._unit(best, place) * self._wider_after_gap(point.at, best))
        low, high = self.limits
        wild = z > min(WILDEST, max(high, WILD)) or z < -min(WILDEST, max(low, WILD))
        self.suspect = 1 if z > self.pair_limits[1] else -1 if z < -self.pair_limits[0] else 0
        if abs(z) > CUT and self._quiet(place):
            return  # how a holiday is says nothing of other days
        known = self._note_runs(place, value, z, wild=wild)
        if wild and not known:
            self.rare.append((self.learned, abs(surprise)))
        if not known:
            self._pool(min(max(z, -max(BEYOND, NEAR_MISS * low)), max(BEYOND, NEAR_MISS * high)))
            self._remember_day(place, surprise, z)
        if wild and len(self.run) >= self.settings.shift_points:
            self._relevel(self.run)
        elif wild:
            self._turn_of_month(place, value)
            self._lose(place, value)
        else:
            self.excused = None
            self._drift_on(place, value)
            self._smooth(place, value)
            self._widen(place, surprise / self._spread(best))
        self.best = min(self.smoothings, key=_lost)

    def _smooth(self, place: Place, value: float) -> None:
        wide, least, forgets = self._wide(place), self.scale.spread_at(value), self.forgets
        for smoothing in self.smoothings:
            smoothing.learn(place, value, wide, least, forgets)

    def _lose(self, place: Place, value: float) -> None:
        """A wild point teaches no level, but it tells which of the patterns foretold it."""
        assert self.best is not None  # noqa: S101 - begun
        most = 2 * CUT * self._unit(self.best, place)
        for smoothing in self.smoothings:
            smoothing.lose(abs(value - smoothing.foretold(place)), most, self.forgets)

    def _turn_of_month(self, place: Place, value: float) -> None:
        """A day of the month's turn that was wild on the same side the month before is how that day is."""
        for one in self.smoothings:
            for part, effects in zip(one.parts, one.effects, strict=True):
                slot = part.slot(place)
                if part not in slots.OF_THE_MONTH or not all(part.slot(one) for one, _ in self.run):
                    continue
                surprise = value - one.foretold(place)
                before = self.turns.get((id(one), slot), 0.0)
                if before * surprise > 0:
                    effects[slot] = effects.get(slot, 0.0) + math.copysign(
                        min(abs(before), abs(surprise)), surprise
                    )
                self.turns[id(one), slot] = surprise

    def _note_runs(self, place: Place, value: float, z: float, *, wild: bool) -> bool:
        """Whether a wild point goes on what began before it: then it is no news of how far surprises reach."""
        side = (z > 0) - (z < 0)
        slot = place.week_day if self.step > 20 * slots.HOUR else place.week_time
        if not wild:
            self.run, self.run_side = [], 0
            self.slot_runs.pop(slot, None)
            return False
        known = (bool(self.run) and side == self.run_side) or slot in self.slot_runs
        self.run = [*self.run, (place, value)] if side == self.run_side else [(place, value)]
        self.run_side = side
        seen = self.slot_runs.get(slot, 0)
        self.slot_runs[slot] = seen + side if seen * side >= 0 else side
        if abs(self.slot_runs[slot]) >= SAME_SLOT and len(self.run) < SAME_SLOT:
            self._relearn_slot(place, value)
            del self.slot_runs[slot]
        return known

    def _relearn_slot(self, place: Place, value: float) -> None:
        for one in self.smoothings:
            weekly = next(
                (n for n, part in reversed([*enumerate(one.parts)]) if part in slots.OF_THE_WEEK), None
            )
            if weekly is not None:
                surprise, slot = value - one.foretold(place), one.parts[weekly].slot(place)
                one.effects[weekly][slot] = one.effects[weekly].get(slot, 0.0) + surprise

    def _relevel(self, lately: list[tuple[Place, float]]) -> None:
        """A level that lasted, or that a person called the new normal, is the level."""
        for one in self.smoothings:
            one.level = middle([value - one.season(place) for place, value in lately])
            one.trend = 0.0
        self.run, self.run_side = [], 0
        self.slot_runs.clear()
        self._calm_drift()

    # -- how wide ------------------------------------------------------------------------------------------------------------------

    def _spread(self, best: Smoothing) -> float:
        return max(best.spread, self.scale.spread_at(best.level), self._rare_move())

    def _unit(self, best: Smoothing, place: Place) -> float:
        return max(best.spread * self._wide(place), self.scale.spread_at(best.level), self._rare_move())

    def _rare_move(self) -> float:
        """A series that mostly stands still and moves now and then has no spread; its moves, where there were some, say what is usual."""
        if len(self.rare) < SAME_SLOT or len(self.rare) < OFTEN * (self.learned - self.rare[0][0]):
            return 0.0
        return middle([size for _, size in self.rare]) / RARE_OF

    def _wide(self, place: Place) -> float:
        total, seen = self.widths.get(self._width_slot(place), (0.0, 0.0))
        all_over, points = self.widths.get(EVERYWHERE, (1.0, 1.0))
        return (total + WIDTH_BEFORE) / (seen * all_over / points + WIDTH_BEFORE)

    def _widen(self, place: Place, z: float) -> None:
        for slot, kept in ((self._width_slot(place), 0.98), (EVERYWHERE, 0.99)):
            found = self.widths.setdefault(slot, [0.0, 0.0])
            found[0] = found[0] * kept + min(MEAN_TO_SPREAD * abs(z), 4.0)
            found[1] = found[1] * kept + 1.0

    def _width_slot(self, place: Place) -> int:
        if self.step > 20 * slots.HOUR:
            return place.week_day if self.step < 2 * slots.DAY else 0
        return place.day_time + (1000 if place.week_day >= 5 else 0)  # noqa: PLR2004 - Saturday

    def _wider_after_gap(self, at: datetime, best: Smoothing) -> float:
        """A level that was not seen for a while may have moved meanwhile."""
        gap = 1.0 if self.last is None else (at - self.last).total_seconds() / self.step
        return math.sqrt(1.0 + best.pace.level**2 * min(max(0.0, gap - 1.5), 50.0))

    def _pool(self, z: float) -> None:
        self.pool.append(z)
        insort(self.ordered, z)
        if len(self.pool) > POOL:
            del self.ordered[bisect_left(self.ordered, self.pool.popleft())]
        self.fresh += 1
        if self.fresh >= max(1, len(self.pool) // 20):
            self._take_limits()

    def _take_limits(self) -> None:
        n = len(self.ordered)
        chance = self._chance("point") * (1 if self.settings.sides == "both" else 2)
        early = 1.0 + EARLY / (n + EARLY_POINTS)
        cut = bisect_left(self.ordered, 0.0)
        below = [-z for z in reversed(self.ordered[:cut])]
        above = self.ordered[cut:]
        # Each side's tail is of all points: those on the other side stand as nought.
        sides = [0.0] * (n - len(below)) + below, [0.0] * (n - len(above)) + above
        self.limits = (reach(sides[0], chance) * early, reach(sides[1], chance) * early)
        pair = chance**PAIR
        self.pair_limits = (reach(sides[0], pair) * early, reach(sides[1], pair) * early)
        self._take_drift_limit()
        self.fresh = 0

    def _chance(self, share: str) -> float:
        return min(0.2, SHARES[share] * self.settings.false_alarms_per_year / self.points_a_year)

    # -- days that come again ------------------------------------------------------------------------------------------------------

    def _remember_day(self, place: Place, surprise: float, z: float) -> None:
        if abs(z) > CUT and self.step <= 1.5 * slots.DAY:
            for key in slots.anniversaries(place.local):
                self.before.setdefault(key, []).append((place.local.year, surprise))

    def _same_day_before(self, place: Place) -> list[float]:
        """The surprises of the same day in earlier years: a holiday is not told apart from chance by one of it, so the band holds both."""
        if not self.before or self.step > 1.5 * slots.DAY or self.step < 20 * slots.HOUR:
            return []
        return [
            surprise
            for key in slots.anniversaries(place.local)
            for year, surprise in self.before.get(key, ())
            if year < place.local.year
        ]

    def _quiet(self, place: Place) -> float:
        return holidays.quiet(place.local.date(), self.calendar) if self.step < 1.5 * slots.DAY else 0.0

    def _as_on_other_days(self, best: Smoothing, place: Place) -> tuple[float, float]:
        """How far below and above its own a holiday's pattern may lie, if it is that of another day of the week; around it half as far."""
        part = self._quiet(place)
        if not part:
            return 0.0, 0.0
        others = [best.season(slots.on_week_day(place, day)) for day in range(7)]
        here = best.season(place)
        return part * (min(others) - here), part * (max(others) - here)

    # -- drift and standing still --------------------------------------------------------------------------------------------------

    def _slowest(self) -> Smoothing:
        best = self.best
        assert best is not None  # noqa: S101 - begun
        return next(one for one in self.smoothings if one.parts == best.parts and one.pace == PACES[0])

    def _drifted(self, place: Place, value: float) -> float:
        if self.learned < self.calm_until:
            return self.trend
        slow = self._slowest()
        assert self.best is not None  # noqa: S101 - begun
        # What drifts widens the slow one's own spread.
        z = (value - slow.foretold(place)) / self._unit(self.best, place)
        return self.drift + DRIFT_GAIN * (max(-3.0, min(3.0, z)) - self.drift)

    def _beyond_trend(self, drift: float) -> float:
        """A series that grows always lies on one side of its slow level: it drifts where it lies farther out than it long did."""
        return drift - self.trend

    def _take_drift_limit(self) -> None:
        """From what such means mostly were: of a series that wanders by nature they are large, and one drift among them moves it little."""
        if len(self.drifted) >= self.least:
            usual = (
                self.drifted[int(0.3 * len(self.drifted))] / 0.3853
            )  # of a normal: its third tenth beside its spread
            wanted = 1.1 * math.sqrt(2 * math.log(1 / self._chance("drift")))
            self.drift_limit = max(DRIFT_LEAST, wanted) * max(
                DRIFT_SPREAD, min(DRIFT_WANDERS * DRIFT_SPREAD, usual)
            )

    def _drift_on(self, place: Place, value: float) -> None:
        if self.learned < self.calm_until:
            return
        self.drift = self._drifted(place, value)
        beyond = abs(self._beyond_trend(self.drift))
        self.trend += TREND_GAIN * (self.drift - self.trend)
        self.drift_for = self.drift_for + 1 if beyond > self.drift_limit else 0
        insort(self.drifted, beyond)
        if self.drift_for >= self.settings.shift_points:
            quick = next(
                one for one in self.smoothings if one.parts == self._slowest().parts and one.pace == PACES[1]
            )
            for one in self.smoothings:
                if one.pace == PACES[0]:
                    one.level += quick.level - self._slowest().level
            self._calm_drift(3)

    def _calm_drift(self, times: int = 2) -> None:
        """A level that was just taken is still being found, and a drift was told: no other is told for a while."""
        self.drift = self.trend
        self.drift_for = 0
        self.calm_until = self.learned + times * self.settings.shift_points

    def drifts(self, at: datetime, value: float) -> str:
        """In words, that a series drifts; '' where it does not."""
        slow, drift = (
            self._slowest(),
            self._beyond_trend(self._drifted(self._place(at), self.scale.there(value))),
        )
        if abs(drift) <= self.drift_limit:
            return ""
        if (self.settings.sides == "high" and drift < 0) or (self.settings.sides == "low" and drift > 0):
            return ""
        place, apart = self._place(at), self._apart()
        was = self.scale.back(slow.foretold(place))
        if apart * drift <= 0 or (value - was) * drift <= 0:
            return ""  # it is on its way back
        now = self.scale.back(slow.foretold(place) + apart)
        low, high = self._no_smaller_than_matters(was, was, was)
        if low <= now <= high:
            return ""
        return f"{self._told(value)}, and drifts {'up' if drift > 0 else 'down'}: for a while on one side of {self._told(was)}, where it was long"

    def _apart(self) -> float:
        """How far the level of lately lies from where it was long."""
        slow = self._slowest()
        quick = next(one for one in self.smoothings if one.parts == slow.parts and one.pace == PACES[2])
        return quick.level - slow.level

    def _count_stay(self, value: float) -> None:
        if self.value is not None:
            self.visits[self.value] += 1
            if _same(value, self.value):
                self.stays[value] += 1
                self.kept += 1
            else:
                self.moved += 1
        self.stayed = self.stayed + 1 if _same(value, self.value) else 0
        self.value = value

    def _frozen(self, value: float) -> str:
        if not _same(value, self.value) or self.moved < self.least / 2:
            return ""
        again = self.stayed + 1
        overall = (self.kept - self.stayed + 1) / (self.kept + self.moved - self.stayed + 2)
        here = (self.stays[value] - self.stayed + 2 * overall) / (self.visits[value] - self.stayed + 2)
        if max(here, overall) > 0.5 or max(here, overall) ** again > self._chance("frozen"):  # noqa: PLR2004 - it often stays
            return ""
        return f"{self._told(value)} {again + 1} times in a row: frozen, in a series that moves"

    def _hangs(self, point: Point) -> bool:
        """Whether a figure hangs that moved before: of what it stands at nothing is learned, unless that lasts."""
        assert point.value is not None  # noqa: S101 - measured
        return not point.mark and self.stayed < self.least and bool(self._frozen(point.value))

    def _place(self, at: datetime) -> Place:
        return slots.place(at, self.zone, self.slot_minutes)


class Days:
    """The days of a series of hours: what drifts by the week moves no hour farther than its band, and its days tell it."""

    def __init__(self, settings: Settings, step: float) -> None:
        self.watcher = Watcher(settings.model_copy(update={"least_points": None}), slots.DAY)
        self.whole = slots.DAY / step  # points of a day
        self.of: list[Point] = []
        self.place: Place | None = None
        self.drifts = ""  # of the day that just ended

    def learn(self, point: Point, place: Place) -> None:
        """Take a point in; where it is the first of a day, the day before is looked at."""
        self.drifts = ""
        if self.place is not None and place.local.date() != self.place.local.date():
            self._close(self.place)
            self.of = []
        self.place = place
        self.of.append(point)

    def _close(self, place: Place) -> None:
        values = [point.value for point in self.of if point.value is not None]
        if len(values) < MOSTLY * self.whole:
            return
        count = self.watcher.settings.nature == "count"
        value = sum(values) / len(values)
        value = float(round(value * self.whole)) if count else value
        mark: Mark = next((point.mark for point in self.of if point.mark), "")
        at = place.local.replace(hour=0, minute=0, second=0, microsecond=0)
        judged = self.watcher.judge(at, value)
        self.watcher.learn(Point(at, value, mark))
        lasts = judged.cause == "drift" or (judged.alarm and len(self.watcher.run) >= SAME_SLOT)
        if (
            lasts and not self.watcher.still
        ):  # of days that never moved a change of one row is news: it is left to the hours
            self.drifts = f"the day as a whole: {judged.words}"


def _lost(one: Smoothing) -> float:
    """By what it foretold badly; a pace that follows everything must be the better by so much."""
    return one.lost * one.pace.handicap


def _number(value: float, digits: int) -> str:
    """A figure in so many digits; whole ones whole, with their thousands."""
    return (
        f"{value:,.0f}"
        if abs(value) >= 10 ** (digits - 1) or float(value).is_integer()
        else f"{value:.{digits}g}"
    )


def _same(value: float, other: float | None) -> bool:
    """Whether two figures are equal, but for the jitter of floating point."""
    return other is not None and math.isclose(value, other, rel_tol=JITTER)


def least_points(step: float) -> int:
    """How many points there must be: two weeks of hours, four of days; twelve of what comes more seldom."""
    if step < 20 * slots.HOUR:
        return max(20, min(2_000, round(14 * slots.DAY / step)))
    return 28 if step < 1.5 * slots.DAY else 12
