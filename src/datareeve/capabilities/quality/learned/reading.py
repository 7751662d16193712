"""Reading the series of a table, or of a rule's stored history: what the operations on learned expectations share."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality import engines
from datareeve.capabilities.quality.learned import series, settling, slots
from datareeve.capabilities.quality.learned.points import Point
from datareeve.capabilities.quality.learned.series import Every, Metric
from datareeve.core import clock
from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.catalog import CatalogTable
    from datareeve.core.operation import Reader, Systems

KINDS = ("row-count", "null-percent", "distinct", "mean", "sum")
OF_VALUES = ("mean", "sum")  # of few rows they are a value, so there are none of a personal column


class Seen(Value):
    """A series, as facts hold it."""

    metric: Metric
    points: tuple[tuple[str, float | None], ...]

    @property
    def series(self) -> tuple[Point, ...]:
        """As points."""
        return tuple(Point(slots.moment(at), value) for at, value in self.points)


class TableSeries(Value):
    """What a table holds of itself."""

    system: str
    kind: str  # of the system
    table: str  # as the engine names it
    every: Every
    zone: str
    settles_seconds: float
    settles_known: bool
    seen: tuple[Seen, ...]
    personal: tuple[str, ...] = ()


def metrics_of(told: Sequence[str]) -> tuple[Metric, ...]:
    """Metrics of words as 'row-count', 'mean:arr_delay'. Errors: `BadInput` `quality.metric`."""
    found = []
    for one in told:
        of, _, column = one.partition(":")
        if of not in KINDS or bool(column) == (of == "row-count"):
            raise BadInput(
                "quality.metric", f"{one!r} is no metric.", f"Give row-count, or one of {', '.join(KINDS[1:])} with its column: mean:amount."
            )  # fmt: skip
        found.append(Metric(of=of, column=column))
    return tuple(dict.fromkeys(found))


def table_of(reader: Reader, name: str) -> CatalogTable:
    """The table in the system's catalog. Errors: `BadInput` `quality.table`, and the reason where the system is down."""
    catalog = engines.catalog_of(reader, [name])
    if catalog.down:
        raise BadInput(
            "quality.down", f"{reader.name} does not answer: {catalog.down}.", "Try again when it does."
        )
    found = catalog.tables.get(name)
    if found is None or found.why_not:
        why = f"cannot be read: {found.why_not}" if found else "is not there"
        raise BadInput(
            "quality.table",
            f"{reader.name}: the table {name!r} {why}.",
            "Name it as the engine does: public.flights.",
        )
    return found


def personal_of(systems: Systems, system: str, table: str) -> tuple[str, ...]:
    """The columns of a table that the estate calls personal."""
    datasets = systems["estate"].read("get", where=["datasets"]) or {}
    found = [
        one
        for one in datasets.values()
        if one.get("system") == system and one.get("table") in (table, table.rpartition(".")[2])
    ]
    return tuple(
        name
        for one in found
        for name, category in (one.get("personal") or {}).items()
        if category not in ("no", False)
    )


def read_table(  # noqa: PLR0913 - what is asked, of what
    systems: Systems,
    system: str,
    table: str,
    time: str,
    metrics: Sequence[Metric],
    *,
    every: Every,
    zone: str,
    loaded: str | None,
) -> TableSeries:
    """The series of a table: one statement, and one more where `loaded` says how its rows arrive. What still fills is left out."""
    reader = systems[system]
    local, found = slots.zone_of(zone), table_of(reader, table)
    dialect, personal = engines.dialect_of(reader.kind), personal_of(systems, system, table)
    for metric in metrics:
        if metric.of in OF_VALUES and metric.column in personal:
            raise BadInput("quality.personal", f"{table}.{metric.column} is personal: a {metric.of} of few rows would be a value.", "Ask for its null-percent or distinct.")  # fmt: skip
    moment = _column(found, time)
    wanted = tuple(metrics) or default_metrics(found, moment.name)
    settles = _settling(reader, found, time, loaded, zone) if loaded else None
    told = _ask(reader, series.series_sql(dialect, found, moment, wanted, every, zone))
    by_metric = series.points_by_metric(told, wanted, every, local)
    waits, now = settles or 0.0, clock.now()
    return TableSeries(
        system=system,
        kind=reader.kind,
        table=table,
        every=every,
        zone=zone,
        settles_seconds=waits,
        settles_known=settles is not None,
        seen=tuple(
            Seen(
                metric=metric,
                points=tuple((point.at.isoformat(), point.value) for point in series.whole(points, every, local, now, waits)),
            )
            for metric, points in by_metric.items()
        ),
        personal=personal,
    )  # fmt: skip


def default_metrics(table: CatalogTable, time: str, most: int = 40) -> tuple[Metric, ...]:
    """How many rows, and of each column that may hold NULL, how often it does."""
    nullable = [one.name for one in table.columns if one.readable and not one.not_null and one.name != time]
    return (Metric(of="row-count"), *(Metric(of="null-percent", column=name) for name in nullable[:most]))


def rule_series(systems: Systems, contract: str, system: str, rule: str) -> tuple[dict[str, Any], ...]:
    """The stored history of a rule, oldest first."""
    told = systems["quality"].read(
        "history", contract=contract, system=system, rule=rule, most=series.MOST_BUCKETS
    )
    return tuple(reversed(told))


def _column(table: CatalogTable, name: str) -> Any:
    found = table.column(name)
    if found is None or not found.readable:
        raise BadInput(
            "quality.column",
            f"{table.name} has no column {name!r} that may be read.",
            "Name one that it has.",
        )
    return found


def _settling(reader: Reader, table: CatalogTable, time: str, loaded: str, zone: str) -> float | None:
    dialect, local = engines.dialect_of(reader.kind), slots.zone_of(zone)
    rows = _ask(
        reader, series.settling_sql(dialect, table, _column(table, time), _column(table, loaded), zone)
    )
    seen, so_far = [], dict[str, float]()
    for row in sorted(rows, key=lambda one: (str(one["bucket"]), str(one["seen"]))):
        begins = slots.moment(str(row["bucket"]), local)
        so_far[str(row["bucket"])] = so_far.get(str(row["bucket"]), 0.0) + float(row["counted"])
        at = slots.moment(str(row["seen"]), local) + timedelta(hours=1)
        seen.append(settling.Seen(series.next_bucket(begins, "day", local), at, so_far[str(row["bucket"])]))
    return settling.settles_after(seen)


def _ask(reader: Reader, sql: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = reader.read("query", sql=sql)
    return found
