"""The application: the only file that knows every part. Interfaces call it; it decides nothing itself."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datareeve import capabilities
from datareeve.core import estate as estates
from datareeve.core import secrets
from datareeve.core.authority import Gate
from datareeve.core.catalogue import Catalogue
from datareeve.core.errors import DatareeveError
from datareeve.core.estate_data import FolderSystem
from datareeve.core.ledger import open_ledger
from datareeve.core.runner import Runner, silent
from datareeve.systems.documenter import Documenter
from datareeve.systems.ledger_system import LedgerSystem
from datareeve.systems.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import date, datetime

    from datareeve.agent.known import Known
    from datareeve.agent.planner import TaskPlan
    from datareeve.agent.schedule import More
    from datareeve.capabilities.pipelines.scheduling.declared import Declared
    from datareeve.capabilities.pipelines.scheduling.performing import Rest, Stop
    from datareeve.capabilities.pipelines.spec import Schedule as PipelineSchedule
    from datareeve.core.estate import Estate
    from datareeve.core.journal import Boundary
    from datareeve.core.ledger import Ledger
    from datareeve.core.operation import Check, Copy, Operation, Outcome, Plan, Systems
    from datareeve.core.runner import Progress, RunSummary
    from datareeve.core.secrets import Secret
    from datareeve.systems.compliance_desk import ComplianceDesk
    from datareeve.systems.job_queue import JobQueue
    from datareeve.systems.pipeline_desk import PipelineDesk
    from datareeve.systems.quality_desk import QualityDesk


def catalogue() -> Catalogue:
    """Every operation of every capability."""
    return Catalogue(capabilities.operations(), capabilities.elsewhere)


class App:
    """One project folder, opened: its estate, its ledger, its systems, and what can be done with them."""

    def __init__(self, project: Path, estate: Estate, *, boundary: Boundary | None = None) -> None:
        self.project = project.resolve()
        self.estate = estate
        self.catalogue = catalogue()
        self.systems = Registry(estate, self.project)
        self._boundary = boundary
        self._install()

    @classmethod
    def open(cls, project: Path, *, boundary: Boundary | None = None) -> App:
        """Open a project. Errors: those of `estate.load`."""
        return cls(project, estates.load(project / estates.ESTATE_FILE), boundary=boundary)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, opened when first asked for."""
        url = self.estate.ledger or f"sqlite:///{self.project / estates.STATE_FOLDER / 'ledger.sqlite'}"
        return open_ledger(url, self._ledger_password())

    @cached_property
    def gate(self) -> Gate:
        """The authority with the approvals that the ledger knows."""
        return Gate(self.estate.authority, self.ledger)

    @cached_property
    def runner(self) -> Runner:
        """The one place where anything is changed."""
        return Runner(self.ledger, self.systems, self.catalogue, self.gate, boundary=self._boundary)

    # -- planning ------------------------------------------------------------------------------------------------------------------

    def preview(self, operation: Operation[Any], after: Sequence[Plan] = ()) -> Plan:
        """Observe and plan one operation; with `after`, as files and estate will be once those plans were carried out.

        Errors: `BadInput` `engine.cannot` where it does not work on that kind of system.
        """
        self.catalogue.refuse_other_kinds(operation, self.systems)
        if not after:
            return operation.plan(operation.observe(self.systems))
        from datareeve.systems.ahead import ahead  # noqa: PLC0415 - of tasks whose parts rest on one another

        with ahead(self.systems, self.project, after) as systems:
            return operation.plan(operation.observe(systems))

    def plan_task(self, text: str, *, today: date | None = None) -> TaskPlan:
        """Plan a delegated task: the template, or a sentence."""
        from datareeve.agent.planner import Planner  # noqa: PLC0415 - not needed for single operations
        from datareeve.agent.task import parse  # noqa: PLC0415

        planner = Planner(self.catalogue, self.preview, self.systems.names, self._known())
        return planner.plan(parse(text), today=today)

    def _known(self) -> Known:
        """What words may name: looked up where they do."""
        from datareeve.agent.known import Known, KnownContract  # noqa: PLC0415 - as above

        def contracts() -> Iterator[KnownContract]:
            from datareeve.capabilities.quality import known  # noqa: PLC0415 - of tasks that are about data

            return map(KnownContract.model_validate, known.contracts(self.systems))

        def tables(system: str) -> tuple[str, ...] | None:
            from datareeve.capabilities.quality import known  # noqa: PLC0415 - as above

            return known.tables(self.systems, system)

        return Known(
            contracts=contracts,
            tables=tables,
            systems=self.systems.names(),
            copies=self.estate.quality.replicas.values(),
            datasets={name: one.subject for name, one in self.estate.datasets.items()},
            packs=self.estate.packs,
        )

    def rehearse(self, plan: Plan, progress: Progress = silent) -> Plan:
        """Try a plan on disposable copies; gives it with measured predictions and advice."""
        from datareeve.core.rehearsal import Rehearsal  # noqa: PLC0415

        return Rehearsal(self.systems, self.catalogue, self._copy_of, progress)(plan)

    def _copy_of(self, name: str) -> AbstractContextManager[Copy] | None:
        from datareeve.systems.pg_copy import copy_of  # noqa: PLC0415 - only where something is rehearsed
        from datareeve.systems.postgres import Postgres  # noqa: PLC0415

        system = self.systems[name]
        if not isinstance(system, Postgres):
            return None
        folder = system.entry.copies.folder or f"{estates.STATE_FOLDER}/copies"
        return copy_of(system, self.project / folder)

    # -- acting --------------------------------------------------------------------------------------------------------------------

    def apply(
        self, plan: Plan, *, by: str, approved: bool = False, task: str = "", progress: Progress = silent
    ) -> Outcome:
        """Carry a plan out. `approved`: `by` has seen this very plan and approves it, which is recorded."""
        if approved:
            self.approve(self.store(plan, asked_by=by, task=task), by=by)
        outcome = self.runner.apply(plan, by=by, task=task, progress=progress)
        self._tell_of_run(plan, outcome)
        return outcome

    def store(self, plan: Plan, *, asked_by: str, task: str = "") -> str:
        """Keep a plan for a later approval; gives its fingerprint."""
        return self.runner.store(plan, asked_by=asked_by, task=task)

    def stored_plan(self, fingerprint: str) -> Plan:
        """A plan by its fingerprint."""
        return self.runner.stored(fingerprint)

    def approve(self, fingerprint: str, *, by: str) -> None:
        """Record a person's approval of a stored plan."""
        self.gate.approve(fingerprint, by=by)

    def undo(self, run: str, *, by: str, progress: Progress = silent) -> Outcome:
        """Take a run back."""
        return self.runner.undo(run, by=by, progress=progress)

    def resume(self, run: str, *, by: str, progress: Progress = silent) -> Outcome:
        """Carry on a run whose worker died."""
        outcome = self.runner.resume(run, by=by, progress=progress)
        if self._is_told:
            self._tell_of_run(self.stored_plan(outcome.plan), outcome)
        return outcome

    @property
    def _is_told(self) -> bool:
        return bool(self.estate.pipelines.lineage or self.estate.pipelines.otlp)

    def _tell_of_run(self, plan: Plan, outcome: Outcome) -> None:
        """What a run of pipelines did goes to whoever collects that; a run never fails for it."""
        if not self._is_told:
            return
        from datareeve.capabilities.pipelines.lineage import told  # noqa: PLC0415 - only where runs are told
        from datareeve.systems.lineage_desk import tell, trace  # noqa: PLC0415 - as above

        if self.estate.pipelines.otlp:
            trace(self.estate.pipelines.otlp, self.ledger, plan, outcome)
        tell(self.estate, self.project, plan, outcome, told)

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def recheck(self, run: str) -> tuple[Check, ...]:
        """Test a run's checks again."""
        return self.runner.recheck(run)

    def runs(self) -> list[RunSummary]:
        """Every run, oldest first."""
        return self.runner.runs()

    def outcome(self, run: str) -> Outcome:
        """What became of a run."""
        return self.runner.outcome(run)

    def verify_ledger(self) -> dict[str, int]:
        """Walk the ledger's hash chains."""
        return self.ledger.verify()

    def reload(self) -> Estate:
        """Read estate.yaml again. Where it changed, systems and authority are opened anew; the ledger stays. Errors: those of `estate.load`."""
        estate = estates.load(self.project / estates.ESTATE_FILE)
        if estate != self.estate:
            self.systems.close()
            self.estate, self.systems = estate, Registry(estate, self.project)
            for made_of_it in ("gate", "runner"):
                self.__dict__.pop(made_of_it, None)
            self._install()
        return estate

    # -- pipelines by themselves -----------------------------------------------------------------------------------------------------

    def more_schedules(self, start: Callable[[str], None]) -> More:
        """What the loop does for pipelines at each look; `start` is called with each that has something to be done."""
        from datareeve.capabilities.pipelines.scheduling.dispatching import Dispatcher  # noqa: PLC0415 - of `serve`

        return Dispatcher(self.ledger, self.stored_plan, self.pipeline_schedules, self._arrived, start)

    def pipeline_schedules(self) -> dict[str, PipelineSchedule | DatareeveError]:
        """The schedule of each pipeline that has one, or what is wrong with its file."""
        return self._declared(self.systems)

    @cached_property
    def _declared(self) -> Declared:
        from datareeve.capabilities.pipelines.scheduling.declared import Declared  # noqa: PLC0415 - as above

        return Declared(self.project)

    def _arrived(self, schedule: PipelineSchedule, now: datetime) -> dict[str, str]:
        from datareeve.capabilities.pipelines.scheduling.arrivals import complete  # noqa: PLC0415 - as above

        def folder_of(name: str) -> Path | None:
            entry = self.estate.systems.get(name)
            return Path(entry.path) if isinstance(entry, FolderSystem) else None

        return complete(schedule.on_file or "", now, project=self.project, folder_of=folder_of)

    def perform_pipeline(self, name: str, stop: Stop) -> Rest:
        """Carry out what is open of a pipeline. Errors: `BadInput` where its file is wrong; those of the ledger."""
        from datareeve.capabilities.pipelines.scheduling.performing import Rest, perform  # noqa: PLC0415 - as above

        schedule = self.pipeline_schedules().get(name)
        if schedule is None:  # it has none any more
            return Rest()
        if isinstance(schedule, DatareeveError):
            raise schedule
        return perform(self, name, schedule, pools=self.estate.pipelines.pools, stop=stop)

    def job_queue(self) -> JobQueue | None:
        """The queue of workers; None where the ledger is not shared. Errors: those of a secret."""
        from datareeve.systems.job_queue import JobQueue  # noqa: PLC0415 - as above

        url = self.estate.ledger
        if url is None or url.startswith("sqlite:"):
            return None
        return JobQueue(url, self._ledger_password())

    def _ledger_password(self) -> Secret | None:
        reference = self.estate.ledger_password
        return secrets.resolve(reference, base=self.project) if reference else None

    def close(self) -> None:
        """Let go of every connection."""
        self.systems.close()
        if "ledger" in self.__dict__:
            self.ledger.close()

    def _install(self) -> None:
        """The built-in systems that need more than the estate."""
        self.systems.add_lazily(
            "documenter", lambda: Documenter(self.systems, self.systems["files"], _render_schema_documents)
        )
        self.systems.add_lazily("compliance", self._compliance)
        self.systems.add_lazily("quality", self._quality_desk)
        self.systems.add_lazily("pipelines", self._pipeline_desk)
        self.systems.add_lazily(
            "ledger",
            lambda: LedgerSystem(
                self.ledger,
                lambda name, inputs: self.preview(self.catalogue.make(name, inputs)),
                self.systems,
            ),
        )

    def _compliance(self) -> ComplianceDesk:
        from datareeve.systems.compliance_desk import ComplianceDesk  # noqa: PLC0415 - where subjects are sought

        return ComplianceDesk(
            self.systems, lambda: self.ledger, self.project, self.estate.authority.file_paths
        )

    def _quality_desk(self) -> QualityDesk:
        from datareeve.capabilities.quality.work import WORK  # noqa: PLC0415 - loaded when quality is worked on
        from datareeve.systems.quality_desk import QualityDesk  # noqa: PLC0415

        return QualityDesk(self.systems, self.estate, self.project, WORK)

    def _pipeline_desk(self) -> PipelineDesk:
        from datareeve.capabilities.pipelines.work import LOOKS, WORK  # noqa: PLC0415 - loaded when pipelines are worked on
        from datareeve.systems.pipeline_desk import PipelineDesk  # noqa: PLC0415

        return PipelineDesk(
            self.systems,
            self.estate,
            self.project,
            lambda: self.ledger,
            WORK,
            LOOKS,
            self._operate,
            self._preview_of,
        )

    def _preview_of(self, name: str, inputs: dict[str, Any]) -> Plan:
        return self.preview(self.catalogue.make(name, inputs))

    def _operate(self, name: str, inputs: dict[str, Any], run: str) -> Outcome:
        """An operation as a run of its own, for a step of another run: within the authority, like any."""
        return self.runner.apply(self._preview_of(name, inputs), by=f"run {run}")


def _render_schema_documents(systems: Systems, system: str) -> dict[str, str]:
    from datareeve.capabilities.databases.document import render  # noqa: PLC0415 - only where documents are made

    return render(systems, system)


@contextmanager
def opened(project: Path) -> Iterator[App]:
    """An `App` that is closed at the end of the block."""
    app = App.open(project)
    try:
        yield app
    finally:
        app.close()
