"""Rows from one PostgreSQL into another: COPY into COPY, in binary, by libpq's own calls.

psycopg's cursors look after each row by itself, which costs more than both servers' work on it. Here rows are handed on many at a time.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import psycopg
from psycopg import pq
from psycopg.errors import error_from_result

if TYPE_CHECKING:
    from psycopg.pq.abc import PGconn, PGresult

BLOCK_BYTES = 1 << 18


def relayed(source: PGconn, target: PGconn, out: str, into: str) -> int:
    """Run both statements, without their format, in the transactions that are open; gives how many rows the target took.

    Errors: psycopg's, of the side that failed.
    """
    _begun(source, f"{out} (FORMAT binary)", pq.ExecStatus.COPY_OUT)
    blocking = target.nonblocking
    target.nonblocking = 0  # else what the target has not taken yet is kept in memory
    try:
        _begun(target, f"{into} (FORMAT binary)", pq.ExecStatus.COPY_IN)
        try:
            _handed_on(source, target)
        except BaseException:
            with suppress(psycopg.Error):  # the target may be what failed
                target.put_copy_end(b"not all rows came")
                _drained(target)
            raise
        target.put_copy_end()
        return int(_ended(target).command_tuples or 0)
    finally:
        target.nonblocking = blocking


def _handed_on(source: PGconn, target: PGconn) -> None:
    rows: list[memoryview] = []
    size = 0
    while True:
        length, row = source.get_copy_data(0)
        if length <= 0:
            break
        rows.append(row)
        size += length
        if size >= BLOCK_BYTES:
            target.put_copy_data(b"".join(rows))
            rows.clear()
            size = 0
    target.put_copy_data(b"".join(rows))
    _ended(source)


def _begun(connection: PGconn, statement: str, expected: pq.ExecStatus) -> None:
    result = connection.exec_(statement.encode())
    if result.status != expected:
        raise error_from_result(result)


def _ended(connection: PGconn) -> PGresult:
    """The statement's result. Errors: psycopg's where it failed."""
    results = _drained(connection)
    for result in results:
        if result.status != pq.ExecStatus.COMMAND_OK:
            raise error_from_result(result)
    return results[-1]


def _drained(connection: PGconn) -> list[PGresult]:
    results = []
    while (result := connection.get_result()) is not None:
        results.append(result)
    return results
