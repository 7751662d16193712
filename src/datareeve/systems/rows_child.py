"""What is started to carry out a project's generator or a dlt connector: it writes its rows as Parquet pages into a folder.

python -I -B -m datareeve.systems.rows_child, with what to do as JSON on its input: {kind, function, project, cursor, arguments, resource, state,
folder, first_only}. A process of its own: what it prints, breaks or keeps is its own. It answers in `answer.json`, never with a value.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import itertools
import json
import os
import sys
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BATCH = 10_000  # rows of a page, and so what is held in memory
ABOUT_CODE = (
    SyntaxError,
    NameError,
    AttributeError,
    ImportError,
)  # their words are about code, not about rows


class Pages:
    """Rows as Parquet files, each renamed into place when it is whole."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.number = folder, 0
        self.arrow: Any = importlib.import_module("pyarrow")
        self.parquet: Any = importlib.import_module("pyarrow.parquet")
        self.known: set[str] = set()
        self.empty: dict[str, None] = {}  # columns that had no value yet

    def rows(self, some: list[dict[str, Any]]) -> None:
        """A page of dicts; keys that a row lacks have no value there."""
        names = dict.fromkeys(str(name) for row in some for name in row)
        columns = {name: self._column([row.get(name) for row in some]) for name in names}
        self.empty |= dict.fromkeys(name for name, column in columns.items() if column is None)
        kept = {name: column for name, column in columns.items() if column is not None}
        if kept:
            self.table(self.arrow.table(kept))

    def table(self, table: Any) -> None:
        """A page that is an Arrow table already."""
        self.known |= set(table.column_names)
        self.number += 1
        beside = self.folder / f".page-{self.number:07}.parquet"
        self.parquet.write_table(table, beside, compression="zstd")
        beside.replace(self.folder / beside.name[1:])

    def end(self) -> None:
        """Columns that never had a value are columns all the same."""
        if never := [name for name in self.empty if name not in self.known]:
            self.table(self.arrow.table({name: self.arrow.array([], self.arrow.string()) for name in never}))

    def _column(self, values: list[Any]) -> Any:
        values = [
            json.dumps(value, default=str) if isinstance(value, (dict, list, tuple)) else value
            for value in values
        ]
        if all(value is None for value in values):
            return None
        with contextlib.suppress(
            self.arrow.ArrowInvalid,
            self.arrow.ArrowTypeError,
            OverflowError,
            self.arrow.ArrowNotImplementedError,
        ):
            if not any(isinstance(value, float) for value in values) or not any(
                _large(value) for value in values
            ):
                return self.arrow.array(values)
        if all(
            value is None or (isinstance(value, (int, Decimal)) and not isinstance(value, bool))
            for value in values
        ):
            with contextlib.suppress(self.arrow.ArrowInvalid, self.arrow.ArrowTypeError):
                return self.arrow.array([None if value is None else Decimal(value) for value in values])
        return self.arrow.array([None if value is None else str(value) for value in values])


def _large(value: Any) -> bool:
    return isinstance(value, int) and abs(value) > 2**53


def main() -> None:
    """Do what the input says."""
    asked = json.load(sys.stdin)
    folder = Path(asked["folder"])
    sys.path[:0] = [asked["project"]]
    devnull = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(devnull, number)
    try:
        answer = _carry_out(asked, Pages(folder))
    except BaseException as error:  # noqa: BLE001 - the task's boundary: whatever the code does is told
        answer = _wrong(error, asked["project"])
    beside = folder / ".answer.json"
    beside.write_text(json.dumps(answer, default=str), encoding="utf-8")
    beside.replace(folder / "answer.json")


def _carry_out(asked: dict[str, Any], pages: Pages) -> dict[str, Any]:
    state = dict(asked.get("state") or {})
    with contextlib.ExitStack() as stack:
        made = _dlt(asked, state, stack) if asked["kind"] == "dlt" else _python(asked)
        for page in itertools.islice(_batches(made), 1 if asked.get("first_only") else None):
            pages.rows(page) if isinstance(page, list) else pages.table(page)
    pages.end()
    return {"state": json.loads(json.dumps(state, default=str)) if state else {}}


def _function(asked: dict[str, Any]) -> Any:
    module, _, name = asked["function"].partition(":")
    return getattr(importlib.import_module(module), name)


def _python(asked: dict[str, Any]) -> Iterable[Any]:
    function = _function(asked)
    takes = inspect.signature(function).parameters
    open_ended = any(one.kind is one.VAR_KEYWORD for one in takes.values())
    made: Iterable[Any] = function(
        **({"cursor": asked["cursor"] or None} if "cursor" in takes or open_ended else {})
    )
    return made


def _dlt(asked: dict[str, Any], state: dict[str, Any], stack: contextlib.ExitStack) -> Iterable[Any]:
    """The connector's rows; its incremental state is ours to keep: dlt iterates with the state that is in its context."""
    container = importlib.import_module("dlt.common.configuration.container").Container
    context = importlib.import_module("dlt.common.pipeline").StateInjectableContext
    stack.enter_context(container().injectable_context(context(state=state)))
    made = _function(asked)
    source: Any = made(**asked["arguments"]) if callable(made) else made
    if asked.get("resource"):
        source = source.resources[asked["resource"]]
    rows: Iterable[Any] = source
    return rows


def _batches(made: Iterable[Any]) -> Iterator[Any]:
    """Lists of dicts of at most `BATCH`, and Arrow tables as they come."""
    held: list[dict[str, Any]] = []
    for item in made:
        if hasattr(item, "schema") and hasattr(item, "num_rows"):
            if held:
                yield held
                held = []
            yield from _tables(item)
            continue
        for row in [item] if isinstance(item, dict) else item:
            if not isinstance(row, dict):
                raise NotRowsError
            held.append(row)
            if len(held) >= BATCH:
                yield held
                held = []
    if held:
        yield held


def _tables(item: Any) -> Iterator[Any]:
    arrow: Any = importlib.import_module("pyarrow")
    yield arrow.Table.from_batches([item]) if isinstance(item, arrow.RecordBatch) else item


class NotRowsError(Exception):
    """What was given is neither a dict, a list of dicts, nor an Arrow table."""


def _wrong(error: BaseException, project: str) -> dict[str, Any]:
    """The kind of the error and where in the project's code it was; its words only where they are about code."""
    cause = error
    place = ""
    while cause is not None:
        trace = cause.__traceback__
        while trace is not None:
            path = trace.tb_frame.f_code.co_filename
            if path.startswith(project.rstrip("/") + "/"):
                place = f"{Path(path).relative_to(project)}:{trace.tb_lineno}"
            trace = trace.tb_next
        if cause.__cause__ is None:
            break
        cause = cause.__cause__
    said = str(cause).splitlines()[0][:200] if isinstance(cause, ABOUT_CODE) and str(cause) else ""
    return {
        "error": type(cause).__name__,
        "place": place,
        "said": said,
        "no_rows": isinstance(error, NotRowsError),
    }


if __name__ == "__main__":
    main()
