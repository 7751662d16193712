"""The formats that contracts come from and go to, and how a text's own is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.contracts.exports import dbt as dbt_export
from datareeve.capabilities.quality.contracts.exports import great_expectations as gx_export
from datareeve.capabilities.quality.contracts.exports import soda as soda_export
from datareeve.capabilities.quality.contracts.imports import avro, dbt, great_expectations, json_schema, soda
from datareeve.core.errors import BadInput
from datareeve.core.yaml_text import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.quality.contracts.exports.texts import Held
    from datareeve.capabilities.quality.contracts.imports.imported import Imported
    from datareeve.capabilities.quality.rule import Rule

READERS: dict[str, Callable[[str, str], Imported]] = {
    "dbt": dbt.read, "great-expectations": great_expectations.read, "sodacl": soda.read, "json-schema": json_schema.read, "avro": avro.read,
}  # fmt: skip
WRITERS: dict[str, tuple[str, Callable[..., Held]]] = {  # with the ending of their files
    "dbt": ("yml", dbt_export.write), "great-expectations": ("json", gx_export.write), "sodacl": ("yml", soda_export.write),
}  # fmt: skip
# What the formats of datacontract-cli hold, by where a rule stands in the contract. All others hold no rules but types.
ALL = ("",)
HELD: dict[str, tuple[str, ...]] = {
    "html": ALL, "markdown": ALL, "odcs": ALL, "rdf": ALL, "dcs": ALL,
    "jsonschema": (".required", ".logicalTypeOptions.minLength", ".logicalTypeOptions.maxLength", ".logicalTypeOptions.pattern", ".logicalTypeOptions.minimum", ".logicalTypeOptions.maximum", ".logicalTypeOptions.exclusiveMinimum", ".logicalTypeOptions.exclusiveMaximum", ".enum"),
    "avro": (".required",), "avro-idl": (".required",), "sql": (".required", ".primaryKey"), "sqlalchemy": (".required", ".primaryKey"), "iceberg": (".required",),
    "bigquery": (".required",), "spark": (".required",), "pydantic-model": (".required",), "xsd": (".required",),
}  # fmt: skip


def detected(text: str) -> str:
    """The format of a text. Errors: `BadInput` `contract.syntax`, `contract.format` where it is none that is known."""
    data = parse(text, "the file").data
    kind = _kind(data)
    if not kind:
        raise BadInput(
            "contract.format",
            "The format of this file is not told by what stands in it.",
            f"Give it: --format, one of {', '.join(READERS)}.",
        )
    return kind


def _kind(data: Any) -> str:
    if isinstance(data, list):
        data = data[0] if data and isinstance(data[0], dict) else {}
    if not isinstance(data, dict):
        return ""
    tests = (
        ("odcs", data.get("kind") == "DataContract" or "apiVersion" in data),
        ("great-expectations", "expectations" in data or "expectation_type" in data),
        ("dbt", any(isinstance(data.get(key), list) for key in ("models", "sources", "seeds", "snapshots"))),
        ("sodacl", any(str(key).startswith("checks for ") for key in data) or "dataset" in data),
        ("avro", data.get("type") == "record"),
        ("json-schema", "$schema" in data or "properties" in data),
    )
    return next((name for name, holds in tests if holds), "")


def not_held(rules: tuple[Rule, ...], kind: str) -> list[tuple[Rule, str]]:
    """The rules that a format of datacontract-cli does not hold, with why."""
    ends = HELD.get(kind, ())
    return [
        (rule, f"The format {kind} has no word for it.")
        for rule in rules
        if rule.kind != "schema" and not any(rule.at.endswith(end) for end in ends)
    ]
