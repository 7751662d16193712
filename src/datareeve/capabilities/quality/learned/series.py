"""The history that a table holds of itself: its metrics by the hour, day, week or month of a time column, in one statement.

So a table that was filled for a year has a year of history on the day that it is first looked at.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from datareeve.capabilities.quality.learned.points import Nature, Point
from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from zoneinfo import ZoneInfo

    from datareeve.capabilities.quality.catalog import CatalogColumn, CatalogTable
    from datareeve.capabilities.quality.engines.dialect import Dialect

Every = Literal["hour", "day", "week", "month"]
EVERY: tuple[Every, ...] = ("hour", "day", "week", "month")
MOST_BUCKETS = 20_000
SECONDS = {"hour": 3600.0, "day": 86400.0, "week": 604800.0, "month": 2629746.0}
NUMERIC = ("integer", "decimal", "float")


class Metric(Value):
    """Something that is measured of each bucket. `of` is the word that a learned rule has for it."""

    of: Literal["row-count", "null-percent", "distinct", "mean", "sum"]
    column: str = ""

    @property
    def words(self) -> str:
        """'mean of arr_delay', 'rows'."""
        names = {"row-count": "rows", "null-percent": "nulls in percent"}
        return names.get(self.of, self.of) + (f" of {self.column}" if self.column else "")

    @property
    def nature(self) -> Nature:
        """What kind of figure it is."""
        natures: dict[str, Nature] = {"row-count": "count", "distinct": "count", "null-percent": "percent"}
        return natures.get(self.of, "value")


def series_sql(  # noqa: PLR0913, PLR0917 - what is asked, of what, and by what
    dialect: Dialect,
    table: CatalogTable,
    moment: CatalogColumn,
    metrics: Sequence[Metric],
    every: Every,
    zone: str,
) -> str:
    """One statement that gives `bucket` (local time of `zone`, as text) and `m0`, `m1` ... of every bucket that has rows, in order."""
    measured = ", ".join(f"{_expression(dialect, table, metric)} AS m{n}" for n, metric in enumerate(metrics))
    bucket = bucket_sql(dialect, moment, every, zone)
    there = f"{dialect.name(moment.name)} IS NOT NULL"
    return (
        f"SELECT {bucket} AS bucket, {measured} FROM {dialect.table(table)} WHERE {there}"
        f" GROUP BY {bucket} ORDER BY 1 DESC LIMIT {MOST_BUCKETS}"
    )


def settling_sql(
    dialect: Dialect, table: CatalogTable, moment: CatalogColumn, loaded: CatalogColumn, zone: str
) -> str:
    """How many rows of each day had been loaded by the end of each hour: `bucket`, `seen`, `counted`."""
    days, hours = bucket_sql(dialect, moment, "day", zone), bucket_sql(dialect, loaded, "hour", zone)
    there = " AND ".join(f"{dialect.name(column.name)} IS NOT NULL" for column in (moment, loaded))
    return (
        f"SELECT {days} AS bucket, {hours} AS seen, count(*) AS counted FROM {dialect.table(table)} WHERE {there}"
        f" GROUP BY {days}, {hours} ORDER BY 1 DESC, 2 LIMIT {MOST_BUCKETS}"
    )


def _expression(dialect: Dialect, table: CatalogTable, metric: Metric) -> str:
    if metric.of == "row-count":
        return "count(*)"
    found = table.column(metric.column)
    if found is None:
        raise BadInput(
            "quality.column", f"{table.name} has no column {metric.column!r}.", "Name one that it has."
        )
    if metric.of in ("mean", "sum") and found.family not in NUMERIC:
        raise BadInput(
            "quality.column",
            f"{table.name}.{metric.column} is {found.type}: there is no {metric.of} of it.",
            "Name a number.",
        )
    column = dialect.name(metric.column)
    return {
        "null-percent": f"100.0 * (count(*) - count({column})) / count(*)",
        "distinct": f"count(DISTINCT {column})",
        "mean": f"avg({dialect.real(column)})",
        "sum": f"sum({dialect.real(column)})",
    }[metric.of]


# -- buckets, by engine ----------------------------------------------------------------------------------------------------------------


def bucket_sql(dialect: Dialect, moment: CatalogColumn, every: Every, zone: str) -> str:
    """The beginning of a moment's bucket, in local time, as text. Errors: as `check_moment`."""
    check_moment(dialect, moment, zone)
    made = {"mysql": _mysql, "sqlite": _sqlite, "spark": _spark}.get(dialect.kind, _truncated)
    return made(dialect, moment, every, zone)


def check_moment(dialect: Dialect, moment: CatalogColumn, zone: str) -> None:
    """Whether a column tells the time, and the engine the zone. Errors: `BadInput` `quality.time-column`, `quality.zone`."""
    fits = (
        "date",
        "timestamp",
        "timestamptz",
        *(("text", "integer", "other") if dialect.kind == "sqlite" else ()),
    )
    if moment.family not in fits:
        raise BadInput(
            "quality.time-column",
            f"{moment.name} is {moment.type}, and no moment.",
            "Name a date or a timestamp column.",
        )
    if dialect.kind == "sqlite" and zone != "UTC":
        raise BadInput(
            "quality.zone",
            "SQLite knows no time zones: its moments are taken as they stand.",
            "Leave out zone.",
        )


def _truncated(dialect: Dialect, moment: CatalogColumn, every: Every, zone: str) -> str:
    """PostgreSQL and DuckDB."""
    column = dialect.name(moment.name)
    local = f"{column} AT TIME ZONE {dialect.text(zone)}" if moment.family == "timestamptz" else column
    as_timestamp = f"CAST({local} AS timestamp)"  # a date would come back with the session's zone
    return f"CAST(date_trunc('{every}', {as_timestamp}) AS {dialect.text_type})"


def _spark(dialect: Dialect, moment: CatalogColumn, every: Every, zone: str) -> str:
    column = dialect.name(moment.name)
    local = (
        f"from_utc_timestamp({column}, {dialect.text(zone)})" if moment.family == "timestamptz" else column
    )
    return f"date_format(date_trunc('{every.upper()}', {local}), 'yyyy-MM-dd HH:mm:ss')"


def _mysql(dialect: Dialect, moment: CatalogColumn, every: Every, zone: str) -> str:
    column = dialect.name(moment.name)
    if moment.family == "timestamptz":  # shown in the session's zone
        named = "+00:00" if zone == "UTC" else zone
        column = f"CONVERT_TZ({column}, @@session.time_zone, {dialect.text(named)})"
    if every == "week":
        return f"DATE_FORMAT(DATE_SUB({column}, INTERVAL WEEKDAY({column}) DAY), '%Y-%m-%d 00:00:00')"
    form = {"hour": "%Y-%m-%d %H:00:00", "day": "%Y-%m-%d 00:00:00", "month": "%Y-%m-01 00:00:00"}[every]
    return f"DATE_FORMAT({column}, '{form}')"


def _sqlite(dialect: Dialect, moment: CatalogColumn, every: Every, zone: str) -> str:
    del zone
    column = dialect.name(moment.name)
    more = ", 'unixepoch'" if moment.family == "integer" else ""
    if every == "week":
        return f"strftime('%Y-%m-%d 00:00:00', {column}{more}, '-6 days', 'weekday 1')"
    form = {"hour": "%Y-%m-%d %H:00:00", "day": "%Y-%m-%d 00:00:00", "month": "%Y-%m-01 00:00:00"}[every]
    return f"strftime('{form}', {column}{more})"


# -- points ----------------------------------------------------------------------------------------------------------------------------


def points_by_metric(
    rows: Iterable[Mapping[str, Any]], metrics: Sequence[Metric], every: Every, zone: ZoneInfo
) -> dict[Metric, tuple[Point, ...]]:
    """The series of each metric. A bucket without rows is nought of a count and of a sum, and no point of another metric."""
    by_moment = {moment: row for row in rows if (moment := _moment(row.get("bucket"), zone)) is not None}
    if not by_moment:
        return dict.fromkeys(metrics, ())
    every_moment = buckets(min(by_moment), max(by_moment), every, zone)
    return {
        metric: tuple(
            Point(
                at,
                _figure(
                    by_moment.get(at),
                    f"m{n}",
                    empty=0.0 if metric.of in ("row-count", "distinct", "sum") else None,
                ),
            )
            for at in every_moment
        )
        for n, metric in enumerate(metrics)
    }


def buckets(first: datetime, last: datetime, every: Every, zone: ZoneInfo) -> list[datetime]:
    """The beginnings of all buckets from one to another, both included; an hour that the clock leaves out is none."""
    found = [first]
    while found[-1] < last and len(found) <= MOST_BUCKETS:
        found.append(next_bucket(found[-1], every, zone))
    return found


def next_bucket(at: datetime, every: str, zone: ZoneInfo) -> datetime:
    """The beginning of the bucket after the one that begins at `at`."""
    if every == "hour":
        return at + timedelta(hours=1)
    local = at.astimezone(zone)
    days = {"day": 1, "week": 7}.get(every, 31 if local.day == 1 else 32 - local.day)
    after = (local.replace(tzinfo=None) + timedelta(days=days)).replace(tzinfo=zone)
    return bucket_of(after.astimezone(UTC), every, zone)


def bucket_of(at: datetime, every: str, zone: ZoneInfo) -> datetime:
    """The beginning of the bucket that a moment lies in. Errors: `BadInput` `quality.every`."""
    if every not in EVERY:
        raise BadInput(
            "quality.every", f"There are no buckets of a {every}.", f"Give one of {', '.join(EVERY)}."
        )
    if every == "hour":
        return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    local = at.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if every == "week":
        local = (local.replace(tzinfo=None) - timedelta(days=local.weekday())).replace(tzinfo=zone)
    if every == "month":
        local = local.replace(day=1)
    return local.astimezone(UTC)


def whole(
    series: Sequence[Point], every: Every, zone: ZoneInfo, now: datetime, settles_seconds: float
) -> tuple[Point, ...]:
    """The buckets that are over, and whose rows have arrived: a bucket that still fills is not judged, and not learned."""
    return tuple(
        point
        for point in series
        if next_bucket(point.at, every, zone) + timedelta(seconds=settles_seconds) <= now
    )


def _moment(told: Any, zone: ZoneInfo) -> datetime | None:
    try:
        found = datetime.fromisoformat(str(told))
    except ValueError:
        return None  # SQLite keeps whatever text was put: what is no moment is of no bucket
    return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)


def _figure(row: Mapping[str, Any] | None, name: str, empty: float | None) -> float | None:
    value = None if row is None else row.get(name)
    if row is None:
        return empty
    return None if value is None or value != value else float(value)  # noqa: PLR0124 - NaN
