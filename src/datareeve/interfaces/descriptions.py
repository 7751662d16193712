"""An operation as JSON: for `--json`, MCP and the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datareeve.core.operation import Operation


def short(operation: type[Operation[Any]]) -> dict[str, Any]:
    """Name, title and effect."""
    return {"name": operation.name, "title": title(operation), "effect": operation.effect.value}


def whole(operation: type[Operation[Any]]) -> dict[str, Any]:
    """All that is known of it, with the JSON Schema of its inputs."""
    schema = operation.model_json_schema()
    schema.pop("description", None)
    return {
        **short(operation),
        "description": body(operation),
        "works_on": list(operation.goes_to),
        "examples": list(operation.examples),
        "inputs": schema,
    }


def title(operation: type[Operation[Any]]) -> str:
    """The first line of its docstring."""
    return (operation.__doc__ or "").partition("\n")[0]


def body(operation: type[Operation[Any]]) -> str:
    """The docstring below its title, one line a paragraph."""
    below = (operation.__doc__ or "").partition("\n")[2]
    paragraphs = (" ".join(part.split()) for part in below.split("\n\n"))
    return "\n\n".join(part for part in paragraphs if part)
