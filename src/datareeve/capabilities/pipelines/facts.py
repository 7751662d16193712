"""What is observed of a pipeline before it is run: as it is written, what its sources have, and what is built and published of it."""

from __future__ import annotations

from typing import Any

from datareeve.capabilities.pipelines import ahead, spec_files
from datareeve.capabilities.pipelines.ahead import Ahead
from datareeve.capabilities.pipelines.spec import Pipeline  # noqa: TC001 - the type of a field, which pydantic reads
from datareeve.core.errors import BadInput
from datareeve.core.operation import Call, Systems
from datareeve.core.value import Value


class PipelineFacts(Value):
    """A pipeline, and what there is."""

    name: str
    path: str
    pipeline: Pipeline
    digest: str
    sql: dict[str, str] = {}  # noqa: RUF012 - pydantic copies it: models' texts
    key: str  # the pipeline's name, with @environment where it is another than its own target
    system: str
    schema_: str | None = None
    looked: dict[str, Any] = {}  # noqa: RUF012 - as above: by load
    broken_contracts: dict[str, str] = {}  # noqa: RUF012 - as above: what is wrong with them
    dialect: str = "duckdb"  # of the target
    tables: dict[str, dict[str, str]] = {}  # noqa: RUF012 - as above: columns and types of what else is in the target
    engines: dict[str, dict[str, str]] = {}  # noqa: RUF012 - as above: where models are built besides the target: {folder} or {error}
    build: dict[str, Any] = {}  # noqa: RUF012 - as above
    published: dict[str, Any] = {}  # noqa: RUF012 - as above
    ahead: Ahead = Ahead()  # what a run touches besides, and what former ones took

    @property
    def default_schema(self) -> str:
        """Where a table lies that names no schema."""
        return self.schema_ or ("public" if self.dialect == "postgres" else "main")

    def given(self, **more: Any) -> dict[str, Any]:
        """What every piece of work is told."""
        return {"key": self.key, "system": self.system, "schema": self.schema_, **more}

    def read(self, what: str, of: str = "") -> Call:
        """The question how one thing of the pipeline stands."""
        arguments = {"pipeline": self.key, "system": self.system, "what": what, **({"of": of} if of else {})}
        return Call(system="pipelines", action="stands", arguments=arguments)


def observe(systems: Systems, name: str, environment: str | None, *, look: bool) -> PipelineFacts:
    """Look at a pipeline; with `look`, at its sources too. Errors: those of `spec_files.load`; `BadInput` `pipelines.environment`."""
    loaded = spec_files.load(systems, name)
    pipeline = loaded.pipeline
    system, schema, key = pipeline.target.system, pipeline.target.schema_, loaded.name
    asked_for = environment
    environment = environment or systems["estate"].read("get", where=["pipelines", "environment"])
    if environment:
        other = pipeline.environments.get(environment)
        if other is None:
            raise BadInput(
                "pipelines.environment",
                f"{loaded.path} has no environment {environment!r}.",
                f"It has: {', '.join(pipeline.environments) or 'none'}.",
            )
        system, schema, key = other.system or system, other.schema_ or schema, f"{loaded.name}@{environment}"
    _refuse_what_is_not_done(loaded.path, pipeline)
    known = systems["pipelines"].read("known", pipeline=key, system=system)
    if systems[system].kind == "folder":
        _refuse_what_files_are_not(loaded.path, pipeline, schema)
    positions = {load: one.get("position") for load, one in known["published"].get("loads", {}).items()}
    given = {
        "loads": {load: dumped(one) for load, one in pipeline.loads.items()},
        "system": system,
        "schema": schema,
        "positions": positions,
    }
    looked = systems["pipelines"].read("look", what="loads", given=given) if look else {}
    kind = systems[system].kind
    published_as = [
        part.to or name for parts in (pipeline.loads, pipeline.models) for name, part in parts.items()
    ]
    asked = {"contracts": list(pipeline.contract), "system": system, "schema": schema, "tables": published_as}
    broken = (
        systems["pipelines"].read("look", what="contracts", given=asked) if look and pipeline.contract else {}
    )
    tables = systems["pipelines"].read("look", what="tables", given=given) if look and pipeline.models else {}
    elsewhere = sorted(filter(None, {pipeline.engine_of(one) for one in pipeline.models}))
    engines = systems["pipelines"].read("look", what="engines", given={"engines": elsewhere}) if look and elsewhere else {}  # fmt: skip
    before = ahead.seen(systems, loaded.name, pipeline, system=system, schema=schema, environment=asked_for)
    return PipelineFacts(ahead=before, engines=engines, broken_contracts=broken, dialect="postgres" if kind == "postgresql" else "duckdb", tables=tables, name=loaded.name, path=loaded.path, pipeline=pipeline, digest=loaded.digest, sql=loaded.sql, key=key, system=system,
                         schema_=schema, looked=looked, build=known["build"], published=known["published"])  # fmt: skip


def _refuse_what_is_not_done(path: str, pipeline: Pipeline) -> None:
    """What can be written and is not carried out yet is refused: nothing of a pipeline is passed over silently."""
    for kind, parts in (("loads", pipeline.loads), ("models", pipeline.models)):
        for name, part in parts.items():
            if "." in (part.to or ""):
                raise BadInput(
                    "pipelines.to-schema",
                    f"{path}: {kind}.{name}.to names a schema, and a pipeline publishes into one.",
                    "Give the table's name alone, and the schema under `target`: {system: NAME, schema: NAME}.",
                )


def _refuse_what_files_are_not(path: str, pipeline: Pipeline, schema: str | None) -> None:
    views = [name for name, model in pipeline.models.items() if model.materialized == "view"]
    if schema or views:
        what = (
            "target.schema: a folder has no schemas"
            if schema
            else f"models.{views[0]}: a folder has no views"
        )
        raise BadInput(
            "pipelines.of-databases",
            f"{path}: {what}.",
            "Leave `schema` out; name another folder, as a system of its own."
            if schema
            else "Give it `materialized: table`.",
        )


def dumped(value: Value) -> dict[str, Any]:
    """A part of a pipeline as JSON, without what is as it is by default: for a call."""
    return value.model_dump(mode="json", exclude_defaults=True, by_alias=True)
