"""A pipeline as a DAG of Airflow 3: a Python file that needs Airflow and the program `datareeve`, and no more.

The same pipeline gives the same text, byte for byte. What a schedule says and Airflow cannot keep is told, not left out silently.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from datareeve.capabilities.pipelines.scheduling.occasions import skips
from datareeve.capabilities.pipelines.spec import Schedule
from datareeve.capabilities.pipelines.spec_checks import seconds_of
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.pipelines.spec import Pipeline

TEMPLATE = Path(__file__).with_name("dag.template")
SINCE = "2024-01-01"  # where nothing is caught up, no run is as old
HOLIDAY_YEARS = range(2024, 2041)  # for which a file can say which days are free
WEEK = range(7)


class Export(Value):
    """The file's text, and what of the schedule it does not keep."""

    dag: str
    text: str
    left: tuple[str, ...]


@cache
def template() -> str:
    """The DAG with its gaps."""
    return TEMPLATE.read_text(encoding="utf-8")


def dag_id(name: str, environment: str | None) -> str:
    """The DAG's id: datareeve_orders, datareeve_orders__dev."""
    return re.sub(r"[^\w.-]", "_", f"datareeve_{name}" + (f"__{environment}" if environment else ""))


def export(  # noqa: PLR0913 - what the file says
    name: str,
    pipeline: Pipeline,
    *,
    path: str,
    environment: str | None = None,
    project: str | None = None,
    start_date: str | None = None,
) -> Export:
    """The DAG of a pipeline. `path`: where the file lies below the project, by which it finds the project's folder."""
    schedule = pipeline.schedule or Schedule()
    dag = dag_id(name, environment)
    weekdays, days = _free(schedule.skip_days)
    first = _plain(pipeline.description.strip().partition("\n")[0])
    text = template().format(
        title=f"{first or f'The pipeline {name}'}, as a DAG of Airflow 3.",
        pipeline=name,
        pipeline_text=repr(name),
        environment=repr(environment),
        project=repr(project) if project else f"str(Path(__file__).resolve().parents[{len(PurePosixPath(path).parts) - 1}])",
        timezone=repr(schedule.timezone),
        cron=repr(schedule.cron),
        after=repr(schedule.after),
        weekdays=repr(weekdays),
        days=_listed(days),
        run_immediately=schedule.catch_up != "none",
        dag_id=repr(dag),
        description=repr(pipeline.description.strip()[:500]),
        start_date=repr(start_date or SINCE),
        catchup=schedule.catch_up == "all",
        owner=repr(pipeline.owner or "datareeve"),
        retries=schedule.retries,
        retry_seconds=repr(schedule.retry_seconds),
        timeout=f"timedelta(seconds={seconds_of(schedule.timeout)})" if schedule.timeout else "None",
        pool=f'        "pool": {schedule.pool!r},\n' if schedule.pool else "",
    )  # fmt: skip
    return Export(dag=dag, text=text, left=tuple(_left(schedule)))


def _plain(text: str) -> str:
    """As it can stand in a docstring, whatever a person wrote."""
    return " ".join(re.sub(r"[\\\"]", " ", "".join(c if c.isprintable() else " " for c in text)).split())


def _free(given: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """(the weekdays that are free, the other days that are), with the holidays of the years that a file can say."""
    if not given:
        return (), ()
    weekly = tuple(one for one in given if one.isalpha())
    is_weekly, is_free = skips(weekly), skips(given)
    monday = date(2024, 1, 1)
    every = (date(HOLIDAY_YEARS[0], 1, 1) + timedelta(days=n) for n in range(len(HOLIDAY_YEARS) * 366))
    weekdays = tuple(n for n in WEEK if is_weekly(monday + timedelta(days=n)))
    return weekdays, tuple(
        day.isoformat() for day in every if day.year in HOLIDAY_YEARS and is_free(day) and not is_weekly(day)
    )


def _listed(days: tuple[str, ...]) -> str:
    """As a set, a year a line."""
    if not days:
        return "frozenset()"
    years = sorted({day[:4] for day in days})
    lines = [" ".join(day for day in days if day.startswith(year)) for year in years]
    return 'frozenset(\n    """\n' + "\n".join(f"    {line}" for line in lines) + '\n    """.split()\n)'


def _left(schedule: Schedule) -> Iterator[str]:
    if schedule.on_file:
        yield f"It runs when a file of {schedule.on_file} arrives, which Airflow does not see: trigger the DAG then, or let `datareeve serve` run the pipeline."
    holidays = [day for day in schedule.skip_days if day.startswith("holidays:")]
    if holidays:
        yield f"Of {', '.join(holidays)} the days of {HOLIDAY_YEARS[0]} to {HOLIDAY_YEARS[-1]} stand in the file: export it again before the last of them."
    if schedule.pool:
        yield f"Its tasks wait for a slot of the pool {schedule.pool!r} of Airflow: make it there, with as many slots as the estate's pool has."
    if schedule.cron and schedule.catch_up == "none":
        yield "Of the runs that are missed while Airflow does not run, Airflow makes up for the latest one; `catch_up: none` is kept at the first deployment only."
