"""The models of a pipeline as steps of its build: in order, in the destination's own SQL, over what is built or published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.pipelines.flow import names
from datareeve.capabilities.pipelines.models import unit_tests
from datareeve.capabilities.pipelines.models.dry_run import columns
from datareeve.capabilities.pipelines.models.graph import order
from datareeve.capabilities.pipelines.models.writing import select_for
from datareeve.systems.mover import qualified

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.pipelines.facts import PipelineFacts
    from datareeve.capabilities.pipelines.models.graph import Parsed

Types = dict[str, dict[str, str]]
Keys = dict[str, list[list[str]]]


def built(facts: PipelineFacts) -> Iterator[dict[str, Any]]:
    """What each model's step is given, in the order they are built. Errors: `BadInput` of a model that cannot be read or written."""
    pipeline = facts.pipeline
    tables = {name: load.to or name for name, load in pipeline.loads.items()}
    parsed = order(pipeline.models, facts.sql, tables)
    types: Types = {
        **facts.tables,
        **{tables[name]: looked.get("types", {}) for name, looked in facts.looked.items()},
    }
    keys: Keys = {
        tables[name]: [list(load.keys)]
        for name, load in pipeline.loads.items()
        if load.keys and load.mode in ("full", "upsert")
    }
    ours = {*tables.values(), *(one.table for one in parsed)}
    for one in parsed:
        types[one.table] = columns(one, types, keys) or {}
        yield _given(facts, one, types, keys, ours)


def _given(facts: PipelineFacts, one: Parsed, types: Types, keys: Keys, ours: set[str]) -> dict[str, Any]:
    model = facts.pipeline.models[one.name]
    beside = {
        table: _place(facts, names.next_(_bare(table)) if table in ours else table) for table in one.reads
    }
    published = {table: _place(facts, _bare(table) if table in ours else table) for table in one.reads}
    tests = {
        test.name: unit_tests.statement(one, test, facts.dialect, types, types[one.table], keys)
        for test in model.unit_tests
    }
    form = "a table, of what is new" if model.incremental else f"a {model.materialized}"
    return {
        "name": one.name,
        "table": _bare(one.table),
        "materialized": model.materialized,
        "incremental": model.incremental.model_dump(mode="json") if model.incremental else None,
        "keys": list(model.keys),
        "select": select_for(one, facts.dialect, beside, types, keys),
        "published": select_for(one, facts.dialect, published, types, keys)
        if model.materialized == "view"
        else "",
        "tests": tests,
        "why": f"{one.name} is made of {', '.join(one.reads) or 'no table'}, as {form}.",
    }


def _bare(table: str) -> str:
    return table.rpartition(".")[2]


def _place(facts: PipelineFacts, table: str) -> str:
    schema, _, name = table.rpartition(".")
    return qualified(schema or facts.schema_, name)
