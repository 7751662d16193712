"""How a value of the source becomes one of the target, and when it cannot: exactly, or not at all.

DuckDB's own casts round: 1.239 becomes 1.24, and 2.5 becomes 2. Where a cast could lose something, the value is compared with what became of it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from datareeve.systems.mover import identifier, literal, qualified

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datareeve.capabilities.pipelines.flow.shaping import Shape, Shaped
    from datareeve.systems.mover import Mover
    from datareeve.systems.row_source import Part, RowSource

_DECIMAL = re.compile(r"^DECIMAL\((\d+),(\d+)\)$")
WHOLE = {
    "TINYINT",
    "SMALLINT",
    "INTEGER",
    "BIGINT",
    "HUGEINT",
    "UTINYINT",
    "USMALLINT",
    "UINTEGER",
    "UBIGINT",
}
FRACTIONS = {"FLOAT", "DOUBLE"}
MOMENTS = {"TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS"}
BAD = "pipelines.unreadable-row"


class PartRows:
    """The rows of a part, taken as they come: a row that does not fit ends the batch, and it is read carefully."""

    def __init__(
        self, mover: Mover, source: RowSource, part: Part, shape: Shape, keys: Sequence[str]
    ) -> None:
        self._mover, self._source, self._part, self._shape, self._keys = mover, source, part, shape, set(keys)
        self.columns = shape.names

    def taken(self) -> str:
        """See `Rows`."""
        values = ", ".join(f"{self._strict(one)} AS {identifier(one.name)}" for one in self._shape.columns)
        return f"SELECT {values} FROM {self._source.relation(self._mover, self._part)}"

    def rejected(self) -> str:
        """See `Rows`."""
        return ""

    def still(self) -> None:
        """See `Rows`."""
        self._source.still(self._part)

    def _strict(self, one: Shaped) -> str:
        value, lost = made(one, one.read, identifier(one.source))
        conditions = [lost] if lost else []
        if one.name in self._keys and one.nullable:
            conditions.append(f"{identifier(one.source)} IS NULL")
        return (
            f"CASE WHEN {' OR '.join(conditions)} THEN error('{BAD}') ELSE {value} END"
            if conditions
            else value
        )


class KeyRows:
    """The keys that a source has now."""

    def __init__(self, relation: str, kept: Sequence[Shaped]) -> None:
        self._relation, self._kept = relation, kept
        self.columns = tuple(one.name for one in kept)

    def taken(self) -> str:
        """See `Rows`."""
        values = ", ".join(
            f"{made(one, one.read, identifier(one.source))[0]} AS {identifier(one.name)}"
            for one in self._kept
        )
        known = " AND ".join(f"{identifier(one.source)} IS NOT NULL" for one in self._kept)
        return f"SELECT {values} FROM {self._relation} WHERE {known}"

    def rejected(self) -> str:
        """See `Rows`."""
        return ""

    def still(self) -> None:
        """See `Rows`: keys are of the moment they were read in."""


class CarefulRows:
    """The same rows, each of them looked at: those that fit, and those that do not with the reason."""

    def __init__(  # noqa: PLR0913 - what reading carefully rests on
        self, mover: Mover, source: RowSource, part: Part, shape: Shape, *, keys: Sequence[str], dialect: str
    ) -> None:
        self._mover, self._source, self._part, self._shape, self._keys, self._dialect = (
            mover,
            source,
            part,
            shape,
            set(keys),
            dialect,
        )
        self.columns = shape.names
        self._table = mover.name("looked_at")
        self._unreadable = ""

    def taken(self) -> str:
        """See `Rows`."""
        types = self._read()
        fits = " AND ".join(f"({condition}) IS NOT TRUE" for condition, _ in self._faults(types)) or "TRUE"
        values = ", ".join(
            f"{made(one, types[one.source], identifier(one.source))[0]} AS {identifier(one.name)}"
            for one in self._shape.columns
        )
        return f"SELECT {values} FROM (SELECT * FROM {self._here} WHERE {fits})"

    def rejected(self) -> str:
        """See `Rows`."""
        faults = self._faults(self._types())
        said = ", ".join(f"CASE WHEN {condition} THEN {literal(reason)} END" for condition, reason in faults)
        row = "to_json(t)::VARCHAR"
        own = f"SELECT NULL::VARCHAR AS place, reason, source_row FROM (SELECT concat_ws('; ', {said}) AS reason, {row} AS source_row FROM {self._here} AS t) WHERE reason <> ''"
        return (
            f"{own} UNION ALL SELECT place, reason, row FROM {self._unreadable}" if self._unreadable else own
        )

    def still(self) -> None:
        """See `Rows`."""
        self._source.still(self._part)

    def reasons(self) -> dict[str, int]:
        """How many rows were rejected, by reason."""
        found = self._mover.execute(
            f"SELECT reason, count(*) FROM ({self.rejected()}) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20"
        ).fetchall()
        return {str(reason): int(count) for reason, count in found}

    def drop(self) -> None:
        """Let go of what was looked at."""
        self._mover.execute(f"DROP TABLE IF EXISTS {self._here}")

    @property
    def _here(self) -> str:
        return qualified("temp", "main", self._table)

    def _read(self) -> dict[str, str]:
        self.drop()
        good, self._unreadable = self._source.carefully(self._mover, self._part)
        self._mover.execute(f"CREATE TEMP TABLE {identifier(self._table)} AS SELECT * FROM {good}")
        return self._types()

    def _types(self) -> dict[str, str]:
        return {str(row[0]): str(row[1]) for row in self._mover.execute(f"DESCRIBE {self._here}").fetchall()}

    def _faults(self, types: Mapping[str, str]) -> list[tuple[str, str]]:
        faults = []
        for one in self._shape.columns:
            name, read = identifier(one.source), types[one.source]
            wanted = one.cast or one.read
            if wanted != read:
                faults.append(
                    (
                        f"{name} IS NOT NULL AND {tried(one, read, name)} IS NULL",
                        f"{one.name} cannot be {wanted}",
                    )
                )
            lost = made(one, read, name)[1]
            if lost:
                faults.append((lost, f"{one.name} would lose something as {wanted}"))
            if one.name in self._keys:
                faults.append((f"{name} IS NULL", f"{one.name}, of the key, has no value"))
            if self._dialect == "postgres" and read == "VARCHAR":
                faults.append(
                    (f"contains({name}, chr(0))", f"{one.name} holds a NUL, which PostgreSQL cannot keep")
                )
        return faults


def made(one: Shaped, read: str, value: str) -> tuple[str, str]:
    """A value as the target has it, and the condition under which that would lose something ('' never)."""
    wanted = one.cast or one.read
    if one.timezone and wanted == "TIMESTAMP WITH TIME ZONE":
        if read == "TIMESTAMP WITH TIME ZONE":
            return value, ""
        return f"timezone({literal(one.timezone)}, CAST({value} AS TIMESTAMP))", ""
    if wanted == read:
        return value, ""
    return f"CAST({value} AS {wanted})", _lost(read, wanted, value)


def tried(one: Shaped, read: str, value: str) -> str:
    """The same, NULL where it cannot be."""
    if one.timezone and read != "TIMESTAMP WITH TIME ZONE":
        return f"timezone({literal(one.timezone)}, TRY_CAST({value} AS TIMESTAMP))"
    return f"TRY_CAST({value} AS {one.cast or one.read})"


OFFSET = r"\d(\.\d+)?\s*([+-]\d\d(:?\d\d)*|Z)$"


def _lost(read: str, wanted: str, value: str) -> str:
    decimal = _DECIMAL.match(wanted)
    if read == "VARCHAR":
        return _lost_of_text(wanted, value)
    from_fraction = read in FRACTIONS or _DECIMAL.match(read)
    if (from_fraction and (decimal or wanted in WHOLE)) or (read == "DOUBLE" and wanted == "FLOAT"):
        return f"TRY_CAST({value} AS {wanted})::{read} IS DISTINCT FROM {value} AND TRY_CAST({value} AS {wanted}) IS NOT NULL"
    if read in WHOLE and wanted in FRACTIONS:
        return f"TRY_CAST(CAST({value} AS {wanted}) AS HUGEINT) IS DISTINCT FROM CAST({value} AS HUGEINT)"
    if read in MOMENTS and wanted == "DATE":
        return f"CAST(CAST({value} AS DATE) AS TIMESTAMP) IS DISTINCT FROM CAST({value} AS TIMESTAMP)"
    if wanted == "BOOLEAN" and (read in WHOLE or from_fraction):
        return f"{value} NOT IN (0, 1)"
    return ""


def _lost_of_text(wanted: str, value: str) -> str:
    """DuckDB rounds what a text says, cuts a day's time off, and takes no notice of an offset."""
    decimal = _DECIMAL.match(wanted)
    tried = f"TRY_CAST({value} AS {wanted})"
    if decimal or wanted in WHOLE:
        scale = int(decimal[2]) if decimal else 0
        power = f"contains(lower({value}), 'e') AND {tried} IS NOT NULL AND TRY_CAST({value} AS DOUBLE) IS DISTINCT FROM CAST({tried} AS DOUBLE)"
        return f"regexp_matches({value}, '\\.[0-9]{{{scale}}}[0-9]*[1-9]') OR ({power})"
    if wanted == "DATE":
        return f"contains({value}, ':') AND {tried} IS NOT NULL AND TRY_CAST({value} AS TIMESTAMP) IS DISTINCT FROM TRY_CAST({tried} AS TIMESTAMP)"
    if wanted == "TIMESTAMP":
        return f"{tried} IS NOT NULL AND TRY_CAST({value} AS TIMESTAMP WITH TIME ZONE) IS DISTINCT FROM timezone('UTC', {tried}) AND regexp_matches({value}, {literal(OFFSET)})"
    if wanted in FRACTIONS:
        return f"isinf({tried}) AND NOT contains(lower({value}), 'inf')"
    return ""
