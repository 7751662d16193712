"""A model written for an engine, node by node: what is in none of the tables of this package has no meaning that all engines share, and is refused.

The dialect that a person wrote in says what the model means. Every node becomes SQL that means the same on DuckDB, PostgreSQL and Spark.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlglot import exp

from datareeve.capabilities.pipelines.models import aggregates, dates, functions, names, operators, queries
from datareeve.capabilities.pipelines.models.scopes import LOST, Refusal, Scope, Term, Written
from datareeve.capabilities.pipelines.models.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from datareeve.capabilities.pipelines.models.graph import Parsed
    from datareeve.capabilities.pipelines.models.kinds import Kind

    Handler = Callable[["Writer", exp.Expression, Scope], Term]

READ = frozenset(  # the arguments of nodes that some handler minds; a node with another one means something that is not known here
    "this expression expressions alias big_int coalesce date_part_boundary decimals default delimiter false fill_pattern format from_ high ifs"
    " ignore_nulls is_left is_string length low offset order over part_index partition_by position query quoted replacement safe separator spec"
    " start substr table to true typed unit zone join_mark".split()
)
LONGEST_NAME = 60
LONGEST_SQL = 200_000


class Writer:
    """One model for one engine. `columns_of` are the types of the tables that it reads, `keys_of` what tells their rows apart."""

    def __init__(
        self,
        parsed: Parsed,
        engine: str,
        columns_of: Mapping[str, Mapping[str, Kind]],
        physical: Callable[[str], str],
        keys_of: Mapping[str, Sequence[Sequence[str]]] | None = None,
    ) -> None:
        self.model, self.dialect, self.text = parsed.name, parsed.dialect, parsed.text
        self.words, self.columns_of, self.keys_of = Words(engine), columns_of, keys_of or {}
        self.physical = physical
        self.tables = {id(one.node): one.table for one in parsed.references}
        self.refusals: dict[tuple[str, str], Refusal] = {}
        self.quoted: dict[str, tuple[str, str]] = {}  # a column as it is written: (alias, name)

    def write(self, tree: exp.Query) -> Written:
        """The whole model."""
        return queries.query(self, tree, {}, None, last=True)

    def value(self, node: exp.Expression | None, scope: Scope) -> Term:
        """One expression."""
        if node is None:
            return LOST
        handler = next((HANDLERS[kind] for kind in type(node).__mro__ if kind in HANDLERS), None)
        odd = [
            name
            for name, given in node.args.items()
            if given and name not in READ and not isinstance(node, exp.Query)
        ]
        if handler and odd and not (odd == ["negate"] and isinstance(node, (exp.Like, exp.Is))):
            return self.refuse(
                node, "clause", f"{', '.join(odd)} of it is not the same everywhere", "the plain form"
            )
        return handler(self, node, scope) if handler else self.unknown(node)

    def unknown(self, node: exp.Expression) -> Term:
        """What is in no table here."""
        why, instead = functions.WHY.get(called(node), functions.OTHERWISE)
        return self.refuse(node, "not-shared", why, instead)

    def refuse(self, node: exp.Expression | str, code: str, why: str, instead: str) -> Term:
        """Say that something is not the same everywhere."""
        what = node if isinstance(node, str) else told(node)
        self.refusals.setdefault((code, what), Refusal(self.model, code, what, why, instead))
        return LOST

    def term(self, sql: str, kind: Kind, *parts: Term) -> Term:
        """An expression made of others."""
        if len(sql) > LONGEST_SQL:
            return self.refuse(
                "an expression",
                "too-long",
                "written out for this engine it is too long: its parts stand in it several times",
                "a subquery or model for the inner part, and its column here",
            )
        return Term(
            sql,
            kind,
            frozenset().union(*(part.reads for part in parts)),
            None,
            any(part.aggregated for part in parts),
            any(part.outside for part in parts),
        )

    def double_literal(self, value: float) -> str:
        """A number as a double."""
        return f"CAST({value} AS {'DOUBLE PRECISION' if self.words.postgres else 'DOUBLE'})"


def called(node: exp.Expression) -> str:
    """What a person calls it."""
    if isinstance(node, (exp.Anonymous, exp.AnonymousAggFunc)):
        return node.name.lower()
    return node.sql_name().lower() if isinstance(node, exp.Func) else node.key


def told(node: exp.Expression) -> str:
    """What a node is called in a refusal: its own words where they are short."""
    text = node.sql(dialect="duckdb")
    return text if len(text) <= LONGEST_NAME else text[: LONGEST_NAME - 1] + "…"


HANDLERS: dict[type, Handler] = {
    **names.HANDLERS,
    **operators.HANDLERS,
    **functions.HANDLERS,
    **dates.HANDLERS,
    **aggregates.HANDLERS,
}
