"""`measure`: many statements of a check, asked of one snapshot, with what became of each. Every SQL adapter answers it in this shape.

An engine gives an `Engine`; the order of things is written here once: a snapshot, the statements one after another, a rest between them
where the estate wants one (`busy_share`), a new snapshot where the one held is too old. One statement's error is its own answer; only the
loss of the connection ends the whole. A statement with a `check` is streamed through a named test within this process: counts leave, no value.
"""

from __future__ import annotations

import decimal
import math
from itertools import islice
from time import perf_counter, sleep
from typing import TYPE_CHECKING, Any, Protocol

from datareeve.core.clock import stamp
from datareeve.core.errors import BadInput, DatareeveError, Unreachable
from datareeve.core.personal_data import formats
from datareeve.systems.json_values import to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

ROWS_KEPT = 1_000  # that one statement may answer
ROWS_AT_ONCE = 1_000  # of a stream, in memory
STATEMENT_SECONDS_LEAST = 0.001

Stream = tuple[list[str], "Iterator[Sequence[Any]]"]  # names of columns, and the rows as they come


class Engine(Protocol):
    """What an engine does of `measure`. It raises only our own errors."""

    kind: str
    longest_snapshot: float | None  # seconds that it may be held at all; None: as long as is asked for

    def begin(self) -> str | None:
        """Begin a snapshot for reading. Gives its moment; None where the engine has no snapshots."""

    def end(self) -> None:
        """Let the snapshot and all it holds go. Quiet where there is none, or where the connection is lost."""

    def stream(self, sql: str, seconds: float) -> AbstractContextManager[Stream]:
        """The rows of one statement that only reads, as they come. Afterwards the next can be asked, whatever became of this one."""

    def lost(self, error: DatareeveError) -> bool:
        """Whether nothing more can be asked after this error."""


def measure(
    engine: Engine,
    statements: list[dict[str, Any]],
    *,
    timeout_seconds: float,
    snapshot_seconds: float | None = None,
    busy_share: float = 1.0,
) -> dict[str, Any]:
    """What each statement answers: {statements: {id: {rows | error, seconds}}, snapshot, snapshots, began}.

    `error` is {code, what, cause}: cause is one of `CAUSES`. `snapshots` is how many were needed: above 1, not all is of one moment.
    Errors: `BadInput` `measure.statements`, `measure.busy-share`; `Unreachable` where the connection is lost.
    """
    asked = _understood(statements, busy_share)
    began, held = stamp(), _Held(engine, snapshot_seconds)
    found: dict[str, Any] = {}
    try:
        held.renew()
        for place, statement in enumerate(asked):
            if place:
                held.rest(busy_share)
            found[statement["id"]] = held.answer(statement, max(timeout_seconds, STATEMENT_SECONDS_LEAST))
    finally:
        engine.end()
    return {"statements": found, "snapshot": held.moment, "snapshots": held.count, "began": began}


class _Held:
    """The snapshot that is held, how old it is, and how long the last statement took."""

    def __init__(self, engine: Engine, longest: float | None) -> None:
        self.engine = engine
        self.asked = math.inf if longest is None else longest
        self.longest = math.inf
        self.moment: str | None = None
        self.count = 0
        self._since = self._worked = 0.0

    def renew(self) -> None:
        moment = self.engine.begin()
        own = self.engine.longest_snapshot
        self.longest = self.asked if own is None else min(self.asked, own)
        self._since = perf_counter()
        self.moment = self.moment or moment  # the first: nothing that was measured is older
        self.count += moment is not None

    def rest(self, busy_share: float) -> None:
        """Leave the engine alone for its share of the time, and take a new snapshot where this one would be held too long."""
        pause = self._worked * (1 / busy_share - 1)
        old = perf_counter() - self._since + pause >= self.longest
        if old:
            self.engine.end()  # before the pause: nothing is held for nothing
        sleep(pause)
        if old:
            self.renew()

    def answer(self, statement: dict[str, Any], seconds: float) -> dict[str, Any]:
        start = perf_counter()
        try:
            answer: dict[str, Any] = {"rows": _rows(self.engine, statement, seconds)}
        except DatareeveError as error:
            if self.engine.lost(error):
                raise
            answer = {"error": told(error)}
        self._worked = perf_counter() - start
        return {**answer, "seconds": self._worked}


def _rows(engine: Engine, statement: dict[str, Any], seconds: float) -> list[dict[str, Any]]:
    asked = statement.get("check")
    check = formats.tester(asked["format"], asked.get("arguments") or {}) if asked else None
    with engine.stream(statement["sql"], seconds) as (names, rows):
        if check is not None:
            return [_checked(rows, check, width=len(names))]
        if statement.get("look"):
            from datareeve.systems import samples  # noqa: PLC0415 - what knows personal data is slow to load

            return samples.looked(names, rows)
        kept = [dict(zip(names, map(figure, row), strict=True)) for row in islice(rows, ROWS_KEPT + 1)]
        if len(kept) > ROWS_KEPT:
            raise BadInput(
                f"{engine.kind}.too-many-rows",
                f"A statement of a check gave more than {ROWS_KEPT:,} rows.",
                "Add a LIMIT or an aggregate.",
            )
        return kept


def _checked(rows: Iterable[Sequence[Any]], valid: Callable[[Any], bool], width: int) -> dict[str, int]:
    """How many of (value, count) pairs fail the test. NULL is neither checked nor failing."""
    if width != 2:  # noqa: PLR2004 - a pair
        raise BadInput(
            "measure.check",
            "A statement with a check gives a value and how often it is there.",
            "SELECT value, count(*) ... GROUP BY 1",
        )
    failing = checked = distinct = 0
    for value, count in rows:
        if value is None:
            continue
        distinct, checked = distinct + 1, checked + int(count)
        failing += 0 if valid(value) else int(count)
    return {"failing": failing, "checked": checked, "distinct": distinct}


def figure(value: Any) -> Any:
    """A value of a driver as JSON has it; whole numbers stay exact however large, as sums and checksums are compared."""
    if isinstance(value, decimal.Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    return to_json(value)


def fetched(cursor: Any, rows: int = ROWS_AT_ONCE) -> Iterator[Sequence[Any]]:
    """The rows of a driver's cursor as they come."""
    while some := cursor.fetchmany(rows):
        yield from some


def only_one_of(kind: str) -> BadInput:
    """Said of a statement that gives nothing to read."""
    return BadInput(f"{kind}.not-a-read", "This gives no rows: it is not a SELECT.", "Give one SELECT.")


def _understood(statements: list[dict[str, Any]], busy_share: float) -> list[dict[str, Any]]:
    if not 0 < busy_share <= 1:
        raise BadInput("measure.busy-share", "busy_share lies above 0 and is at most 1.", "1: without rests.")
    for statement in statements:
        if not (isinstance(statement.get("id"), str) and isinstance(statement.get("sql"), str)):
            raise BadInput("measure.statements", "A statement has no id or no sql.", "Give both, as text.")
        check = statement.get("check")
        if check and not (isinstance(check, dict) and isinstance(check.get("format"), str)):
            raise BadInput("measure.statements", "A check has no format.", "Give {format: NAME}.")
    ids = [statement["id"] for statement in statements]
    if twice := next((one for one in ids if ids.count(one) > 1), None) if len(set(ids)) < len(ids) else None:
        raise BadInput(
            "measure.statements", f"Two statements are called {twice!r}.", "Name each its own way."
        )
    return statements


# -- errors ------------------------------------------------------------------------------------------------------------------------

CAUSES = (
    "no rights", "vanished", "timeout", "bad cast", "bad regex", "memory", "lock", "not a read", "unknown format", "other"
)  # fmt: skip
BY_CODE: Mapping[str, str] = {
    "postgres.42P01": "vanished", "postgres.42703": "vanished", "postgres.3F000": "vanished", "postgres.42883": "vanished",
    "postgres.2201B": "bad regex", "postgres.53200": "memory", "postgres.54000": "memory", "postgres.read-only": "not a read",
    "mysql.1146": "vanished", "mysql.1054": "vanished", "mysql.1412": "vanished", "mysql.1356": "vanished", "mysql.1305": "vanished",
    "mysql.1139": "bad regex", "mysql.1292": "bad cast", "mysql.1690": "bad cast", "mysql.1366": "bad cast",
    "mysql.1037": "memory", "mysql.1038": "memory", "mysql.1041": "memory", "mysql.1114": "memory",
    "sqlite.sql": "vanished", "sqlite.7": "memory", "sqlite.18": "memory",
    "duckdb.sql": "vanished", "duckdb.catalog": "vanished", "duckdb.binder": "vanished",
    "duckdb.conversion": "bad cast", "duckdb.outofrange": "bad cast",
    "format.unknown": "unknown format", "format.needs-extra": "unknown format", "format.arguments": "unknown format",
}  # fmt: skip
BY_ENDING: Mapping[str, str] = {
    "grant": "no rights", "no-rights": "no rights", "timeout": "timeout", "lock-timeout": "lock", "cast": "bad cast", "regex": "bad regex",
    "memory": "memory", "disk-full": "memory", "vanished": "vanished", "not-a-read": "not a read", "several-statements": "not a read",
}  # fmt: skip


def cause(code: str) -> str:
    """Which of `CAUSES` an error's code stands for: the same words whatever the engine."""
    kind, _, ending = code.partition(".")
    found = (
        BY_CODE.get(code)
        or BY_ENDING.get(ending)
        or BY_CODE.get(f"duckdb.{ending}" if kind == "folder" else "")
    )
    if found is None and kind == "postgres" and ending.startswith("22"):
        return "bad cast"  # data exceptions: what cannot be read as a number, a date ...
    return found or "other"


def told(error: DatareeveError) -> dict[str, str]:
    """An error as a statement's answer."""
    return {"code": error.code, "what": error.what, "cause": cause(error.code)}


def unreachable(error: DatareeveError) -> bool:
    """Whether an error says by itself that the connection is lost."""
    return isinstance(error, Unreachable)
