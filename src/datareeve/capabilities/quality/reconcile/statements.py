"""The statements that a side is asked: all of them aggregates or a few rows' fingerprints, none of them a copy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.quality.reconcile import forms
from datareeve.capabilities.quality.reconcile.pairing import Column, Pair  # noqa: TC001 - pydantic reads it
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

Range = tuple[int, int]  # the upper end is not within
LEAST, GREATEST = -(2**63), 2**63
HASHES: Range = (0, 2**forms.BITS)


class Asked(Value):
    """What is compared, of one side: the part of the plan that its statements are made of."""

    system: str
    kind: str
    encoding: str = "UTF8"
    place: tuple[str, ...]
    label: str


class Compared(Value):
    """What a plan says of how both sides are compared."""

    left: Asked
    right: Asked
    pairs: tuple[Pair, ...]
    key: tuple[str, ...] = ()  # names of the left side; none: rows are compared as a multiset
    key_is_personal: bool = False
    key_is_hashed: bool = False  # where its values are personal data: segments lie by its hash, and no statement has a value in it
    not_compared: tuple[str, ...] = ()  # columns that were not left out on purpose
    native: bool = False  # one engine on both sides: its own hash
    until_column: str = ""
    until: str = ""
    most_differing: int = 10_000
    looks: int = 1
    pause_seconds: float = 0.0
    statement_seconds: float | None = None
    busy_share: float = 1.0


class Side:
    """One of the two tables, in its engine's own words."""

    def __init__(self, compared: Compared, *, left: bool, salt: str) -> None:
        asked = compared.left if left else compared.right
        self.engine = forms.engine(asked.kind, asked.encoding)
        self.table = ".".join(map(self.engine.name, asked.place))
        self.compared, self.salt = compared, salt
        self.columns = [(pair.left if left else pair.right, pair) for pair in compared.pairs]
        self.key = [one for name in compared.key for one in self.columns if one[1].left.name == name]
        self.until: int | None = None
        self.by_integer = False

    # -- expressions ---------------------------------------------------------------------------------------------------------------

    def piece(self, column: Column, pair: Pair) -> str:
        """The form of a column."""
        return self.engine.form(pair.form, self.engine.name(column.name), column)

    def hashed(
        self, columns: Sequence[tuple[Column, Pair]], mark: str = "", *, portable: bool = False
    ) -> str:
        """The fingerprint of some columns together."""
        texts = [
            self.engine.text(self.engine.name(one.name), one) for one, pair in columns if pair.form == "text"
        ]
        pieces = [self.piece(one, pair) for one, pair in columns if pair.form != "text"]
        whole = self.engine.row(pieces, texts, self.salt + mark)
        if not self.compared.native or portable:
            return self.engine.hashed(whole)
        return self.engine.native([self._native(one, pair) for one, pair in columns], whole, self.salt + mark)

    def _native(self, column: Column, pair: Pair) -> str:
        """As it is where both sides have one type; else its form."""
        name = self.engine.name(column.name)
        if pair.form == "text":
            return self.engine.text(name, column)
        if pair.form == "float" and column.decimals is None and pair.alike:
            return f"CASE WHEN {name} = 0 THEN 0 ELSE {name} END"  # minus zero is zero
        return name if pair.alike and pair.form != "float" else self.piece(column, pair)

    @property
    def split(self) -> str:
        """The number by which rows are put into segments: the key where it is one integer, else a hash of the key, or of the row."""
        if self.by_integer:
            return self.engine.name(self.key[0][0].name)
        return self.hashed(self.key, "key") if self.key else self.hashed(self.columns)

    # -- statements ----------------------------------------------------------------------------------------------------------------

    def bounds(self) -> str:
        """The least and the greatest key, as text."""
        key = self.engine.name(self.key[0][0].name)
        ends = ", ".join(f"{self.engine.as_text(f'(SELECT {end}({key}) FROM {self.table})')} AS {end}_key" for end in ("min", "max"))  # fmt: skip
        return f"SELECT {ends}"

    def newest(self) -> str:
        """The newest moment of the column that says when a row came, in microseconds."""
        column, _ = self._dated()
        newest = self.engine.form("moment", f"max({self.engine.name(column.name)})", column)
        return f"SELECT {self.engine.as_text(newest)} AS newest FROM {self.table}"

    def undated(self) -> str:
        """How many rows have no moment: whether they are of before or after, nothing tells."""
        column, _ = self._dated()
        return f"SELECT count(*) AS n FROM {self.table} WHERE {self.engine.name(column.name)} IS NULL"

    def _dated(self) -> tuple[Column, Pair]:
        return next(one for one in self.columns if one[1].left.name == self.compared.until_column)

    def whole(self) -> str:
        """Count and sum of all rows, as one segment."""
        return f"SELECT 0 AS segment, {self._figures()} FROM {self._source(split=False)}"

    def first(self, low: int, width: int, parts: int, *, only_beyond: bool = False) -> str:
        """Counts and sums by segment of the key, from `low` on; -1 and `parts` are what lies outside, NULL what has no place."""
        place = f"CASE WHEN s < {low} THEN -1 WHEN s > {low + width * parts - 1} THEN {parts} ELSE {self.engine.divided('s', low, width)} END"
        beyond = f" WHERE NOT ({within([(low, low + width * parts)])}) OR {self.odd()}" if only_beyond else ""
        return self._grouped(f"CASE WHEN {self.odd()} THEN NULL ELSE {place} END", beyond)

    def segments(self, low: int, width: int, ranges: Sequence[Range]) -> str:
        """Counts and sums by segment within some ranges."""
        return self._grouped(self.engine.divided("s", low, width), f" WHERE {within(ranges)}")

    def _grouped(self, place: str, where: str) -> str:
        return f"SELECT {place} AS segment, {self._figures()} FROM {self._source()}{where} GROUP BY 1"

    def _figures(self) -> str:
        sums = ", ".join(f"{piece} AS sum{n}" for n, piece in enumerate(self.engine.sums("h")))
        return f"count(*) AS n, {sums}"

    def rows(self, where: str, *, limit: int = 0) -> str:
        """Place, fingerprint, key, and how often, of some rows: a few of one fingerprint are one."""
        keys = self._identity()
        shown = ", ".join(f"{self.engine.as_text(f'i{n}')} AS k{n}" for n in range(len(keys)))
        grouped = ", ".join(["s", "h", *(f"i{n}" for n in range(len(keys)))])
        source = self._source([f"{one} AS i{n}" for n, one in enumerate(keys)])
        head = f"SELECT {self.engine.as_text('s')} AS place, {self.engine.as_text('h')} AS hash, count(*) AS n{', ' if keys else ''}{shown}"
        return f"{head} FROM {source} WHERE {where} GROUP BY {grouped}{f' LIMIT {limit}' if limit else ''}"

    def by_column(self, where: str, columns: Sequence[int]) -> str:
        """Key, and each column's own fingerprint, of some rows."""
        keys = self._identity()
        shown = [f"{self.engine.as_text(f'i{n}')} AS k{n}" for n in range(len(keys))]
        own = [
            f"{self.engine.as_text(self.hashed([self.columns[n]], f'c{n}', portable=True))} AS c{n}"
            for n in columns
        ]
        source = self._source([*(f"{one} AS i{n}" for n, one in enumerate(keys)), *own], row=False)
        return f"SELECT {', '.join([*shown, *(f'c{n}' for n in columns)])} FROM {source} WHERE {where}"

    def odd(self) -> str:
        """The rows whose key has no place in the order of keys."""
        return self.engine.no_integer("s")

    def _identity(self) -> list[str]:
        """What tells one row from another: the key's forms, or where it is personal a hash of them."""
        if not self.key:
            return []
        if self.compared.key_is_personal:
            return [self.hashed(self.key, "key", portable=True)]
        return [self.engine.text(self.engine.name(one.name), one) if pair.form == "text" else self.piece(one, pair) for one, pair in self.key]  # fmt: skip

    def _source(self, more: Sequence[str] = (), *, split: bool = True, row: bool = True) -> str:
        columns = [
            *([f"{self.split} AS s"] if split else []),
            *([f"{self.hashed(self.columns)} AS h"] if row else []),
            *more,
        ]
        return f"(SELECT {', '.join(columns)} FROM {self.table}{self._until()}) AS q"

    def _until(self) -> str:
        if self.until is None:
            return ""
        column, _ = self._dated()
        name = self.engine.name(column.name)
        value = (
            self.piece(column, self.columns[0][1].model_copy(update={"form": "moment"}))
            if self.engine.kind == "sqlite"
            else name
        )
        value = f"CAST({value} AS INTEGER)" if self.engine.kind == "sqlite" else value
        # A row without a moment is compared too: left out, two tables that differ in it would be called equal.
        return f" WHERE ({name} IS NULL OR {value} <= {self.engine.moment_literal(self.until, column)})"


def within(ranges: Sequence[Range]) -> str:
    """That a row lies in one of some ranges."""
    return " OR ".join(f"s BETWEEN {low} AND {high - 1}" for low, high in ranges)


def among(places: Sequence[int]) -> str:
    """That a row lies at one of some places."""
    return f"s IN ({', '.join(map(str, places))})"
