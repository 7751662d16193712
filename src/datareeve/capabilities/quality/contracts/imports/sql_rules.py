"""Checks that are one figure of plain SQL: what several tools ask, written once. Every one answers a number, of an empty table too."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.quality.contracts.drafts import column, draft, literal
from datareeve.capabilities.quality.rule import NONE_BREAK, Bounds, Rule

if TYPE_CHECKING:
    from collections.abc import Sequence

TABLE = "{object}"  # the standard's placeholder: whoever reads the contract puts the physical name there


def figure(
    table: str, select: str, bounds: Bounds, *, columns: Sequence[str] = (), where: str = "", **more: Any
) -> Rule:
    """A rule by a query over one table: `select` stands before FROM."""
    kept = f" WHERE {where}" if where else ""
    return draft(
        "sql", table, columns, {"query": f"SELECT {select} FROM {TABLE}{kept}"}, bounds=bounds, **more
    )


def query(
    table: str, text: str, bounds: Bounds = NONE_BREAK, *, columns: Sequence[str] = (), **more: Any
) -> Rule:
    """A rule by a whole query."""
    return draft("sql", table, columns, {"query": text}, bounds=bounds, **more)


def source(where: str = "") -> str:
    """The table for FROM, with its condition."""
    return f"{TABLE} WHERE {where}" if where else TABLE


def and_(*conditions: str) -> str:
    """Conditions together."""
    kept = [one for one in conditions if one]
    return " AND ".join(f"({one})" for one in kept) if len(kept) > 1 else "".join(kept)


def listed(values: Sequence[Any]) -> str:
    """Literals for IN; NULL never is in a list."""
    return ", ".join(literal(one) for one in values if one is not None) or "NULL"


def duplicated_percent(table: str, name: str, most: float, where: str = "") -> Rule:
    """The share of rows whose value another row has too, the first of them counted as well."""
    c = column(name)
    inner = f"SELECT COUNT(*) AS n FROM {source(and_(f'{c} IS NOT NULL', where))} GROUP BY {c}"
    text = f"SELECT COALESCE(100.0 * SUM(CASE WHEN n > 1 THEN n ELSE 0 END) / NULLIF(SUM(n), 0), 0) FROM ({inner}) AS g"
    return query(table, text, Bounds(at_most=most), columns=(name,))


def contains(table: str, name: str, values: Sequence[Any], where: str = "") -> Rule:
    """Each of the values is there at least once."""
    c, wanted = column(name), list(dict.fromkeys(one for one in values if one is not None))
    return figure(
        table,
        f"COUNT(DISTINCT {c})",
        Bounds(equal_to=len(wanted)),
        columns=(name,),
        where=and_(f"{c} IN ({listed(wanted)})", where),
    )


def most_common(table: str, name: str, values: Sequence[Any], *, ties: bool, where: str = "") -> Rule:
    """The most frequent value is one of those; with `ties`, another one may be as frequent."""
    c = column(name)
    counts = f"SELECT {c} AS v, COUNT(*) AS n FROM {source(and_(f'{c} IS NOT NULL', where))} GROUP BY {c}"
    text = f"WITH counts AS ({counts}) SELECT COUNT(*) FROM counts WHERE n = (SELECT MAX(n) FROM counts) AND v {'' if ties else 'NOT '}IN ({listed(values)})"
    return query(table, text, Bounds(at_least=1) if ties else NONE_BREAK, columns=(name,))


def beyond_deviations(  # noqa: PLR0913 - each of them is asked for by name
    table: str, name: str, most: float, *, double_sided: bool = True, percent: float = 0.0, where: str = ""
) -> Rule:
    """The rows further than so many standard deviations from the mean."""
    c, kept = column(name), source(where)
    distance = f"({c} - m.mean) * ({c} - m.mean) > {most * most!r} * v.variance"
    side = distance if double_sided else f"{c} > m.mean AND {distance}"
    filtered, rows = f" WHERE {where}" if where else "", f"FROM {TABLE}, m, v WHERE {and_(side, where)}"
    told = "COALESCE(100.0 * COUNT(*) / NULLIF(MAX(m.n), 0), 0)" if percent else "COUNT(*)"
    variance = f"SUM(({c} - m.mean) * ({c} - m.mean)) / NULLIF(MAX(m.n) - 1, 0)"
    text = (
        f"WITH m AS (SELECT AVG({c}) AS mean, COUNT({c}) AS n FROM {kept}), "
        f"v AS (SELECT {variance} AS variance FROM {TABLE}, m{filtered}) SELECT {told} {rows}"
    )
    return query(table, text, Bounds(at_most=percent), columns=(name,))


def steps(  # noqa: PLR0913 - each of them is asked for by name
    table: str, name: str, broken: str, *, order: str = "", by: Sequence[str] = (), where: str = ""
) -> Rule:
    """The rows for which `broken` is true, of a value `v` and the one before it, `b`, in an order."""
    c, parts = column(name), ", ".join(map(column, by))
    over = f"{f'PARTITION BY {parts} ' if parts else ''}ORDER BY {column(order) if order else c}"
    inner = f"SELECT {c} AS v, LAG({c}) OVER ({over}) AS b FROM {source(where)}"
    return query(table, f"SELECT COUNT(*) FROM ({inner}) AS s WHERE {broken}", columns=(name,))


def rows_of(table: str, text: str, **more: Any) -> Rule:
    """No row may come of a query."""
    return query(table, f"SELECT COUNT(*) FROM ({text.strip().rstrip(';')}) AS found", **more)
