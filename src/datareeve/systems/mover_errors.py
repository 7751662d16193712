"""What DuckDB and the drivers behind it say while rows move, as our errors: their words quote values, hosts and passwords, so none are passed on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from datareeve.core.errors import BadInput, DatareeveError, Failed, LeaseLost, Refused, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

FENCED = "datareeve.fenced"  # raised in the destination by a statement whose epoch is not the newest


class Unreadable(Failed):
    """Some row cannot be taken as it is: what reads carefully finds which."""


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Errors of the block as ours; `what` names what was being done: 'load flights'."""
    try:
        yield
    except DatareeveError:
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in ("duckdb", "_duckdb", "psycopg"):
            raise
        raise translate(error, what) from None


def fenced(what: str) -> LeaseLost:
    """Another worker has taken the pipeline over since this one began."""
    return LeaseLost(
        "pipelines.fenced",
        f"{what}: another worker has taken this pipeline over.",
        "This worker stops, and nothing of it was committed; look at `datareeve runs`.",
    )


ROW = (
    "ConversionException",
    "OutOfRangeException",
    "InvalidInputException",
    "ConstraintException",
    "TypeMismatchException",
)
ROW_STATES = ("22", "23")  # SQLSTATE classes: data exception, integrity constraint violation
LOST = ("server closed", "connection to server", "could not connect", "SSL SYSCALL", "terminating connection", "Lost connection", "gone away", "Unable to connect", "no connection to the server")  # fmt: skip
LOGIN = ("authentication failed", "no password supplied", "no pg_hba.conf entry", "FATAL:  role", "FATAL:  database", "Access denied for user")  # fmt: skip
FULL = ("No space left", "File too large", "quota exceeded", "disk full", "could not extend file")


def translate(error: Exception, what: str) -> DatareeveError:  # noqa: C901, PLR0911 - one a kind
    """The error as ours."""
    said, kind = str(error), type(error).__name__
    state = str(getattr(error, "sqlstate", None) or "")
    if FENCED in said:
        return fenced(what)
    if "Could not set lock" in said or "Conflicting lock" in said or "different configuration" in said:
        return Unreachable(
            "pipelines.locked",
            f"{what}: the DuckDB file is open in another process.",
            "It goes on when that has closed the file.",
        )
    if any(text in said for text in FULL) or state == "53100":
        return Failed(
            "pipelines.no-space",
            f"{what}: there is no space left to write.",
            "Free space; the next run goes on where this one stopped.",
        )
    if kind == "OutOfMemoryException" or state == "53200":
        return Failed(
            "pipelines.memory",
            f"{what}: it needs more memory than it may have.",
            "Give pipelines.memory_mb more, or make batch_rows smaller.",
        )
    if any(text in said for text in LOGIN) or state[:2] == "28":
        return Refused(
            "pipelines.login",
            f"{what}: the server lets this user in no more: its name, its password or the database is another.",
            "Correct what estate.yaml refers to: url, password.",
        )
    if (
        any(text in said for text in LOST)
        or state[:2] in ("08", "57")
        or kind in ("OperationalError", "AdminShutdown")
    ):
        return Unreachable(
            "pipelines.connection-lost",
            f"{what}: the connection was lost.",
            "It goes on at the last committed batch when the server is back.",
        )
    if "permission denied" in said.lower() or state == "42501":
        return Refused(
            "pipelines.no-rights",
            f"{what}: the role has no right to do that.",
            "Grant it, or name another role.",
        )
    if (
        state == "2BP01"
        or kind == "DependencyException"
        or "depends on it" in said
        or (state == "0A000" and "used by a" in said)
    ):
        return Refused(
            "pipelines.rests-upon",
            f"{what}: a view, an index or a rule rests on a column whose type would become another.",
            "Drop it, run again, and make it anew; or give evolution.wider_type: quarantine.",
        )
    if kind in ROW or state[:2] in ROW_STATES or "invalid input syntax" in said or "out of range" in said:
        return Unreadable(
            "pipelines.unreadable-row",
            f"{what}: a row cannot be taken as it is.",
            "Allow rejects, or correct the source.",
        )
    if kind in ("CatalogException", "BinderException", "ParserException") or state[:2] == "42":
        return BadInput(
            "pipelines.statement",
            f"{what}: a table or column that it names is not there, or is of another type.",
            "Compare the pipeline with what the system has now.",
        )
    return Failed(
        "pipelines.failed",
        f"{what}: the engine says {kind.removesuffix('Exception')}.",
        "Values are not repeated here; the server's log has the words.",
    )
