"""How each engine says what means the same everywhere: names, literals, types, and the few operations that they write differently.

Text is ordered by its code points: PostgreSQL is told so with COLLATE "C". Sessions of Spark are in ANSI mode and UTC, see `SESSION`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.pipelines.models.kinds import EXACT_DOUBLE_DIGITS, INT16, Kind

if TYPE_CHECKING:
    from typing import Literal

    Engine = Literal["duckdb", "postgres", "spark"]

SESSION: dict[str, tuple[str, ...]] = {  # what a session is told before a model runs in it
    "duckdb": ("SET TimeZone = 'UTC'", "SET default_null_order = 'nulls_last'", "SET integer_division = false", "SET ieee_floating_point_ops = true"),
    "postgres": ("SET TIME ZONE 'UTC'", "SET standard_conforming_strings = on", "SET extra_float_digits = 1"),
    "spark": (),  # systems/spark_models.py has Spark's settings
}  # fmt: skip
TYPES = {
    "duckdb": {"bool": "BOOLEAN", "double": "DOUBLE", "text": "VARCHAR", "date": "DATE", "timestamp": "TIMESTAMP", "moment": "TIMESTAMPTZ", "real": "REAL"},
    "postgres": {"bool": "BOOLEAN", "double": "DOUBLE PRECISION", "text": "TEXT", "date": "DATE", "timestamp": "TIMESTAMP", "moment": "TIMESTAMPTZ", "real": "REAL", "numeric": "NUMERIC"},
    "spark": {"bool": "BOOLEAN", "double": "DOUBLE", "text": "STRING", "date": "DATE", "timestamp": "TIMESTAMP_NTZ", "moment": "TIMESTAMP", "real": "FLOAT"},
}  # fmt: skip
INTS = {2: "SMALLINT", 4: "INTEGER", 8: "BIGINT"}
SPACES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"  # what DuckDB's trim takes off


class Words:
    """One engine's."""

    def __init__(self, engine: str) -> None:
        self.engine = engine
        self.spark, self.postgres, self.duckdb = (engine == one for one in ("spark", "postgres", "duckdb"))

    def name(self, name: str) -> str:
        """A name, quoted."""
        mark = "`" if self.spark else '"'
        return mark + name.replace(mark, mark * 2) + mark

    def text(self, value: str) -> str:
        """A text as a literal."""
        if self.spark:
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        return "'" + value.replace("'", "''") + "'"

    def type(self, kind: Kind) -> str:
        """What a type is called."""
        if kind == INT16:
            return {"duckdb": "HUGEINT", "postgres": "NUMERIC", "spark": "DECIMAL(38, 0)"}[self.engine]
        if kind.name == "int":
            return INTS[kind.digits]
        if kind.name == "decimal":
            return f"{'NUMERIC' if self.postgres else 'DECIMAL'}({kind.digits}, {kind.scale})"
        return TYPES[self.engine][kind.name]

    def cast(self, sql: str, kind: Kind) -> str:
        """A plain cast, not written twice; what it does with what does not fit differs between engines: see `casts`."""
        if sql.startswith("CAST(") and sql.endswith(
            f" AS {self.type(kind)})"
        ):  # all that is more than one cast stands in parentheses
            return sql
        return f"CAST({sql} AS {self.type(kind)})"

    def double(self, sql: str, kind: Kind) -> str:
        """A number as the double that is nearest to it."""
        if kind.name == "double":
            return sql
        if self.duckdb and kind.name == "decimal" and kind.digits > EXACT_DOUBLE_DIGITS and kind.scale:
            return f"CAST(CAST({sql} AS VARCHAR) AS DOUBLE)"  # by its digits: DuckDB's own way is off by one bit at times
        return f"CAST({sql} AS {TYPES[self.engine]['double']})"

    def infinity(self, sign: str = "") -> str:
        """Infinity, as a double."""
        return f"CAST('{sign}Infinity' AS {TYPES[self.engine]['double']})"

    def ordered(self, sql: str, kind: Kind) -> str:
        """What is compared or ordered: text by its code points."""
        return f'{sql} COLLATE "C"' if self.postgres and kind.name == "text" else sql

    def plain(self, sql: str, kind: Kind) -> str:
        """What `ordered` made, with the collation that columns have, so that it can be compared with them."""
        return f'({sql} COLLATE "default")' if self.postgres and kind.name == "text" else sql

    def fail(self, why: str) -> str:
        """An expression that stops the statement."""
        return f"error('{why}')" if self.duckdb else f"raise_error('{why}')"

    def nearest(self, sql: str) -> str:
        """A double, rounded to the nearest whole double, half to even."""
        return {"duckdb": f"round_even({sql}, 0)", "postgres": f"ROUND({sql})", "spark": f"RINT({sql})"}[
            self.engine
        ]

    def interval(self, amount: int, unit: str) -> str:
        """INTERVAL of a whole amount of a unit."""
        return f"INTERVAL '{amount}' {unit.upper()}"

    def trimmed(self, sql: str, where: str, characters: str) -> str:
        """A text without these characters at its ends; `where` is BOTH, LEADING or TRAILING."""
        if self.spark:
            return f"TRIM({where} {self.text(characters)} FROM {sql})"
        function = {"BOTH": "btrim" if self.postgres else "trim", "LEADING": "ltrim", "TRAILING": "rtrim"}[
            where
        ]
        return f"{function}({sql}, {self.text(characters)})"
