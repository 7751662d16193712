"""The health of a database as one page that a person keeps open: lights by area, trends, trees, and the day when the disk is full.

The page holds no script and asks no network. What it shows stands in `Health` and its `PageFacts`; the template only lays it out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.databases.health_blocking import chains
from datareeve.capabilities.databases.health_facts import PageFacts, Series
from datareeve.capabilities.databases.health_trend import ago, spell, trend
from datareeve.core.operation import Severity
from datareeve.systems import pages

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datareeve.capabilities.databases.health import Health
    from datareeve.core.operation import Finding, Reader

DAY, FRESH = timedelta(days=1), timedelta(minutes=1)
POINTS = 120  # of a sparkline
WIDTH, HEIGHT = 200.0, 40.0
CHART = (720.0, 210.0)
LINES = 12  # of each table
STAMP = '<meta name="seen" content="{}">'


@dataclass(frozen=True)
class Area:
    """A part of health: its light is the gravest finding of its rules, its headline a figure, its sparkline a sample."""

    name: str
    sample: str
    unit: Callable[[float], str]
    label: str
    rules: frozenset[str]
    beside: Callable[[Health], str]


def size(byte_count: float) -> str:
    """'1.4 GiB'; a sign where it is a change."""
    number, units = abs(byte_count), ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    power = min(int(math.log(number, 1024)), len(units) - 1) if number >= 1 else 0
    digits = 0 if power == 0 or number / 1024**power >= 100 else 1  # noqa: PLR2004 - three digits are enough
    return f"{'-' if byte_count < 0 else ''}{number / 1024**power:,.{digits}f} {units[power]}"


def per_cent(number: float) -> str:
    """'12.5 %'."""
    return f"{number:.4g} %"


def count(number: float) -> str:
    """'1,234', '1.2 M'."""
    if number >= 1e6:  # noqa: PLR2004 - a million
        return f"{number / 1e6:,.1f} M"
    return f"{number:,.0f}" if number >= 10 or number == int(number) else f"{number:.2g}"  # noqa: PLR2004 - two digits


def _of(*names: str) -> frozenset[str]:
    return frozenset(names)


def _figure(health: Health, name: str) -> float:
    return health.figures.get(name, 0.0)


AREAS = (
    Area(
        "Connections", "connections_used_percent", per_cent, "of usable connections",
        _of("connections-used", "idle-connections", "saturation", "missing-grant"),
        lambda h: f"{_figure(h, 'connections_active'):.0f} active, {_figure(h, 'connections_idle'):.0f} idle, {_figure(h, 'connections_idle_in_transaction'):.0f} in transaction",
    ),
    Area(
        "Throughput", "transactions_per_second", count, "transactions a second",
        _of("deadlocks", "temp-files"),
        lambda h: f"{_figure(h, 'query_ms_mean'):.3g} ms a query" if "query_ms_mean" in h.figures else f"{_figure(h, 'transaction_ms_mean'):.3g} ms a transaction",
    ),
    Area(
        "Locks", "blocked_seconds_longest", spell, "longest wait",
        _of("blocking-chain", "idle-in-transaction", "long-transaction", "prepared-transaction"),
        lambda h: f"{_figure(h, 'sessions_blocked'):.0f} wait; oldest transaction {spell(_figure(h, 'transaction_seconds_longest'))}",
    ),
    Area(
        "Cache", "cache_hit_percent", per_cent, "of reads from the cache", _of("cache-hit", "backend-writes", "backend-fsyncs"),
        lambda h: f"{size(_figure(h, 'temp_bytes_per_second'))}/s of temporary files",
    ),
    Area(
        "WAL and checkpoints", "wal_bytes_per_second", lambda n: f"{size(n)}/s", "of WAL",
        _of("requested-checkpoints", "wal-buffers", "archive-failing", "archive-behind"),
        lambda h: f"{_figure(h, 'checkpoints_timed_total'):.0f} checkpoints timed, {_figure(h, 'checkpoints_requested_total'):.0f} requested",
    ),
    Area(
        "Replication", "replication_lag_seconds", spell, "behind",
        _of("replication-lag", "slot-inactive", "slot-wal-lost", "standby-not-receiving", "replay-paused", "standby-conflicts"),
        lambda h: f"{len(h.standbys)} standbys, {len(h.slots)} slots" if not h.in_recovery else "this is a standby",
    ),
    Area(
        "Vacuum", "dead_rows_percent_worst", per_cent, "dead rows in the worst table",
        _of("dead-rows", "horizon", "autovacuum-off", "vacuum-running-long", "table-bloat", "index-bloat"),
        lambda h: f"{size(_figure(h, 'wasted_bytes_estimated'))} of bloat worth a rebuild",
    ),
    Area(
        "Ids and sequences", "wraparound_percent", per_cent, "of transaction ids used",
        _of("wraparound", "table-wraparound", "sequence-near-end"),
        lambda h: f"fullest sequence {_figure(h, 'sequence_used_percent_worst'):.3g} %",
    ),
    Area(
        "Statistics and indexes", "indexes_invalid", count, "invalid indexes",
        _of("stale-statistics", "never-analyzed", "invalid-index", "duplicate-index", "unused-index", "collation-changed", "extension-behind"),
        lambda h: f"{_figure(h, 'indexes_duplicate'):.0f} duplicate, {_figure(h, 'indexes_unused'):.0f} large and unused",
    ),
    Area(
        "Disk", "disk_used_percent", per_cent, "of the disk used", _of("disk-used", "disk-full"),
        lambda h: f"{size(_figure(h, 'disk_free_bytes'))} free" if "disk_free_bytes" in h.figures else "the disk cannot be seen from here",
    ),
    Area(
        "Size", "database_bytes", size, "of database", _of("unlogged-tables"),
        lambda h: f"{size(h.figures['growth_bytes_per_day'])} a day" if "growth_bytes_per_day" in h.figures else "growth is known after an hour",
    ),
    Area(
        "Safety", "backup_age_hours", lambda n: f"{n:.1f} h", "since the newest backup",
        _of("backup-age", "backup-missing", "checksum-failures", "unsafe-setting", "restarted", "unreachable"),
        lambda h: f"{_figure(h, 'checksum_failures_total'):.0f} checksum failures, {_figure(h, 'settings_unsafe'):.0f} unsafe settings",
    ),
)  # fmt: skip


def gather(ledger: Reader, health: Health) -> PageFacts:
    """What the ledger knows for the page."""
    now = datetime.fromisoformat(health.at)
    since, fortnight = (_stamp(now - span) for span in (DAY, 14 * DAY))
    trends = {}
    for area in AREAS:
        rows = ledger.read("samples", system=health.system, name=area.sample, since=since)
        trends[area.sample] = _thin([(row["at"], row["value"]) for row in rows])
    sizes = [name for name in health.figures if name.startswith("table_bytes:")]
    grown: dict[str, list[tuple[datetime, float]]] = {}
    disk: list[tuple[str, float]] = []
    for row in ledger.read(
        "hourly", system=health.system, names=[*sizes, "disk_free_bytes"], since=fortnight
    ):
        if row["name"] == "disk_free_bytes":
            disk.append((row["at"], row["value"]))
        else:
            grown.setdefault(row["name"], []).append((datetime.fromisoformat(row["at"]), row["value"]))
    growth = {}
    for name, points in grown.items():
        fit = trend([*points, (now, health.figures[name])])
        if fit and now - points[0][0] >= timedelta(hours=1):
            growth[name.removeprefix("table_bytes:")] = fit[0]
    return PageFacts(trends=trends, disk=tuple(disk), growth=growth)


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _thin(points: Sequence[tuple[str, float]]) -> Series:
    """At most so many points: the mean of each group of neighbours, at its last moment."""
    step = math.ceil(len(points) / POINTS) or 1
    groups = [points[start : start + step] for start in range(0, len(points), step)]
    return tuple((group[-1][0], sum(value for _, value in group) / len(group)) for group in groups)


def seen_at(text: str | None) -> str:
    """When the look of a page was taken (ISO 8601, UTC), as the page says; empty where there is no page of ours."""
    before, after = STAMP.split("{}")
    return "" if text is None or before not in text else text.split(before, 1)[1].split(after, 1)[0]


def is_fresh(seen: str, now: str) -> bool:
    """Whether a page of that moment still shows what is: for a minute, after which the next sample is taken."""
    return bool(seen) and abs(datetime.fromisoformat(now) - datetime.fromisoformat(seen)) < FRESH


# -- the picture ---------------------------------------------------------------------------------------------------------------------------


def render(health: Health, findings: tuple[Finding, ...], verdict: str) -> str:
    """The page."""
    environment = pages.environment("datareeve.capabilities.databases")
    environment.filters |= {"size": size, "count": count, "per_cent": per_cent, "spell": spell, "ago": ago}
    page = health.page or PageFacts()
    return environment.get_template("health.html.j2").render(
        health=health,
        verdict=verdict,
        findings=findings,
        stamp=STAMP,
        areas=[_area(area, health, page, findings) for area in AREAS],
        chains=[(chain, chain.lines()) for chain in chains(health)],
        chart=chart(page.disk, health),
        largest=sorted((t for t in health.tables if t.ours and t.bytes), key=lambda t: -(t.bytes or 0))[
            :LINES
        ],
        dead=[t for t in health.tables if t.ours and t.dead_rows][:LINES],
        spaces=[s for s in health.spaces if s.wasted_bytes][:LINES],
        growth=page.growth,
        when=datetime.fromisoformat(health.at).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _area(area: Area, health: Health, page: PageFacts, findings: tuple[Finding, ...]) -> dict[str, Any]:
    told = [finding for finding in findings if finding.rule in area.rules]
    value = health.figures.get(area.sample)
    worst = next((s for s in reversed(Severity) if any(f.severity == s for f in told)), None)
    series = [*page.trends.get(area.sample, ()), *([(health.at, value)] if value is not None else [])]
    return {
        "name": area.name,
        "light": {None: "good", Severity.INFO: "good"}.get(worst, str(worst))
        if value is not None or told
        else "dark",
        "value": "" if value is None else area.unit(value),
        "label": area.label,
        "beside": area.beside(health),
        "told": len(told),
        "spark": spark(series),
        "low": area.unit(min(v for _, v in series)) if series else "",
        "high": area.unit(max(v for _, v in series)) if series else "",
    }


def spark(series: Sequence[tuple[str, float]]) -> dict[str, Any] | None:
    """The line, the area under it and the last point, in a box of 200 x 40; None for fewer than three samples."""
    if len(series) < 3:  # noqa: PLR2004 - two points are no trend
        return None
    xs = [datetime.fromisoformat(at).timestamp() for at, _ in series]
    ys = [value for _, value in series]
    low, high = min(ys), max(ys)
    wide, tall = max(xs[-1] - xs[0], 1.0), high - low
    places = [
        (
            round((x - xs[0]) / wide * (WIDTH - 6) + 2, 1),
            round(HEIGHT - 4 - ((y - low) / tall * (HEIGHT - 10) if tall else HEIGHT / 2 - 6), 1),
        )
        for x, y in zip(xs, ys, strict=True)
    ]
    line = "M" + " L".join(f"{x},{y}" for x, y in places)
    hours = wide / 3600
    return {
        "line": line,
        "under": f"{line} L{places[-1][0]},{HEIGHT} L{places[0][0]},{HEIGHT} Z",
        "x": places[-1][0],
        "y": places[-1][1],
        "hours": f"{hours:.0f} h" if hours >= 1 else f"{wide / 60:.0f} min",
    }


def chart(disk: Series, health: Health) -> dict[str, Any] | None:
    """Free space so far, and the line to the day it is used up with its interval; None where there is no forecast."""
    coming, free = health.disk_full, health.figures.get("disk_free_bytes")
    if coming is None or free is None or not disk:
        return None
    now = datetime.fromisoformat(health.at)
    start, top = datetime.fromisoformat(disk[0][0]), max([free, *(value for _, value in disk)])
    last = _days(now, coming.latest) if coming.latest else 2 * coming.days
    span = (now - start) / DAY + min(max(last, coming.days), 3 * coming.days) * 1.04
    wide, tall = CHART

    def x(days: float) -> float:
        return round((days + (now - start) / DAY) / span * wide, 1)

    def y(value: float) -> float:
        return round(tall - value / top * (tall - 12), 1)

    seen = [(x((datetime.fromisoformat(at) - now) / DAY), y(value)) for at, value in disk]
    here = (x(0), y(free))
    earliest = (x(coming.days_earliest), tall)
    latest = (min(x(last), wide), tall if x(last) <= wide else y(free * (1 - (span * 0.96) / max(last, 0.1))))
    return {
        "line": "M" + " L".join(f"{a},{b}" for a, b in [*seen, here]),
        "coming": f"M{here[0]},{here[1]} L{x(coming.days)},{tall}",
        "between": f"M{here[0]},{here[1]} L{earliest[0]},{earliest[1]} L{latest[0]},{latest[1]} Z",
        "now": here,
        "end": x(coming.days),
        "end_percent": round(100 * x(coming.days) / wide, 1),
        "now_percent": round(100 * here[0] / wide, 1),
        "start": start.date().isoformat(),
        "top": size(top),
    }


def _days(now: datetime, date: str) -> float:
    return (datetime.fromisoformat(date).replace(tzinfo=UTC) - now) / DAY
