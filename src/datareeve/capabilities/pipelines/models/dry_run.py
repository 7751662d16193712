"""What a model would give, and how its engine would go about it, without a row of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.pipelines.models.kinds import kind_of
from datareeve.capabilities.pipelines.models.portable import written
from datareeve.capabilities.pipelines.models.words import Words

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datareeve.capabilities.pipelines.models.graph import Parsed

EXPLAIN = {
    "duckdb": "EXPLAIN (FORMAT JSON) ",
    "postgres": "EXPLAIN (FORMAT JSON) ",
    "spark": "EXPLAIN FORMATTED ",
}


def columns_statement(select: str, engine: str) -> str:
    """A statement without rows whose columns are the model's: it fails as the model would, but for what depends on values."""
    return f"SELECT * FROM (\n{select}\n) AS {Words(engine).name('_model')} LIMIT 0"


def explain_statement(select: str, engine: str) -> str:
    """The engine's plan, with its estimates: rows of `Plan Rows` on PostgreSQL, `Estimated Cardinality` on DuckDB."""
    return EXPLAIN[engine] + select


def columns(
    parsed: Parsed,
    columns_of: Mapping[str, Mapping[str, str]],
    keys_of: Mapping[str, Sequence[Sequence[str]]] | None = None,
) -> dict[str, str] | None:
    """The model's columns in DuckDB's types, known without asking an engine; None where it is not the same on all of them, so that an engine must say."""
    made, why = written(parsed, columns_of, "duckdb", lambda table: table, keys_of)
    if why:
        return None
    passed = {name: told for columns in columns_of.values() for name, told in columns.items()}
    words = Words("duckdb")
    return {
        name: words.type(kind)
        if not kind.name.startswith(("other", "numeric"))
        else passed.get(name, "NUMERIC")
        for name, kind in made.columns
    }


def same_type(one: str, other: str) -> bool:
    """Whether two engines' words name one type: a model's column and the published one."""
    return kind_of(one) == kind_of(other)
