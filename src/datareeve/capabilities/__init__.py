"""Vertical slices: databases, AI APIs, data quality and pipelines now; storage and analytics beside them. None imports another.

One operation a file: `databases/operations/create_index.py` holds `databases.create-index`. A command loads the operations that it uses.
"""

from __future__ import annotations

from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

from datareeve.core.operation import Operation

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDERS = {  # by the first part of an operation's name: where its file lies
    "databases": "databases.operations",
    "ai": "ai.operations",
    "quality": "quality.operations",
    "compliance": "quality.compliance.operations",
    "pipelines": "pipelines.operations",
}


def operations() -> dict[str, Callable[[], type[Operation[Any]]]]:
    """Every operation of every slice by name, each loaded when it is asked for."""
    return {
        f"{prefix}.{module.name.replace('_', '-')}": partial(_loaded, f"{__name__}.{folder}.{module.name}")
        for prefix, folder in FOLDERS.items()
        for module in iter_modules([str(Path(__file__).parent.joinpath(*folder.split(".")))])
    }


def _loaded(module: str) -> type[Operation[Any]]:
    """The one class of a module that is an operation with a name of its own."""
    found = vars(import_module(module)).values()
    (operation,) = (
        value
        for value in found
        if isinstance(value, type)
        and issubclass(value, Operation)
        and value.__module__ == module
        and "name" in vars(value)
    )
    return operation


def elsewhere() -> dict[str, dict[str, str]]:
    """By operation and kind of system: how the same is had on systems that the operation does not work on."""
    from datareeve.capabilities.databases.engines.elsewhere import ELSEWHERE  # noqa: PLC0415 - asked for in a refusal only

    return ELSEWHERE
