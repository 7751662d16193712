"""The form of a value on each engine: a text that is the same everywhere exactly where the values are the same.

Integers and decimals are written without trailing zeros, dates as days and moments as microseconds since 1970 UTC, floats as the whole and the
fractional part of the number itself (IEEE arithmetic only: no engine's own way of printing is trusted), bytes as hex. None of it rests on a
session's time zone, date style or collation. Text stays as it is, byte by byte: two ways of writing one letter (NFC, NFD) are two texts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from datareeve.capabilities.quality.engines import dialect_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.capabilities.quality.reconcile.pairing import Column

Form = Literal[
    "integer", "boolean", "decimal", "float", "text", "date", "moment", "time", "uuid", "bytes", "json"
]
BITS = 60  # of a fingerprint: the first fifteen hexadecimal digits of an MD5
MASK = 2**BITS - 1
AT_ONCE = 60  # arguments of one call: PostgreSQL takes 100, SQLite 127
WINDOW = 60  # binary digits by which floats of 2^62 and more, and those below 2^-10, are shifted until they are between
LEAST = -10  # from 2^-10 on, 62 binary places hold all 53 digits of a float
FAR = 900  # a power of two that is a double, as is its inverse
DAY = 86_400_000_000  # microseconds


class Engine:
    """How one engine says forms, fingerprints and segments. What stands here is SQL that all of them take."""

    kind: ClassVar[str] = ""
    double: ClassVar[str] = "DOUBLE PRECISION"
    bigint: ClassVar[str] = "BIGINT"
    string: ClassVar[str] = "VARCHAR"

    def __init__(self, kind: str = "") -> None:
        dialect = dialect_of(kind or self.kind)
        self.name, self.literal = dialect.name, dialect.text

    # -- forms ---------------------------------------------------------------------------------------------------------------------

    def form(self, form: Form, column: str, of: Column) -> str:
        """The form of a column that is not text; NULL where it is NULL."""
        if form == "float":
            return self.real(self.as_double(column, of), of.decimals)
        return str(getattr(self, f"_{form}")(column, of))

    def text(self, column: str, of: Column) -> str:
        """A text as it is compared: trimmed and in one case where that is asked for (ASCII letters only: engines differ in others)."""
        found = self.plain(column, of)
        if of.trim:
            found = self.trimmed(found)
        return self.lowered(found) if of.fold else found

    def plain(self, column: str, of: Column) -> str:
        """A text in UTF-8."""
        del of
        return column

    def trimmed(self, text: str) -> str:
        """Without spaces at both ends."""
        return f"trim({text}, ' ')"

    def lowered(self, text: str) -> str:
        """ASCII letters in lower case."""
        return f"lower({text})"

    def octets(self, text: str) -> str:
        """Bytes of a text."""
        return f"octet_length({text})"

    def as_text(self, expression: str) -> str:
        """A number as text."""
        return f"CAST({expression} AS {self.string})"

    def joined(self, parts: Sequence[str]) -> str:
        """Texts one after the other."""
        return " || ".join(parts)

    def as_double(self, column: str, of: Column) -> str:
        """A number as an IEEE double."""
        del of
        return f"CAST({column} AS {self.double})"

    def real(self, value: str, decimals: int | None) -> str:
        """A double, exactly, or to so many decimal places."""
        size, sign = f"abs({value})", f"CASE WHEN {value} < 0 THEN '-' ELSE '' END"
        if decimals is None:
            usual = f"WHEN {value} >= {_power(LEAST)} AND {value} < {_power(62)} THEN {self._split('', value)} WHEN {size} >= {_power(LEAST)} AND {size} < {_power(62)} THEN {self._split(sign, size)}"
            return f"CASE WHEN {value} = 0 THEN '0' {usual} {self._odd(value)} {self._large(sign, size)} {self._tiny(sign, size)} END"
        scaled = f"({size} * 1e{decimals})"
        usual = f"WHEN {scaled} < {_power(62)} THEN {self.joined((sign, self._whole(f'({scaled} + 0.5e0)')))}"
        larger = f"WHEN {size} < {_power(62)} THEN {self._split(sign, size)} {self._large(sign, size)}"
        return f"CASE WHEN {scaled} < 0.5e0 THEN '0' {usual} {self._odd(value)} {larger} END"

    def _whole(self, value: str) -> str:
        return self.as_text(f"CAST(floor({value}) AS {self.bigint})")

    def _split(self, sign: str, size: str, window: int = 0) -> str:
        """Sign, whole part, 62 binary places; both products are exact."""
        fraction = self.as_text(
            f"CAST(({size} - floor({size})) * {_power(62)} AS {self.bigint})"
        )  # a whole number
        tag = (f"'@{window}'",) if window else ()
        return self.joined((*((sign,) if sign else ()), self._whole(size), "'.'", fraction, *tag))

    def _odd(self, value: str) -> str:
        """What is no number."""
        inf = f"CAST('Infinity' AS {self.double})"
        return f"WHEN {value} = CAST('NaN' AS {self.double}) THEN 'nan' WHEN {value} = {inf} THEN 'inf' WHEN {value} = -{inf} THEN '-inf'"

    def _large(self, sign: str, size: str) -> str:
        """From 2^62 on: divided by 2^60 as often as is needed, which loses nothing."""
        windows = range(17, 0, -1)
        return " ".join(f"WHEN {size} >= {_power(2 + WINDOW * n)} THEN {self._split(sign, _shift(size, -WINDOW * n), n)}" for n in windows)  # fmt: skip

    def _tiny(self, sign: str, size: str) -> str:
        """Below 2^-10: multiplied by 2^60 as often as is needed."""
        whens = []
        for n in range(1, 19):
            bound, compared = LEAST - WINDOW * n, size
            if bound < -FAR:  # no literal below the least normal number
                bound, compared = bound + FAR, _shift(size, FAR)
            whens.append(
                f"WHEN {compared} >= {_power(bound)} THEN {self._split(sign, _shift(size, WINDOW * n), -n)}"
            )
        return " ".join(whens)

    def _integer(self, column: str, of: Column) -> str:
        return f"CAST({column} AS INTEGER)" if of.family == "boolean" else column

    _boolean = _integer

    def _hyphened(self, digits: str) -> str:
        """The sixteen bytes of a UUID as it is written."""
        ends = ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
        parts = [f"substr({digits}, {start}, {length})" for start, length in ends]
        return self.joined([one for part in parts for one in ("'-'", part)][1:])

    def _json(self, column: str, of: Column) -> str:
        del of
        return f"CAST({column} AS {self.string})"

    def _coarse(self, micros: str, of: Column) -> str:
        """Microseconds, cut to what the other side keeps."""
        step = 10 ** (6 - of.places)
        return micros if step == 1 else f"({micros} - ({micros} % {step} + {step}) % {step})"

    # -- fingerprints --------------------------------------------------------------------------------------------------------------

    def row(self, pieces: Sequence[str], texts: Sequence[str], salt: str) -> str:
        """One text of a whole row, in which no two rows agree: forms with a bar between (none holds one), lengths of texts, texts.

        NULL is nothing at all, which no form is; of a text its length is nothing.
        """
        parts = [self.literal(salt)]
        for piece in (*pieces, *map(self.octets, texts)):
            parts += ["'|'", piece]
        return self.concat([*parts, "'|'", *texts])

    def concat(self, parts: Sequence[str]) -> str:
        """Texts one after the other, where NULL is ''."""
        if len(parts) > AT_ONCE:
            chunks = [parts[at : at + AT_ONCE] for at in range(0, len(parts), AT_ONCE)]
            return self.concat([self.concat(chunk) for chunk in chunks])
        return f"concat({', '.join(parts)})"

    def hashed(self, text: str) -> str:
        """A text's fingerprint, an integer of 60 bits: the beginning of its MD5."""
        raise NotImplementedError

    def native(self, forms: Sequence[str], text: str, salt: str) -> str:
        """A faster fingerprint, which only this engine knows; of the columns or of the row's text."""
        del forms, salt
        return self.hashed(text)

    def sums(self, value: str) -> tuple[str, ...]:
        """The sum of fingerprints as text, in pieces of which each counts 2^30 times the one before."""
        return (self.as_text(f"COALESCE(sum({value}), 0)"),)

    # -- segments ------------------------------------------------------------------------------------------------------------------

    def divided(self, value: str, low: int, width: int) -> str:
        """In which segment from `low` on a number lies: 0, 1, ...; for numbers not below `low`."""
        return f"({value} - ({low})) / {width}"

    def no_integer(self, column: str) -> str:
        """Whether a row has no place in the order of the key."""
        return f"{column} IS NULL"

    def moment_literal(self, micros: int, of: Column) -> str:
        """A condition's right side: a moment, for a column of that of."""
        raise NotImplementedError


class Postgresql(Engine):
    """PostgreSQL 13 and newer."""

    kind = "postgresql"
    string = "text"

    def plain(self, column: str, of: Column) -> str:
        """`char(n)` loses its padding, as PostgreSQL itself has it; enums and citext become text."""
        del of
        return f"{column}::text"

    def trimmed(self, text: str) -> str:
        """Spaces only."""
        return f"btrim({text}, ' ')"

    def lowered(self, text: str) -> str:
        """The collation "C" knows ASCII letters only."""
        return f'lower({text} COLLATE "C")'

    def octets(self, text: str) -> str:
        """In UTF-8, whatever the database is encoded in."""
        return f"octet_length({text})"

    def as_double(self, column: str, of: Column) -> str:
        """`real` and `numeric` too."""
        return column if of.type == "double precision" else f"{column}::float8"

    def _decimal(self, column: str, of: Column) -> str:
        return f"{column}::text" if of.family == "integer" or of.same_scale else f"trim_scale({column})::text"

    def _integer(self, column: str, of: Column) -> str:
        return f"{column}::int" if of.family == "boolean" else column

    _boolean = _integer

    def _date(self, column: str, of: Column) -> str:
        del of
        return (
            f"CASE WHEN isfinite({column}) THEN ({column} - DATE '1970-01-01')::text ELSE {column}::text END"
        )

    def _moment(self, column: str, of: Column) -> str:
        if of.family == "date":
            return f"CASE WHEN isfinite({column}) THEN (({column} - DATE '1970-01-01')::bigint * {DAY})::text ELSE {column}::text END"
        at = f"({column} AT TIME ZONE 'UTC')" if of.family == "timestamptz" else column
        micros = f"(({at}::date - DATE '1970-01-01')::bigint * {DAY} + (date_part('epoch', {at}::time) * 1000000)::bigint)"
        return f"CASE WHEN isfinite({column}) THEN ({self._coarse(micros, of)})::text ELSE {column}::text END"

    def _time(self, column: str, of: Column) -> str:
        return self._coarse(f"(date_part('epoch', {column}) * 1000000)::bigint", of)

    def _uuid(self, column: str, of: Column) -> str:
        if of.family == "binary":
            return self._hyphened(f"encode({column}, 'hex')")
        return f"{column}::text" if of.family == "uuid" else f'lower({column}::text COLLATE "C")'

    def _bytes(self, column: str, of: Column) -> str:
        del of
        return f"encode({column}, 'hex')"

    def hashed(self, text: str) -> str:
        """A cast to bit(60) keeps the first digits."""
        return f"('x' || md5({text}))::bit({BITS})::bigint"

    def native(self, forms: Sequence[str], text: str, salt: str) -> str:
        """Of the same major version only: https://www.postgresql.org/docs/current/functions-info.html says nothing of these, the source does."""
        del forms, salt
        return f'(hashtextextended({text} COLLATE "C", 0) & {MASK})'

    def divided(self, value: str, low: int, width: int) -> str:
        """In 64 bits, whatever the column has."""
        return f"({value} - ({low})::bigint) / {width}::bigint"

    def moment_literal(self, micros: int, of: Column) -> str:
        """As a moment of that column's own type, so that an index serves."""
        moment = f"(TIMESTAMP '1970-01-01' + INTERVAL '{micros // DAY} days' + INTERVAL '{micros % DAY} microseconds')"
        return f"({moment} AT TIME ZONE 'UTC')" if of.family == "timestamptz" else moment


class OtherEncoding(Postgresql):
    """PostgreSQL where the database is not in UTF-8."""

    def octets(self, text: str) -> str:
        """As it would be in UTF-8."""
        return f"octet_length(convert_to({text}, 'UTF8'))"

    def hashed(self, text: str) -> str:
        """As it would be in UTF-8."""
        return f"('x' || md5(convert_to({text}, 'UTF8')))::bit({BITS})::bigint"


class Duckdb(Engine):
    """DuckDB, and folders of files."""

    kind = "duckdb"
    double = "DOUBLE"

    def plain(self, column: str, of: Column) -> str:
        """Enums become text."""
        return column if of.type == "VARCHAR" else f"CAST({column} AS VARCHAR)"

    def lowered(self, text: str) -> str:
        """`lower` would know letters that other engines do not."""
        return f"translate({text}, 'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz')"

    def octets(self, text: str) -> str:
        """`strlen` counts bytes."""
        return f"strlen({text})"

    def _decimal(self, column: str, of: Column) -> str:
        if of.family == "integer" or of.scale == 0 or of.same_scale:
            return f"CAST({column} AS VARCHAR)"
        return f"rtrim(rtrim(CAST({column} AS VARCHAR), '0'), '.')"

    def _date(self, column: str, of: Column) -> str:
        del of
        return f"CASE WHEN isfinite({column}) THEN CAST({column} - DATE '1970-01-01' AS VARCHAR) ELSE CAST({column} AS VARCHAR) END"

    def _moment(self, column: str, of: Column) -> str:
        exact = (
            column
            if of.family in ("date", "timestamptz") or of.type == "TIMESTAMP"
            else f"CAST({column} AS TIMESTAMP)"
        )
        micros = self._coarse(f"epoch_us({exact})", of)
        return f"CASE WHEN isfinite({exact}) THEN CAST({micros} AS VARCHAR) ELSE CAST({exact} AS VARCHAR) END"

    def _time(self, column: str, of: Column) -> str:
        return self._coarse(f"epoch_us({column})", of)

    def _uuid(self, column: str, of: Column) -> str:
        if of.family == "binary":
            return self._hyphened(self._bytes(column, of))
        return f"CAST({column} AS VARCHAR)" if of.family == "uuid" else self.lowered(column)

    def _bytes(self, column: str, of: Column) -> str:
        del of
        return f"lower(hex({column}))"

    def hashed(self, text: str) -> str:
        """Reading fifteen digits is faster than turning `md5_number` round."""
        return f"CAST('0x' || left(md5({text}), 15) AS BIGINT)"

    def native(self, forms: Sequence[str], text: str, salt: str) -> str:
        """DuckDB's own hash of the columns as they are, hashed again: values that change places between two rows must not cancel."""
        del text
        return f"CAST(hash(hash({', '.join([self.literal(salt), *forms])})) >> 4 AS BIGINT)"

    def divided(self, value: str, low: int, width: int) -> str:
        """`//` is the division of integers."""
        return f"(CAST({value} AS BIGINT) - ({low})) // {width}"

    def moment_literal(self, micros: int, of: Column) -> str:
        """`make_timestamp` takes microseconds."""
        if of.family == "timestamptz":
            return f"make_timestamptz({micros})"
        return f"make_timestamp({micros})"


class Mysql(Engine):
    """MariaDB and MySQL."""

    kind = "mysql"
    bigint = "SIGNED"
    string = "CHAR"

    def plain(self, column: str, of: Column) -> str:
        """The bytes in UTF-8: collations of several columns do not meet."""
        del of
        return f"CAST(CONVERT({column} USING utf8mb4) AS BINARY)"

    def trimmed(self, text: str) -> str:
        """Spaces only."""
        return f"TRIM(' ' FROM {text})"

    def lowered(self, text: str) -> str:
        """Letter by letter: LOWER would know more than ASCII."""
        for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            text = f"REPLACE({text}, BINARY '{letter}', BINARY '{letter.lower()}')"
        return text

    def joined(self, parts: Sequence[str]) -> str:
        """`||` means OR there."""
        return f"CONCAT({', '.join(parts)})"

    def as_double(self, column: str, of: Column) -> str:
        """FLOAT keeps seven digits, but all its bits in arithmetic."""
        del of
        return f"({column} * 1e0)"

    def _odd(self, value: str) -> str:
        del value
        return ""

    def _integer(self, column: str, of: Column) -> str:
        return f"({column} + 0)" if of.type.startswith("bit") else column

    _boolean = _integer

    def _decimal(self, column: str, of: Column) -> str:
        text = f"CAST({column} AS CHAR)"
        if of.family == "integer" or of.scale == 0 or of.same_scale:
            return text
        return f"TRIM(TRAILING '.' FROM TRIM(TRAILING '0' FROM {text}))"

    def _date(self, column: str, of: Column) -> str:
        del of
        return f"COALESCE(NULLIF(TO_DAYS({column}), 0) - 719528, CONCAT('zero ', {column}))"

    def _moment(self, column: str, of: Column) -> str:
        if of.family == "timestamptz":
            return self._coarse(f"(UNIX_TIMESTAMP({column}) * 1000000 DIV 1)", of)
        micros = f"TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {column})"
        return f"COALESCE({self._coarse(micros, of)}, CONCAT('zero ', {column}))"

    def _time(self, column: str, of: Column) -> str:
        seconds = f"ABS(TIME_TO_SEC({column}))"
        sign = f"IF({column} < 0, -1, 1)"
        return self._coarse(f"({sign} * (FLOOR({seconds}) * 1000000 + MICROSECOND({column})))", of)

    def _uuid(self, column: str, of: Column) -> str:
        if of.family == "binary":
            return self._hyphened(self._bytes(column, of))
        return f"CAST({column} AS CHAR)" if of.family == "uuid" else f"LOWER(CAST({column} AS CHAR))"

    def _bytes(self, column: str, of: Column) -> str:
        del of
        return f"LOWER(HEX({column}))"

    def _json(self, column: str, of: Column) -> str:
        return self.plain(column, of)

    def concat(self, parts: Sequence[str]) -> str:
        """There NULL makes all of it NULL."""
        return f"CONCAT({', '.join(part if part.startswith(chr(39)) else f'COALESCE({part}, {chr(39) * 2})' for part in parts)})"

    def hashed(self, text: str) -> str:
        """CONV reads 64 bits."""
        return f"CAST(CONV(LEFT(MD5({text}), 15), 16, 10) AS UNSIGNED)"

    def divided(self, value: str, low: int, width: int) -> str:
        """DIV is the division of integers."""
        return f"({value} - ({low})) DIV {width}"

    def moment_literal(self, micros: int, of: Column) -> str:
        """From 1970 on, whatever the session's zone."""
        moment = f"('1970-01-01' + INTERVAL {micros} MICROSECOND)"
        return (
            f"CONVERT_TZ({moment}, '+00:00', @@session.time_zone)" if of.family == "timestamptz" else moment
        )


class Sqlite(Engine):
    """SQLite: any column may hold a value of any type, so a form is asked of each value (`systems.sqlite_forms`)."""

    kind = "sqlite"
    string = "TEXT"

    def form(self, form: Form, column: str, of: Column) -> str:
        """In SQL where the value is of the usual type."""
        places = (
            of.places
            if form in ("moment", "time")
            else -1
            if form != "float" or of.decimals is None
            else of.decimals
        )
        if form == "decimal":
            places = max(of.scale, 0) if of.scale is not None else -1
        asked = f"datareeve_form({self.literal(form)}, {column}, {places})"
        if form in ("integer", "boolean"):
            return f"CASE typeof({column}) WHEN 'integer' THEN {column} ELSE {asked} END"
        return asked

    def plain(self, column: str, of: Column) -> str:
        """What is no text is marked as that."""
        return (
            f"CASE typeof({column}) WHEN 'text' THEN {column} ELSE datareeve_form('text', {column}, -1) END"
            if of.family == "text"
            else f"datareeve_form('text', {column}, -1)"
        )

    def octets(self, text: str) -> str:
        """`length` counts bytes of a blob."""
        return f"length(CAST({text} AS BLOB))"

    def concat(self, parts: Sequence[str]) -> str:
        """By the operator: `concat` came with SQLite 3.44."""
        if len(parts) > AT_ONCE:
            chunks = [parts[at : at + AT_ONCE] for at in range(0, len(parts), AT_ONCE)]
            return self.concat([self.concat(chunk) for chunk in chunks])
        whole = " || ".join(part if part.startswith("'") else f"COALESCE({part}, '')" for part in parts)
        return f"({whole})"

    def hashed(self, text: str) -> str:
        """MD5 is lent by Python."""
        return f"datareeve_md5({text})"

    def sums(self, value: str) -> tuple[str, ...]:
        """Its sum of integers ends at 64 bits."""
        return (
            f"CAST(COALESCE(sum({value} & {2**30 - 1}), 0) AS TEXT)",
            f"CAST(COALESCE(sum({value} >> 30), 0) AS TEXT)",
        )

    def no_integer(self, column: str) -> str:
        """A text in an INTEGER column."""
        return f"typeof({column}) <> 'integer'"

    def moment_literal(self, micros: int, of: Column) -> str:
        """Compared as a number of microseconds."""
        del of
        return str(micros)


ENGINES: dict[str, type[Engine]] = {
    "postgresql": Postgresql, "mysql": Mysql, "duckdb": Duckdb, "folder": Duckdb, "sqlite": Sqlite,
}  # fmt: skip


def engine(kind: str, encoding: str = "UTF8") -> Engine:
    """How that kind of system says it."""
    return OtherEncoding() if kind == "postgresql" and encoding != "UTF8" else ENGINES[kind](kind)


def _power(exponent: int) -> str:
    """A power of two as a double."""
    text = repr(2.0**exponent)
    return text if "e" in text else f"{text}e0"


def _shift(size: str, bits: int) -> str:
    """Times a power of two, in steps that are doubles themselves."""
    if abs(bits) <= FAR:
        return f"({size} * {_power(bits)})"
    step = FAR if bits > 0 else -FAR
    return f"({_shift(size, step)} * {_power(bits - step)})"
