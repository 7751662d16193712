"""Databases, PostgreSQL first.

Vocabulary: a *system* is one database of the estate; a *finding* is what review noticed; a *workload* is the statements an application really
runs; a *copy* is a disposable restore on which advice is tried; an *orphan* is a row whose reference has no target.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

from datareeve.capabilities.databases import operations
from datareeve.capabilities.databases.engines.elsewhere import ELSEWHERE
from datareeve.core.operation import Operation

__all__ = ("ELSEWHERE", "OPERATIONS")


def _found() -> tuple[type[Operation[Any]], ...]:
    """One operation a file: every module of `operations/` holds one class with a name of its own."""
    modules = [
        import_module(f"{operations.__name__}.{module.name}")
        for module in pkgutil.iter_modules(operations.__path__)
    ]
    classes = (
        value
        for module in modules
        for value in vars(module).values()
        if getattr(value, "__module__", "") == module.__name__
    )
    return tuple(c for c in classes if isinstance(c, type) and issubclass(c, Operation) and "name" in vars(c))


OPERATIONS = _found()
