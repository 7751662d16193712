"""The pipeline desk: where loads, models and publications are carried out, and where what is known of them is read.

What is done is given as data in the call, and how it is done, by the composition root (`Work`): systems know no capability. The desk opens sources
and destinations; what is done with them is the slice's.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from datareeve.core.errors import BadInput, DatareeveError, LeaseLost
from datareeve.core.estate import STATE_FOLDER
from datareeve.systems.adapter import Adapter, effects, reads
from datareeve.systems.dataset_work import reader, work_file
from datareeve.systems.mover import Mover, literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from datareeve.core.estate import Estate
    from datareeve.core.ledger import Fence, Ledger
    from datareeve.core.operation import Outcome
    from datareeve.systems.destination import Destination, Held
    from datareeve.systems.duckdb import Duckdb
    from datareeve.systems.ducklake import Ducklake
    from datareeve.systems.folder import Folder
    from datareeve.systems.registry import Registry
    from datareeve.systems.row_source import RowSource

    Work = Callable[["Shop", dict[str, Any]], dict[str, Any]]
    Look = Callable[["Shop", dict[str, Any]], Any]

IDLE_SECONDS = 60  # that a transaction of ours may stand still


@dataclass(frozen=True)
class Shop:
    """What work on pipelines is given."""

    systems: Registry
    estate: Estate
    project: Path
    run: str
    fence: Fence | None
    ledger: Callable[[], Ledger]
    operate: Callable[[str, dict[str, Any]], Outcome]  # an operation of the catalogue, as a run of its own
    preview: Callable[[str, dict[str, Any]], Any]  # the plan of one

    def must_hold(self) -> None:
        """Errors: `LeaseLost` where another worker has taken the run over. Asked just before each commit."""
        if self.fence is None or not self.ledger().holds(self.fence):
            raise LeaseLost(
                "lease.lost", f"Another worker has taken run {self.run} over.", "This worker stops."
            )

    def claim(self, there: Destination, pipeline: str) -> Held:
        """The right to write for a pipeline, under this run's lease."""
        self.must_hold()
        token = dict(self.fence.all()).get(f"pipeline:{pipeline}", 0) if self.fence else 0
        return there.claim(pipeline, ledger=self.ledger().name(), fence=token, run=self.run)

    def mover(self) -> Mover:
        """A mover of its own, in memory, for looking at a source."""
        return Mover(memory_mb=self.estate.pipelines.memory_mb, spill=self.spool)

    @property
    def spool(self) -> Path:
        """Where what does not fit into memory is put."""
        folder = self.project / (self.estate.pipelines.spool or f"{STATE_FOLDER}/spool")
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def destination(self, system: str) -> Iterator[Destination]:
        """A system of the estate, opened to be written to. Errors: `BadInput` `pipelines.target-kind`."""
        there = self._opened(system)
        try:
            yield there
        finally:
            there.close()

    def _opened(self, system: str) -> Destination:
        adapter = self.systems[system]
        memory = self.estate.pipelines.memory_mb
        if adapter.kind == "duckdb":
            from datareeve.systems.destination_duckdb import DuckdbDestination  # noqa: PLC0415 - loaded when it is written to

            return DuckdbDestination.open(
                system, cast("Duckdb", adapter).file, self.must_hold, memory_mb=memory, spill=self.spool
            )
        if adapter.kind == "postgresql":
            from datareeve.systems.destination_postgres import PostgresDestination  # noqa: PLC0415 - as above
            from datareeve.systems.postgres import Postgres, application_name  # noqa: PLC0415

            database = cast("Postgres", adapter)
            # A worker that is stopped inside a transaction keeps the pipeline's row locked: the server ends it after a while.
            options = {
                "application_name": application_name(self.run),
                "options": f"-c idle_in_transaction_session_timeout={IDLE_SECONDS}s",
            }
            return PostgresDestination(
                system,
                self.mover(),
                self.must_hold,
                database.connect(**options),
                database.conninfo(**options),
            )
        return self._lake(adapter)

    def _lake(self, adapter: Adapter) -> Destination:
        if adapter.kind == "ducklake":
            from datareeve.systems.destination_ducklake import DucklakeDestination  # noqa: PLC0415 - as above

            return DucklakeDestination.attached(cast("Ducklake", adapter), self.mover(), self.must_hold)
        if adapter.kind == "iceberg":
            from datareeve.systems.destination_iceberg import refused  # noqa: PLC0415 - as above

            raise refused(adapter.name)
        if adapter.kind == "folder":
            from datareeve.systems.destination_dataset import DatasetDestination  # noqa: PLC0415 - as above

            root = target_folder(adapter)
            return DatasetDestination.of(
                adapter.name,
                root,
                work_file(self.project, root),
                self.must_hold,
                memory_mb=self.estate.pipelines.memory_mb,
                spill=self.spool,
            )
        raise BadInput(
            "pipelines.target-kind",
            f"{adapter.name} is of kind {adapter.kind}, which is no target.",
            "A target is a system of kind postgresql, duckdb, ducklake, or folder with `writable: true`.",
        )

    def source(self, load: dict[str, Any]) -> RowSource:
        """The source of a load (its JSON), opened when it is read."""
        from datareeve.systems.sources import source_of  # noqa: PLC0415 - loaded when rows are read

        return source_of(self.systems, self.project, self.spool, load)


def target_folder(adapter: Adapter) -> Path:
    """The folder that is published to. Errors: `BadInput` `pipelines.target-kind`."""
    folder = cast("Folder", adapter)
    if "://" in folder.entry.path:
        raise BadInput(
            "pipelines.target-kind",
            f"{adapter.name}: Parquet is published to a folder, not to a bucket yet.",
            "Name a system of kind ducklake, with its data in the bucket.",
        )
    if not folder.entry.writable:
        raise BadInput(
            "pipelines.target-kind",
            f"{adapter.name} is a folder that is only read.",
            f"Say systems.{adapter.name}.writable: true in estate.yaml, of a folder that pipelines alone write to.",
        )
    return folder.root


class PipelineDesk(Adapter):
    """Does the work of pipelines."""

    kind = "pipelines"

    def __init__(  # noqa: PLR0913, PLR0917 - what a shop is made of
        self,
        systems: Registry,
        estate: Estate,
        project: Path,
        ledger: Callable[[], Ledger],
        work: dict[str, Work],
        looks: dict[str, Look],
        operate: Callable[[str, dict[str, Any], str], Outcome],
        preview: Callable[[str, dict[str, Any]], Any],
    ) -> None:
        super().__init__("pipelines")
        self._systems, self._estate, self._project, self._ledger = systems, estate, project, ledger
        self._work, self._looks, self._operate, self._preview = work, looks, operate, preview

    # -- reads -----------------------------------------------------------------------------------------------------------------------

    @reads
    def look(self, what: str, given: dict[str, Any]) -> Any:
        """Look at what a pipeline would do: its sources, its target; nothing is written."""
        return self._looks[what](self._shop("", None), given)

    @reads
    def known(self, pipeline: str, system: str) -> dict[str, Any]:
        """What is being built and what is published: {build, published}; empty where the pipeline never wrote there."""
        found = self._known(pipeline, system)
        return {"build": found[0], "published": found[1]} if found else {"build": {}, "published": {}}

    @reads
    def stands(self, pipeline: str, system: str, what: str, of: str = "") -> Any:
        """One thing of what is known: 'build' (its run), 'load' or 'model' (of that name: is it built), 'merged', 'audited', 'publishable' (why not), 'another', 'published' (its run)."""
        found = self.known(pipeline, system)
        build, published = found["build"], found["published"]
        answers = {
            "build": build.get("run"),
            "load": bool(build.get("loads", {}).get(of, {}).get("done")),
            "model": of in build.get("models", {}),
            "merged": build.get("changes") is not None,
            "audited": build.get("audit") is not None,
            "publishable": build.get("held")
            or ("" if not build or build.get("audit") is not None else "it is not built"),
            "another": build.get("id") not in (None, of),
            "published": published.get("run"),
        }
        return answers[what]

    @reads
    def rejected(self, pipeline: str, system: str, load: str) -> dict[str, Any]:
        """What lies in quarantine of a load: {rows, until (the newest moment), reasons: {reason: rows}}. Counts only."""
        if self._known(pipeline, system) is None:
            return {"rows": 0, "until": "", "reasons": {}}
        sql = f"SELECT reason, count(*) AS n, max(moment) AS until FROM datareeve.rejected WHERE pipeline = {literal(pipeline)} AND load = {literal(load)} GROUP BY reason ORDER BY 2 DESC"
        rows = self._kept_in(system).read("query", sql=sql)
        reasons = {str(row["reason"]): int(row["n"]) for row in rows}
        return {
            "rows": sum(reasons.values()),
            "until": max((str(row["until"]) for row in rows), default=""),
            "reasons": reasons,
        }

    def _known(self, pipeline: str, system: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
        adapter = self._systems[system]
        if adapter.kind == "ducklake":
            kept = adapter.read("pipeline_known", pipeline=pipeline)
            return (kept[0]["build"], kept[0]["published"]) if kept else None
        if adapter.kind == "iceberg":
            from datareeve.systems.destination_iceberg import refused  # noqa: PLC0415 - as above

            raise refused(adapter.name)
        if adapter.kind == "folder":
            return self._known_of_files(pipeline, adapter)
        return self._recorded(pipeline, adapter)

    def _known_of_files(self, pipeline: str, adapter: Adapter) -> tuple[dict[str, Any], dict[str, Any]]:
        """The manifest says what is published, whatever the work file says; what is published is no build any more."""
        from datareeve.systems.dataset_manifest import newest  # noqa: PLC0415 - as above
        from datareeve.systems.dataset_store import LocalStore  # noqa: PLC0415

        root = target_folder(adapter)
        published = newest(LocalStore(root, adapter.name)).pipelines.get(pipeline, {}).get("published", {})
        build = (self._recorded(pipeline, self._kept_in(adapter.name)) or ({},))[0]
        return ({} if build.get("id") == published.get("id") else build), published

    def _kept_in(self, system: str) -> Adapter:
        """Where what is known of pipelines and rejected rows is kept: the target, or of a folder its work file."""
        adapter = self._systems[system]
        if adapter.kind != "folder":
            return adapter
        return reader(system, work_file(self._project, target_folder(adapter)))

    @staticmethod
    def _recorded(pipeline: str, adapter: Adapter) -> tuple[dict[str, Any], dict[str, Any]] | None:
        try:
            rows = adapter.read(
                "query",
                sql=f"SELECT build, published FROM datareeve.pipelines WHERE pipeline = {literal(pipeline)}",
            )
        except DatareeveError as error:
            if error.code in ABSENT:
                return None
            raise
        return (
            (json.loads(rows[0]["build"] or "{}"), json.loads(rows[0]["published"] or "{}")) if rows else None
        )

    # -- effects ---------------------------------------------------------------------------------------------------------------------

    @effects
    def do(self, work: str, given: dict[str, Any], *, run: str, fence: Any) -> dict[str, Any]:
        """Do a piece of work by its name, with what it is given; gives its figures."""
        return self._work[work](self._shop(run, fence), given)

    def _shop(self, run: str, fence: Fence | None) -> Shop:
        def operate(name: str, inputs: dict[str, Any]) -> Outcome:
            return self._operate(name, inputs, run)

        return Shop(
            self._systems, self._estate, self._project, run, fence, self._ledger, operate, self._preview
        )


ABSENT = {
    "postgres.42P01",
    "postgres.3F000",
    "duckdb.sql",
    "duckdb.missing",
}  # no such table, schema or file: nothing was ever written there
