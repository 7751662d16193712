"""The rows of the newest bucket that is whole: what a learned rule that counts by the day or hour is asked of, in the words of whatever engine is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.quality.learned import slots
from datareeve.capabilities.quality.learned.series import check_moment
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from datareeve.capabilities.quality.asking_context import Context
    from datareeve.capabilities.quality.catalog import CatalogColumn
    from datareeve.capabilities.quality.engines.dialect import Dialect
    from datareeve.capabilities.quality.rule import Rule

MOST_SETTLING = 1_000  # buckets


def rows(context: Context) -> str:
    """The condition of the rows that a learned rule is asked of. Errors: `BadInput`, where its arguments are none, or its column tells no time."""
    moment = context.column(str(context.rule.arguments["time"]))
    zone = str(context.rule.arguments.get("zone") or "UTC")
    slots.zone_of(zone)
    check_moment(context.dialect, moment, zone)
    return condition(context.dialect, moment, every_of(context.rule), zone, settles_of(context.rule))


def every_of(rule: Rule) -> str:
    """How long its buckets are; '' where it counts none."""
    return str(rule.arguments.get("per") or ("day" if rule.arguments.get("time") else ""))


def settles_of(rule: Rule) -> int:
    """How many buckets it waits for rows that come late. Errors: `BadInput` `rule.arguments`."""
    told = rule.arguments.get("settles") or 0
    if isinstance(told, int) and 0 <= told <= MOST_SETTLING:
        return told
    raise BadInput(
        "rule.arguments", f"The rule {rule.id} has an argument settles that is none.", f"Give whole days or hours, at most {MOST_SETTLING:,}."
    )  # fmt: skip


def condition(dialect: Dialect, moment: CatalogColumn, every: str, zone: str, settles: int) -> str:
    """A condition in the engine's SQL: the bucket `settles` buckets before the last one that is over. Errors: `BadInput` `quality.every`."""
    if every not in ("hour", "day"):
        raise BadInput("quality.every", f"A rule cannot be asked of a {every}.", "Give hour or day.")
    back, column = settles + 1, dialect.name(moment.name)
    made = {"mysql": _mysql, "sqlite": _sqlite, "spark": _spark}.get(dialect.kind, _truncated)
    return made(dialect, moment, column, every, zone, back)


def _between(column: str, begins: str, every: str, back: int) -> str:
    unit = every.upper()
    ends = f"{begins} - INTERVAL '{back - 1}' {unit}" if back > 1 else begins
    return f"{column} >= {begins} - INTERVAL '{back}' {unit} AND {column} < {ends}"


def _truncated(dialect: Dialect, moment: CatalogColumn, column: str, every: str, zone: str, back: int) -> str:  # noqa: PLR0913, PLR0917
    """PostgreSQL and DuckDB."""
    now = f"CAST(date_trunc('{every}', CURRENT_TIMESTAMP AT TIME ZONE {dialect.text(zone)}) AS timestamp)"
    local = f"{column} AT TIME ZONE {dialect.text(zone)}" if moment.family == "timestamptz" else column
    return _between(f"CAST({local} AS timestamp)", now, every, back)


def _mysql(dialect: Dialect, moment: CatalogColumn, column: str, every: str, zone: str, back: int) -> str:  # noqa: PLR0913, PLR0917
    named = "+00:00" if zone == "UTC" else zone
    now = (
        "UTC_TIMESTAMP()"
        if zone == "UTC"
        else f"CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', {dialect.text(named)})"
    )
    begins = f"CAST(DATE_FORMAT({now}, '{'%Y-%m-%d %H:00:00' if every == 'hour' else '%Y-%m-%d 00:00:00'}') AS DATETIME)"
    local = (
        f"CONVERT_TZ({column}, @@session.time_zone, {dialect.text(named)})"
        if moment.family == "timestamptz"
        else column
    )
    return _between(local, begins, every, back)


def _spark(dialect: Dialect, moment: CatalogColumn, column: str, every: str, zone: str, back: int) -> str:  # noqa: PLR0913, PLR0917
    now = f"date_trunc('{every.upper()}', from_utc_timestamp(current_timestamp(), {dialect.text(zone)}))"
    local = (
        f"from_utc_timestamp({column}, {dialect.text(zone)})" if moment.family == "timestamptz" else column
    )
    return _between(local, now, every, back)


def _sqlite(dialect: Dialect, moment: CatalogColumn, column: str, every: str, zone: str, back: int) -> str:  # noqa: PLR0913, PLR0917
    del dialect, zone
    form = "%Y-%m-%d %H" if every == "hour" else "%Y-%m-%d"
    more = ", 'unixepoch'" if moment.family == "integer" else ""
    return f"strftime('{form}', {column}{more}) = strftime('{form}', 'now', '-{back} {every}s')"
