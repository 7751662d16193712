"""The queue of pipelines that have something to be done, beside the shared ledger: procrastinate's tables in a schema of their own.

A job says no more than `this pipeline has work`: what the work is stands in the ledger, so that a job that is lost, or taken twice, costs a look.
A worker tells that it lives by its heartbeat; the jobs of one that stopped telling go back into the queue, and whoever takes them finds in the
ledger how far it came.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from datareeve.core.errors import BadInput, DatareeveError, Failed, Unreachable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from procrastinate import App

    from datareeve.core.secrets import Secret

    Perform = Callable[[str], Awaitable[float | None]]

log = logging.getLogger(__name__)

SCHEMA: Final = "datareeve_queue"
QUEUE: Final = "pipelines"
TASK: Final = "datareeve.pipeline"
LOCK: Final = 724621  # of the making of its tables, over all that open it
HEARTBEAT_SECONDS = 5.0
STALLED_SECONDS = 30.0  # a worker that was silent for so long is taken for dead
POLL_SECONDS = 5.0  # where a notification is lost
AGAIN_SECONDS = 10.0  # before the database is asked again after it was away


class Later(Exception):
    """The job is to be taken again in so many seconds."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class JobQueue:
    """One queue, on the ledger's own PostgreSQL. Errors of all of it: `BadInput` `worker.needs-extra`; `Unreachable` `ledger.unreachable`."""

    def __init__(self, url: str, password: Secret | None = None) -> None:
        self._url = url
        self._connecting: dict[str, Any] = {
            "options": f"-c search_path={SCHEMA}",
            "application_name": "datareeve/queue",
            "connect_timeout": 10,
        }
        if password is not None:
            self._connecting["password"] = password.reveal()
        self._prepared = False

    # -- its tables ----------------------------------------------------------------------------------------------------------------

    def prepare(self) -> None:
        """Make its tables, or bring them up to procrastinate's version; quiet where they are. Errors: `Failed` `worker.rights`, `worker.queue`."""
        if self._prepared:
            return
        with self._connected() as connection:
            connection.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
            try:
                self._migrate(connection)
            finally:
                connection.execute("SELECT pg_advisory_unlock(%s)", (LOCK,))
        self._prepared = True

    def _migrate(self, connection: Any) -> None:
        newest = _migrations()[-1].name
        asked = "SELECT obj_description(to_regnamespace(%s)::oid, 'pg_namespace')"
        there = connection.execute(asked, (SCHEMA,)).fetchone()[0]
        if there == newest:
            return
        if there is not None and there > newest:
            raise BadInput(
                "worker.newer", "The queue was made by a newer procrastinate.", "Upgrade it here too."
            )
        wanted = (
            [_schema()]
            if there is None
            else [one.read_text(encoding="utf-8") for one in _migrations() if one.name > there]
        )
        with connection.transaction():
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
            for statements in wanted:
                connection.execute(statements, prepare=False)
            connection.execute(f"COMMENT ON SCHEMA {SCHEMA} IS '{newest}'")

    @contextmanager
    def _connected(self) -> Iterator[Any]:
        import psycopg  # noqa: PLC0415 - only where a ledger is shared

        try:
            with psycopg.connect(self._url, autocommit=True, **self._connecting) as connection:
                yield connection
        except psycopg.OperationalError:
            raise _unreachable() from None
        except psycopg.errors.InsufficientPrivilege:
            raise Failed(
                "worker.rights",
                f"The ledger's user may not make the schema {SCHEMA}.",
                f"As an owner of the database: CREATE SCHEMA {SCHEMA} AUTHORIZATION <the ledger's user>.",
            ) from None
        except psycopg.Error as error:
            raise Failed(
                "worker.queue",
                f"The queue cannot be used (SQLSTATE {error.sqlstate}).",
                f"DROP SCHEMA {SCHEMA} CASCADE loses nothing: it is made anew, and what is open stands in the ledger.",
            ) from None

    # -- what the loop asks ----------------------------------------------------------------------------------------------------------

    def used(self, within_seconds: float) -> bool:
        """Whether a worker has told within so many seconds that it lives."""
        asked = "SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => %s)"
        with self._connected() as connection:
            there = connection.execute("SELECT to_regclass('procrastinate_workers')").fetchone()
            if there[0] is None:
                return False
            return bool(connection.execute(asked, (within_seconds,)).fetchone()[0])

    def put(self, pipeline: str) -> None:
        """Say that a pipeline has work; quiet where that is said already, or being done."""
        from procrastinate.exceptions import AlreadyEnqueued  # noqa: PLC0415 - an extra

        self.prepare()
        if pipeline in self.waiting():
            return
        app = _application(self._url, self._connecting, asynchronous=False)
        with _translated(), app.open(), contextlib.suppress(AlreadyEnqueued):
            deferred = app.configure_task(TASK, queue=QUEUE, lock=pipeline, queueing_lock=pipeline)
            deferred.defer(pipeline=pipeline)

    def waiting(self) -> set[str]:
        """The pipelines that are in the queue, or being worked on."""
        asked = "SELECT args->>'pipeline' FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
        with self._connected() as connection:
            return {str(row[0]) for row in connection.execute(asked)}

    # -- what a worker does ----------------------------------------------------------------------------------------------------------

    def work(self, perform: Perform, **options: Any) -> Work:
        """A worker on this queue. `perform` gives None when there is nothing left to do for a pipeline, or in how many seconds there is."""
        return Work(self, perform, **options)


class Work:
    """Takes jobs until it is told to stop."""

    def __init__(
        self,
        queue: JobQueue,
        perform: Perform,
        *,
        concurrency: int = 1,
        once: bool = False,
        stalled_seconds: float = STALLED_SECONDS,
    ) -> None:
        self._queue, self._perform, self._concurrency, self._once = queue, perform, concurrency, once
        self._stalled = stalled_seconds
        self._beat = min(HEARTBEAT_SECONDS, stalled_seconds / 4)
        self._worker: Any = None
        self._stopped = False

    def stop(self) -> None:
        """Take no more; what is under way is finished first."""
        self._stopped = True
        if self._worker is not None:
            self._worker.stop()

    async def run(self) -> None:
        """Until it is stopped; with `once`, until nothing is left. Where the database is away, it is asked again. Errors: as `JobQueue.prepare`."""
        while not self._stopped:
            try:
                await asyncio.to_thread(self._queue.prepare)
                await self._run()
            except Unreachable:
                if self._once:
                    raise
                log.warning("The ledger is away; it is asked again.")
            if self._once:
                return
            if not self._stopped:
                await asyncio.sleep(AGAIN_SECONDS)

    async def _run(self) -> None:
        app = _application(self._queue._url, self._queue._connecting, asynchronous=True)  # noqa: SLF001 - of one module

        @app.task(name=TASK, queue=QUEUE, retry=_strategy())
        async def run(pipeline: str) -> None:
            again = await self._perform(pipeline)
            if again is not None:
                raise Later(again)

        with _translated():
            async with app.open_async():
                await self._take_over(app)
                taking_over = asyncio.create_task(self._keep_taking_over(app))
                try:
                    self._worker = self._made(app)
                    if not self._stopped:
                        await self._worker.run()
                finally:
                    self._worker = None
                    taking_over.cancel()

    def _made(self, app: App) -> Any:
        from procrastinate.worker import Worker  # noqa: PLC0415 - an extra

        return Worker(
            app,
            queues=[QUEUE],
            concurrency=self._concurrency,
            wait=not self._once,
            fetch_job_polling_interval=min(POLL_SECONDS, self._stalled),
            install_signal_handlers=False,
            delete_jobs="always",  # what became of it stands in the ledger
            update_heartbeat_interval=self._beat,
            stalled_worker_timeout=self._stalled,
        )

    async def _keep_taking_over(self, app: App) -> None:
        while True:
            await asyncio.sleep(self._beat)
            with contextlib.suppress(DatareeveError), _translated():
                await self._take_over(app)

    async def _take_over(self, app: App) -> None:
        """The jobs of workers that have been silent for too long go back into the queue."""
        from procrastinate.exceptions import ConnectorException  # noqa: PLC0415 - an extra

        manager = app.job_manager
        for job in await manager.get_stalled_jobs(queue=QUEUE, seconds_since_heartbeat=self._stalled):
            with contextlib.suppress(ConnectorException):  # another worker was faster
                await manager.retry_job(job)


# -- procrastinate -----------------------------------------------------------------------------------------------------------------


def _application(url: str, connecting: dict[str, Any], *, asynchronous: bool) -> App:
    try:
        import procrastinate  # noqa: PLC0415 - an extra
    except ImportError:
        raise needs_extra() from None
    kind = procrastinate.PsycopgConnector if asynchronous else procrastinate.SyncPsycopgConnector
    return procrastinate.App(connector=kind(conninfo=url, kwargs=connecting, min_size=1, timeout=15.0))


def needs_extra() -> BadInput:
    """That workers are not installed."""
    return BadInput(
        "worker.needs-extra",
        "Workers need procrastinate, which is not installed.",
        "`pip install 'datareeve[workers]'`.",
    )


def _strategy() -> Any:
    from procrastinate.retry import BaseRetryStrategy, RetryDecision  # noqa: PLC0415 - an extra

    class Again(BaseRetryStrategy):
        """A job comes again when it says so, and after a while where something else went wrong: nothing is lost by looking again."""

        def get_retry_decision(self, *, exception: BaseException, job: object) -> RetryDecision:
            del job
            seconds = exception.seconds if isinstance(exception, Later) else AGAIN_SECONDS
            return RetryDecision(retry_in={"seconds": int(seconds + 0.999)})

    return Again()


@contextmanager
def _translated() -> Iterator[None]:
    from procrastinate.exceptions import ConnectorException  # noqa: PLC0415 - an extra
    from psycopg import OperationalError  # noqa: PLC0415 - as above

    try:
        yield
    except (ConnectorException, OperationalError):  # a full or dead pool is among them
        raise _unreachable() from None


def _unreachable() -> Unreachable:
    return Unreachable(
        "ledger.unreachable",
        "The queue of the ledger cannot be used.",
        "Check `ledger:` in estate.yaml and that its server runs.",
    )


def _schema() -> Any:
    from procrastinate.schema import SchemaManager  # noqa: PLC0415 - an extra

    return SchemaManager.get_schema()


def _migrations() -> list[Path]:
    try:
        from procrastinate.schema import SchemaManager  # noqa: PLC0415 - an extra
    except ImportError:
        raise needs_extra() from None
    return sorted(Path(SchemaManager.get_migrations_path()).glob("*.sql"), key=lambda path: path.name)
