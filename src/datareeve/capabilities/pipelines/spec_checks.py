"""What a pipeline's own shape cannot say: whether the names in it are known, and whether what it says of columns and times holds together.

Pure: given the names of everything around it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from datareeve.capabilities.pipelines.scheduling.occasions import skips
from datareeve.capabilities.pipelines.spec_errors import MISSING, Problem, nearest
from datareeve.core import cron
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from datareeve.capabilities.pipelines.spec import Load, Model, Pipeline, Schedule
    from datareeve.core.yaml_text import Path

NO_TARGETS = {  # kinds of system that nothing is published to: what instead
    "sqlite": "publish to DuckDB, PostgreSQL, DuckLake, Parquet or Iceberg",
    "mysql": "publish to DuckDB, PostgreSQL, DuckLake, Parquet or Iceberg",
    "pgbouncer": "name the database behind it",
    "spark": "name it as `engine` of a model, and where the tables lie as the target",
    "dbt": "it is run by pipelines.run-dbt",
    "airflow": "it is run by pipelines.trigger-dag",
    "openai": "it holds no tables",
    "anthropic": "it holds no tables",
}
NO_SOURCES = frozenset(("openai", "anthropic", "airflow", "dbt", "pgbouncer"))
DATABASES = frozenset(("postgresql", "mysql", "sqlite", "duckdb"))
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LONGEST = 10 * 366 * 86_400  # seconds


@dataclass(frozen=True)
class Written:
    """Another pipeline, as far as this one must know it."""

    after: tuple[str, ...] = ()
    tables: frozenset[str] = frozenset()  # as `table_key`


@dataclass(frozen=True)
class Around:
    """The names of what is around a pipeline. `contracts` None: not known."""

    systems: Mapping[str, str]  # name: kind
    pipelines: Mapping[str, Written] = field(default_factory=dict)
    contracts: Sequence[str] | None = None
    pools: Sequence[str] = ()


def problems(name: str, pipeline: Pipeline, around: Around) -> list[Problem]:
    """Everything that does not hold together."""
    return [
        *target(("target", "system"), pipeline.target.system, around),
        *(
            found
            for one, environment in pipeline.environments.items()
            if environment.system is not None
            for found in target(("environments", one, "system"), environment.system, around)
        ),
        *(found for one, load in pipeline.loads.items() for found in _load(("loads", one), load, around)),
        *_models(pipeline, around),
        *_contracts(pipeline, around),
        *(_schedule(name, pipeline.schedule, around) if pipeline.schedule else ()),
        *_written_twice(name, pipeline, around),
    ]


def tables_of(pipeline: Pipeline) -> frozenset[str]:
    """Every table that it publishes, as `table_key`."""
    parts: dict[str, Load | Model] = {**pipeline.loads, **pipeline.models}
    return frozenset(table_key(pipeline, part.to or name) for name, part in parts.items())


def table_key(pipeline: Pipeline, table: str) -> str:
    """One text for one table, however it is written."""
    target, qualified = pipeline.target, table if "." in table else f"{pipeline.target.schema_ or ''}.{table}"
    return f"{target.system}:{qualified}".casefold()


# -- systems ----------------------------------------------------------------------------------------------------------------------------


def _unknown(path: Path, name: str, around: Around) -> Iterator[Problem]:
    if name not in around.systems and name != MISSING["system"]:
        there = ", ".join(around.systems) or "none yet"
        yield Problem(path, f"the estate has no system {name!r}{nearest(name, around.systems) or f'; it has: {there}'}")  # fmt: skip


def target(path: Path, name: str, around: Around) -> Iterator[Problem]:
    """What keeps a system from being published to."""
    yield from _unknown(path, name, around)
    kind = around.systems.get(name, "")
    if kind in NO_TARGETS:
        yield Problem(path, f"{name} is of kind {kind}, which nothing is published to: {NO_TARGETS[kind]}")


def _load(path: Path, load: Load, around: Around) -> Iterator[Problem]:
    source, place = load.source, (*path, "source", "system")
    if source.system is not None:
        yield from _unknown(place, source.system, around)
        kind = around.systems.get(source.system, "")
        if kind in NO_SOURCES:
            yield Problem(place, f"{source.system} is of kind {kind}, which has no rows to load")
        elif source.kind == "files" and kind in DATABASES | {"spark"}:
            yield Problem(place, f"{source.system} is of kind {kind}: files lie in a folder or a bucket")
    yield from _columns(path, load)
    yield from _duration((*path, "cursor", "lag"), load.cursor.lag if load.cursor else None)


def _engine(path: Path, engine: str | None, pipeline: Pipeline, around: Around) -> Iterator[Problem]:
    if engine is None:
        return
    yield from _unknown(path, engine, around)
    kind = around.systems.get(engine, "spark")
    if kind != "spark" and engine != pipeline.target.system:
        yield Problem(path, f"{engine} is of kind {kind}: a model is built by the target itself, or by Spark")


def _models(pipeline: Pipeline, around: Around) -> Iterator[Problem]:
    yield from _engine(("engine",), pipeline.engine, pipeline, around)
    for name, model in pipeline.models.items():
        path: Path = ("models", name)
        yield from _engine((*path, "engine"), model.engine, pipeline, around)
        if model.materialized == "view" and pipeline.engine_of(name):
            yield Problem((*path, "engine"), f"a view is read where it lies, and {model.engine} keeps no tables: give materialized: table, or leave `engine` out")  # fmt: skip
        start = model.incremental.start if model.incremental else None
        if (
            start is not None
            and model.incremental
            and model.incremental.by == "time"
            and not _is_moment(start)
        ):
            yield Problem((*path, "incremental", "start"), "is not a moment: write 2026-01-01")


def _is_moment(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _contracts(pipeline: Pipeline, around: Around) -> Iterator[Problem]:
    for number, name in enumerate(pipeline.contract):
        if around.contracts is not None and name not in around.contracts:
            what = f"there is no contract {name!r} yet{nearest(name, around.contracts)}: nothing is published until there is"
            yield Problem(("contract", number), what, warning=True)


# -- columns ----------------------------------------------------------------------------------------------------------------------------


def _columns(path: Path, load: Load) -> Iterator[Problem]:
    """What is dropped cannot be asked for, and a time zone must be one."""
    dropped = {name for name, one in load.columns.items() if one.drop}
    dropped |= {one.source for one in load.columns.values() if one.drop and one.source}
    asked: list[tuple[Path, str, str]] = [
        ((*path, "keys", at), one, "a key") for at, one in enumerate(load.keys)
    ]
    if load.cursor:
        asked.append(((*path, "cursor", "column"), load.cursor.column, "the cursor"))
    if load.history.changed_at:
        asked.append(
            ((*path, "history", "changed_at"), load.history.changed_at, "what says when a row changed")
        )
    asked += [((*path, "history", "track", at), one, "followed") for at, one in enumerate(load.history.track)]
    for place, column, role in asked:
        if column in dropped:
            yield Problem(place, f"{column!r} is {role}, and `columns` drops it")
    for twice in sorted({one for one in load.keys if load.keys.count(one) > 1}):
        yield Problem((*path, "keys"), f"names {twice!r} twice")
    for name, said in load.columns.items():
        if said.timezone is not None:
            yield from _zone((*path, "columns", name, "timezone"), said.timezone)


# -- times ------------------------------------------------------------------------------------------------------------------------------


def _zone(path: Path, name: str) -> Iterator[Problem]:
    try:
        cron.zone_of(name)
    except BadInput:
        yield Problem(path, f"there is no time zone {name!r}: write Europe/Berlin")


def _duration(path: Path, text: str | None) -> Iterator[Problem]:
    if text is None:
        return
    if seconds_of(text) == 0:
        yield Problem(path, "must be longer than nothing")
    elif seconds_of(text) > LONGEST:
        yield Problem(path, "is longer than ten years")


def seconds_of(duration: str) -> int:
    """The seconds of a duration as the specification has it: 30s, 10m, 6h, 1d, 2w."""
    number, unit = re.fullmatch(r"(\d+) ?([smhdw])", duration).groups()  # type: ignore[union-attr] # as its field's pattern
    return int(number) * SECONDS[unit] if len(number) < 12 else LONGEST + 1  # noqa: PLR2004 - more is never meant


def _schedule(name: str, schedule: Schedule, around: Around) -> Iterator[Problem]:
    if not (schedule.cron or schedule.on_file or schedule.after):
        yield Problem(("schedule",), "says no when: give `cron`, `on_file` or `after`")
    wrong_zone = list(_zone(("schedule", "timezone"), schedule.timezone))
    yield from wrong_zone
    if schedule.cron is not None:
        yield from _told(("schedule", "cron"), lambda: cron.check(schedule.cron or "", "UTC", "cron"))
    yield from _told(("schedule", "skip_days"), lambda: skips(schedule.skip_days, "skip_days"))
    yield from _duration(("schedule", "timeout"), schedule.timeout)
    if schedule.pool is not None and schedule.pool not in around.pools:
        yield Problem(("schedule", "pool"), f"the estate's `pipelines.pools` has no {schedule.pool!r}{nearest(schedule.pool, around.pools)}")  # fmt: skip
    for number, one in enumerate(schedule.after):
        place: Path = ("schedule", "after", number)
        if one == name:
            yield Problem(place, "a pipeline does not run after itself")
        elif one not in around.pipelines:
            yield Problem(place, f"there is no pipeline {one!r}{nearest(one, around.pipelines)}")
        elif way := _way(one, name, around.pipelines):
            yield Problem(place, f"is a cycle: {name} runs after {' after '.join(way)}")


def _told(path: Path, check: Callable[[], object]) -> Iterator[Problem]:
    try:
        check()
    except BadInput as error:
        what = error.what.partition(": ")[2].rstrip(".")
        yield Problem(path, f"{what or error.what} ({error.remedy.rstrip('.')})")


def _way(start: str, end: str, pipelines: Mapping[str, Written]) -> list[str]:
    """From one pipeline to another by what each runs after; nothing where there is no way."""
    ways, seen = [[start]], {start}
    while ways:
        way = ways.pop(0)
        for one in pipelines.get(way[-1], Written()).after:
            if one == end:
                return [*way, end]
            if one not in seen:
                seen.add(one)
                ways.append([*way, one])
    return []


def _written_twice(name: str, pipeline: Pipeline, around: Around) -> Iterator[Problem]:
    for kind, parts in (("loads", pipeline.loads), ("models", pipeline.models)):
        for one, part in parts.items():
            key = table_key(pipeline, part.to or one)
            others = [
                other
                for other, written in around.pipelines.items()
                if other != name and key in written.tables
            ]
            if others:
                path: Path = (kind, one, "to") if part.to else (kind, one)
                yield Problem(path, f"{part.to or one} is published by the pipeline {others[0]} too")
