"""Spark: a cluster's master (`spark://`), Spark Connect (`sc://`) or this process (`local[n]`), through PySpark.

A process has one Spark, started when it is first asked and kept until the process ends; each system has a session of its own in it, in ANSI
mode and UTC. What is asked stands within `SELECT * FROM ( ... )`, so that Spark's own parser lets nothing but a query through; files can be
read only as declared tables. Spark's logs quote rows, and so are off, here and on the executors.
"""

from __future__ import annotations

import contextlib
import logging
import re
import socket
import threading
import uuid
import warnings
from contextlib import contextmanager, nullcontext
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from datareeve.core.errors import BadInput, DatareeveError, Failed, Refused, Unreachable
from datareeve.systems import measure
from datareeve.systems.adapter import reads
from datareeve.systems.answers import Shape, answers, missing_driver, shaped
from datareeve.systems.json_values import ROW_CAP
from datareeve.systems.measured import Measured

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager

    from datareeve.core.estate_data import SparkSystem
    from datareeve.systems.measure import Engine, Stream

CONNECT_SECONDS = 5
AGAIN_SECONDS = 0.3  # between two attempts to end a query that is late
SESSION = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.runSQLOnFiles": "false",
}
QUIET = {
    "spark.app.name": "datareeve",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "OFF",
    "spark.executor.syncLogLevel.enabled": "true",  # the executors' too: their traces quote rows
    "spark.python.sql.dataFrameDebugging.enabled": "false",
}
FORMATS = {".parquet": "parquet", ".pq": "parquet", ".orc": "orc", ".csv": "csv", ".tsv": "csv", ".json": "json", ".jsonl": "json", ".ndjson": "json"}  # fmt: skip
CSV = {"header": "true", "inferSchema": "true", "escape": '"', "mode": "FAILFAST"}
# They call any Java method there is, or any function by a name that is made while it runs.
FORBIDDEN = re.compile(
    r"\b(reflect|try_reflect|java_method|identifier)(?:`|\s|/\*.*?\*/|--[^\n]*\n)*\(",
    re.IGNORECASE | re.DOTALL,
)
TELLS = re.compile(r"\s*(show|describe|desc)\b(?!.*;\s*\S)", re.IGNORECASE | re.DOTALL)
_LOCK = threading.Lock()


class Spark(Measured):
    """One Spark, by its URL."""

    kind = "spark"
    entry: SparkSystem

    def __init__(self, name: str, entry: SparkSystem, project: Path | None = None) -> None:
        super().__init__(name)
        self.entry = entry
        self.project = project or Path.cwd()
        self._session: Any = None

    # -- reads ---------------------------------------------------------------------------------------------------------------------

    @reads
    def query(
        self,
        sql: str,
        parameters: dict[str, Any] | list[Any] | None = None,
        shape: Shape = "rows",
        timeout_seconds: float | None = None,
    ) -> Any:
        """The answer of one statement that only reads. Shapes and bound as for PostgreSQL; parameters are `:name` or `?`."""
        broken = self.prepare([sql])
        with self.running(sql, timeout_seconds or self.entry.read_timeout_seconds, broken):
            frame = self.frame(sql, parameters)
            return shaped(frame.columns, _collected(frame, ROW_CAP + 1), shape, self.kind)

    @reads
    def ask(self, statements: dict[str, str]) -> dict[str, Any]:
        """The rows of several statements by name; None for one that Spark will not answer as it is written."""
        return answers(self.query, statements)

    def measuring(self, sqls: list[str], busy_share: float) -> AbstractContextManager[Engine]:
        """See `Measured`. Spark has no snapshot across statements."""
        del busy_share
        return nullcontext(SparkEngine(self, sqls))

    @reads
    def tables(self) -> list[str]:
        """The names of the tables: those declared, and those of Spark's catalog as database.table."""
        with self.translated():
            catalog = self.session().catalog
            found = [
                f"{_identifier(database.name)}.{_identifier(table.name)}"
                for database in catalog.listDatabases()
                for table in catalog.listTables(database.name)
                if not table.isTemporary
            ]
        return [*map(_identifier, self.entry.tables), *sorted(found)]

    @reads
    def columns(self, table: str) -> list[dict[str, str]]:
        """The columns of a table, whose name is quoted with backticks: [{name, type, comment}]."""
        if broken := self.prepare([table]):
            raise next(iter(broken.values()))
        with self.translated():
            fields = self.session().table(table).schema.fields
        return [{"name": one.name, "type": one.dataType.simpleString(), "comment": str((one.metadata or {}).get("comment", ""))} for one in fields]  # fmt: skip

    @reads
    def server(self) -> dict[str, Any]:
        """What this is: engine, version, url, tables (declared)."""
        with self.translated():
            version = self.session().version
        return {
            "engine": "Spark",
            "version": version,
            "url": self.entry.url,
            "tables": len(self.entry.tables),
        }

    def identity(self) -> str:
        """The URL: Spark has no name of its own."""
        return f"spark:{self.entry.url}"

    def close(self) -> None:
        """Forget the session; the process's Spark stays for the next."""
        self._session = None

    # -- running -------------------------------------------------------------------------------------------------------------------

    def frame(self, sql: str, parameters: Any = None) -> Any:
        """The statement as a query that has not run. Errors: `Refused` `spark.not-a-read`."""
        if FORBIDDEN.search(sql):
            raise Refused(
                "spark.not-a-read",
                "This calls functions by other ways than SQL's own; it was not run.",
                "Give one SELECT.",
            )
        text = sql if TELLS.match(sql) else f"SELECT * FROM (\n{sql}\n) AS asked"  # noqa: S608 - a statement is what is asked for
        return self.session().sql(text, args=parameters or None)

    @contextmanager
    def running(
        self, sql: str, seconds: float, broken: dict[str, DatareeveError]
    ) -> Iterator[threading.Event]:
        """A time limit on what Spark runs for us meanwhile, and its errors as ours."""
        session, tag = self.session(), f"datareeve-{uuid.uuid4().hex}"
        late, done = threading.Event(), threading.Event()
        cancel = _marked(session, tag)

        def end() -> None:
            if done.wait(seconds):
                return
            late.set()
            while not done.wait(
                AGAIN_SECONDS
            ):  # a query starts jobs one after another: what is not there yet cannot be ended
                with contextlib.suppress(Exception):  # it has ended by itself, or Spark has
                    cancel()

        watch = threading.Thread(target=end, daemon=True)
        watch.start()
        try:
            with self.translated(late, sql, broken):
                yield late
        finally:
            done.set()
            watch.join()
            _unmarked(session, tag)

    @contextmanager
    def translated(
        self,
        late: threading.Event | None = None,
        sql: str = "",
        broken: dict[str, DatareeveError] | None = None,
    ) -> Iterator[None]:
        """Errors of Spark as ours, without values."""
        try:
            yield
        except DatareeveError:
            raise
        except Exception as error:  # noqa: BLE001 - Spark's, Java's and the wire's errors have no common root
            made = translate(error, self.name, late=late is not None and late.is_set())
            if made.code == "spark.vanished":
                made = next(
                    (why for name, why in (broken or {}).items() if name.lower() in sql.lower()), made
                )
            raise made from None

    # -- the session -----------------------------------------------------------------------------------------------------------------

    def session(self) -> Any:
        """This system's session. Errors: `Unreachable`, `BadInput` `spark.driver`, `spark.another`."""
        if self._session is None or _stopped(self._session):
            with self.translated():
                self._session = _opened(self.name, self.entry, self.project)
        return self._session

    def prepare(self, sqls: Iterable[str]) -> dict[str, DatareeveError]:
        """Make the declared tables that statements name into views over their files as they are now. Gives why some could not be."""
        text = "\n".join(sqls).lower()
        broken: dict[str, DatareeveError] = {}
        for name, path in self.entry.tables.items():
            if name.lower() in text.replace("``", "`"):
                try:
                    with self.translated():
                        self._view(name, path)
                except DatareeveError as error:
                    if measure.unreachable(error):
                        raise
                    self.session().catalog.dropTempView(name)
                    broken[name] = Failed(
                        error.code,
                        f"{self.name}: the files of {name} ({path}) cannot be read: {error.what}",
                        error.remedy,
                    )
        return broken

    def _view(self, name: str, path: str) -> None:
        suffix = Path(path.rstrip("/*").removesuffix(".gz")).suffix.lower() or Path(path).suffix.lower()
        kind = FORMATS.get(suffix, "parquet")
        place = path if "://" in path or path.startswith("/") else str(self.project / path)
        options = {**CSV, "sep": "\t" if suffix == ".tsv" else ","} if kind == "csv" else {}
        self.session().read.format(kind).options(**options).load(place).createOrReplaceTempView(
            _identifier(name)
        )


class SparkEngine:
    """One check's statements."""

    kind = "spark"
    longest_snapshot: float | None = None

    def __init__(self, system: Spark, sqls: list[str]) -> None:
        self.system = system
        self.sqls = sqls
        self.broken: dict[str, DatareeveError] = {}

    def begin(self) -> None:
        """Look at the files anew: there is no snapshot."""
        self.broken = self.system.prepare(self.sqls)

    def end(self) -> None:
        """Nothing is held."""

    @contextmanager
    def stream(self, sql: str, seconds: float) -> Iterator[Stream]:
        """The rows of one statement, a partition at a time; what runs longer than allowed is interrupted."""
        with self.system.running(sql, seconds, self.broken) as late:
            frame = self.system.frame(sql)
            yield list(frame.columns), _streamed(frame, late)

    def lost(self, error: DatareeveError) -> bool:
        """Whether Spark itself is gone."""
        return measure.unreachable(error)


def _marked(session: Any, tag: str) -> Callable[[], Any]:
    """Mark what this thread runs from now on; gives what ends all that is so marked."""
    context = getattr(session, "_sc", None)
    if context is None:  # Spark Connect
        session.addTag(tag)
        return lambda: session.interruptTag(tag)
    context.setJobGroup(tag, "datareeve", interruptOnCancel=True)
    return lambda: context.cancelJobGroup(tag)


def _unmarked(session: Any, tag: str) -> None:
    with contextlib.suppress(Exception):  # Spark is gone, and its marks with it
        if (context := getattr(session, "_sc", None)) is None:
            session.removeTag(tag)
        else:
            context.setLocalProperty("spark.jobGroup.id", None)


def _collected(frame: Any, most: int) -> list[tuple[Any, ...]]:
    convert = _converter(frame)
    return [convert(row) for row in frame.limit(most).collect()]


def _streamed(frame: Any, late: threading.Event) -> Iterator[tuple[Any, ...]]:
    """The rows a partition at a time, so that no more than one is in memory."""
    for row in map(_converter(frame), frame.toLocalIterator()):
        if late.is_set():
            raise TimeoutError
        yield row


def _converter(frame: Any) -> Callable[[Any], tuple[Any, ...]]:
    """PySpark gives moments in this process's time zone, without saying so: they are put back into UTC."""
    moments = [field.dataType.typeName() == "timestamp" for field in frame.schema.fields]
    if not any(moments):
        return tuple
    return lambda row: tuple(
        value.astimezone(UTC) if moment and value is not None else value
        for value, moment in zip(row, moments, strict=True)
    )


def _identifier(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


# -- starting ----------------------------------------------------------------------------------------------------------------------


def _opened(name: str, entry: SparkSystem, project: Path) -> Any:
    with _LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of PySpark about the pandas beside it, which is not used
        try:
            from pyspark.sql import SparkSession  # noqa: PLC0415 - an extra of 400 MB
        except ImportError:
            raise missing_driver("spark", "Spark", "pyspark") from None
        logging.getLogger("SQLQueryContextLogger").disabled = True  # it quotes values
        must_answer(name, entry.url)
        if entry.url.startswith("sc://"):
            session = SparkSession.builder.remote(entry.url).create()
        else:
            session = _of_process(name, entry, project, SparkSession).newSession()
        for key, value in {**entry.settings, **SESSION}.items():
            with contextlib.suppress(Exception) if key in entry.settings else contextlib.nullcontext():
                session.conf.set(key, value)  # some can be set only before it starts, and were
        return session


def _of_process(name: str, entry: SparkSystem, project: Path, spark: Any) -> Any:
    """The process's Spark, started where there is none. Errors: `BadInput` `spark.another`."""
    running = spark.getActiveSession() or spark._instantiatedSession  # noqa: SLF001 - other threads' too
    if running is not None and not _stopped(running):
        if running.sparkContext.master != entry.url:
            raise BadInput("spark.another", f"{name}: this process already works with {running.sparkContext.master}, and Spark has one master a process.", "Work with one Spark at a time, or give one of them as sc://.")  # fmt: skip
        return running
    if running is not None:
        with contextlib.suppress(Exception):  # else Python's half of what was stopped is given again
            running.stop()
    builder = spark.builder.master(entry.url)
    here = (
        {"spark.driver.bindAddress": "127.0.0.1", "spark.driver.host": "127.0.0.1"}
        if is_here(entry.url)
        else {}
    )
    place = {"spark.sql.warehouse.dir": str(project / ".datareeve" / "spark-warehouse")}
    for key, value in {**QUIET, **here, **place, **entry.settings, **SESSION}.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def is_here(url: str) -> bool:
    """Whether Spark runs on this machine."""
    return url.startswith("local") or urlsplit(url).hostname in {"127.0.0.1", "localhost", "::1"}


def must_answer(name: str, url: str) -> None:
    """See that something listens there: Spark waits a minute for a master that is not there. Errors: `Unreachable`."""
    if url.startswith("local"):
        return
    for one in re.split(r"[/;]", url.split("://", 1)[1])[0].split(","):
        host, _, port = one.rpartition(":")
        with contextlib.suppress(OSError, ValueError), socket.create_connection((host.strip("[]") or one, int(port or 0) or 15002), CONNECT_SECONDS):  # fmt: skip
            return
    raise Unreachable(
        "spark.unreachable",
        f"{name} cannot be reached.",
        "Check host, port and that its master runs; then try again.",
    )


def _stopped(session: Any) -> bool:
    if hasattr(session, "is_stopped"):  # Spark Connect
        return bool(session.is_stopped)
    try:
        context = session.sparkContext._jsc  # noqa: SLF001 - no other way
        return context is None or bool(context.sc().isStopped())
    except Exception:  # noqa: BLE001 - its Java is gone
        return True


# -- errors ------------------------------------------------------------------------------------------------------------------------

CONDITION = re.compile(r"\[([A-Z][A-Z0-9]*_[A-Z0-9_]+(?:\.[A-Z0-9_]+)*)\]")
STATE = re.compile(r"SQLSTATE: (\w{5})")
LOST = re.compile(
    r"stopped SparkContext|SparkContext was shut down|Answer from Java side is empty|Connection refused|StatusCode\.UNAVAILABLE|Broken pipe|All masters are unresponsive|Error while sending or receiving"
)
BY_TEXT: tuple[tuple[str, type[DatareeveError], str, str, str], ...] = (
    (r"PatternSyntaxException|\.PATTERN\b|INVALID_REGEX", BadInput, "regex", "a pattern of this statement is not a regular expression", "Write it as Java's Pattern takes it."),
    (r"OutOfMemoryError|UNABLE_TO_ACQUIRE_MEMORY|maxResultSize", Failed, "memory", "the statement needs more memory than it may have", "Ask for less at once, or give spark.executor.memory more."),
    (r"AccessControlException|Permission denied|INSUFFICIENT_PERMISSIONS|NO_PERMISSION", Refused, "grant", "the rights for this are missing", "Let an owner grant them."),
    (r"PATH_NOT_FOUND|FileNotFoundException|FILE_NOT_EXIST", Failed, "vanished", "a file of it is not there", "Look whether it was moved; every worker must see it."),
    (r"CANNOT_READ_FILE_FOOTER|is not a Parquet file|UNABLE_TO_INFER_SCHEMA|FAILED_READ_FILE|MALFORMED_RECORD|MALFORMED_CSV", Failed, "file", "a file of it is not whole, or of another format", "Write it anew; write beside, then rename."),
)  # fmt: skip
VANISHED = (
    "TABLE_OR_VIEW_NOT_FOUND",
    "UNRESOLVED_COLUMN",
    "UNRESOLVED_ROUTINE",
    "SCHEMA_NOT_FOUND",
    "FIELD_NOT_FOUND",
)


def translate(error: Exception, system: str, *, late: bool) -> DatareeveError:  # noqa: PLR0911 - one a kind
    """The error as ours, by Spark's error condition and SQLSTATE; its words often quote rows, and only names of objects are passed on."""
    said = str(error)
    if late:
        return Failed(
            "spark.timeout",
            f"{system}: the statement took longer than allowed.",
            "Give systems.*.read_timeout_seconds more.",
        )
    if LOST.search(said) or isinstance(error, (ConnectionError, EOFError)):
        return Unreachable(
            "spark.lost", f"The connection to {system} was lost.", "Try again when Spark is back."
        )
    for pattern, kind, code, what, remedy in BY_TEXT:
        if re.search(pattern, said):
            return kind(f"spark.{code}", f"{system}: {what}.", remedy)
    condition, state = _condition(error, said)
    if condition.startswith(VANISHED):
        return Failed("spark.vanished", f"{system}: there is no {_named(error)}.", "Correct the statement.")
    if condition.startswith("PARSE_") or state == "42601":
        return BadInput(
            "spark.syntax", f"{system}: this is not one query as Spark knows it.", "Give one SELECT."
        )
    if state.startswith("22"):
        return Failed(
            "spark.cast",
            f"{system}: a value cannot be read or counted with as asked ({condition}).",
            "Values are not repeated here.",
        )
    return Failed(
        f"spark.{(condition or 'error').lower()}",
        f"{system}: Spark says {condition or type(error).__name__}.",
        "Values are not repeated here.",
    )


def _condition(error: Exception, said: str) -> tuple[str, str]:
    told = getattr(error, "getCondition", None)
    found, state = CONDITION.search(said), STATE.search(said)
    condition = (told() if told else None) or (found[1] if found else "")
    return condition, state[1] if state else ""


def _named(error: Exception) -> str:
    told = getattr(error, "getMessageParameters", None)
    parameters = (told() if told else None) or {}
    name = next(
        (
            parameters[key]
            for key in ("relationName", "objectName", "routineName", "schemaName", "fieldName")
            if key in parameters
        ),
        "",
    )
    return name or "such table or column"
