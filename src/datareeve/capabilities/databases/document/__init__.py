"""Documents of a schema: Markdown with a Mermaid diagram, and one HTML page with a drawn one.

They are determined by the schema, so that writing them again changes nothing. Only figures marked with ≈ (row estimates, sizes) move by
themselves; whoever compares two documents leaves those out.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from datareeve.capabilities.databases import engines
from datareeve.capabilities.databases.document.diagram import draw

if TYPE_CHECKING:
    from datareeve.capabilities.databases.schema import Constraint, Schema, Table
    from datareeve.core.operation import Systems

KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view"}


def paths(system: str) -> tuple[str, str]:
    """Where the documents of a system are written, Markdown and HTML."""
    return f"data/{system}-schema.md", f"data/{system}-schema.html"


def render(systems: Systems, system: str) -> dict[str, str]:
    """The documents of a system's schema as it is now, by path."""
    schema = engines.of(systems[system].kind).schema(systems, system)
    markdown, page = paths(system)
    return {
        markdown: render_template("schema.md.j2", system, schema),
        page: render_template("schema.html.j2", system, schema),
    }


def render_template(name: str, system: str, schema: Schema) -> str:
    """One document of a schema."""
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415 - only where documents are made

    environment = Environment(
        loader=PackageLoader("datareeve.capabilities.databases", "document"),
        autoescape=name.endswith(".html.j2"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "about": about,
        "size": size if schema.sized else unsized,
        "cell": cell,
        "word": word,
    }
    one_schema = len({r.schema_name for r in schema.relations}) <= 1
    return environment.get_template(name).render(
        system=system,
        relations=schema.relations,
        tables=schema.tables,
        kinds=KINDS,
        label=lambda table: table.name if one_schema else table.full_name,
        target=lambda key: (
            key.references_table if one_schema else f"{key.references_schema}.{key.references_table}"
        ),
        relationships=[(table, key) for table in schema.tables for key in table.foreign_keys],
        referrers=lambda table: referrers(schema, table),
        diagram=draw(schema, short=one_schema),
    )


def referrers(schema: Schema, table: Table) -> list[tuple[Table, Constraint]]:
    """The foreign keys that end at a table, with the tables they start at."""
    ends = (table.schema_name, table.name)
    return [
        (t, k)
        for t in schema.tables
        for k in t.foreign_keys
        if (k.references_schema, k.references_table) == ends
    ]


def about(rows: int | None) -> str:
    """A row estimate to two digits: '≈340,000'; '≈?' before the first ANALYZE."""
    return "≈?" if rows is None else f"≈{_two_digits(rows):,}"


def size(byte_count: int) -> str:
    """A size to two digits: '≈45 MB'."""
    power = min(int(math.log(byte_count, 1024)), 5) if byte_count else 0
    return f"≈{_two_digits(round(byte_count / 1024**power)):,} {('B', 'kB', 'MB', 'GB', 'TB', 'PB')[power]}"


def unsized(_bytes: int) -> str:
    """Said where the engine does not tell how large a table is."""
    return "–"  # noqa: RUF001 - as the templates say where there is nothing


def _two_digits(number: int) -> int:
    return round(number, 2 - len(str(number)))


def cell(text: object) -> str:
    """Text for a cell of a Markdown table."""
    return str(text).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def word(text: str) -> str:
    """A name or type as one word that Mermaid accepts."""
    made = re.sub(r"[^\w()\[\]]", "_", text, flags=re.ASCII)
    return made if made[:1].isalpha() or made[:1] == "_" else f"_{made}"
