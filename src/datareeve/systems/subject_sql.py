"""Conditions on a subject's rows, as each engine says them: identifiers quoted, values always parameters."""

# ruff: noqa: S608 - identifiers are quoted as the engine does it, values are parameters
from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from datareeve.core.errors import Failed
from datareeve.systems.keyed import Keyed, spellings, wanted_of
from datareeve.systems.secret_references import resolver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datareeve.systems.subject_shapes import Match, Sought, Store

PAGE = 20_000  # distinct values that are compared at once
TOKEN_HEX = 12
MOST_KEYS = 1_000  # values that one condition names


class Rows(Protocol):
    """How this module reads: called with SQL and its parameters, gives rows as dicts."""

    def __call__(self, sql: str, parameters: list[Any]) -> list[dict[str, Any]]:
        """The rows."""


class Speech(NamedTuple):
    """How an engine says it."""

    holder: str = "%s"  # of a parameter
    quote: str = '"'
    text: str = "CAST({} AS text)"
    differs: str = "{} IS DISTINCT FROM {}"
    key: str = "{} = {}"
    moment: str = "{}"  # of a parameter that is a moment

    def name(self, *parts: str) -> str:
        """A quoted identifier, in a statement that is sent with parameters."""
        quoted = ".".join(
            f"{self.quote}{part.replace(self.quote, self.quote * 2)}{self.quote}" for part in parts
        )
        return quoted.replace("%", "%%") if self.holder == "%s" else quoted


POSTGRESQL = Speech()
# Parameters of DuckDB have types: a text beside a number is compared as text, so that a key that is no number is no error.
DUCKDB = Speech(holder="?", text="CAST({} AS VARCHAR)", key="CAST({} AS VARCHAR) = {}", moment="CAST({} AS TIMESTAMP)")  # fmt: skip
MYSQL = Speech(quote="`", text="CAST({} AS CHAR)", differs="NOT ({} <=> {})", key="CAST({} AS CHAR) = {}")
SQLITE = Speech(holder="?", text="CAST({} AS TEXT)", differs="{} IS NOT {}", key="CAST({} AS TEXT) = {}")
SPEECH = {"postgresql": POSTGRESQL, "duckdb": DUCKDB, "mysql": MYSQL, "sqlite": SQLITE, "folder": DUCKDB}


class Condition(NamedTuple):
    """A WHERE condition with its parameters."""

    sql: str
    parameters: list[Any]


NEVER = Condition("1 = 0", [])


class Looking:
    """One subject's rows in one system: how it is asked for them."""

    def __init__(
        self, speech: Speech, rows: Rows, keyed: Keyed, project: Path, sought: Sought | None
    ) -> None:
        self.speech = speech
        self.rows = rows
        self.keyed = keyed
        self.sought = sought
        if sought is not None:
            keyed.refuse_foreign(sought.digest)
        self._project = project

    def where(self, store: Store, source: str) -> Condition:
        """The rows of a store that are meant; of a store that keeps its key, those that are not anonymised yet."""
        meant = self._match(store.match, source, store.identifying)
        if store.mode != "anonymise" or not store.set:
            return meant
        tests, parameters = [], []
        for column, how in store.set.items():
            tests.append(self.speech.differs.format(self.speech.name(column), self.speech.holder))
            parameters.append(self.put(store, column, how))
        return Condition(f"({meant.sql}) AND ({' OR '.join(tests)})", [*meant.parameters, *parameters])

    def put(self, store: Store, column: str, how: str) -> str | None:
        """What is put in place of a value: nothing, a text, or a token that is the same for the same person and column."""
        if how == "null":
            return None
        if how == "token":
            digest = self.sought.digest if self.sought else ""
            return f"erased-{self.keyed.digest('token', store.dataset, column, digest)[:TOKEN_HEX]}"
        return how.removeprefix("text:")

    def keys(self, column: str, source: str) -> list[str]:
        """The subject's key as the column has it: by the reference where it still leads there, else found by its digest."""
        if self.sought is None:
            return []
        if (clear := self.clear()) is not None:
            return [clear]
        digest, subject = self.sought.digest, self.sought.subject
        return [
            str(value)
            for value in self.distinct(column, source)
            if self.keyed.subject(subject, value) == digest
        ]

    def clear(self) -> str | None:
        """The key behind the reference; None where nothing is there, or another key."""
        if self.sought is None or self.sought.reference is None:
            return None
        try:
            key = resolver(self._project)(self.sought.reference).reveal().strip()
        except Exception as error:
            if getattr(error, "code", "").startswith("secret."):
                return None
            raise
        return key if self.keyed.subject(self.sought.subject, key) == self.sought.digest else None

    def distinct(self, column: str, source: str) -> Iterator[Any]:
        """Every value of a column once, as text, a page at a time."""
        name, text = self.speech.name(column), self.speech.text.format(self.speech.name(column))
        last: list[Any] = []
        while True:
            after = f" AND {text} > {self.speech.holder}" if last else ""
            page = self.rows(
                f"SELECT DISTINCT {text} AS v FROM {source} WHERE {name} IS NOT NULL{after} ORDER BY 1 LIMIT {PAGE}",
                last,
            )
            yield from (row["v"] for row in page)
            if len(page) < PAGE:
                return
            last = [page[-1]["v"]]

    def known(self, column: str, source: str, category: str = "") -> list[str]:
        """The values of a column that tell the subject."""
        wanted = wanted_of(self.sought.traces if self.sought else (), category)
        found = [v for v in self.distinct(column, source) if self.keyed.tells(v, wanted)] if wanted else []
        if len(found) > MOST_KEYS:
            raise Failed(
                "erasure.too-many",
                f"More than {MOST_KEYS:,} values of {column} tell one subject.",
                "Give this dataset a subject_key in estate.yaml.",
            )
        return found

    def _match(self, match: Match, source: str, categories: dict[str, str] | None = None) -> Condition:
        conditions = []
        if match.within is not None:
            inner = self._match(match.within.match, match.within.table)
            rows = f"SELECT {self._names(match.within.column, *match.within.along)} FROM {match.within.table} WHERE {inner.sql}"
            refers = self._names(match.column, *match.along)
            refers = f"({refers})" if match.along else refers
            conditions.append(Condition(f"{refers} IN ({rows})", inner.parameters))
        elif match.column and self.sought is not None:
            conditions.append(self._keyed_by(match.column, source))
        if match.values:
            kinds = categories or {}
            every = [self._any(column, self.known(column, source, kinds.get(column, "")), text=True) for column in match.values]  # fmt: skip
            conditions.append(_joined(every, " OR "))
        if match.also is not None:
            conditions.append(self._match(match.also, source, categories))
        if match.older:
            moment = self.speech.moment.format(self.speech.holder)
            conditions.append(Condition(f"{self.speech.name(match.older)} < {moment}", [match.before]))
        if match.spared:
            spared = self._spared(match, source)
            if spared.parameters:
                conditions.append(Condition(f"({spared.sql}) IS NOT TRUE", spared.parameters))
        return _joined(conditions, " AND ") if conditions else NEVER

    def _names(self, *columns: str) -> str:
        return ", ".join(map(self.speech.name, columns))

    def _keyed_by(self, column: str, source: str) -> Condition:
        """The rows of the key, however the column's type writes it. PostgreSQL compares numbers and UUIDs as such, and keeps to its index."""
        keys = self.keys(column, source)
        if self.clear() is None or self.speech is not POSTGRESQL:
            return self._any(column, list(dict.fromkeys(form for key in keys for form in (key, *spellings(key)))), text=True)  # fmt: skip
        # As a number 04711 is 4711, somebody else's key in every other store.
        padded = any(key.isdigit() and key != str(int(key)) for key in keys)
        return self._any(column, keys, text=padded)

    def _spared(self, match: Match, source: str) -> Condition:
        self.keyed.refuse_foreign(*match.spared)
        keys = [
            v
            for v in self.distinct(match.column, source)
            if self.keyed.subject(match.spared_subject, v) in match.spared
        ]
        return self._any(match.column, keys, text=True)

    def _any(self, column: str, values: list[str], *, text: bool = False) -> Condition:
        if not values:
            return NEVER
        name = self.speech.name(column)
        form = self.speech.text.format("{}") + " = {}" if text else self.speech.key
        tests = " OR ".join(form.format(name, self.speech.holder) for _ in values)
        return Condition(f"({tests})", list(values))


def _joined(conditions: list[Condition], word: str) -> Condition:
    sql = word.join(f"({condition.sql})" for condition in conditions)
    return Condition(sql, [value for condition in conditions for value in condition.parameters])
