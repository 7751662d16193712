"""AI APIs: one gateway in front of their providers, and what keeps it right.

Vocabulary: a *provider* is a system of kind `openai` or `anthropic`; a *provider key* is ours, shown to the provider, sealed in the gateway's
store; a *virtual key* is one that an application or a person shows to the gateway; a *route* is a model name that applications use, with its
*targets* in order; an *instance* is one running gateway process, which says which *revision* of the store it works by.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datareeve.core.operation import Operation

    OPERATIONS: tuple[type[Operation[Any]], ...]

__all__ = ("ELSEWHERE", "OPERATIONS")

ELSEWHERE: dict[str, dict[str, str]] = {}  # no operation here is asked of a system by its kind


def _found() -> tuple[type[Operation[Any]], ...]:
    """One operation a file: every module of `operations/` holds one class with a name of its own."""
    from datareeve.capabilities.ai import operations  # noqa: PLC0415 - a gateway process needs none of them
    from datareeve.core.operation import Operation  # noqa: PLC0415

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


def __getattr__(name: str) -> Any:
    """`OPERATIONS`, found when first asked for (PEP 562)."""
    if name != "OPERATIONS":
        raise AttributeError(name)
    found = globals()["OPERATIONS"] = _found()
    return found
