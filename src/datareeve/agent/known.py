"""What the project knows by name, so that words can name it: systems' tables, contracts, datasets, subjects, law packs.

Nothing here is looked up before a task's words ask for it, and what cannot be looked up is not known: planning goes on without it.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

# Where a word that has a meaning of its own ('data', 'orders') stands as a name: in a list after 'of', 'in', 'between' ..., or before 'table'.
_LIST = r"(?:\b(?:of|in|on|for|from|between|against|reconcile|compare|tables?|contracts?)\s+(?:the\s+|all\s+|our\s+)?(?:[\w.-]+(?:\s*,\s*and\s+|\s*,\s*|\s+and\s+))*)"
_ENDS = r"(?=\s*(?:$|[.,;:?!)]|\b(?:and|or|between|in|on|from|of|with|to|against|by|every|each|at|are|is|for|table|tables|contract|contracts)\b))"


class KnownTable(Value):
    """A table of a contract: what it is called there, every name it goes by, and its columns of moments."""

    name: str
    names: tuple[str, ...]
    moments: tuple[str, ...] = ()


class KnownContract(Value):
    """A contract: where it holds, and its tables."""

    name: str
    systems: tuple[str, ...] = ()
    tables: tuple[KnownTable, ...] = ()

    def table(self, name: str) -> KnownTable | None:
        """The table that goes by that name."""
        return next((table for table in self.tables if name in table.names), None)


class Known:
    """What is known by name. The callables are asked once, when words need it."""

    def __init__(  # noqa: PLR0913 - each is a kind of thing that has a name
        self,
        *,
        contracts: Callable[[], Iterable[KnownContract]] = tuple,
        tables: Callable[[str], Iterable[str] | None] = lambda _system: (),
        systems: Iterable[str] = (),
        copies: Iterable[str] = (),
        datasets: Mapping[str, str | None] | None = None,
        packs: Iterable[str] = (),
    ) -> None:
        """`tables`: of a system, None where it does not answer. `copies`: systems that are replicas of others. `datasets`: whose data each is."""
        self._contracts = contracts
        self._tables = tables
        self._found: dict[str, tuple[str, ...] | None] = {}
        self.systems = tuple(systems)
        self.copies = frozenset(copies)
        self.datasets = dict(datasets or {})
        self.packs = tuple(packs)

    @cached_property
    def contracts(self) -> tuple[KnownContract, ...]:
        """Every contract of the project."""
        return tuple(self._contracts())

    def tables(self, system: str) -> tuple[str, ...]:
        """A system's tables, as schema.table or table; none where it does not answer."""
        if system not in self._found:
            found = self._tables(system)
            self._found[system] = None if found is None else tuple(found)
        return self._found[system] or ()

    def answers(self, system: str) -> bool:
        """Whether a system told what tables it has."""
        return bool(self.tables(system)) or self._found[system] is not None

    def called(self, system: str, table: str) -> str:
        """A system's own name of a table that is named with or without its schema; '' where it has none of that name."""
        return next((name for name in self.tables(system) if table.casefold() in _both(name)), "")

    def table_names(self) -> tuple[str, ...]:
        """Every name that a table goes by, longest first."""
        names = {name for contract in self.contracts for table in contract.tables for name in table.names}
        names |= {name for system in self.systems for full in self.tables(system) for name in _both(full)}
        return tuple(sorted(names, key=lambda name: (-len(name), name)))

    @property
    def subjects(self) -> tuple[str, ...]:
        """Whose data there is: customer, employee."""
        return tuple(dict.fromkeys(subject for subject in self.datasets.values() if subject))


def named(
    text: str, names: Iterable[str], is_word: Callable[[str], bool] = lambda _name: False
) -> tuple[str, ...]:
    """Those of `names` that a text names, in its order; one that is a word of its own only where it stands as a name."""
    found: dict[str, int] = {}
    for name in names:
        whole = rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)"
        place = re.search(
            rf"{_LIST}(?P<name>{whole}){_ENDS}|(?P<before>{whole})(?=\s+(?:tables?|contracts?|is|are)\b)"
            if is_word(name)
            else f"(?P<name>{whole})",
            text,
            re.IGNORECASE,
        )
        if place:
            found[name] = max(place.start(group) for group in place.groupdict())
    return tuple(sorted(found, key=lambda name: found[name]))


def _both(name: str) -> tuple[str, ...]:
    """A table's name as it stands, and without its schema."""
    return tuple(dict.fromkeys((name.casefold(), name.rpartition(".")[2].casefold())))
