"""What an expression is made of while it is written: its SQL, its type, and the columns that it can name.

A scope is one SELECT: its relations with their columns, and the scope around it for subqueries that look outside.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datareeve.capabilities.pipelines.models.kinds import NULL, UNKNOWN, Kind

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True)
class Refusal:
    """What is not the same on every engine, and what to write instead."""

    model: str
    code: str  # division, ties, regex …: stable
    what: str  # what stands there
    why: str
    instead: str

    def __str__(self) -> str:
        return f"{self.what}: {self.why}. Write instead: {self.instead}"


@dataclass(frozen=True)
class Term:
    """An expression as the engine reads it. `reads` are the columns of this scope in it, as they are written."""

    sql: str
    kind: Kind
    reads: frozenset[str] = frozenset()
    literal: str | None = None
    aggregated: bool = False
    outside: bool = False  # it holds a subquery, or a column of the scope around

    @property
    def known(self) -> bool:
        """Whether its type is."""
        return self.kind != UNKNOWN


LOST = Term("NULL", UNKNOWN)  # what was refused
NOTHING = Term("NULL", NULL)


@dataclass
class Relation:
    """What stands in FROM: `unique` are the sets of columns of which each tells a row from all others."""

    alias: str
    columns: dict[str, Kind] | None  # None: not known
    unique: list[frozenset[str]] = field(default_factory=list)


@dataclass
class Written:
    """A query as the engine reads it."""

    sql: str
    columns: list[tuple[str, Kind]]
    unique: list[frozenset[str]] = field(default_factory=list)


@dataclass
class Scope:
    """One SELECT."""

    relations: list[Relation] = field(default_factory=list)
    merged: dict[str, Term] = field(default_factory=dict)  # of USING
    aliases: dict[str, exp.Expression] = field(default_factory=dict)  # of its columns
    around: Scope | None = None
    equal: list[tuple[str, str]] = field(default_factory=list)  # columns that a join makes equal
    expanding: set[str] = field(default_factory=set)
    ctes: dict[str, Relation] = field(default_factory=dict)  # by casefolded name
    group: list[str] | None = None  # what it groups by, as it is written


def determined(
    start: frozenset[str], scope: Scope, quoted: dict[str, tuple[str, str]]
) -> tuple[set[str], bool]:
    """The columns that `start` determines, and whether it tells every row from the others. `quoted`: as written -> (alias, column)."""
    found = set(start)
    fixed: set[str] = set()
    while True:
        before = (len(found), len(fixed))
        for one, other in scope.equal:
            if one in found or other in found:
                found |= {one, other}
        for relation in scope.relations:
            have = {
                column
                for written, (alias, column) in quoted.items()
                if alias == relation.alias and written in found
            }
            if relation.alias not in fixed and any(key <= have for key in relation.unique):
                fixed.add(relation.alias)
                found |= {written for written, (alias, _) in quoted.items() if alias == relation.alias}
        if before == (len(found), len(fixed)):
            return found, len(fixed) == len(scope.relations)
