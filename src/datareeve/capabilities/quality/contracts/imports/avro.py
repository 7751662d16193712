"""An Avro schema as a table: what may be null, symbols of enumerations, logical types, records within."""

from __future__ import annotations

from typing import Any

from datareeve.capabilities.quality.contracts.imports.imported import Collector, Imported, ImportedColumn
from datareeve.core.errors import BadInput
from datareeve.core.yaml_text import parse

SOURCE = "avro"
DEEPEST = 20
TYPES = {"string": "string", "bytes": "string", "int": "integer", "long": "integer", "float": "number", "double": "number", "boolean": "boolean", "fixed": "string", "enum": "string", "record": "object", "array": "array", "map": "map"}  # fmt: skip
LOGICAL = {
    "date": "date", "timestamp-millis": "timestamp", "timestamp-micros": "timestamp", "timestamp-nanos": "timestamp",
    "local-timestamp-millis": "timestamp", "local-timestamp-micros": "timestamp", "local-timestamp-nanos": "timestamp",
    "time-millis": "time", "time-micros": "time", "decimal": "number", "big-decimal": "number", "uuid": "string", "duration": "string",
}  # fmt: skip


def read(text: str, table: str = "") -> Imported:
    """The table that a record describes. Errors: `BadInput` `contract.syntax`, `contract.import`."""
    data = parse(text, "the Avro schema").data
    records = [
        one
        for one in (data if isinstance(data, list) else [data])
        if isinstance(one, dict) and one.get("type") == "record"
    ]
    if not records:
        raise BadInput(
            "contract.import", "This Avro schema has no record.", "Give the schema of a record (.avsc)."
        )
    reader = _Reader(Collector(SOURCE))
    for record in records if not table else records[-1:]:
        name = table or str(record.get("name") or "table")
        columns = reader.columns(record, name, 0)
        reader.collector.table(name, columns, description=str(record.get("doc") or ""))
    return reader.collector.result()


class _Reader:
    def __init__(self, collector: Collector) -> None:
        self.collector = collector
        self._named: dict[str, dict[str, Any]] = {}

    def columns(self, record: dict[str, Any], table: str, depth: int) -> tuple[ImportedColumn, ...]:
        fields = [one for one in record.get("fields") or [] if isinstance(one, dict) and one.get("name")]
        if record.get("name"):
            self._named[str(record["name"])] = record
        return tuple(self._column(str(one["name"]), one.get("type"), one, table, depth) for one in fields)

    def _column(self, name: str, given: Any, field: dict[str, Any], table: str, depth: int) -> ImportedColumn:
        options = given if isinstance(given, list) else [given]
        kinds = [one for one in options if one != "null"]
        kind = self._schema(kinds[0]) if len(kinds) == 1 else {"type": ""}
        if len(kinds) > 1:
            told = "A union of several types has no word in the standard."
            self.collector.leave(
                told,
                f"{table}.{name}",
                f"{name} union",
                {"type": given},
                table=table,
                column=name if not depth else "",
            )
        word = str(kind.get("type") or "")
        logical = LOGICAL.get(str(kind.get("logicalType")), TYPES.get(word, ""))
        deeper = depth < DEEPEST
        return ImportedColumn(
            name=name, logical_type=logical if logical != "map" else "object", physical_type=str(kind.get("logicalType") or word),
            description=str(field.get("doc") or ""), required="null" not in options,
            options=_options(kind, logical), enum=tuple(map(str, kind.get("symbols") or ())),
            properties=self.columns(kind, table, depth + 1) if word == "record" and deeper else (),
            items=self._column("item", kind.get("items"), {}, table, depth + 1) if word == "array" and deeper else None,
        )  # fmt: skip

    def _schema(self, given: Any) -> dict[str, Any]:
        if isinstance(given, dict):
            inner = given.get("type")
            if given.get("name") and inner in ("enum", "fixed", "record"):
                self._named[str(given["name"])] = given
            return self._schema(inner) if isinstance(inner, dict) else given
        return self._named.get(str(given), {"type": str(given)})


def _options(kind: dict[str, Any], logical: str) -> dict[str, Any]:
    """Limits that the type itself sets."""
    if logical == "integer" and kind.get("type") == "int":
        return {"format": "i32"}
    if kind.get("logicalType") == "uuid":
        return {"format": "uuid"}
    return {}
