"""What a run of a pipeline would touch besides its own tables, how long its steps took before, and what is read from where it may cost something.

Nothing here is guessed: what cannot be told is said to be unknown.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from datareeve.capabilities.pipelines import spec_files
from datareeve.capabilities.pipelines.scheduling.publications import pipeline_of
from datareeve.core import clock
from datareeve.core.errors import DatareeveError
from datareeve.core.operation import Plan, Prediction, Step
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve.capabilities.pipelines.facts import PipelineFacts
    from datareeve.capabilities.pipelines.spec import Load, Pipeline
    from datareeve.core.operation import Systems

OPERATIONS: Final = ["pipelines.run", "pipelines.build", "pipelines.publish", "pipelines.backfill"]
DAYS, RUNS, ENTRIES = (
    90,
    5,
    120,
)  # how far back, how many runs of a pipeline, and in how many entries they are looked for
ALIKE, TOO_SHORT = 10.0, 1.0  # a rate of a tenth of the rows within a second tells nothing of more rows
UNKNOWN = "unknown"
REFERENCES: Final = ("env:", "file:", "keyring:", "secret:")  # to a URL that is no secret of ours to read


class Ahead(Value):
    """What is known before a run."""

    pipelines: tuple[str, ...] = ()  # of the project, which read a table that is published
    views: tuple[str, ...] = ()  # of the target, with their schema: which read one, or a view of one
    former: dict[str, tuple[tuple[int | None, float], ...]] = {}  # noqa: RUF012 - pydantic copies it: by step id, rows and seconds, newest first
    elsewhere: dict[str, str] = {}  # noqa: RUF012 - as above: by load, the host or service that it reads, where that is another


# -- looking -------------------------------------------------------------------------------------------------------------------------------


def seen(  # noqa: PLR0913 - where a pipeline is published, and as what
    systems: Systems,
    name: str,
    pipeline: Pipeline,
    *,
    system: str,
    schema: str | None,
    environment: str | None,
) -> Ahead:
    """Look at the other pipelines, at the target's views, and at what former runs took."""
    kind = systems[system].kind
    default = "public" if kind == "postgresql" else "main"
    ours = published(pipeline)
    given = {"system": system, "schema": schema, "tables": ours}
    views = (
        systems["pipelines"].read("look", what="views", given=given)
        if kind in ("duckdb", "postgresql")
        else []
    )
    places = {f"{schema or default}.{table}".casefold() for table in ours}
    own = {f"{schema or default}.{one}" for one in ours}
    return Ahead(
        pipelines=tuple(_readers(systems, name, system, places, default)),
        views=tuple(view for view in views if view not in own),
        former=_former(systems, name, environment),
        elsewhere={
            load: place for load, one in pipeline.loads.items() if (place := _elsewhere(systems, one))
        },
    )


def published(pipeline: Pipeline) -> list[str]:
    """The tables and views of a pipeline, as they are published."""
    return [part.to or name for parts in (pipeline.loads, pipeline.models) for name, part in parts.items()]


def _readers(systems: Systems, name: str, system: str, places: set[str], default: str) -> Iterator[str]:
    try:
        others = sorted(set(spec_files.paths(systems)) - {name})
    except DatareeveError:
        return
    for other in others:
        try:
            loaded = spec_files.load(systems, other)
        except DatareeveError:
            continue  # it cannot run either: `pipelines.status` says why
        if places & set(_read_by(loaded.pipeline, loaded.sql, system, default)):
            yield other


def _read_by(pipeline: Pipeline, sql: dict[str, str], system: str, default: str) -> Iterator[str]:
    """The tables of a system that a pipeline reads: schema.table, in lower case."""
    for load in pipeline.loads.values():
        source = load.source
        if source.system == system and source.table:
            yield _placed(source.table, default)
        elif source.system == system and source.query:
            yield from named(source.query, default)
    if pipeline.target.system == system:
        for text in sql.values():
            yield from named(text, pipeline.target.schema_ or default)


def _placed(table: str, default: str) -> str:
    return (table if "." in table else f"{default}.{table}").casefold()


def named(text: str, default: str) -> Iterator[str]:
    """The tables that a statement names: schema.table, in lower case; none where it cannot be parsed."""
    import sqlglot  # noqa: PLC0415 - slow to load, and rarely needed
    from sqlglot.errors import SqlglotError  # noqa: PLC0415 - as above

    from datareeve.capabilities.pipelines.models.graph import tables_of  # noqa: PLC0415 - as above

    for dialect in ("duckdb", "postgres"):
        try:
            tree = sqlglot.parse_one(text, dialect=dialect)
        except SqlglotError:
            continue
        yield from (f"{one.db or default}.{one.name}".casefold() for one in tables_of(tree))
        return


def _former(
    systems: Systems, name: str, environment: str | None
) -> dict[str, tuple[tuple[int | None, float], ...]]:
    since = clock.stamp(clock.now() - timedelta(days=DAYS))
    runs = systems["ledger"].read("runs_of", operations=OPERATIONS, since=since, parts=RUNS, limit=ENTRIES)
    found: dict[str, list[tuple[int | None, float]]] = {}
    default = systems["estate"].read("get", where=["pipelines", "environment"])
    for run in [one for one in reversed(runs) if pipeline_of(one["inputs"], environment, default) == name]:
        for part in run["parts"]:
            for step in part["steps"]:
                if step["status"] == "done" and step["seconds"] is not None and not step["found_by_probe"]:
                    rows = step["result"].get("rows")
                    found.setdefault(step["step"], []).append(
                        (rows if isinstance(rows, int) else None, step["seconds"])
                    )
    return {step: tuple(took[:RUNS]) for step, took in found.items()}


def _elsewhere(systems: Systems, load: Load) -> str:
    """The host or service that a load reads, where it is not this machine; '' where it is."""
    source = load.source
    if source.http:
        return _host(source.http.url)
    if source.dlt:
        return f"dlt's {source.dlt.source}"
    if source.system:
        entry = systems["estate"].read("get", where=["systems", source.system]) or {}
        url = str(entry.get("url") or entry.get("path") or "")
        return source.system if url.startswith(REFERENCES) else _host(url)
    if source.python:
        return f"whatever {source.python} reads"
    return next(filter(None, map(_host, source.files or ())), "")


def _host(url: str) -> str:
    from urllib.parse import parse_qs, urlsplit  # noqa: PLC0415 - as above

    if "://" not in url:
        return ""
    try:
        parts = urlsplit(url)
        host = parts.hostname or next(iter(parse_qs(parts.query).get("host", [])), "")
    except ValueError:
        return UNKNOWN
    local = host in ("", "localhost", "::1") or host.startswith(("127.", "/", "%2f"))
    return "" if local or parts.scheme in ("file", "sqlite", "duckdb") else host


# -- telling -------------------------------------------------------------------------------------------------------------------------------


def foreseen(facts: PipelineFacts, step: Step) -> Step:
    """A step with what it will take, as far as former runs of it tell that."""
    took = facts.ahead.former.get(step.id, ())
    known = step.predicted
    rows = known.rows
    if rows is None and step.id.startswith("model ") and took:
        rows = took[0][0]
    seconds = seconds_of(rows, took, by_rows=step.id.startswith("load "))
    basis = [known.basis] if known.basis and (known.rows is not None or known.bytes is not None) else []
    if seconds is not None or rows != known.rows:
        basis.append(f"{len(took)} former run{'s' * (len(took) != 1)}")
    return step.model_copy(
        update={
            "predicted": Prediction(rows=rows, bytes=known.bytes, seconds=seconds, basis="; ".join(basis))
        }
    )


def seconds_of(rows: int | None, took: Sequence[tuple[int | None, float]], *, by_rows: bool) -> float | None:
    """How long so many rows take, from the run that had most nearly as many; without rows, the median. None: not known."""
    if not took:
        return None
    if not by_rows or rows is None:
        return sorted(seconds for _, seconds in took)[len(took) // 2]
    counted = [(count, seconds) for count, seconds in took if count]
    if not rows or not counted:
        return None
    count, seconds = min(counted, key=lambda one: abs(math.log(rows / one[0])))
    if count * ALIKE < rows and seconds < TOO_SHORT:
        return None
    return seconds if count >= rows and seconds < TOO_SHORT else seconds * rows / count


def told(facts: PipelineFacts, plan: Plan) -> Plan:
    """A plan with what comes of it: in its summary, and in its figures."""
    steps = [step for step in plan.all_steps() if step.id.split(" ")[0] in TIMED]
    loads = [step for step in steps if step.id.startswith(("load ", "publish"))]
    rows, sizes = _sum(
        loads[:1] if loads and loads[0].id == "publish" else [s for s in loads if s.id != "publish"]
    )
    seconds = [step.predicted.seconds for step in steps]
    long = None if not steps or None in seconds else round(sum(filter(None, seconds)), 3)
    touched, cost = downstream(facts), _cost(facts)
    figures = {
        "rows_expected": UNKNOWN if rows is None else rows,
        "bytes_expected": UNKNOWN if sizes is None else sizes,
        "seconds_expected": UNKNOWN if long is None else long,
        "cost": cost,
        "downstream": touched,
    }
    size = f"{sizes:,} bytes" if sizes is not None else "bytes unknown"
    counted = f"{rows:,} rows" if rows is not None else "rows unknown"
    duration = (
        f"about {long:.2g} s by former runs"
        if long is not None
        else "how long is unknown (no former run tells it)"
    )
    text = f" Expected: {counted}, {size}, {duration}. Cost: {cost}. Downstream: {_said(touched)}."
    return plan.model_copy(update={"summary": plan.summary + text, "figures": {**plan.figures, **figures}})


TIMED: Final = ("load", "model", "compare", "audit", "publish")


def _sum(steps: Sequence[Step]) -> tuple[int | None, int | None]:
    rows, sizes = [one.predicted.rows for one in steps], [one.predicted.bytes for one in steps]
    return (
        None if None in rows else sum(filter(None, rows)),
        None if None in sizes or not sizes else sum(filter(None, sizes)),
    )


def downstream(facts: PipelineFacts) -> dict[str, list[str]]:
    """What reads what is published: {models, pipelines, views}."""
    return {
        "models": list(facts.pipeline.models),
        "pipelines": list(facts.ahead.pipelines),
        "views": list(facts.ahead.views),
    }


def _said(touched: dict[str, list[str]]) -> str:
    return (
        "; ".join(f"{what} {', '.join(names)}" for what, names in touched.items() if names)
        or "nothing that is known"
    )


def _cost(facts: PipelineFacts) -> str:
    places = sorted(
        {facts.ahead.elsewhere[load] for load in facts.pipeline.loads if load in facts.ahead.elsewhere}
    )
    if not places:
        return "nothing, all is read on this machine"
    return f"what {', '.join(places)} asks for what is read from there (no price is known here)"
