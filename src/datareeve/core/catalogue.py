"""The catalogue: every operation by name. Interfaces, the agent and the runner know operations only through it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from datareeve.core.operation import Operation, Systems


class Catalogue:
    """Operation types by name, and the making of one from JSON inputs."""

    def __init__(
        self,
        operations: Iterable[type[Operation[Any]]] | Mapping[str, Callable[[], type[Operation[Any]]]],
        elsewhere: Callable[[], Mapping[str, Mapping[str, str]]] = dict,
    ) -> None:
        """`operations`: types, or by name what loads one. `elsewhere`: by operation and kind of system, how the same is had where the operation does not work."""
        self._loaders: dict[str, Callable[[], type[Operation[Any]]]] = {}
        self._operations: dict[str, type[Operation[Any]]] = {}
        if isinstance(operations, Mapping):
            self._loaders.update(operations)
        else:
            self._operations.update((operation.name, operation) for operation in operations)
        self._elsewhere = elsewhere

    def names(self) -> tuple[str, ...]:
        """Every operation's name, sorted."""
        return tuple(sorted({*self._operations, *self._loaders}))

    def get(self, name: str) -> type[Operation[Any]]:
        """The operation of that name. Errors: `BadInput` `operation.unknown`, with the nearest names."""
        if name not in self._operations and name in self._loaders:
            self._operations[name] = self._loaders[name]()
        if name in self._operations:
            return self._operations[name]
        near = difflib.get_close_matches(name, self.names(), n=3, cutoff=0.4)
        hint = f"Did you mean {', '.join(near)}? " if near else ""
        raise BadInput(
            "operation.unknown",
            f"There is no operation {name!r}.",
            f"{hint}`datareeve operations` lists them.",
        )

    def make(self, name: str, inputs: Mapping[str, Any]) -> Operation[Any]:
        """The operation with its inputs. Errors: `BadInput` `operation.input`, naming the field and the nearest one."""
        operation = self.get(name)
        try:
            return operation.model_validate(dict(inputs))
        except ValidationError as error:
            problems = "; ".join(self._explain(operation, problem) for problem in error.errors()[:5])
            raise BadInput(
                "operation.input", f"{name}: {problems}.", f"`datareeve operations {name}` lists its inputs."
            ) from None

    def refuse_other_kinds(self, operation: Operation[Any], systems: Systems) -> None:
        """Nothing, where an operation works on the kind of system it is asked of.

        Errors: `BadInput` `engine.cannot`, naming both kinds, and what there is instead; `system.unknown`.
        """
        name = getattr(operation, "system", None)
        if not operation.goes_to or not isinstance(name, str):
            return
        kind = systems[name].kind
        if kind not in operation.goes_to:
            raise BadInput(
                "engine.cannot",
                f"{operation.name} works on {' and '.join(operation.goes_to)}; {name} is {kind}.",
                self._instead(operation.name, kind),
            )

    def _instead(self, operation: str, kind: str) -> str:
        able = [name for name in self.names() if kind in self.get(name).goes_to]
        told = self._elsewhere().get(operation, {}).get(kind, "")
        known = (
            f"On {kind}: {', '.join(able)}."
            if able
            else f"Nothing is asked of {kind} itself; name the database behind it."
        )
        return f"{told} {known}".strip()

    @staticmethod
    def _explain(operation: type[Operation[Any]], problem: Any) -> str:
        where = ".".join(str(part) for part in problem["loc"]) or "the inputs"
        if problem["type"] == "extra_forbidden":
            near = difflib.get_close_matches(where, operation.model_fields, n=1, cutoff=0.4)
            return f"unknown field {where!r}" + (f" (did you mean {near[0]!r}?)" if near else "")
        return f"{where}: {problem['msg']}"
