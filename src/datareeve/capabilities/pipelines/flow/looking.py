"""What a pipeline would do, before it does it: what there is at its sources, what is published, and what the one becomes in the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from datareeve.capabilities.pipelines.flow.shaping import Shape, shape
from datareeve.capabilities.pipelines.spec import Load
from datareeve.core.errors import DatareeveError
from datareeve.core.intervals import intervals
from datareeve.systems.mover import identifier, literal, qualified
from datareeve.systems.table_source_postgres import is_native

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve.systems.destination import Destination
    from datareeve.systems.pipeline_desk import Shop
    from datareeve.systems.row_source import RowSource, SourceColumn
    from datareeve.systems.table_source import TableSource

CATALOG = """SELECT column_name AS name, data_type AS type, numeric_precision AS precision, numeric_scale AS scale FROM information_schema.columns
 WHERE table_name = {table} AND table_schema = {schema} ORDER BY ordinal_position"""

FETCHED = ("http", "python", "dlt")
ALL_COLUMNS = """SELECT table_name AS tab, column_name AS name, data_type AS type, numeric_precision AS digits, numeric_scale AS scale FROM information_schema.columns
 WHERE table_schema = {schema} AND position('__' IN table_name) = 0 ORDER BY table_name, ordinal_position LIMIT {rows} OFFSET {after}"""
COLUMNS_AT_ONCE = 900  # an answer holds a thousand rows at most
COUNTED_AT_ONCE = 200


def loads(shop: Shop, given: dict[str, Any]) -> dict[str, Any]:
    """Each load of a pipeline: {name: {columns, rows, bytes, parts, first, notes, stated, warnings} or {error}}."""
    return {name: _looked(shop, name, load, given) for name, load in given["loads"].items()}


def _looked(shop: Shop, name: str, load: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    try:
        return _look(shop, name, load, given)
    except DatareeveError as error:
        return {"error": f"{error.code}: {error.what}", "remedy": error.remedy}


def _look(shop: Shop, name: str, given_load: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    load = Load.model_validate(given_load)
    source = shop.source(given_load)
    table = (load.to or name).rpartition(".")[2]
    renamed = {spec.source: target for target, spec in load.columns.items() if spec.source}
    published = bool(columns_there(shop, given["system"], given.get("schema"), table))
    try:
        with shop.mover() as mover:
            columns = source.columns(mover)
            # What is fetched is fetched by the run: a plan asks for no more than the columns.
            reading = (
                None
                if load.source.kind in FETCHED
                else source.reading(mover, given["positions"].get(name), load.batch_rows)
            )
    finally:
        source.close()
    told = {"columns": len(columns), "types": {renamed.get(one.name, one.name): one.type for one in columns}, "first": not published,
            "notes": [f"{one.name}: {one.loses}" for one in columns if one.loses]}  # fmt: skip
    if reading is None:
        return told
    return {
        **told,
        "rows": reading.rows,
        "bytes": reading.bytes,
        "parts": len(reading.parts),
        "stated": reading.stated,
        "warnings": list(reading.warnings),
    }


def contracts(shop: Shop, given: dict[str, Any]) -> dict[str, str]:
    """What is wrong with the contracts that a build is to keep, by contract; what they say of tables that are not there yet is not asked.

    One that names no table of the pipeline would be kept by anything: it is wrong too.
    """
    default = "public" if shop.systems[given["system"]].kind == "postgresql" else "main"
    schema = given.get("schema") or default
    own = {name.casefold() for table in given["tables"] for name in (table, f"{schema}.{table}")}
    found = {}
    for contract in given["contracts"]:
        try:
            plan = shop.preview("quality.check-contract", {"contract": contract, "system": given["system"]})
        except DatareeveError as error:
            if error.code.startswith("contract."):
                found[contract] = f"{error.code}: {error.what}"
            continue
        named = list(_tables_of(plan))
        if named and not own & {name.casefold() for name in named}:
            found[contract] = (
                f"pipelines.contract-elsewhere: the contract {contract} is of {', '.join(named[:5])}, and of no table of this pipeline "
                f"({', '.join(given['tables'][:5])}): it would be kept whatever is published."
            )
    return found


def _tables_of(plan: Any) -> Iterator[str]:
    """The tables that a check of a contract reads, under both their names."""
    for part in (plan, *plan.parts):
        for step in part.steps:
            for table in step.call.arguments["given"]["contract"].get("tables", ()):
                yield from dict.fromkeys(filter(None, (table.get("physical_name"), table["name"])))


def tables(shop: Shop, given: dict[str, Any]) -> dict[str, dict[str, str]]:
    """The tables of a target's schema, with their columns and types: what models may read besides what the pipeline loads."""
    adapter, schema = shop.systems[given["system"]], given.get("schema")
    default = "public" if adapter.kind == "postgresql" else "main"
    rows: list[dict[str, Any]] = []
    try:
        while len(rows) % COLUMNS_AT_ONCE == 0:
            sql = ALL_COLUMNS.format(schema=literal(schema or default), rows=COLUMNS_AT_ONCE, after=len(rows))
            if not (more := adapter.read("query", sql=sql)):
                break
            rows += more
    except DatareeveError as error:
        if error.code == "duckdb.missing":
            return {}
        raise
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        found.setdefault(str(row["tab"]), {})[str(row["name"])] = _told(row)
    return found


def _told(row: dict[str, Any]) -> str:
    told = str(row["type"])
    return f"{told}({row['digits']},{row['scale']})" if told == "numeric" and row["digits"] else told


def backfill(shop: Shop, given: dict[str, Any]) -> list[list[Any]]:
    """The intervals of a span: [since, until, rows at the source, rows published]."""
    source = cast("TableSource", shop.source({**given["load"], "window": given["window"]}))
    load = Load.model_validate(given["load"])
    table = (load.to or given["name"]).rpartition(".")[2]
    spans = intervals(**given["window"])
    try:
        with shop.mover() as mover:
            there = [source.count(mover, part) for part in source.reading(mover, None, None).parts]
    finally:
        source.close()
    here = _published(shop, given, table, load.cursor.column if load.cursor else "", spans)
    return [
        [since, until, rows, published]
        for (since, until), rows, published in zip(spans, there, here, strict=True)
    ]


def _published(
    shop: Shop, given: dict[str, Any], table: str, column: str, spans: Sequence[tuple[str, str]]
) -> list[int]:
    """How many rows of each interval are published: many of them by one statement, since each opens the database."""
    adapter, schema = shop.systems[given["system"]], given.get("schema")
    if column not in columns_there(shop, given["system"], schema, table):
        return [0] * len(spans)
    count = f"SELECT count(*) AS n FROM {qualified(schema, table)} WHERE {identifier(column)}"
    found: list[int] = []
    for start in range(0, len(spans), COUNTED_AT_ONCE):
        counts = (
            f"SELECT {place} AS place, n FROM ({count} >= {literal(since)} AND {identifier(column)} < {literal(until)}) AS counted"
            for place, (since, until) in enumerate(spans[start : start + COUNTED_AT_ONCE])
        )
        rows = adapter.read("query", sql=f"{' UNION ALL '.join(counts)} ORDER BY place")
        found += [int(row["n"]) for row in rows]
    return found


def columns_there(shop: Shop, system: str, schema: str | None, table: str) -> list[str]:
    """The columns of a published table; none where there is no table, or no database yet."""
    adapter = shop.systems[system]
    default = "public" if adapter.kind == "postgresql" else "main"
    try:
        found = adapter.read(
            "query", sql=CATALOG.format(table=literal(table), schema=literal(schema or default))
        )
    except DatareeveError as error:
        if error.code == "duckdb.missing":
            return []
        raise
    return [str(row["name"]) for row in found]


def shaped(  # noqa: PLR0913 - what it rests on
    there: Destination, source: RowSource, load: Load, *, schema: str | None, table: str, first: bool
) -> Shape:
    """The shape of a load's target, as it is now."""
    existing = {} if first else there.columns(schema, table)
    history = load.history
    own = {"scd2": (history.valid_from, history.valid_to, history.current), "snapshot": ("snapshot_at",)}.get(
        load.mode, ()
    )
    marked = (load.deleted_column,) if load.deletes == "mark" else ()
    columns = source.columns(there.mover)
    added = (*own, *marked)
    if there.dialect == "postgres" and _as_they_are(source, load, columns):
        found = shape(load, columns, existing, there.dialect, native=True, own=added)
        if not any(one.cast or one.timezone for one in found.columns):
            return found.model_copy(update={"native": True})
    return shape(load, columns, existing, there.dialect, native=False, own=added)


def _as_they_are(source: RowSource, load: Load, columns: list[SourceColumn]) -> bool:
    """Whether PostgreSQL can send the rows as it has them: types that every server has, and keys that cannot be missing."""
    if getattr(source, "kind", "") != "postgresql":
        return False
    nullable = {one.name for one in columns if one.nullable}
    keys = {(load.columns[key].source or key) if key in load.columns else key for key in load.keys}
    return not keys & nullable and all(is_native(one.told) for one in columns)
