"""Vertical slices: databases, AI APIs and data quality now; pipelines, storage and analytics beside them. None imports another."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datareeve.core.operation import Operation

SLICES = ("databases", "ai", "quality")


def operations() -> tuple[type[Operation[Any]], ...]:
    """Every operation of every slice."""
    return tuple(op for name in SLICES for op in import_module(f"datareeve.capabilities.{name}").OPERATIONS)


def elsewhere() -> dict[str, dict[str, str]]:
    """By operation and kind of system: how the same is had on systems that the operation does not work on."""
    return {
        operation: by_kind
        for name in SLICES
        for operation, by_kind in import_module(f"datareeve.capabilities.{name}").ELSEWHERE.items()
    }
