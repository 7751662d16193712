"""`pipelines.trigger-dag`: a DAG of Airflow, triggered once and watched until it has ended."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from statistics import median
from typing import Any, ClassVar

from pydantic import Field, field_validator

from datareeve.core.operation import (
    Call,
    Claim,
    Effect,
    Finding,
    Operation,
    Plan,
    Prediction,
    Severity,
    Step,
    Systems,
)
from datareeve.core.value import Value, fingerprint

CALLED = r"\bairflow\s+dags\s+trigger\b"
GIVEN = r"(?:'[^']*'|\"[^\"]*\"|[^\s`]+)"  # an option's value, quoted or not
GOING = ("queued", "running")
LAST = 10  # runs that are looked at


class DagFacts(Value):
    """The DAG, and how it ran."""

    version: str
    dag: str
    paused: bool
    schedule: str = ""
    next_run: str | None = None
    max_active_runs: int = 0
    import_errors: bool = False
    stale: bool = False
    owners: tuple[str, ...] = ()
    last: tuple[dict[str, Any], ...] = ()
    of_date: dict[str, Any] | None = None  # the run that has the wanted logical date


class TriggerDag(Operation[DagFacts]):
    """Trigger an Airflow DAG, and watch it until it has ended.

    The plan says whether the DAG is paused, its schedule, its last runs and how long they took. The DAG run's id is made of our run's, so that it is triggered once whatever
    happens: after a crash it is found again, and watched further. Of each task that failed, the class of its error and the line that raised it are told; what its log quotes
    stays in Airflow. The run fails where the DAG's run did not end with success in the time that was given for watching; the DAG's run itself goes on, and
    `datareeve evidence RUN --recheck` tells later how it ended. There is no undo: what a DAG's tasks did, Airflow cannot take back.
    """

    name: ClassVar[str] = "pipelines.trigger-dag"
    effect: ClassVar[Effect] = Effect.IRREVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "airflow dags trigger",
        "airflow dags trigger etl_pipeline",
        "trigger the Airflow DAG",
        "trigger a DAG in Airflow and wait for it",
        "start the DAG run of etl_pipeline",
        "run the Airflow DAG now and tell me which tasks failed",
        "kick off the nightly DAG on Airflow",
    )
    said_as: ClassVar[tuple[str, ...]] = (
        rf"{CALLED}\s+(?:(?:--conf|-c|--logical-date|-l|--exec-date|-e)[\s=]+{GIVEN}\s+)*(?P<dag>(?!-|and\b|then\b)[\w.~-]*\w)",
        r"\bdag(?:\s+run\s+of)?\s+[\"'`]?(?P<dag_2>(?=\w+[_.-]\w)\w[\w.-]*\w)[\"'`]?",
        r"\b[\"'`]?(?P<dag_3>(?=\w+[_.-]\w)\w[\w.-]*\w)[\"'`]?\s+dag\b",
        rf"{CALLED}[^\n]*?\s(?:--conf|-c)[\s=]+(?P<conf>{GIVEN})",
        rf"{CALLED}[^\n]*?\s(?:--logical-date|-l|--exec-date|-e)[\s=]+(?P<logical_date>{GIVEN})",
        rf"{CALLED}[^\n]*?\s(?P<options>--(?!conf\b|logical-date\b|exec-date\b)[a-z][\w-]*|-(?![-cle]\b)[a-zA-Z]\b)",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("airflow",)
    takes_long: ClassVar[bool] = True

    system: str = Field(description="the Airflow's name in the estate")
    dag: str = Field(pattern=r"^[.~-]*\w[\w.~-]*$", max_length=250, description="the DAG's id")
    conf: dict[str, Any] = Field(
        default_factory=dict, description="the DAG run's configuration; it is kept and shown, so no secrets"
    )
    logical_date: str | None = Field(
        None,
        description="the date that it runs for: 2026-05-01 or with a time and zone; default: none, as Airflow 3 has it",
    )
    wait_seconds: float = Field(
        3600.0,
        ge=0,
        le=7 * 86400,
        description="how long it is watched; 0: it is triggered, and not waited for",
    )

    options: str = Field(
        "", description="no other option of `airflow dags trigger` is taken: the run's id is ours"
    )

    @field_validator("options")
    @classmethod
    def _no_others(cls, given: str) -> str:
        if given:
            raise ValueError(
                f"Airflow's {given} is not taken here: give conf and logical_date; the run's id is ours"
            )
        return given

    @field_validator("conf", mode="before")
    @classmethod
    def _as_said(cls, given: object) -> object:
        if not isinstance(given, str):
            return given
        try:
            return json.loads(given.strip("'"))
        except ValueError:
            raise ValueError('a configuration is JSON: {"day": "2026-05-01"}') from None

    @field_validator("logical_date")
    @classmethod
    def _a_moment(cls, given: str | None) -> str | None:
        if given is None:
            return None
        try:
            moment = datetime.fromisoformat(given.strip("'\""))
        except ValueError:
            raise ValueError("a logical date is 2026-05-01 or 2026-05-01T03:00:00+00:00") from None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).isoformat()

    def observe(self, systems: Systems) -> DagFacts:
        """The DAG, its last runs, and the run of that date."""
        airflow = systems[self.system]
        about, told = airflow.read("about"), airflow.read("dag", dag=self.dag)
        last = airflow.read("last_runs", dag=self.dag, most=LAST)
        same = self.logical_date and airflow.read("run_of_date", dag=self.dag, logical_date=self.logical_date)
        return DagFacts(**about, **told, last=last, of_date=same or None)

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: DagFacts) -> Plan:
        """Two parts: the DAG is triggered; it is watched until it has ended."""
        if facts.of_date:
            return self._run_already(facts.of_date)
        if blocker := self._blocker(facts):
            return Plan(operation=self.name, inputs=self.inputs(), summary=blocker, blockers=(blocker,))
        watching = (self._watching(facts).labelled("2", needs=("1",)),) if self.wait_seconds else ()
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Trigger {self.dag} on {self.system}{self._of_date()}, {_how_it_ran(facts)}.",
            figures=self._figures(facts),
            findings=self._findings(facts),
            parts=(self._triggering(facts).labelled("1"), *watching),
        )

    def _run_already(self, run: dict[str, Any]) -> Plan:
        known = f"{self.dag} has a run{self._of_date()} already: {run['dag_run']}, {run['state']}."
        failed = run["state"] == "failed"
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=known,
            nothing_to_do="" if failed else known,
            blockers=(f"{known} Clear it in Airflow: a date has one run.",) if failed else (),
        )

    def _blocker(self, facts: DagFacts) -> str:
        if facts.stale:
            return f"{self.dag} is no longer in any file of {self.system}: a run of it would not begin."
        if facts.paused:
            return f"{self.dag} is paused on {self.system}: a run of it would wait until somebody unpauses it. Unpause it there: airflow dags unpause {self.dag}."
        return ""

    def _findings(self, facts: DagFacts) -> tuple[Finding, ...]:
        going = [run for run in facts.last if run["state"] in GOING]
        found = []
        if facts.max_active_runs and len(going) >= facts.max_active_runs:
            found.append(
                self._finding(
                    "dag-waits",
                    f"{len(going)} runs of {self.dag} go on, and {facts.max_active_runs} may at once: this one waits for them.",
                )
            )
        if facts.import_errors:
            found.append(
                self._finding(
                    "dag-import-error",
                    f"The file of {self.dag} has an import error: the version that Airflow read before is run.",
                )
            )
        failed = [run for run in facts.last if run["state"] == "failed"]
        if failed and facts.last[0]["state"] == "failed":
            found.append(
                self._finding(
                    "dag-failing",
                    f"The last run of {self.dag} failed, and {len(failed)} of the last {len(facts.last)} did.",
                )
            )
        return tuple(found)  # fmt: skip

    def _finding(self, rule: str, what: str) -> Finding:
        return Finding(rule=rule, subject=f"{self.system}: {self.dag}", what=what, severity=Severity.WARNING)

    def _figures(self, facts: DagFacts) -> dict[str, Any]:
        return {
            "schedule": facts.schedule,
            "next_run": facts.next_run,
            "last_runs": [{part: run[part] for part in ("state", "type", "started", "seconds")} for run in facts.last],
            "airflow_version": facts.version,
            "owners": list(facts.owners),
        }  # fmt: skip

    # -- the parts -----------------------------------------------------------------------------------------------------------------

    @property
    def dag_run(self) -> str:
        """The DAG run's id: of our run, and of what it is asked for, so that a task may trigger a DAG for two dates."""
        return f"datareeve__{{run}}__{fingerprint([self.dag, self.conf, self.logical_date])[:8]}"

    def _triggering(self, facts: DagFacts) -> Plan:
        given = {
            "dag": self.dag,
            "dag_run": self.dag_run,
            "conf": self.conf,
            "logical_date": self.logical_date,
        }
        step = Step(
            id=f"trigger {self.dag}",
            call=Call(system=self.system, action="trigger", arguments=given),
            why=f"Airflow runs the tasks of {self.dag}.",
            effect=Effect.IRREVERSIBLE,
            probe=self._there(),
            no_undo="What its tasks did, Airflow cannot take back. A run that goes on is stopped there: mark it failed.",
            predicted=Prediction(seconds=_usual(facts), basis=_basis(facts)),
            touches=(f"{self.system}:dag:{self.dag}",),
        )
        ready = Claim(
            text=f"{self.dag} takes runs",
            call=Call(system=self.system, action="takes_runs", arguments={"dag": self.dag}),
            remedy="Unpause it in Airflow, and plan again.",
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Trigger {self.dag}.",
            requirements=(ready,),
            steps=(step,),
            checks=(self._there(),),
        )

    def _watching(self, facts: DagFacts) -> Plan:
        step = Step(
            id=f"watch {self.dag}",
            call=Call(
                system=self.system,
                action="watch",
                arguments={"dag": self.dag, "dag_run": self.dag_run, "wait_seconds": self.wait_seconds},
            ),
            why=f"It is looked at until it has ended, at most {self.wait_seconds:g} s; what became of its tasks is told.",
            effect=Effect.READ,
            probe=self._there(),
            no_undo="Nothing is changed.",
            predicted=Prediction(seconds=_usual(facts), basis=_basis(facts)),
            touches=(f"{self.system}:dag:{self.dag}",),
        )
        succeeded = Claim(
            text=f"the run of {self.dag} ended with success",
            call=self._read("state"),
            expected="success",
            remedy="The findings name the tasks that failed; one that goes on is looked at again by `datareeve evidence RUN --recheck`.",
        )
        return Plan(operation=self.name, inputs=self.inputs(), summary=f"Watch {self.dag} until it has ended.", steps=(step,), checks=(succeeded,))  # fmt: skip

    def _there(self) -> Claim:
        return Claim(text=f"Airflow has our run of {self.dag}", call=self._read("has_run"))

    def _read(self, action: str) -> Call:
        return Call(system=self.system, action=action, arguments={"dag": self.dag, "dag_run": self.dag_run})

    def _of_date(self) -> str:
        return f" for {self.logical_date}" if self.logical_date else ""


def _times(facts: DagFacts) -> list[float]:
    return [run["seconds"] for run in facts.last if run["state"] == "success" and run["seconds"] is not None]


def _usual(facts: DagFacts) -> float | None:
    times = _times(facts)
    return round(median(times), 1) if times else None


def _basis(facts: DagFacts) -> str:
    times = _times(facts)
    return f"the median of its last {len(times)} successful runs" if times else ""


def _how_it_ran(facts: DagFacts) -> str:
    schedule = f"scheduled {facts.schedule}" if facts.schedule else "without a schedule"
    if not facts.last:
        return f"{schedule}, never run before"
    last = facts.last[0]
    took = f" after {last['seconds']:g} s" if last["seconds"] is not None else ""
    return f"{schedule}, last run {last['state']}{took}"
