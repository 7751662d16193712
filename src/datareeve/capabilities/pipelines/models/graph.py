"""Models read and put in order: what each is made of is found by parsing it, and nothing but one SELECT is let through.

A name in FROM is a load's or a model's table, by the table's name or the part's own; a common table expression hides a table of its name.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError, SqlglotError

from datareeve.capabilities.pipelines.models.safe import check_safe
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datareeve.capabilities.pipelines.spec import Model

LONGEST = 500_000


@dataclass(frozen=True)
class DependsOn:
    """What a model reads: loads and models of the pipeline by name, and other tables as they are written."""

    loads: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reference:
    """A place in a model's text where a table stands, and the table that it is."""

    node: exp.Table = field(compare=False)
    table: str


@dataclass(frozen=True)
class Parsed:
    """A model that was read. `table` is what it is published as; `columns` are None where a star hides them."""

    name: str
    table: str
    dialect: str
    text: str
    expression: exp.Query = field(compare=False)
    references: tuple[Reference, ...]
    depends_on: DependsOn
    columns: tuple[str, ...] | None

    @property
    def reads(self) -> tuple[str, ...]:
        """The tables that it reads, by the names that `columns_of` and `names` are asked by."""
        return tuple(dict.fromkeys(one.table for one in self.references))


def order(models: dict[str, Model], sql: dict[str, str], tables_of_loads: dict[str, str]) -> list[Parsed]:
    """The models, each after those that it reads. Errors: `BadInput` `pipelines.model-sql`, `pipelines.model-cycle`."""
    known = _Known(
        {name: model.to or name for name, model in models.items()},
        tables_of_loads,
    )
    parsed = {
        name: parse(name, sql[name], model.dialect, known, model.to or name) for name, model in models.items()
    }
    return [parsed[name] for name in _sorted({name: one.depends_on.models for name, one in parsed.items()})]


def parse(name: str, text: str, dialect: str, known: _Known | None = None, table: str = "") -> Parsed:
    """One model. Errors: `BadInput` `pipelines.model-sql`."""
    tree = _tree(name, text, dialect).copy()
    check_safe(name, tree, text, dialect)
    known = known or _Known({}, {})
    references: list[Reference] = []
    found: dict[str, list[str]] = {"load": [], "model": [], "table": []}
    for node in tables_of(tree):
        kind, part, published = known.find(node)
        references.append(Reference(node, published))
        found[kind].append(part)
    depends = DependsOn(*(tuple(dict.fromkeys(parts)) for parts in found.values()))
    return Parsed(name, table or name, dialect, text, tree, tuple(references), depends, _columns(tree))


def tables_of(tree: Any) -> Iterator[exp.Table]:
    """The places where a table stands, those left out that a common table expression of the name hides."""
    yield from _tables(tree, frozenset())


def argument(node: exp.Expression, name: str) -> Any:
    """An argument of a node; sqlglot calls `from` and `with` either so or with an underscore."""
    return node.args.get(name) or node.args.get(name + "_")


def _tables(node: Any, hidden: frozenset[str]) -> Iterator[exp.Table]:
    named = isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier)
    if named and (node.db or node.name.casefold() not in hidden):
        yield node
    within = argument(node, "with")
    if within is not None:
        for one in within.expressions:
            own = frozenset({one.alias.casefold()}) if within.args.get("recursive") else frozenset()
            yield from _tables(one.this, hidden | own)
            hidden |= {one.alias.casefold()}
    for child in node.iter_expressions():
        if child is not within:
            yield from _tables(child, hidden)


class _Known:
    """The tables of the pipeline, by what they may be called in a model."""

    def __init__(self, models: dict[str, str], loads: dict[str, str]) -> None:
        self.exact: dict[str, tuple[str, str, str]] = {}
        self.short: dict[str, list[tuple[str, str, str]]] = {}
        for kind, parts in (("load", loads), ("model", models)):
            for name, table in parts.items():
                entry = (kind, name, table)
                self.exact.setdefault(name.casefold(), entry)
                self.short.setdefault(table.rsplit(".", 1)[-1].casefold(), []).append(entry)
        for kind, parts in (("load", loads), ("model", models)):  # a published name goes before a part's own
            for name, table in parts.items():
                self.exact[table.casefold()] = (kind, name, table)

    def find(self, node: exp.Table) -> tuple[str, str, str]:
        """(load, model or table; its name; the table)."""
        written = ".".join(part.name for part in node.parts)
        if found := self.exact.get(written.casefold()):
            return found
        if not node.db and len(found_short := self.short.get(node.name.casefold(), [])) == 1:
            return found_short[0]
        return "table", written, written


def _tree(name: str, text: str, dialect: str) -> exp.Query:
    if len(text) > LONGEST:
        raise BadInput(
            "pipelines.model-sql",
            f"Model {name} has {len(text):,} characters.",
            f"At most {LONGEST:,}: split it.",
        )
    try:
        trees = _parsed(text, dialect)
    except ParseError as error:
        at = error.errors[0] if error.errors else {}
        raise BadInput("pipelines.model-sql", f"Model {name} cannot be read as {dialect}'s SQL: {at.get('description') or 'it is not whole'}, line {at.get('line', 1)}, column {at.get('col', 1)}.", "Correct it, or say in which `dialect` it is written.") from None  # fmt: skip
    except (SqlglotError, RecursionError, ValueError) as error:
        raise BadInput("pipelines.model-sql", f"Model {name} cannot be read as {dialect}'s SQL ({type(error).__name__}).", "Correct it: quotes that are not closed, or too many levels.") from None  # fmt: skip
    if len(trees) != 1 or not isinstance(trees[0], exp.Query) or isinstance(trees[0], exp.Table):
        raise BadInput("pipelines.model-sql", f"Model {name} is {len(trees)} statements." if len(trees) > 1 else f"Model {name} is not a SELECT.", "A model is one SELECT; what it makes is written by the pipeline.")  # fmt: skip
    return trees[0]


@lru_cache(maxsize=1024)
def _parsed(text: str, dialect: str) -> tuple[Any, ...]:
    trees = sqlglot.parse(text, dialect=dialect)
    return tuple(tree for tree in trees if tree is not None and not isinstance(tree, exp.Semicolon))


def _columns(tree: exp.Query) -> tuple[str, ...] | None:
    names = tree.named_selects
    return None if tree.is_star or not all(names) else tuple(names)


def _sorted(needs: dict[str, tuple[str, ...]]) -> list[str]:
    """Each after what it needs, otherwise as they are written. Errors: `BadInput` `pipelines.model-cycle`."""
    done: dict[str, None] = {}
    for first, own in needs.items():
        path: list[str] = []
        waiting = [(first, iter(own))] if first not in done else []
        path.extend(name for name, _ in waiting)
        while waiting:
            name, rest = waiting[-1]
            following = next((one for one in rest if one not in done), None)
            if following is None:
                done[name] = None
                waiting.pop()
                path.pop()
            elif following in path:
                around = [*path[path.index(following) :], following]
                raise BadInput("pipelines.model-cycle", f"Models read one another in a circle: {' -> '.join(around)}.", "Take one of these references out, or put what both need into a model of its own.")  # fmt: skip
            else:
                path.append(following)
                waiting.append((following, iter(needs[following])))
    return list(done)
