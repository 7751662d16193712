"""The application: the only file that knows every part. Interfaces call it; it decides nothing itself."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from datareeve import capabilities
from datareeve.core import estate as estates
from datareeve.core import secrets
from datareeve.core.authority import Gate
from datareeve.core.catalogue import Catalogue
from datareeve.core.ledger import open_ledger
from datareeve.core.runner import Runner, silent
from datareeve.systems.documenter import Documenter
from datareeve.systems.ledger_system import LedgerSystem
from datareeve.systems.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import date
    from pathlib import Path

    from datareeve.agent.known import Known
    from datareeve.agent.planner import TaskPlan
    from datareeve.core.estate import Estate
    from datareeve.core.journal import Boundary
    from datareeve.core.ledger import Ledger
    from datareeve.core.operation import Check, Copy, Operation, Outcome, Plan, Systems
    from datareeve.core.runner import Progress, RunSummary
    from datareeve.systems.compliance_desk import ComplianceDesk
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
        password = (
            secrets.resolve(self.estate.ledger_password, base=self.project)
            if self.estate.ledger_password
            else None
        )
        return open_ledger(url, password)

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
        return self.runner.apply(plan, by=by, task=task, progress=progress)

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
        return self.runner.resume(run, by=by, progress=progress)

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
