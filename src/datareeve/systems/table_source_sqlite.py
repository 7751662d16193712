"""A table or query of an SQLite file as a source. Its columns hold values of any type, whatever they say: each is read as text, and made what the column says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from datareeve.systems.mover import identifier, literal
from datareeve.systems.row_source import SourceColumn
from datareeve.systems.table_source import ALIAS, DIGITS, DuckdbTable, duckdb_types

if TYPE_CHECKING:
    from datareeve.systems.mover import Mover
    from datareeve.systems.row_source import Part

DECLARED = "SELECT name, type FROM pragma_table_info({table}) ORDER BY cid"
DECIMAL = re.compile(r"^(?:decimal|numeric)\s*\((\d+)(?:,\s*(\d+))?\)$", re.IGNORECASE)
EXACT = 2**53  # from there on a double has no longer every whole number
KIND = " of "  # a column beside a text, which says of what type its value is


class SqliteTable(DuckdbTable):
    """One table or query."""

    kind = "sqlite"

    def attach(self, mover: Mover) -> None:
        """See `TableSource`."""
        if not self._attached:
            mover.load("sqlite_scanner")
            mover.execute(f"ATTACH {literal(self._path)} AS {ALIAS} (TYPE sqlite, READ_ONLY)")
            self._attached = True

    def describe(self, mover: Mover) -> list[SourceColumn]:
        """See `TableSource`."""
        seen = duckdb_types(mover, self.relation_there)
        if self._query:
            return seen
        declared = dict(
            mover.execute(
                f"SELECT * FROM {_sent(DECLARED.format(table=literal(self._table or '')))}"
            ).fetchall()
        )
        return [self._described(mover, one, str(declared.get(one.name) or "")) for one in seen]

    def _described(self, mover: Mover, one: SourceColumn, declared: str) -> SourceColumn:
        found = DECIMAL.match(declared.strip())
        if found and int(found[1]) <= DIGITS and int(found[2] or 0) <= int(found[1]):
            return SourceColumn(one.name, f"DECIMAL({int(found[1])},{int(found[2] or 0)})", declared)
        if one.type == "DOUBLE" and (found or declared.lower().startswith(("numeric", "decimal"))):
            return self._measured(mover, one, declared)
        if not declared and self._asked(mover, f"max(typeof({identifier(one.name)}) = 'blob')")[0] == 0:
            return SourceColumn(one.name, "VARCHAR", "", loses="it says no type: it is kept as text")
        return SourceColumn(one.name, one.type, declared or one.told)

    def _asked(self, mover: Mover, what: str) -> list[int]:
        found = mover.row(f"SELECT * FROM {_sent(f'SELECT {what} FROM {identifier(self._table or str())}')}")
        return [int(one or 0) for one in found]

    def _measured(self, mover: Mover, one: SourceColumn, declared: str) -> SourceColumn:
        """A number of no said precision: whole numbers where it has no others, a double where that has all of them."""
        name = identifier(one.name)
        fractions, large = self._asked(
            mover, f"max(typeof({name}) = 'real'), max(typeof({name}) = 'integer' AND abs({name}) > {EXACT})"
        )
        if not fractions:
            return SourceColumn(one.name, "BIGINT", declared)
        if large:
            return SourceColumn(
                one.name,
                "VARCHAR",
                declared,
                loses="its type: it has fractions, and whole numbers that a double has not; it is kept as text",
            )
        return SourceColumn(one.name, "DOUBLE", declared)

    # -- rows ----------------------------------------------------------------------------------------------------------------------

    def relation(self, mover: Mover, part: Part) -> str:
        """See `RowSource`."""
        columns = self.columns(mover)
        if self._query:
            return super().relation(mover, part)
        made = ", ".join(f"{_made(one)} AS {identifier(one.name)}" for one in columns)
        where = f" WHERE {part.data['where']}" if part.data.get("where") else ""
        return f"(SELECT * FROM (SELECT {made} FROM {self._texts(columns)}){where})"

    def carefully(self, mover: Mover, part: Part) -> tuple[str, str]:
        """See `RowSource`: bytes in a column of text are told here, other values that are not of their column by the loader."""
        columns = self.columns(mover)
        if self._query:
            return super().carefully(mover, part)
        texts = self._texts(columns)
        bytes_in = (
            " OR ".join(f"{identifier(one.name + KIND)} = 'blob'" for one in columns if one.type == "VARCHAR")
            or "FALSE"
        )
        listed = ", ".join(
            f"unhex({identifier(one.name)}) AS {identifier(one.name)}"
            if one.type == "BLOB"
            else identifier(one.name)
            for one in columns
        )
        where = self._tried(part, columns)
        named = (
            " || ".join(
                f"CASE WHEN {identifier(one.name + KIND)} = 'blob' THEN {literal(f'{one.name} holds bytes, and is a column of text; ')} ELSE '' END"
                for one in columns
                if one.type == "VARCHAR"
            )
            or "''"
        )
        row = ", ".join(f"{identifier(one.name)} := {identifier(one.name)}" for one in columns)
        bad = f"(SELECT NULL::VARCHAR AS place, rtrim({named}, '; ') AS reason, to_json(struct_pack({row}))::VARCHAR AS row FROM {texts} WHERE ({bytes_in}){where})"
        return f"(SELECT {listed} FROM {texts} WHERE NOT ({bytes_in}){where})", bad

    def _texts(self, columns: list[SourceColumn]) -> str:
        """All rows, each value as its text; bytes as hexadecimal."""
        selected = []
        for one in columns:
            name = identifier(one.name)
            if one.type == "BLOB":
                selected.append(f"CASE WHEN {name} IS NULL THEN NULL ELSE hex({name}) END AS {name}")
                continue
            digits = (
                "%!.15g" if one.type.startswith("DECIMAL") else "%!.17g"
            )  # of a decimal's fraction a double knows no more
            selected.append(
                f"CASE typeof({name}) WHEN 'real' THEN printf('{digits}', {name}) WHEN 'blob' THEN 'x' || hex({name}) ELSE CAST({name} AS TEXT) END AS {name}"
            )
            if one.type == "VARCHAR":
                selected.append(f"typeof({name}) AS {identifier(one.name + KIND)}")
        return _sent(f"SELECT {', '.join(selected)} FROM {identifier(self._table or '')}")

    def _tried(self, part: Part, columns: list[SourceColumn]) -> str:
        """The part's condition over texts: its column is made what it is where that can be."""
        where = part.data.get("where")
        ranged = self._cursor or (self._keys[0] if self._keys else "")
        if not where:
            return ""
        column = self._column(ranged, columns)
        name = identifier(column.name)
        return f" AND ({where.replace(name, f'TRY_CAST({name} AS {column.type})')})"


def _made(one: SourceColumn) -> str:
    name = identifier(one.name)
    if one.type == "BLOB":
        return f"unhex({name})"
    if one.type == "VARCHAR":
        return f"CASE WHEN {identifier(one.name + KIND)} = 'blob' THEN error('pipelines.unreadable-row') ELSE {name} END"
    return (
        f"CAST({name} AS {one.type})"
        if not _rounds(one)
        else f"CASE WHEN {_rounds(one)} THEN error('pipelines.unreadable-row') ELSE CAST({name} AS {one.type}) END"
    )


def _rounds(one: SourceColumn) -> str:
    """When a text is no value of a whole number's or a decimal's column but would be made one."""
    found = re.match(r"^DECIMAL\(\d+,(\d+)\)$", one.type)
    if one.type not in ("BIGINT", "INTEGER", "SMALLINT", "TINYINT") and not found:
        return ""
    scale = int(found[1]) if found else 0
    return f"regexp_matches({identifier(one.name)}, '\\.[0-9]{{{scale}}}[0-9]*[1-9]')"


def _sent(sql: str) -> str:
    return f"sqlite_query({literal(ALIAS)}, {literal(sql)})"
