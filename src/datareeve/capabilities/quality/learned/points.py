"""The points of a series, and what is asked and told of one: settings, an expectation, or how much history is still wanting."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, field_validator

from datareeve.capabilities.quality.learned.slots import zone_of
from datareeve.core import holidays
from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Mark = Literal["", "one-off", "new-normal"]
Nature = Literal["count", "amount", "share", "percent", "lag", "value"]


@dataclass(frozen=True, slots=True)
class Point:
    """A figure at a moment (with its time zone). None: it was not measured, which is no figure and no nought.

    `mark` is what a person said of it: a `one-off` is left out of what is learned, a `new-normal` is what is learned from then on.
    """

    at: datetime
    value: float | None
    mark: Mark = ""

    @property
    def expected(self) -> bool:
        """Whether a person said that it is as it should be."""
        return bool(self.mark)


class Settings(Value):
    """How closely a series is watched. Sensitivity is said in what it costs: alarms a year on data where nothing is wrong."""

    false_alarms_per_year: float = Field(2.0, gt=0, le=10_000)
    nature: Nature = Field(
        "value",
        description="count, amount, lag (seconds): never below nought; share: 0 to 1; percent: 0 to 100; value: any number",
    )
    sides: Literal["both", "high", "low"] = "both"
    zone: str = Field("UTC", description="the time zone that hours and days are counted in: America/New_York")
    holidays: tuple[str, ...] | None = Field(
        None,
        description="countries (US, DE, ...) and days of one's own (12-24, 2026-05-15) that may look like another day of the week; default: the country of the zone, where that is known; []: none",
    )
    naive: bool = Field(
        default=False,
        description="moments were kept as local time: an hour that the clock repeats holds two hours' rows",
    )
    least_change: float = Field(
        0.1,
        ge=0,
        le=1,
        description="of what is expected: where a series moves at all, a smaller change of a count, amount or lag is never noticed; of other figures a quarter of it, of shares half a percent of the rows",
    )
    shift_points: int = Field(7, ge=2, description="a new level that lasted so many points is the level")
    least_points: int | None = Field(None, ge=5, description="default: by how far apart the points lie")

    @field_validator("zone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        zone_of(name)
        return name

    @field_validator("holidays")
    @classmethod
    def _are_known(cls, given: tuple[str, ...] | None) -> tuple[str, ...] | None:
        holidays.check(given or ())
        return given

    @property
    def calendar(self) -> tuple[str, ...]:
        """The countries and days whose holidays are known."""
        return holidays.told(self.holidays, self.zone)


class Expectation(Value):
    """What the points before let one expect of a point: between `low` and `high` nothing is to be noticed. None: no bound on that side."""

    centre: float
    low: float | None
    high: float | None
    basis: str  # in words: 'level of lately, by day of week; 2 false alarms a year'
    trained_on: int  # points
    begins: str  # of the training window; it ends strictly before the tested point
    ends: str


class NotEnough(Value):
    """The history is too short to expect anything: no error, and no verdict."""

    points: int
    needed: int

    @property
    def reason(self) -> str:
        """In words."""
        return self.said("points")

    def said(self, unit: str) -> str:
        """In words, by what is counted: 'not enough history (7 of 28 days)'."""
        return f"not enough history ({self.points:,} of {self.needed:,} {unit})"


def points(rows: Iterable[Mapping[str, Any]]) -> tuple[Point, ...]:
    """Points of JSON: `at` (ISO 8601; without a zone it is UTC), `figure`, and maybe `mark`; in order of time, the last of each moment.

    Errors: `BadInput` `quality.series` for a moment or a figure that is none.
    """
    found: dict[datetime, Point] = {}
    for row in rows:
        try:
            at = datetime.fromisoformat(str(row["at"]))
            figure = row.get("figure")
            value = None if figure is None else float(figure)
        except (KeyError, TypeError, ValueError, OverflowError):
            raise BadInput(
                "quality.series", "A point of the history has no moment or no figure.", "Give `at` as ISO 8601 and `figure` as a number."
            ) from None  # fmt: skip
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        found[at] = Point(at, value, row.get("mark") or "")
    return tuple(found[at] for at in sorted(found))
