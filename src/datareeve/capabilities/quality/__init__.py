"""Data quality and compliance: contracts that are executed, verdicts that can be trusted, personal data that is known and can be erased.

A *contract* (an ODCS file) holds *rules*; each rule asks one thing of one table, and has one *verdict* on each system: pass, warn, fail, or not run
with the reason. An *incident* is one cause behind many verdicts. A *category* says what personal data a column holds, a *subject* whose it is; an
*erasure* removes a subject from every store, with proof. The *register* says what is processed, why, and on what basis.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datareeve.core.operation import Operation

    OPERATIONS: tuple[type[Operation[Any]], ...]

__all__ = ("ELSEWHERE", "OPERATIONS")

ELSEWHERE: dict[str, dict[str, str]] = {}


def _found() -> tuple[type[Operation[Any]], ...]:
    """One operation a file: every module of `operations/` holds one class with a name of its own."""
    from datareeve.capabilities.quality import operations  # noqa: PLC0415 - found when first asked for
    from datareeve.core.operation import Operation  # noqa: PLC0415

    modules = [
        import_module(f"{operations.__name__}.{one.name}")
        for one in pkgutil.iter_modules(operations.__path__)
    ]
    classes = (
        value
        for module in modules
        for value in vars(module).values()
        if getattr(value, "__module__", "") == module.__name__
    )
    return tuple(c for c in classes if isinstance(c, type) and issubclass(c, Operation) and "name" in vars(c))


def __getattr__(name: str) -> Any:
    """`OPERATIONS`, found when first asked for (PEP 562)."""
    if name != "OPERATIONS":
        raise AttributeError(name)
    found = globals()["OPERATIONS"] = _found()
    return found
