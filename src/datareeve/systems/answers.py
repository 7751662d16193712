"""What the adapters of MariaDB/MySQL, SQLite and DuckDB share: the shape of an answer, its bound, and one named statement from many.

`query` has the same shapes and the same bound on every engine; the reasons stand in `systems/postgres.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from datareeve.core.errors import BadInput, Failed, Refused, Unreachable
from datareeve.systems.json_values import ROW_CAP, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Shape = Literal["rows", "row", "scalar", "column"]


def shaped(names: Sequence[str], rows: Sequence[Iterable[Any]], shape: Shape, kind: str) -> Any:
    """Rows of a driver as JSON: rows (list of dicts), row (a dict or None), scalar, or column (a list).

    Errors: `BadInput` `<kind>.too-many-rows` above 100,000 rows: an error, not a cut.
    """
    if len(rows) > ROW_CAP:
        raise BadInput(
            f"{kind}.too-many-rows",
            f"The query gave more than {ROW_CAP:,} rows.",
            "Add a LIMIT or an aggregate.",
        )
    table = [dict(zip(names, map(to_json, row), strict=True)) for row in rows]
    if shape == "rows":
        return table
    if shape == "row":
        return table[0] if table else None
    column = [next(iter(row.values())) for row in table]
    return column if shape == "column" else (column[0] if column else None)


def answers(
    query: Callable[..., Any],
    statements: dict[str, str],
    passed_on: tuple[str, ...] = (".timeout", ".damaged"),
) -> dict[str, Any]:
    """The rows of several statements by name; None for one that could not be answered as it is written.

    Errors: what has nothing to do with the statement (a lost connection, the codes `passed_on`) is passed on.
    """
    found: dict[str, Any] = {}
    for name, sql in statements.items():
        try:
            found[name] = query(sql=sql)
        except (BadInput, Failed, Refused) as error:
            if isinstance(error, Unreachable) or error.code.endswith(passed_on):
                raise
            found[name] = None
    return found


def missing_driver(kind: str, names: str, driver: str) -> BadInput:
    """Said where an engine's extra is not installed."""
    return BadInput(
        f"{kind}.driver",
        f"{names} need{'' if ' and ' in names else 's'} the {driver} driver, which is not installed.",
        f"pip install 'datareeve[{kind}]'",
    )
