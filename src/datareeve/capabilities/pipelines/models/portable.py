"""What would be another result on another engine: told when it is planned, by name, with what to write instead."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.pipelines.models.kinds import kind_of
from datareeve.capabilities.pipelines.models.scopes import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from datareeve.capabilities.pipelines.models.graph import Parsed
    from datareeve.capabilities.pipelines.models.scopes import Written

__all__ = ["Refusal", "refusals", "written"]

Columns = "Mapping[str, Mapping[str, str]]"
Keys = "Mapping[str, Sequence[Sequence[str]]]"


def refusals(
    parsed: Parsed,
    columns_of: Mapping[str, Mapping[str, str]],
    engine: str,
    keys_of: Mapping[str, Sequence[Sequence[str]]] | None = None,
) -> list[Refusal]:
    """Why a model cannot mean on `engine` what it means in its own dialect; [] where it can. On its own engine it always can."""
    return [] if engine == parsed.dialect else written(parsed, columns_of, engine, str, keys_of)[1]


def written(
    parsed: Parsed,
    columns_of: Mapping[str, Mapping[str, str]],
    engine: str,
    physical: Callable[[str], str],
    keys_of: Mapping[str, Sequence[Sequence[str]]] | None = None,
) -> tuple[Written, list[Refusal]]:
    """The model in words that mean the same on every engine, and what has none."""
    from datareeve.capabilities.pipelines.models.writer import Writer  # noqa: PLC0415 - only where a model is written

    kinds = {
        table: {name: kind_of(told) for name, told in columns.items()}
        for table, columns in columns_of.items()
    }
    writer = Writer(parsed, engine, kinds, physical, keys_of)
    made = writer.write(parsed.expression)
    return made, list(writer.refusals.values())
