"""Parameters for families whose source keeps none (pg_stat_statements): plausible values, taken from the planner's own statistics.

The values are personal data as much as recorded ones: they are bound as parameters in this process and go nowhere else.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import DatareeveError

if TYPE_CHECKING:
    from datareeve.systems.postgres import Postgres
    from datareeve.systems.workload_source import Shape

VALUES_SQL = """
SELECT coalesce(histogram_bounds::text::text[], '{}') || coalesce(most_common_vals::text::text[], '{}') AS found
  FROM pg_stats
 WHERE tablename = %(table)s AND attname = %(column)s
   AND schemaname NOT IN ('pg_catalog', 'information_schema')
 LIMIT 1
"""
PARAMETER = re.compile(r"\$(\d+)")
PAGE = 20  # rows, where a LIMIT is open


def invent(system: Postgres, shape: Shape, limit: int, text: str = "") -> list[tuple[str, Any]]:
    """Up to `limit` executions of a shape; none where some parameter is compared with no plain column."""
    del text
    places = _places(shape)
    if places is None or not shape.parsed:
        return []
    numbered = PARAMETER.sub(r"%(p\1)s", shape.text.replace("%", "%%"))
    choices = {n: _choices(system, place) for n, place in places.items()}
    if not all(choices.values()):
        return []
    return [
        (numbered, {f"p{n}": found[i * len(found) // limit] for n, found in choices.items()})
        for i in range(limit)
    ]


def _choices(system: Postgres, place: tuple[str, str] | int) -> list[Any]:
    if isinstance(place, int):
        return [place]
    try:
        row = system.query(VALUES_SQL, {"table": place[0], "column": place[1]}, shape="row")
    except DatareeveError:
        return []
    return row["found"] if row else []


def _places(shape: Shape) -> dict[int, tuple[str, str] | int] | None:
    """For each parameter the (table, column) it is compared with, or a number for LIMIT and OFFSET; None where one is neither."""
    import sqlglot  # noqa: PLC0415 - heavy, and needed only here
    from sqlglot import exp  # noqa: PLC0415

    if not shape.parsed or "$1" not in shape.text:
        return None
    tree = sqlglot.parse_one(shape.text, read="postgres")
    tables = {t.alias_or_name: t.name for t in tree.find_all(exp.Table)}
    places: dict[int, tuple[str, str] | int] = {}
    for parameter in tree.find_all(exp.Parameter):
        number, parent = int(parameter.name), parameter.parent
        if isinstance(parent, (exp.Limit, exp.Fetch)):
            places[number] = PAGE
        elif isinstance(parent, exp.Offset):
            places[number] = 0
        else:
            column = (
                parent.this
                if isinstance(parent, (exp.In, exp.Between, exp.EQ, exp.GT, exp.GTE, exp.LT, exp.LTE))
                else None
            )
            if not isinstance(column, exp.Column) or (not column.table and len(tables) != 1):
                return None
            places[number] = (tables.get(column.table) or next(iter(tables.values())), column.name)
    return places
