"""Files whose columns have types of their own: Parquet, and Excel sheets."""

# ruff: noqa: S608 - identifiers and literals are quoted by the mover's own functions

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput, Failed
from datareeve.systems.file_formats import unique
from datareeve.systems.file_types import (
    Looked,
    Told,
    Typed,
    apart,
    driver_errors,
    looked_at,
    strictly,
    together,
    typed,
    wider,
)
from datareeve.systems.mover import identifier, literal
from datareeve.systems.row_source import SourceColumn

if TYPE_CHECKING:
    from datareeve.systems.file_listing import FoundFile
    from datareeve.systems.mover import Mover

EPOCH = "TIMESTAMP '1899-12-30'"  # of Excel's day numbers
EXCEL = {
    "DATE": f"CAST({EPOCH} + to_days(CAST(floor(CAST({{v}} AS DOUBLE)) AS INTEGER)) AS DATE)",
    "TIMESTAMP": f"{EPOCH} + to_milliseconds(CAST(round(CAST({{v}} AS DOUBLE) * 86400000) AS BIGINT))",
    "TIME": "CAST(TIMESTAMP '2000-01-01' + to_milliseconds(CAST(round(CAST({v} AS DOUBLE) * 86400000) AS BIGINT)) AS TIME)",
    "BOOLEAN": "CAST({v} AS BOOLEAN)",
}
UNPACKS = 1000  # of an Excel file: more is no table


@dataclass
class ParquetFiles:
    """Parquet files: what they say of themselves holds; columns that differ among files are of the type that holds all."""

    seen: dict[str, dict[str, str]] = field(default_factory=dict)  # by file: {column: type}
    types: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def look(self, mover: Mover, files: list[FoundFile]) -> list[SourceColumn]:
        """The columns of all the files together."""
        for file in files:
            if file.name not in self.seen:
                self.seen[file.name] = self._described(mover, file)
        merged: dict[str, list[str]] = {}
        for columns in self.seen.values():
            for name, kind in columns.items():
                merged.setdefault(name, []).append(kind)
        self.types = {name: _widest(kinds) for name, kinds in merged.items()}
        return [
            SourceColumn(name, kind, kind.lower(), loses=_lost(merged[name], kind))
            for name, kind in self.types.items()
        ]

    def _described(self, mover: Mover, file: FoundFile) -> dict[str, str]:
        if not file.size:
            self.warnings.append(f"{file.name} is empty")
            return {}
        try:
            rows = mover.execute(f"DESCRIBE SELECT * FROM {_parquet(file)}").fetchall()
        except driver_errors():
            raise damaged(file, "Parquet") from None
        return {str(row[0]): str(row[1]) for row in rows}

    def stated(self) -> dict[str, Any]:
        """What was detected."""
        return {"format": "parquet", "types": "of the files themselves"}

    def known(self, files: list[FoundFile]) -> dict[str, Any]:
        """See `TextFiles`."""
        return {"columns": {file.name: self.seen[file.name] for file in files}, "types": self.types}

    def remember(self, files: list[FoundFile], known: dict[str, Any]) -> None:
        """See `TextFiles`."""
        self.types = dict(known["types"])
        self.seen |= {file.name: dict(known["columns"][file.name]) for file in files}

    def relation(self, file: FoundFile, constants: dict[str, str]) -> str:
        """A file's rows."""
        columns = self.seen[file.name]
        out = [_as(name, columns.get(name), kind) for name, kind in self.types.items()]
        out += [f"{value} AS {identifier(name)}" for name, value in constants.items()]
        source = _parquet(file) if columns else "(SELECT 1 WHERE false)"
        return f"(SELECT {', '.join(out)} FROM {source})"

    def carefully(self, file: FoundFile, constants: dict[str, str]) -> tuple[str, str]:
        """Parquet is read whole or not at all."""
        return self.relation(file, constants), ""


def _parquet(file: FoundFile) -> str:
    return f"read_parquet({literal(str(file.path))}, hive_partitioning = false)"


def _as(name: str, there: str | None, wanted: str) -> str:
    if there == wanted:
        return identifier(name)
    return f"CAST({'NULL' if there is None else identifier(name)} AS {wanted}) AS {identifier(name)}"


def _widest(kinds: list[str]) -> str:
    found = kinds[0]
    for kind in kinds[1:]:
        found = kind if found == '"NULL"' else wider(found, kind) if kind != '"NULL"' else found
    return found


def _lost(kinds: list[str], kind: str) -> str:
    return f"files differ ({', '.join(sorted(set(kinds)))}): read as text" if kind == "VARCHAR" and len(set(kinds)) > 1 else ""  # fmt: skip


def damaged(file: FoundFile, what: str) -> Failed:
    """A file that is not what its name says."""
    return Failed("pipelines.file-damaged", f"{file.name} is not a whole {what} file.", "Wait until it is written, or write it anew; write beside, then rename.")  # fmt: skip


@dataclass
class ExcelFiles:
    """Sheets: every cell as its text, and days and truths from the kind of their cells."""

    read_as: dict[str, Any]
    seen: dict[str, tuple[str, ...]] = field(default_factory=dict)
    looked: dict[str, Looked] = field(default_factory=dict)
    kinds: dict[str, set[str]] = field(default_factory=dict)
    typed: dict[str, Typed] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def look(self, mover: Mover, files: list[FoundFile]) -> list[SourceColumn]:
        """The columns of all the sheets together."""
        mover.load("excel")
        for file in files:
            if file.name not in self.seen:
                self._look(mover, file)
        self.typed = {name: self._typed(name) for name in self.looked}
        self.warnings += [
            one.warning for one in self.typed.values() if one.warning and one.warning not in self.warnings
        ]
        return [one.column for one in self.typed.values()]

    def _look(self, mover: Mover, file: FoundFile) -> None:
        sheet, given = self.read_as.get("sheet"), self.read_as.get("header")
        try:
            rows = mover.execute(f"DESCRIBE SELECT * FROM {self._raw(file, texts=False)}").fetchall()
            texts = mover.execute(f"DESCRIBE SELECT * FROM {self._raw(file, texts=True)}").fetchall()
            names, told = unique([str(row[0]) for row in texts])
            looked = looked_at(mover, self._raw(file, texts=True), names)
            first = mover.execute(f"SELECT * FROM {self._raw(file, texts=True)} LIMIT 1").fetchone()
        except driver_errors() as error:
            if "Sheet" in str(error) and "not found" in str(error):
                raise BadInput("pipelines.sheet", f"{file.name} has no sheet {sheet}.", "Name one that it has in read_as.sheet.") from None  # fmt: skip
            raise damaged(file, "Excel") from None
        del given
        self.seen[file.name] = names
        self.warnings += [f"{file.name}: {one}" for one in told]
        for place, name in enumerate(names):
            self.looked[name] = (
                together(self.looked[name], looked[name]) if name in self.looked else looked[name]
            )
            if first is not None and first[place] is not None:
                self.kinds.setdefault(name, set()).add(str(rows[place][1]))
            elif looked[name].shapes:
                self.kinds.setdefault(name, set()).add(self._kind_below(mover, file, place, name))

    def _kind_below(self, mover: Mover, file: FoundFile, place: int, name: str) -> str:
        """The kind of a column's first filled cell, where its first is empty."""
        texts = self._raw(file, texts=True)
        row = mover.row(
            f"SELECT min(n) FROM (SELECT row_number() OVER () AS n, {identifier(name)} AS v FROM {texts}) WHERE v IS NOT NULL"
        )[0]
        if self.read_as.get("cells"):
            return "VARCHAR"
        line = int(row) + (1 if self.read_as.get("header") is not False else 0)
        raw = f"read_xlsx({literal(str(file.path))}, header = false, range = 'A{line}:XFD{line}'{self._sheet()})"
        found = mover.execute(f"DESCRIBE SELECT * FROM {raw}").fetchall()
        return str(found[place][1]) if place < len(found) else "VARCHAR"

    def _sheet(self) -> str:
        return f", sheet = {literal(self.read_as['sheet'])}" if self.read_as.get("sheet") else ""

    def _raw(self, file: FoundFile, *, texts: bool) -> str:
        given = self.read_as.get("header")
        cells = f", range = {literal(self.read_as['cells'])}" if self.read_as.get("cells") else ""
        header = f", header = {str(given).lower()}" if given is not None else ""
        return f"read_xlsx({literal(str(file.path))}{header}, stop_at_empty = false{', all_varchar = true' if texts else ', ignore_errors = true'}{self._sheet()}{cells})"

    def _typed(self, name: str) -> Typed:
        kinds = self.kinds.get(name, set())
        if len(kinds) == 1 and (kind := next(iter(kinds))) in EXCEL:
            return Typed(name, kind, f"cells of {kind.lower()}", cast=EXCEL[kind])
        if kinds == {"VARCHAR"}:
            return Typed(name, told="text")
        return typed(self.looked[name], Told())

    def stated(self) -> dict[str, Any]:
        """What was detected."""
        return {"format": "excel", "sheet": self.read_as.get("sheet") or "the first", "types": "of all rows"}

    def known(self, files: list[FoundFile]) -> dict[str, Any]:
        """See `TextFiles`."""
        return {
            "names": {file.name: self.seen[file.name] for file in files},
            "types": [asdict(one) for one in self.typed.values()],
        }

    def remember(self, files: list[FoundFile], known: dict[str, Any]) -> None:
        """See `TextFiles`."""
        self.typed = {one["name"]: Typed(**one) for one in known["types"]}
        self.seen |= {file.name: tuple(known["names"][file.name]) for file in files}

    def relation(self, file: FoundFile, constants: dict[str, str]) -> str:
        """A sheet's rows, exactly."""
        names = self.seen[file.name]
        return self._as_all(strictly([self.typed[name] for name in names], self._raw(file, texts=True)), names, constants)  # fmt: skip

    def carefully(self, file: FoundFile, constants: dict[str, str]) -> tuple[str, str]:
        """The rows that are exact, and those that are not."""
        names = self.seen[file.name]
        numbered = f"(SELECT *, row_number() OVER () + 1 AS {identifier('datareeve line')} FROM {self._raw(file, texts=True)})"
        place = f"{literal(file.name + ':')} || CAST({identifier('datareeve line')} AS VARCHAR)"
        row = "concat_ws(chr(9), " + ", ".join(f"coalesce({identifier(name)}, '')" for name in names) + ")"
        good, bad = apart([self.typed[name] for name in names], numbered, place, row)
        return self._as_all(good, names, constants), bad

    def _as_all(self, rows: str, names: tuple[str, ...], constants: dict[str, str]) -> str:
        out = [
            identifier(name) if name in names else f"CAST(NULL AS {one.type}) AS {identifier(name)}"
            for name, one in self.typed.items()
        ]
        out += [f"{value} AS {identifier(name)}" for name, value in constants.items()]
        return f"(SELECT {', '.join(out)} FROM {rows})"
