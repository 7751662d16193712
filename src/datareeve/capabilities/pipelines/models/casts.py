"""Casts: what becomes of a value in another type is what the model's dialect says, and written so for every engine."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from datareeve.capabilities.pipelines.models import kinds
from datareeve.capabilities.pipelines.models.kinds import DATE, DOUBLE, MOMENT, TEXT, TIMESTAMP, Kind
from datareeve.capabilities.pipelines.models.scopes import LOST, Term

if TYPE_CHECKING:
    from sqlglot import exp

    from datareeve.capabilities.pipelines.models.writer import Writer

A_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")
A_TIME = re.compile(A_DAY.pattern + r"([ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?)?")
A_MOMENT = re.compile(
    A_DAY.pattern + r"[ T]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)? ?(Z|[+-]\d\d(:?\d\d)?)"
)
A_NUMBER = re.compile(r"-?\d+(\.\d+)?")
LITERALS = {"date": A_DAY, "timestamp": A_TIME, "moment": A_MOMENT}
ZONES = "x AT TIME ZONE 'UTC', which says in which zone"


def target(node: exp.DataType, dialect: str) -> Kind:
    """The type that a cast names."""
    name = node.this.name if hasattr(node.this, "name") else str(node.this)
    given = [int(one.name) for one in node.expressions if one.name.isdigit()]
    if name in ("TIMESTAMP", "TIMESTAMPNTZ"):
        return TIMESTAMP
    if name in ("TIMESTAMPTZ", "TIMESTAMPLTZ"):
        return MOMENT
    if name == "DECIMAL" and not given and dialect != "postgres":
        return kinds.decimal(18, 3) if dialect == "duckdb" else kinds.decimal(10, 0)
    if name == "DECIMAL":
        return kinds.kind_of(f"DECIMAL({', '.join(map(str, given))})" if given else "NUMERIC")
    if name == "VARCHAR" and given and dialect != "duckdb":
        return Kind("other:varchar(n)")
    return kinds.kind_of(name)


def cast(writer: Writer, node: exp.Expression, term: Term, to: Kind) -> Term:
    """A cast as a person wrote it. Refuses what engines read or round differently."""
    if not term.known:
        return LOST
    if to.name.startswith("other") or to in (kinds.NUMERIC, kinds.REAL):
        return writer.refuse(
            node,
            "cast",
            f"{to.name.removeprefix('other:')} is not the same type everywhere",
            "a cast to BOOLEAN, SMALLINT, INTEGER, BIGINT, DECIMAL(p, s), DOUBLE, VARCHAR, DATE, TIMESTAMP or TIMESTAMPTZ",
        )
    if term.kind in (to, kinds.NULL):
        return writer.term(writer.words.cast(term.sql, to), to, term)
    if term.literal is not None and term.kind == TEXT:
        return literal(writer, node, term, to)
    made = _BY_KIND.get(term.kind.name, _refused)(writer, node, term, to)
    return made or _refused(writer, node, term, to)


def literal(writer: Writer, node: exp.Expression, term: Term, to: Kind) -> Term:
    """A text in quotes as a value of a type: the forms that all engines read alike."""
    text = (term.literal or "").strip()
    pattern = LITERALS.get(to.name) or (A_NUMBER if kinds.is_number(to) else None)
    if pattern is None or not pattern.fullmatch(text):
        wanted = {
            "date": "'2026-01-31'",
            "timestamp": "'2026-01-31 12:00:00'",
            "moment": "'2026-01-31 12:00:00+00'",
        }.get(to.name, "the value in its own type, without quotes")
        return writer.refuse(
            node, "literal", f"engines read this text as {to.name} in different ways", wanted
        )
    if to == DOUBLE or to.name in LITERALS:
        return writer.term(writer.words.cast(writer.words.text(text.replace("T", " ")), to), to)
    return writer.term(exact(writer, Term(text, _of_digits(text)), to), to)


def _of_digits(text: str) -> Kind:
    whole, _, part = text.removeprefix("-").partition(".")
    return kinds.decimal(len(whole) + len(part), len(part))


def exact(writer: Writer, term: Term, to: Kind) -> str:
    """A whole number or decimal as another: half goes away from zero, and what does not fit is an error."""
    if to.name == "int" and term.kind.name == "decimal" and term.kind.scale:
        return writer.words.cast(f"ROUND({term.sql}, 0)", to)
    return writer.words.cast(term.sql, to)


def widen(writer: Writer, term: Term, to: Kind) -> Term:
    """The same value in a type that holds it."""
    if term.kind == to:
        return term
    if to == DOUBLE and kinds.is_exact(term.kind):
        return writer.term(writer.words.double(term.sql, term.kind), to, term)
    return writer.term(writer.words.cast(term.sql, to), to, term)


def as_text(writer: Writer, node: exp.Expression, term: Term) -> Term:
    """A value as text, where it is the same text everywhere."""
    if term.kind in (TEXT, kinds.NULL) or not term.known:
        return term
    if term.kind.name in ("int", "bool", "date", "timestamp"):
        return writer.term(writer.words.cast(term.sql, TEXT), TEXT, term)
    if term.kind.name == "decimal":
        return writer.term(writer.words.cast(writer.words.cast(term.sql, term.kind), TEXT), TEXT, term)
    return _refused(writer, node, term, TEXT)


def _int(writer: Writer, node: exp.Expression, term: Term, to: Kind) -> Term | None:
    if to.name in ("int", "decimal"):
        return writer.term(writer.words.cast(term.sql, to), to, term)
    if to == DOUBLE:
        return widen(writer, term, to)
    if to == kinds.BOOL:
        return writer.term(f"({term.sql} <> 0)", to, term)
    return as_text(writer, node, term) if to == TEXT else None


def _decimal(writer: Writer, node: exp.Expression, term: Term, to: Kind) -> Term | None:
    if to.name == "int" and writer.dialect == "spark":
        cut = f"CASE WHEN {term.sql} < 0 THEN CEIL({term.sql}) ELSE FLOOR({term.sql}) END"
        return writer.term(writer.words.cast(cut, to), to, term)
    if to.name in ("int", "decimal"):
        return writer.term(exact(writer, term, to), to, term)
    if to == DOUBLE:
        return widen(writer, term, to)
    return as_text(writer, node, term) if to == TEXT else None


def _double(writer: Writer, node: exp.Expression, term: Term, to: Kind) -> Term | None:
    if to.name == "int":
        if writer.dialect == "spark":
            return writer.refuse(
                node,
                "cast",
                "Spark cuts a double off, and others round it",
                "CAST(round(x) AS INT) on DuckDB, or a decimal",
            )
        return writer.term(writer.words.cast(writer.words.nearest(term.sql), to), to, term)
    if to.name == "decimal" and writer.dialect == "duckdb" and to.digits <= 18:  # noqa: PLR2004 - what a BIGINT holds
        return writer.term(_half_away_decimal(writer, term, to), to, term)
    return None


def _half_away_decimal(writer: Writer, term: Term, to: Kind) -> str:
    """DuckDB multiplies by the scale and rounds half away from zero; so do all, on a whole number then."""
    words, shifted = writer.words, f"({term.sql} * {writer.double_literal(10**to.scale)})"
    whole = words.cast(half_away(writer, shifted), kinds.INT8)
    unit = (
        f"CAST({10**-to.scale:.{to.scale}f} AS {words.type(kinds.decimal(to.scale + 1, to.scale))})"
        if to.scale
        else "1"
    )
    wide = words.cast(whole, kinds.decimal(19, 0))
    return words.cast(f"({wide} * {unit})", to)


def half_away(writer: Writer, sql: str) -> str:
    """A double to the nearest whole one, half away from zero."""
    if writer.words.duckdb:
        return f"ROUND({sql})"
    near = writer.words.nearest(sql)
    return f"({near} + CASE WHEN ABS({sql} - {near}) = 0.5 AND ABS({near}) < ABS({sql}) THEN SIGN({sql}) ELSE {writer.double_literal(0)} END)"


def _bool(writer: Writer, node: exp.Expression, term: Term, to: Kind) -> Term | None:
    if to.name == "int":
        return writer.term(
            writer.words.cast(f"CASE WHEN {term.sql} THEN 1 WHEN NOT {term.sql} THEN 0 END", to), to, term
        )
    return as_text(writer, node, term) if to == TEXT else None


def _date(writer: Writer, node: exp.Expression, term: Term, to: Kind) -> Term | None:
    if to == TIMESTAMP:
        return widen(writer, term, to)
    if to == MOMENT:
        return writer.refuse(
            node, "time-zone", "it takes the session's time zone", "CAST(x AS TIMESTAMP) AT TIME ZONE 'UTC'"
        )
    return as_text(writer, node, term) if to == TEXT else None


def _timestamp(writer: Writer, node: exp.Expression, term: Term, to: Kind) -> Term | None:
    if to == DATE:
        return writer.term(writer.words.cast(term.sql, to), to, term)
    if to == MOMENT:
        return writer.refuse(node, "time-zone", "it takes the session's time zone", ZONES)
    return as_text(writer, node, term) if to == TEXT else None


def _moment(writer: Writer, node: exp.Expression, term: Term, to: Kind) -> Term | None:
    del term, to
    return writer.refuse(node, "time-zone", "it takes the session's time zone", ZONES)


def _real(writer: Writer, node: exp.Expression, term: Term, to: Kind) -> Term | None:
    del node
    return writer.term(writer.words.cast(term.sql, to), to, term) if to == DOUBLE else None


def _text(writer: Writer, node: exp.Expression, term: Term, to: Kind) -> Term | None:
    del term
    return writer.refuse(
        node,
        "cast",
        f"engines read different texts as {to.name}",
        "the column's type where it is loaded: `columns: {name: date}`",
    )


def _refused(writer: Writer, node: exp.Expression, term: Term, to: Kind) -> Term:
    return writer.refuse(
        node,
        "cast",
        f"{term.kind.name} as {to.name} is not the same everywhere",
        "a cast by way of DECIMAL(p, s) or TIMESTAMP, or the type where the column is loaded",
    )


_BY_KIND = {"int": _int, "decimal": _decimal, "double": _double, "bool": _bool, "date": _date, "timestamp": _timestamp, "moment": _moment, "real": _real, "text": _text}  # fmt: skip
