"""A model's unit test as one SELECT: rows that are given stand in place of its tables, and what it makes of them is compared with what is expected.

Both are multisets, NULL is equal to NULL, and only counts come back: how many expected rows are missing, and how many there are besides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.capabilities.pipelines.models.kinds import TEXT, Kind, kind_of
from datareeve.capabilities.pipelines.models.words import Words
from datareeve.capabilities.pipelines.models.writing import select_for
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from datareeve.capabilities.pipelines.models.graph import Parsed
    from datareeve.capabilities.pipelines.spec import UnitTest


def statement(  # noqa: PLR0913, PLR0917 - what one SELECT is made of
    parsed: Parsed,
    test: UnitTest,
    engine: str,
    columns_of: Mapping[str, Mapping[str, str]],
    columns: Mapping[str, str],
    keys_of: Mapping[str, Sequence[Sequence[str]]] | None = None,
) -> str:
    """One SELECT of one row: missing, unexpected. `columns` are the model's own, by type. Errors: `BadInput` `pipelines.unit-test`.

    Only the columns that the test's first expected row names are compared; all of them where it expects no rows.
    """
    words = Words(engine)
    given = _given(parsed, test, columns_of)
    names = {
        table: f"({_rows(words, rows, columns_of[table], f'{test.name}: given {table}')})"
        for table, rows in given.items()
    }
    compared = _compared(parsed, test, columns)
    expected = _rows(words, test.expect, compared, f"{test.name}: expect")
    listed = ", ".join(words.name(name) for name in compared)
    made = f"SELECT {listed} FROM ({select_for(parsed, engine, names, columns_of, keys_of)}) AS {words.name('_model')}"
    differ = "SELECT COUNT(*) FROM ({} EXCEPT ALL {}) AS " + words.name("_differ")
    one, other = f"(SELECT {listed} FROM ({expected}) AS {words.name('_expected')})", f"({made})"
    return f"SELECT ({differ.format(one, other)}) AS {words.name('missing')}, ({differ.format(other, one)}) AS {words.name('unexpected')}"


def _given(
    parsed: Parsed, test: UnitTest, columns_of: Mapping[str, Mapping[str, str]]
) -> dict[str, tuple[dict[str, Any], ...]]:
    """The rows by the tables that the model reads; absent ones are empty."""
    reads = {table.casefold(): table for table in parsed.reads}
    short = {table.rsplit(".", 1)[-1].casefold(): table for table in parsed.reads}
    found: dict[str, tuple[dict[str, Any], ...]] = dict.fromkeys(parsed.reads, ())
    for name, rows in test.given.items():
        table = reads.get(name.casefold()) or short.get(name.casefold())
        if table is None:
            raise BadInput("pipelines.unit-test", f"{parsed.name}, test {test.name}: the model does not read {name}.", f"It reads {', '.join(parsed.reads) or 'no table'}.")  # fmt: skip
        found[table] = rows
    for table in found:
        if table not in columns_of:
            raise BadInput("pipelines.unit-test", f"{parsed.name}, test {test.name}: the columns of {table} are not known.", "Run the load first, so that their types are.")  # fmt: skip
    return found


def _compared(parsed: Parsed, test: UnitTest, columns: Mapping[str, str]) -> dict[str, str]:
    if not test.expect:
        return dict(columns)
    own = {name.casefold(): name for name in columns}
    unknown = [name for row in test.expect for name in row if name.casefold() not in own]
    if unknown:
        raise BadInput("pipelines.unit-test", f"{parsed.name}, test {test.name}: the model has no column {unknown[0]}.", f"It has {', '.join(columns)}.")  # fmt: skip
    return {own[name.casefold()]: columns[own[name.casefold()]] for name in test.expect[0]}


def _rows(words: Words, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], place: str) -> str:
    """A SELECT of typed rows; what a row does not name is NULL."""
    kinds = {name: kind_of(told) for name, told in columns.items()}
    own = {name.casefold() for name in columns}
    selects = []
    for row in rows:
        unknown = [name for name in row if name.casefold() not in own]
        if unknown:
            raise BadInput("pipelines.unit-test", f"{place}: there is no column {unknown[0]}.", f"There are {', '.join(columns)}.")  # fmt: skip
        values = {name.casefold(): value for name, value in row.items()}
        selects.append(
            _select(words, {name: values.get(name.casefold()) for name in columns}, kinds, columns)
        )
    empty = _select(words, dict.fromkeys(columns), kinds, columns)
    return " UNION ALL ".join(selects) if selects else f"{empty} WHERE 1 = 0"


def _select(
    words: Words, row: Mapping[str, Any], kinds: Mapping[str, Kind], columns: Mapping[str, str]
) -> str:
    each = [
        f"CAST({_value(words, value)} AS {_type(words, kinds[name], columns[name])}) AS {words.name(name)}"
        for name, value in row.items()
    ]
    return "SELECT " + (", ".join(each) or "1")


def _value(words: Words, value: Any) -> str:
    """A value of YAML: the engine reads it as the column's type."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return words.text(str(value)) if not isinstance(value, (dict, list)) else words.text(_json(value))


def _json(value: Any) -> str:
    import json  # noqa: PLC0415 - for the rare row that holds one

    return json.dumps(value, ensure_ascii=False)


def _type(words: Words, kind: Kind, told: str) -> str:
    """The type in the engine's words; one of none of ours is as it was told."""
    if kind.name.startswith("other"):
        return told
    return (
        "NUMERIC"
        if kind.name == "numeric" and words.postgres
        else words.type(TEXT if kind.name == "numeric" else kind)
    )
