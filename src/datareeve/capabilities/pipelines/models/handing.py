"""What a model that Spark builds is given: its SELECT there, and of each table that it reads the columns that go there as files."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.pipelines.flow import names
from datareeve.capabilities.pipelines.models.kinds import is_exact, kind_of
from datareeve.capabilities.pipelines.models.portable import written
from datareeve.capabilities.pipelines.models.words import TYPES, Words
from datareeve.capabilities.pipelines.models.writing import place, select_for
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from datareeve.capabilities.pipelines.facts import PipelineFacts
    from datareeve.capabilities.pipelines.models.graph import Parsed

Types = dict[str, dict[str, str]]
Keys = dict[str, list[list[str]]]


@dataclass(frozen=True)
class Handed:
    """A model for Spark: `inputs` are its tables, `types` their columns without those that Spark has no type for."""

    select: str
    inputs: list[dict[str, Any]]
    types: Types


def handed(facts: PipelineFacts, one: Parsed, types: Types, keys: Keys, ours: set[str]) -> Handed:
    """A model as Spark builds it. Errors: `BadInput` `pipelines.model-not-portable`, `pipelines.engine-type`, `pipelines.model-table`."""
    views = {table: f"input_{number}" for number, table in enumerate(one.reads, 1)}
    quoted = {table: Words("spark").name(view) for table, view in views.items()}
    made, own_way = written(one, types, "spark", lambda table: place(one, table, quoted), keys)
    select = select_for(one, "spark", quoted, types, keys) if own_way else made.sql
    shared = {**types, **{table: _shared(types[table]) for table in one.reads if table in types}}
    foreign = [(t, name) for t in one.reads for name in types.get(t, {}) if name not in shared[t]]
    if foreign:
        without, lacking = written(one, shared, "spark", lambda table: place(one, table, quoted), keys)
        reads = [each for each in foreign if own_way or _named(each[1], select)]
        if (own_way and _may_read(one.text, foreign)) or (not own_way and (lacking or without.sql != select)):
            raise _refused(facts, one, reads or foreign, types)
    inputs = []
    for table, view in views.items():
        schema, _, bare = table.rpartition(".")
        inputs.append(
            {
                "name": table,
                "view": view,
                "schema": facts.schema_ if table in ours else schema or facts.schema_,
                "table": names.next_(bare) if table in ours else bare,
                "columns": {
                    name: told
                    for name, told in shared.get(table, {}).items()
                    if own_way or _named(name, select)
                },
            }
        )
    return Handed(select, inputs, shared)


def _shared(columns: dict[str, str]) -> dict[str, str]:
    """The columns whose types and names Spark has too: it does not tell names apart by their case."""
    folded = Counter(name.casefold() for name in columns)
    return {
        name: told
        for name, told in columns.items()
        if folded[name.casefold()] == 1 and (is_exact(kind_of(told)) or kind_of(told).name in TYPES["spark"])
    }


def _named(name: str, select: str) -> bool:
    """Whether a SELECT that was written here may read a column of this name: it quotes every one."""
    return Words("spark").name(name) in select


def _may_read(text: str, columns: list[tuple[str, str]]) -> bool:
    """Whether a text that stands as it is may read one of these columns."""
    return "*" in text or any(name.casefold() in text.casefold() for _, name in columns)


def _refused(facts: PipelineFacts, one: Parsed, columns: list[tuple[str, str]], types: Types) -> BadInput:
    told = ", ".join(f"{table}.{name} ({types[table][name]})" for table, name in columns[:5])
    return BadInput(
        "pipelines.engine-type",
        f"Model {one.name} reads what {facts.pipeline.engine_of(one.name)} has no type or no name for: {told}.",
        "Leave these columns out, name those that are read instead of *, give each another type or name where it is loaded, or leave `engine` out.",
    )
