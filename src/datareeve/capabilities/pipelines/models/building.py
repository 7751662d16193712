"""The models of a pipeline as steps of its build: in order, in the SQL of the engine that builds them, over what is built or published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.pipelines.flow import names
from datareeve.capabilities.pipelines.flow.shaping import duckdb_type
from datareeve.capabilities.pipelines.models import handing, unit_tests
from datareeve.capabilities.pipelines.models.dry_run import columns
from datareeve.capabilities.pipelines.models.graph import order
from datareeve.capabilities.pipelines.models.kinds import common, kind_of
from datareeve.capabilities.pipelines.models.lineage import of_model
from datareeve.capabilities.pipelines.models.writing import select_for
from datareeve.systems.mover import qualified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.pipelines.facts import PipelineFacts
    from datareeve.capabilities.pipelines.models.graph import Parsed
    from datareeve.capabilities.pipelines.spec import Load

Types = dict[str, dict[str, str]]
Keys = dict[str, list[list[str]]]


def built(facts: PipelineFacts) -> Iterator[dict[str, Any]]:
    """What each model's step is given, in the order they are built. Errors: `BadInput` of a model that cannot be read or written."""
    pipeline = facts.pipeline
    tables = {name: load.to or name for name, load in pipeline.loads.items()}
    parsed = order(pipeline.models, facts.sql, tables)
    types: Types = {
        **facts.tables,
        **{
            tables[name]: _types(
                pipeline.loads[name], looked.get("types", {}), facts.tables.get(tables[name], {})
            )
            for name, looked in facts.looked.items()
        },
    }
    keys: Keys = {
        tables[name]: [list(load.keys)]
        for name, load in pipeline.loads.items()
        if load.keys and load.mode in ("full", "upsert")
    }
    ours = {*tables.values(), *(one.table for one in parsed)}
    for one in parsed:
        types[one.table] = columns(one, types, keys) or {}
        made_of = of_model(one, {table: list(columns_) for table, columns_ in types.items()})
        origins = {
            name: [{"table": table, "column": column} for table, column in found]
            for name, found in made_of.items()
        }
        yield {**_given(facts, one, types, keys, ours), "lineage": origins}


def _types(load: Load, source: dict[str, str], there: dict[str, str]) -> dict[str, str]:
    """What a load's columns will be, in any engine's words: the source's, what the pipeline says of them, and what is published already."""
    found = {}
    for name, told in source.items():
        said = load.columns.get(name)
        if said is None or not said.drop:
            zoned = "TIMESTAMP WITH TIME ZONE" if said and said.timezone else told
            found[name] = duckdb_type(said.type) if said and said.type else zoned
    if load.mode == "full":
        return found
    kept = {name: told for name, told in there.items() if _as_wide(told, found.get(name, told))}
    return {**found, **kept}


def _as_wide(one: str, other: str) -> bool:
    return common(kind_of(one), kind_of(other)) == kind_of(one)


def _given(facts: PipelineFacts, one: Parsed, types: Types, keys: Keys, ours: set[str]) -> dict[str, Any]:
    model, engine = facts.pipeline.models[one.name], facts.pipeline.engine_of(one.name)
    beside = {
        table: _place(facts, names.next_(_bare(table)) if table in ours else table) for table in one.reads
    }
    published = {table: _place(facts, _bare(table) if table in ours else table) for table in one.reads}
    form = "a table, of what is new" if model.incremental else f"a {model.materialized}"
    why = f"{one.name} is made of {', '.join(one.reads) or 'no table'}, as {form}"
    if engine:
        handed = handing.handed(facts, one, types, keys, ours)
        dialect, select, known = "spark", handed.select, handed.types
        elsewhere = {"engine": engine, "inputs": handed.inputs, "columns": types[one.table]}
        why += f", on {engine} (`engine`): what it reads goes there as Parquet files by way of {facts.engines[engine].get('folder', 'a folder')}"
    else:
        dialect, select, known = facts.dialect, select_for(one, facts.dialect, beside, types, keys), types
        elsewhere = {}
    return {
        "name": one.name,
        "table": _bare(one.table),
        "materialized": model.materialized,
        "incremental": model.incremental.model_dump(mode="json") if model.incremental else None,
        "keys": list(model.keys),
        "select": select,
        "published": select_for(one, facts.dialect, published, types, keys)
        if model.materialized == "view"
        else "",
        "tests": {
            test.name: unit_tests.statement(one, test, dialect, known, types[one.table], keys)
            for test in model.unit_tests
        },
        **elsewhere,
        "why": f"{why}.",
    }


def _bare(table: str) -> str:
    return table.rpartition(".")[2]


def _place(facts: PipelineFacts, table: str) -> str:
    schema, _, name = table.rpartition(".")
    return qualified(schema or facts.schema_, name)
