"""`pipelines.export-dag`: a pipeline as a DAG that Airflow runs."""

from __future__ import annotations

import hashlib
from datetime import date
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, field_validator

from datareeve.capabilities.pipelines import spec_files
from datareeve.capabilities.pipelines.airflow import dag_text
from datareeve.core.errors import BadInput
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Prediction, Severity, Step
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.core.operation import Systems

FOLDER = "etl/dags"


class ExportFacts(Value):
    """The DAG's text, what of the schedule it does not keep, and what stands in its place."""

    name: str
    dag: str
    path: str
    text: str
    left: tuple[str, ...] = ()
    catches_up: bool = False
    standing: bool = False
    before: str | None = None


class ExportDag(Operation[ExportFacts]):
    """Export a pipeline as a DAG of Airflow 3.

    Writes one Python file that runs with nothing but Airflow and the program `datareeve`: a task that builds and a task that publishes, with the pipeline's schedule, time zone,
    free days, retries, timeout, pool and owner. What it publishes is an asset, so that pipelines that run `after` another do so in Airflow too. Nothing is approved by the DAG: what may be
    done unattended, the estate's authority says, and a held build waits for a person. The same pipeline gives the same text. A file that stands there is not written over
    unless that is asked for; undo gives back what stood there.
    """

    name: ClassVar[str] = "pipelines.export-dag"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "export the pipeline as an Airflow DAG",
        "write an Airflow DAG for the pipeline",
        "generate a DAG file from the pipeline",
        "create the Airflow DAG of this pipeline",
        "schedule the pipeline by Airflow",
    )
    said_as: ClassVar[tuple[str, ...]] = (
        r"\bpipeline\s+[\"'`]?(?P<pipeline>(?=\w+[_-]\w)\w[\w-]*\w)[\"'`]?",
        r"\b(?:the|our)\s+[\"'`]?(?P<pipeline_2>(?=\w+[_-]\w)\w[\w-]*\w)[\"'`]?\s+pipeline\b",
    )

    pipeline: str = Field(description="the pipeline's name (etl/NAME.yaml) or its path")
    environment: str | None = Field(
        None, description="one of the pipeline's environments; default: its own target"
    )
    path: str | None = Field(None, description="the file; default: etl/dags/NAME.py")
    project: str | None = Field(
        None,
        description="the folder that holds estate.yaml, as Airflow's workers see it; default: found from where the file lies, or DATAREEVE_PROJECT there",
    )
    start_date: str | None = Field(
        None,
        description="the first day that runs are made up for, 2026-05-01, where the pipeline says catch_up: all",
    )
    replace: bool = Field(default=False, description="write it anew where another file stands there")

    @field_validator("start_date")
    @classmethod
    def _a_day(cls, given: str | None) -> str | None:
        try:
            return date.fromisoformat(given).isoformat() if given else None
        except ValueError:
            raise ValueError("a day is 2026-05-01") from None

    def observe(self, systems: Systems) -> ExportFacts:
        """The pipeline as a DAG, and what stands where it goes."""
        loaded = spec_files.load(systems, self.pipeline)
        if self.environment is not None and self.environment not in loaded.pipeline.environments:
            there = ", ".join(loaded.pipeline.environments) or "none"
            raise BadInput("pipelines.environment", f"{loaded.name} has no environment {self.environment[:100]!r}.", f"It has: {there}.")  # fmt: skip
        path = (
            self.path
            or f"{FOLDER}/{dag_text.dag_id(loaded.name, self.environment).removeprefix('datareeve_')}.py"
        )
        made = dag_text.export(loaded.name, loaded.pipeline, path=path, environment=self.environment, project=self.project, start_date=self.start_date)  # fmt: skip
        digest = systems["files"].read("digest", path=path)
        schedule = loaded.pipeline.schedule
        return ExportFacts(
            name=loaded.name,
            dag=made.dag,
            path=path,
            text=made.text,
            left=made.left,
            catches_up=bool(schedule and schedule.cron and schedule.catch_up == "all"),
            standing=digest is not None,
            before=digest,
        )

    def plan(self, facts: ExportFacts) -> Plan:
        """One file."""
        digest = hashlib.sha256(facts.text.encode()).hexdigest()
        base = {
            "operation": self.name,
            "inputs": self.inputs(),
            "summary": f"Export {facts.name} as the DAG {facts.dag}, to {facts.path}.",
            "findings": (*(_finding(facts, one) for one in facts.left), _unattended(facts)),
            "figures": {"dag": facts.dag, "path": facts.path},
        }
        if facts.before == digest:
            return Plan(**base, nothing_to_do=f"{facts.path} says this already.")
        if blocker := self._blocker(facts):
            return Plan(**base, blockers=(blocker,))
        step = self._write(facts, digest)
        unchanged = Claim(
            text=f"{facts.path} {'is as it was looked at' if facts.standing else 'is not there yet'}",
            call=_digest(facts.path),
            expected=facts.before,
            remedy="Plan again.",
        )
        return Plan(**base, requirements=(unchanged,), steps=(step,), checks=(step.probe,))

    def _blocker(self, facts: ExportFacts) -> str:
        if facts.standing and not self.replace:
            return f"{facts.path} stands already: give another --path, or --replace."
        if facts.catches_up and not self.start_date:
            return f"{facts.name} makes up for every missed run (catch_up: all), and Airflow wants to know since when: give --start-date."
        return ""

    def _write(self, facts: ExportFacts, digest: str) -> Step:
        return Step(
            id=f"write {facts.path}",
            call=Call(system="files", action="write", arguments={"path": facts.path, "text": facts.text}),
            why=f"Airflow reads it from its DAGs folder and runs {facts.name} by it.",
            effect=Effect.REVERSIBLE,
            probe=Claim(text=f"{facts.path} is as planned", call=_digest(facts.path), expected=digest),
            undo=(
                Call(
                    system="files",
                    action="restore",
                    arguments={"path": facts.path, "digest": facts.before},
                ),
            ),
            predicted=Prediction(bytes=len(facts.text.encode()), basis="the text itself"),
            touches=(f"files:{facts.path}",),
            paths=(facts.path,),
        )


def _digest(path: str) -> Call:
    return Call(system="files", action="digest", arguments={"path": path})


def _finding(facts: ExportFacts, what: str) -> Finding:
    return Finding(rule="schedule-not-in-dag", subject=facts.dag, what=what, severity=Severity.WARNING)


def _unattended(facts: ExportFacts) -> Finding:
    return Finding(
        rule="dag-needs-authority",
        subject=facts.dag,
        what="The DAG approves nothing: its tasks wait for a person where the estate's authority does not let them run unattended.",
        instead="Allow it in estate.yaml: authority.rules: [{decision: allow, operations: [pipelines.build, pipelines.publish]}].",
        severity=Severity.INFO,
    )
