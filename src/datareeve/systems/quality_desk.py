"""The quality desk: where contracts are run and what came of it is kept.

What is run is given as data in the call, and how it is run, by the composition root (`Work`): systems know no capability. The desk reads the
systems that are checked, and writes its own store only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datareeve.core import clock
from datareeve.core.estate import STATE_FOLDER
from datareeve.systems.adapter import Adapter, effects, reads
from datareeve.systems.quality_store import QualityStore
from datareeve.systems.secret_references import resolver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datareeve.core.estate import Estate
    from datareeve.core.operation import Systems

    Work = Callable[["Desk", dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Desk:
    """What work on the desk is given: the systems, the store, the estate, and whose run it is."""

    systems: Systems
    store: QualityStore
    estate: Estate
    run: str


class QualityDesk(Adapter):
    """Runs contracts, reconciliations and scans, and keeps what came of them."""

    kind = "quality"

    def __init__(self, systems: Systems, estate: Estate, project: Path, work: dict[str, Work]) -> None:
        super().__init__("quality")
        self._systems, self._estate, self._project, self._work = systems, estate, project, work
        self._store: QualityStore | None = None

    @property
    def store(self) -> QualityStore:
        """The store, opened when first asked for."""
        if self._store is None:
            settings = self._estate.quality
            where = settings.store or self._project / STATE_FOLDER / "quality.sqlite"
            password = resolver(self._project)(settings.store_password) if settings.store_password else None
            self._store = QualityStore.open(where, password)
        return self._store

    # -- reads ---------------------------------------------------------------------------------------------------------------------

    @reads
    def settings(self) -> dict[str, Any]:
        """How contracts are executed (estate.yaml `quality`), and the pass rate that is asked for (`targets`)."""
        return {
            **self._estate.quality.model_dump(mode="json"),
            "pass_percent": self._estate.targets.validation_pass_percent,
        }

    @reads
    def runs(
        self,
        contract: str | None = None,
        system: str | None = None,
        run: str | None = None,
        since: str | None = None,
        most: int = 100,
    ) -> list[dict[str, Any]]:
        """Runs, newest first: run, contract, system, began, seconds and how many rules passed, warned, failed, were not run."""
        return self.store.runs(run=run, contract=contract, system=system, since=since, most=most)

    @reads
    def verdicts(self, contract: str, system: str, run: str | None = None) -> list[dict[str, Any]]:
        """The verdicts of a run, by default the newest: [{rule, at, says, told}]."""
        wanted = run or next(
            (one["run"] for one in self.store.runs(contract=contract, system=system, most=1)), None
        )
        return self.store.verdicts(wanted, contract, system) if wanted else []

    @reads
    def history(
        self, contract: str, system: str, rule: str, before: str | None = None, most: int = 1000
    ) -> list[dict[str, Any]]:
        """Earlier figures of a rule, newest first: [{at, run, says, figure, failing, checked, mark}]."""
        return self.store.history(contract, system, rule, before=before, most=most)

    @reads
    def recent(self, contract: str, system: str, most: int = 10) -> list[dict[str, Any]]:
        """The newest verdicts of every rule: [{rule, at, says, figure}]."""
        return self.store.recent(contract, system, most=most)

    @reads
    def broken(self, contract: str, system: str, run: str) -> int | None:
        """How many rules failed in a run; None where there was no such run."""
        return self._counted("failed", contract, system, run)

    @reads
    def left_out(self, contract: str, system: str, run: str) -> int | None:
        """How many rules were not run; None where there was no such run."""
        return self._counted("not_run", contract, system, run)

    @reads
    def was_run(self, contract: str, system: str, run: str) -> bool:
        """Whether that run checked the contract there."""
        return self._counted("failed", contract, system, run) is not None

    def _counted(self, what: str, contract: str, system: str, run: str) -> int | None:
        found = self.store.runs(run=run, contract=contract, system=system, most=1)
        return int(found[0][what]) if found else None

    @reads
    def incidents(
        self, contract: str | None = None, system: str | None = None, *, open_only: bool = False
    ) -> list[dict[str, Any]]:
        """Incidents, newest first."""
        return self.store.incidents(contract, system, open_only=open_only)

    @reads
    def marks(
        self, contract: str | None = None, system: str | None = None, rule: str | None = None
    ) -> list[dict[str, Any]]:
        """What people said of figures."""
        return self.store.marks(contract, system, rule)

    @reads
    def mark_of(self, contract: str, system: str, rule: str, at: str) -> str | None:
        """What a person said of one figure: its kind; None where nobody said anything."""
        return next(
            (str(one["kind"]) for one in self.store.marks(contract, system, rule) if one["at"] == at), None
        )

    @reads
    def documents(
        self,
        kind: str,
        document: str | None = None,
        run: str | None = None,
        subject: str | None = None,
        most: int = 100,
    ) -> list[dict[str, Any]]:
        """Documents of a kind, newest first."""
        return self.store.documents(kind, id_=document, run=run, subject=subject, most=most)

    @reads
    def told(self, kind: str, document: str, figure: str) -> Any:
        """One figure of a document; None where there is no such document."""
        found = self.store.documents(kind, id_=document, most=1)
        return found[0]["told"].get(figure) if found else None

    # -- effects -------------------------------------------------------------------------------------------------------------------

    @effects
    def do(self, work: str, given: dict[str, Any], *, run: str) -> dict[str, Any]:
        """Do a piece of work by its name, with what it is given; gives its figures, and `findings`."""
        return self._work[work](Desk(self._systems, self.store, self._estate, run), given)

    @effects
    def mark(  # noqa: PLR0913, PLR0917 - what a mark is made of
        self, contract: str, system: str, rule: str, at: str, kind: str, why: str, by_whom: str
    ) -> dict[str, Any]:
        """Keep a person's word on a figure: kind `one-off` or `new-normal`."""
        said = {
            "contract": contract,
            "system": system,
            "rule": rule,
            "at": at,
            "kind": kind,
            "why": why,
            "by_whom": by_whom,
        }
        self.store.put_mark({**said, "marked": clock.stamp()})
        return {}

    @effects
    def unmark(self, contract: str, system: str, rule: str, at: str) -> dict[str, Any]:
        """Take a person's word back; quiet where there is none."""
        return {"rows": self.store.take_mark(contract, system, rule, at)}

    @effects
    def keep(self, kind: str, document: str, subject: str, told: Any, *, run: str) -> dict[str, Any]:
        """Keep a document of a kind."""
        self.store.put_document(kind, document, run=run, at=clock.stamp(), subject=subject, told=told)
        return {}

    @effects
    def let_go(self, kind: str, document: str) -> dict[str, Any]:
        """Take a document back; quiet where there is none."""
        return {"rows": self.store.take_document(kind, document)}

    def close(self) -> None:
        """Close the store."""
        if self._store is not None:
            self._store.close()
            self._store = None
