"""A JSON Schema as tables: types, required, limits and enumerations become the standard's own; what it has no word for is named."""

from __future__ import annotations

from typing import Any

from datareeve.capabilities.quality.contracts.drafts import draft
from datareeve.capabilities.quality.contracts.imports.imported import Collector, Imported, ImportedColumn
from datareeve.core.errors import BadInput
from datareeve.core.yaml_text import parse

SOURCE = "json-schema"
DEEPEST = 20
TYPES = {
    "string": "string",
    "integer": "integer",
    "number": "number",
    "boolean": "boolean",
    "object": "object",
    "array": "array",
}
MOMENTS = {"date": "date", "date-time": "timestamp", "time": "time"}
OPTIONS = {
    "string": ("minLength", "maxLength", "pattern", "format"),
    "integer": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "number": ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    "array": ("minItems", "maxItems", "uniqueItems"), "object": ("minProperties", "maxProperties"),
}  # fmt: skip
TOLD = frozenset(("type", "title", "description", "$schema", "$id", "$comment", "properties", "required", "items", "enum", "const", "default", "examples", "$ref", "$defs", "definitions", "deprecated", "readOnly", "writeOnly", "additionalProperties", "nullable", "id", "format"))  # fmt: skip
COMBINING = ("anyOf", "oneOf")


def read(text: str, table: str = "") -> Imported:
    """The table that a schema describes. Errors: `BadInput` `contract.syntax`, `contract.import`."""
    data = parse(text, "the JSON Schema").data
    reader = _Reader(data, Collector(SOURCE))
    root = reader.resolved(data) if isinstance(data, dict) else {}
    if root.get("type") == "array" and isinstance(root.get("items"), dict):
        root = reader.resolved(root["items"])
    if not isinstance(root.get("properties"), dict):
        raise BadInput(
            "contract.import",
            "This JSON Schema describes no object with properties.",
            "Give the schema of a record.",
        )
    name = table or str(root.get("title") or data.get("title") or "table").strip().replace(" ", "_")
    reader.table(root, name)
    return reader.collector.result()


class _Reader:
    def __init__(self, root: Any, collector: Collector) -> None:
        self._root = root
        self.collector = collector

    def table(self, schema: dict[str, Any], name: str) -> None:
        columns = self._columns(schema, "", 0, name)
        self.collector.table(name, columns, description=str(schema.get("description") or ""))
        if schema.get("additionalProperties") is False:
            listed = [
                {"name": one.name, **({"type": one.logical_type} if one.logical_type else {})}
                for one in columns
            ]
            rule = draft(
                "schema", name, (), {"columns": listed, "more": False}, text="There are no other columns."
            )
            self.collector.add((rule,), "additionalProperties", "additionalProperties", None)
        self._left(schema, "", "object", name, "")

    def resolved(self, schema: dict[str, Any], depth: int = 0) -> dict[str, Any]:
        """The schema with its reference followed; a reference elsewhere stays."""
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#") or depth > DEEPEST:
            return schema
        found: Any = self._root
        for part in [part for part in reference[1:].split("/") if part]:
            found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return {**self.resolved(found, depth + 1), **beside} if isinstance(found, dict) else schema

    def _columns(self, schema: dict[str, Any], at: str, depth: int, table: str) -> tuple[ImportedColumn, ...]:
        needed = set(schema.get("required") or ()) if isinstance(schema.get("required"), list) else set()
        return tuple(
            self._column(
                name, one, required=name in needed, at=f"{at}properties.{name}", depth=depth, table=table
            )
            for name, one in schema["properties"].items()
            if isinstance(one, dict)
        )

    def _column(  # noqa: PLR0913 - each of them is asked for by name
        self, name: str, given: dict[str, Any], *, required: bool, at: str, depth: int, table: str
    ) -> ImportedColumn:
        schema, nullable = self._nullable(self.resolved(given))
        kinds = [one for one in _listed(schema.get("type")) if one != "null"]
        kind = TYPES.get(kinds[0], "") if len(kinds) == 1 else ""
        logical = MOMENTS.get(str(schema.get("format")), kind) if kind == "string" else kind
        inner = (
            self._columns(schema, f"{at}.", depth + 1, table)
            if kind == "object" and schema.get("properties") and depth < DEEPEST
            else ()
        )
        item = schema.get("items")
        within = self._column("item", item, required=False, at=f"{at}.items", depth=depth + 1, table=table) if kind == "array" and isinstance(item, dict) and depth < DEEPEST else None  # fmt: skip
        self._left(schema, f"{at}.", kind, table, name if not depth else "", plain=logical == kind)
        return ImportedColumn(
            name=name, logical_type=logical, description=str(schema.get("description") or ""), required=required and not nullable,
            options=_options(schema, logical), enum=_enum(schema), properties=inner, items=within,
        )  # fmt: skip

    def _nullable(self, schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """(the schema without its null, whether it had one)."""
        for key in COMBINING:
            options = [self.resolved(one) for one in schema.get(key) or [] if isinstance(one, dict)]
            others = [one for one in options if one.get("type") != "null"]
            if options and len(others) == 1 and len(options) > 1:
                rest = {name: value for name, value in schema.items() if name != key}
                return {**others[0], **rest}, True
        null = (
            "null" in _listed(schema.get("type"))
            or schema.get("nullable") is True
            or None in (schema.get("enum") or ())
        )
        return schema, null

    def _left(  # noqa: PLR0913 - each of them is asked for by name
        self, schema: dict[str, Any], at: str, kind: str, table: str, column: str, *, plain: bool = True
    ) -> None:
        """The keywords that the standard has no word for."""
        taken = TOLD | (set(OPTIONS.get(kind, ())) if plain else set())
        if isinstance(schema.get("additionalProperties"), dict):
            taken = taken - {"additionalProperties"}
        several = len([one for one in _listed(schema.get("type")) if one != "null"]) > 1
        if _deep(_choices(schema)):
            key = "const" if "const" in schema else "enum"
            why = "Objects and lists are no values of a column here."
            self.collector.leave(
                why, f"{at}{key}", f"{column or table} {key}", {key: schema[key]}, table=table, column=column
            )
        for key in [
            *(key for key in schema if key not in taken and not key.startswith("x-")),
            *(["type"] if several else []),
        ]:
            why = "The standard has no word for it."
            self.collector.leave(
                why, f"{at}{key}", f"{column or table} {key}", {key: schema[key]}, table=table, column=column
            )
        if isinstance(schema.get("$ref"), str):
            self.collector.leave(
                "It refers to another file.",
                f"{at}$ref",
                f"{column or table} $ref",
                {"$ref": schema["$ref"]},
                table=table,
                column=column,
            )


def _listed(given: Any) -> list[str]:
    return [str(one) for one in given] if isinstance(given, list) else [str(given)] if given else []


def _enum(schema: dict[str, Any]) -> tuple[Any, ...]:
    values = _choices(schema)
    return () if _deep(values) else tuple(one for one in values if one is not None)


def _choices(schema: dict[str, Any]) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum") or ())


def _deep(values: list[Any]) -> bool:
    """Whether objects or lists are among them: without these the others would be too few."""
    return any(isinstance(one, (dict, list)) for one in values)


def _options(schema: dict[str, Any], kind: str) -> dict[str, Any]:
    found = {key: schema[key] for key in OPTIONS.get(kind, ()) if schema.get(key) is not None}
    # Draft 4 wrote `exclusiveMinimum: true` beside the minimum.
    for plain, strict in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(found.get(strict), bool):
            exclusive = found.pop(strict)
            if exclusive and plain in found:
                found[strict] = found.pop(plain)
    return found
