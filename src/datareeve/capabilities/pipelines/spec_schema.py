"""The JSON Schema of a pipeline, for editors: with the short forms that a person writes as well as the long ones."""

from __future__ import annotations

from typing import Any

from datareeve.capabilities.pipelines.spec import Pipeline

TEXT = {"type": "string"}
SHORT = (  # of a class: the field that may be a text in place of what it holds
    ("Pipeline", "target"),
    ("Pipeline", "contract"),
    ("Load", "cursor"),
    ("Source", "files"),
)


def schema() -> dict[str, Any]:
    """As `Pipeline` is validated: `target: warehouse` and `columns: {price: decimal(12,2)}` are no mistakes."""
    made = Pipeline.model_json_schema()
    for name, key in SHORT:
        fields = (made if name == "Pipeline" else made["$defs"][name])["properties"]
        fields[key] = _or_text(fields[key])
    columns = made["$defs"]["Load"]["properties"]["columns"]
    columns["additionalProperties"] = _or_text(columns["additionalProperties"])
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _or_text(field: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {key: field[key] for key in ("description", "title", "default") if key in field}
    rest = {key: value for key, value in field.items() if key not in said}
    others = rest["anyOf"] if set(rest) == {"anyOf"} else [rest]
    return {**said, "anyOf": [TEXT, *others]}
