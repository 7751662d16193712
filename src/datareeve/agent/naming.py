"""From the names in a text to an operation's inputs: which contracts, systems, tables, packs and subjects are meant.

An operation is known by the names of its fields. Where several fit and all of them may be meant (`each`), each is wanted; else it is asked
which, and only those that fit are named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from datareeve.agent.inputs import REFERENCE, systems_named
from datareeve.agent.known import Known, KnownContract, named
from datareeve.core.errors import BadInput
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from datareeve.core.operation import Operation

Inputs = dict[str, Any]
MOST_NAMED = 10  # in a question


class Names(Value):
    """What a text names, in its order."""

    contracts: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[str, ...]:
        """Every name of something that work is done on."""
        return tuple(dict.fromkeys((*self.contracts, *self.systems, *self.tables)))


class Drafted(Value):
    """A contract that is not there yet, and what drafts it."""

    contract: str
    inputs: Inputs


def read(text: str, known: Known, is_word: Callable[[str], bool]) -> Names:
    """The names that stand in a text. `is_word` tells of a name that it has a meaning of its own."""
    systems = named(text, systems_named(text, known.systems))
    return Names(
        contracts=named(text, (contract.name for contract in known.contracts), is_word),
        systems=systems,
        tables=_longest(named(text, (name for name in known.table_names() if name not in systems), is_word)),
        datasets=named(text, known.datasets, is_word),
        subjects=tuple(
            one for one in known.subjects if re.search(rf"\b{re.escape(one)}(?:'?s)?\b", text, re.IGNORECASE)
        ),
    )


def stated(operation: type[Operation[Any]], text: str, names: Names, known: Known) -> Inputs:
    """Inputs that a text states by a name of their own: law packs, whose data, where a key stands, datasets."""
    fields = operation.model_fields
    found: Inputs = {}
    for field, info in fields.items():
        if words := [
            one for one in _choices_of(info.annotation) if re.search(rf"\b{one}\b", text, re.IGNORECASE)
        ]:
            found[field] = words
    if "subject" in fields and len(names.subjects or known.subjects) == 1:
        found["subject"] = (names.subjects or known.subjects)[0]
    if "key" in fields and (key := REFERENCE.search(text)):
        found["key"] = key.group()
    if "datasets" in fields and names.datasets:
        found["datasets"] = list(names.datasets)
    if "packs" in fields and not found.get("packs") and not known.packs:
        laws = ", ".join(_choices_of(fields["packs"].annotation))
        raise BadInput("task.input", f"Which law is meant? Neither the words nor estate.yaml (packs) name one of {laws}.", "Name one in the words, or give packs: [gdpr] in estate.yaml.")  # fmt: skip
    return found


def of_pair(given: Inputs, names: Names, known: Known) -> Iterator[Inputs]:
    """Two systems and the tables to compare between them. Errors: `BadInput` `task.input` with those that fit."""
    tables = (given["table"],) if "table" in given else names.tables
    sides = [given[side] for side in ("left", "right") if side in given] or list(names.systems)
    if len(sides) != 2:  # noqa: PLR2004 - a pair
        fitting = [one for one in _originals(known) if all(known.called(one, table) for table in tables)]
        fitting = [*sides, *(one for one in fitting if one not in sides)]
        if len(fitting) != 2 or not tables:  # noqa: PLR2004 - as above
            raise _which("Which two systems are compared?", fitting, "left=… right=…")
        sides = fitting
    left, right = sides
    if not tables:
        both = [name for name in known.tables(left) if known.called(right, name.rpartition(".")[2])]
        raise _which(
            f"Which table of {left} and {right} is compared?",
            [name.rpartition(".")[2] for name in both],
            "table=…",
        )
    yield from ({**given, "left": left, "right": right, "table": table} for table in tables)


def of_contracts(
    operation: type[Operation[Any]], given: Inputs, names: Names, known: Known, *, each: bool
) -> list[Inputs]:
    """The inputs for every contract that is meant; none where no contract fits. Errors: `BadInput` `task.input`."""
    fitting = (
        _fitting(names, known)
        if "contract" not in given
        else [one for one in known.contracts if one.name == given["contract"]]
    )
    if len(fitting) > 1 and not each:
        raise _which("Which contract is meant?", [one.name for one in fitting], "contract=…")
    return [
        one
        for contract in fitting
        for one in _of_contract(operation, {**given, "contract": contract.name}, contract, names, each=each)
    ]


def of_systems(
    operation: type[Operation[Any]], given: Inputs, names: Names, known: Known, systems: Sequence[str]
) -> list[Inputs]:
    """The inputs for every one of some systems, with the tables that are named and that it has."""
    found = []
    for system in systems:
        tables = [called for table in names.tables if (called := known.called(system, table))]
        some = (
            {"tables": tables}
            if tables and "tables" in operation.model_fields and "tables" not in given
            else {}
        )
        found.append({**given, "system": system, **some})
    return found


def fitting_systems(names: Names, known: Known, of_kind: Sequence[str]) -> tuple[str, ...]:
    """The systems that are meant: that are named, else those of some kind that have every table that is named, copies of others left out."""
    if (
        names.systems
    ):  # also where one is of another kind: then that is said, and no other system is taken instead
        return names.systems
    own = tuple(one for one in of_kind if one not in known.copies)
    if not names.tables:
        return own
    return tuple(one for one in own if all(known.called(one, table) for table in names.tables)) or tuple(
        one for one in own if any(known.called(one, table) for table in names.tables)
    )


def drafts(names: Names, known: Known, of_kind: Sequence[str]) -> tuple[Drafted, ...]:
    """The contracts to be drafted where none fits: one for each system that is meant and has tables. Errors: `BadInput` `task.no-tables`."""
    meant = fitting_systems(names, known, of_kind)
    systems = [
        one for one in meant if known.tables(one) or not known.answers(one)
    ]  # of one that is down it is told
    if not systems:
        raise BadInput("task.no-tables", "There is no data contract, and no system of the estate has tables of which one could be drafted.", "Declare a database: datareeve init postgresql://user@host/database")  # fmt: skip
    taken = {contract.name for contract in known.contracts}
    found = []
    for system in systems:
        tables = [called for table in names.tables if (called := known.called(system, table))]
        name = _free(system, tables, taken)
        taken.add(name)
        found.append(
            Drafted(
                contract=name,
                inputs={"system": system, "contract": name, **({"tables": tables} if tables else {})},
            )
        )
    return tuple(found)


def _of_contract(
    operation: type[Operation[Any]], given: Inputs, contract: KnownContract, names: Names, *, each: bool
) -> Iterator[Inputs]:
    fields = operation.model_fields
    known = [table for name in names.tables if (table := contract.table(name))]
    if known and "tables" in fields and "tables" not in given:
        given = {**given, "tables": list(dict.fromkeys(table.name for table in known))}
    if "table" in fields and fields["table"].is_required() and "table" not in given:
        some = known or list(contract.tables)
        if len(some) != 1:
            raise _which(
                f"Which table of {contract.name} is meant?", [table.name for table in some], "table=…"
            )
        given = {**given, "table": some[0].name}
    if "time" in fields and fields["time"].is_required() and "time" not in given:
        table = contract.table(str(given.get("table", "")).casefold())
        moments = table.moments if table else ()
        if len(moments) != 1:
            raise _which(
                f"Which column of {given.get('table')} says when a row's event happened?", moments, "time=…"
            )
        given = {**given, "time": moments[0]}
    yield from ({**given, **one} for one in _systems_of(operation, given, contract, names, each=each))


def _systems_of(
    operation: type[Operation[Any]], given: Inputs, contract: KnownContract, names: Names, *, each: bool
) -> list[Inputs]:
    """Where a contract's operation is carried out: what is named; else, where it must be said, where the contract holds."""
    field = operation.model_fields.get("system")
    if field is None or "system" in given:
        return [{}]
    some = names.systems or (contract.systems if field.is_required() else ())
    if len(some) > 1 and not each:
        raise _which(f"On which system is {contract.name} meant?", some, "system=…")
    return [{"system": one} for one in some] or [{}]


def fits(contract: KnownContract, names: Names) -> bool:
    """Whether a contract is about what is named: it has one of the tables, and holds on one of the systems."""
    has = not names.tables or any(contract.table(table) for table in names.tables)
    return has and (not names.systems or bool(set(names.systems) & {*contract.systems, contract.name}))


def _fitting(names: Names, known: Known) -> list[KnownContract]:
    """The contracts that are named, else those that fit what else is."""
    if not set(names.contracts) <= set(names.systems):
        return [one for one in known.contracts if one.name in names.contracts]
    return [one for one in known.contracts if fits(one, names)]


def _originals(known: Known) -> list[str]:
    return [one for one in known.systems if one not in known.copies]


def _free(system: str, tables: Sequence[str], taken: set[str]) -> str:
    """A contract's name that is not taken: the system's; with the table's where that one stands."""
    plain = re.sub(r"[^\w.-]+", "-", system).strip("-.")
    bare = re.sub(r"[^\w-]+", "-", tables[0].rpartition(".")[2]).strip("-") if tables else "data"
    wanted = (plain, f"{plain}-{bare}", *(f"{plain}-{bare}-{number}" for number in range(2, len(taken) + 3)))
    return next(name for name in wanted if name not in taken)


def _which(question: str, fitting: Sequence[str], how: str) -> BadInput:
    told = ", ".join(fitting[:MOST_NAMED]) + (
        f" and {len(fitting) - MOST_NAMED} more" if len(fitting) > MOST_NAMED else ""
    )
    return BadInput(
        "task.input",
        f"{question} " + (f"These fit: {told}." if fitting else "The words name none that is known."),
        f"Say {how}",
    )


def _choices_of(annotation: Any) -> tuple[str, ...]:
    """The words of a tuple of literals."""
    inner = get_args(annotation)[:1] if get_origin(annotation) is tuple else ()
    return tuple(map(str, get_args(inner[0]))) if inner and get_origin(inner[0]) is Literal else ()


def _longest(names: tuple[str, ...]) -> tuple[str, ...]:
    """'public.orders' and 'orders' at one place are one table: the longer name stands."""
    return tuple(
        one for one in names if not any(other != one and other.endswith(f".{one}") for other in names)
    )
