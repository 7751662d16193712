"""A model as the engine that builds it reads it, over the tables where they are now.

What can be said in words that mean the same everywhere is, on every engine, its own too. What cannot is the model's text as it stands, on the
engine of its dialect alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.pipelines.models.portable import written
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datareeve.capabilities.pipelines.models.graph import Parsed


def select_for(
    parsed: Parsed,
    engine: str,
    names: Mapping[str, str],
    columns_of: Mapping[str, Mapping[str, str]] | None = None,
    keys_of: Mapping[str, Sequence[Sequence[str]]] | None = None,
) -> str:
    """One SELECT. `names` are the relations by table, quoted as the engine quotes. Errors: `BadInput` `pipelines.model-not-portable`."""
    made, why = written(parsed, columns_of or {}, engine, lambda table: place(parsed, table, names), keys_of)
    if not why:
        return made.sql
    if engine == parsed.dialect:
        return as_it_stands(parsed, names)
    raise BadInput(
        "pipelines.model-not-portable",
        f"Model {parsed.name} would not be the same on {engine} as in {parsed.dialect}: {'; '.join(f'{one.what}: {one.why}' for one in why[:5])}.",
        "Write instead: " + "; ".join(dict.fromkeys(one.instead for one in why[:5])),
    )


def place(parsed: Parsed, table: str, names: Mapping[str, str]) -> str:
    """Where a table is. Errors: `BadInput` `pipelines.model-table`."""
    if table not in names:
        raise BadInput(
            "pipelines.model-table",
            f"Model {parsed.name} reads {table}, which is no load or model of this pipeline, nor a table that was found.",
            "Correct the name, or load the table.",
        )
    return names[table]


def as_it_stands(parsed: Parsed, names: Mapping[str, str]) -> str:
    """The text of the model with nothing changed but the tables, each under the name that the text calls it by."""
    text = parsed.text.strip().rstrip(";")
    shift = len(parsed.text) - len(parsed.text.lstrip())
    mark = "`" if parsed.dialect == "spark" else '"'
    for one in sorted(parsed.references, key=lambda found: -_span(found.node)[0]):
        first, last = (place - shift for place in _span(one.node))
        alias = "" if one.node.alias else f" AS {mark}{one.node.name.replace(mark, mark * 2)}{mark}"
        if not one.node.alias and parsed.dialect == "postgres" and not one.node.this.quoted:
            alias = f' AS "{one.node.name.lower()}"'
        text = text[:first] + place(parsed, one.table, names) + alias + text[last:]
    return text


def _span(node: object) -> tuple[int, int]:
    """Where a table's name stands in the text: from its first part to behind its last."""
    parts = node.parts  # type: ignore[attr-defined]
    return parts[0].meta["start"], parts[-1].meta["end"] + 1
