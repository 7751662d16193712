"""`pipelines.new`: a pipeline written from a source that was looked at."""

from __future__ import annotations

import hashlib
import re
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from datareeve.capabilities.pipelines import (
    scaffold,
    scaffold_look,
    scaffold_text,
    spec_checks,
    spec_errors,
    spec_files,
)
from datareeve.capabilities.pipelines.scaffold import Decided  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.pipelines.scaffold_source import Source  # noqa: TC001 - as above
from datareeve.capabilities.pipelines.spec import Mode  # noqa: TC001 - as above
from datareeve.core.errors import BadInput
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
from datareeve.core.value import Value
from datareeve.core.yaml_text import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAME = re.compile(r"\w[\w-]{0,99}")
FOLDER = "etl"


class NewFacts(Value):
    """The draft, and what stands in its place."""

    text: str
    path: str
    source: Source
    decided: Decided
    standing: str | None = None
    taken: str = ""  # another file with a pipeline of that name
    problems: tuple[str, ...] = ()  # what keeps it from being run as it is


class New(Operation[NewFacts]):
    """Write a new pipeline from a source, after looking at it.

    Looks at a table of PostgreSQL, MariaDB, SQLite or DuckDB, at files of a folder (CSV, JSON, Parquet), or at one page of an HTTP API: columns, keys, what grows, and how much
    there is. Writes `etl/NAME.yaml` with keys, cursor, mode, types that lose nothing and a change budget, and beside each the reason, so that a person
    can judge it: a key that is only a guess is called one. Values are counted, and none is written. A pipeline that stands already is never
    overwritten. Undo removes the file.
    """

    name: ClassVar[str] = "pipelines.new"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "build an ETL pipeline from a source",
        "design and set up a data pipeline",
        "create a new pipeline",
        "make a pipeline that loads a table into the warehouse",
        "scaffold an etl pipeline from this table",
        "set up loading of csv files into duckdb",
        "write a pipeline for these parquet files",
        "start an elt job from the database to the warehouse",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("postgresql", "mysql", "sqlite", "duckdb", "folder")

    pipeline: str = Field(description="the new pipeline's name: letters, digits, _ and -")
    system: str | None = Field(
        None,
        description="where rows come from: a database or folder of the estate; default, with files: the project",
    )
    table: str | None = Field(None, description="table, or schema.table, of that system")
    files: str | None = Field(
        None, description="a path or pattern below the system's folder, or below the project: flights/*.csv"
    )
    url: str | None = Field(
        None, description="an HTTP API that answers rows as JSON; without any secret in it"
    )
    target: str = Field(description="the system that it publishes to")
    mode: Mode | None = Field(None, description="default: by what was found")
    keys: tuple[str, ...] = Field((), description="what tells one row from another; default: found by itself")
    cursor: str | None = Field(None, description="a column that only grows; default: found by itself")
    schedule: str | None = Field(
        None, description="five fields of cron, in UTC; default: it runs when it is asked to"
    )
    owner: str = Field("", description="who answers for it")

    @model_validator(mode="after")
    def _one_source(self) -> New:
        if sum(one is not None for one in (self.table, self.files, self.url)) != 1:
            raise ValueError("give one of `table` (of a `system`), `files` and `url`")
        if self.url is not None and self.system is not None:
            raise ValueError("a `url` stands for itself: leave `system` out")
        if self.table is not None and self.system is None:
            raise ValueError("a table needs `system`: the database or folder that has it")
        return self

    def observe(self, systems: Systems) -> NewFacts:
        """The source, what is decided of it, and the file that comes of that."""
        if not NAME.fullmatch(self.pipeline):
            raise BadInput("pipelines.name", f"{self.pipeline[:100]!r} is no name for a pipeline.", "Give letters, digits, _ and -.")  # fmt: skip
        kinds: Mapping[str, str] = systems["pipeline-code"].read("settings")["systems"]
        self._refuse_target(kinds)
        source = self._source(systems)
        decided = scaffold.decide(
            source, target=kinds[self.target], mode=self.mode, keys=self.keys, cursor=self.cursor
        )
        wanted = scaffold_text.Wanted(
            pipeline=self.pipeline,
            system=self.system,
            target=self.target,
            schedule=self.schedule,
            owner=self.owner,
        )
        text = scaffold_text.text(wanted, source, decided)
        known, path = spec_files.paths(systems), self._path(systems)
        return NewFacts(
            text=text,
            path=path,
            source=source,
            decided=decided,
            standing=systems["pipeline-code"].read("text", path=path),
            taken=known.get(self.pipeline, ""),
            problems=() if decided.lacks else tuple(self._problems(systems, path, text, known)),
        )

    def _refuse_target(self, kinds: Mapping[str, str]) -> None:
        """What cannot be a target is told before anything is looked at."""
        found = list(spec_checks.target((), self.target, spec_checks.Around(systems=kinds)))
        if found:
            raise BadInput(
                "pipelines.target", f"target: {found[0].what}.", "Name a database or folder of the estate."
            )

    def _source(self, systems: Systems) -> Source:
        if self.url is not None:
            return scaffold_look.look_at_url(systems, self.url)
        if self.files is not None:
            return scaffold_look.look_at_files(systems, self.system, self.files)
        return scaffold_look.look(systems, self.system or "", self.table or "")

    def _path(self, systems: Systems) -> str:
        """Where it is looked for: in etl/, or the first folder that the estate names."""
        patterns = [
            one for one in systems["pipeline-code"].read("settings")["files"] if not one.endswith(".py")
        ]
        path = f"{FOLDER}/{self.pipeline}.yaml"
        if any(PurePosixPath(path).match(one) for one in patterns) or not patterns:
            return path
        return str(
            PurePosixPath(patterns[0]).with_name(f"{self.pipeline}{PurePosixPath(patterns[0]).suffix}")
        )

    def _problems(self, systems: Systems, path: str, text: str, known: Mapping[str, str]) -> Iterator[str]:
        """Whether it loads as it is: another pipeline may publish the same table."""
        document = parse(text, path, "pipelines.syntax")
        others = {name: where for name, where in known.items() if name != self.pipeline}
        _, _, problems = spec_files.checked(systems, path, document, others)
        yield from spec_errors.told(path, (one for one in problems if not one.warning), document)

    def plan(self, facts: NewFacts) -> Plan:
        """One file; nothing where it stands already as it would be, a blocker where another one does."""
        source, decided = facts.source, facts.decided
        summary = f"Write {facts.path}: {decided.mode} from {self._what()} to {self.target}, {scaffold_text.many(len(source.columns), 'column')}."
        told = {
            "operation": self.name,
            "inputs": self.inputs(),
            "summary": summary,
            "findings": tuple(self._findings(facts)),
            "figures": {
                "columns": len(source.columns),
                **({"rows": source.rows} if source.rows is not None else {}),
            },
        }
        if facts.standing == facts.text:
            return Plan(nothing_to_do=f"{facts.path} says this already.", **told)
        blockers = [*decided.lacks, *facts.problems]
        if facts.standing is not None or facts.taken:
            blockers.insert(0, f"{facts.taken or facts.path} stands already, and is not overwritten: give another name, or remove it.")  # fmt: skip
        if blockers:
            return Plan(blockers=tuple(blockers), **told)
        step = self._step(facts)
        there = Call(system="files", action="digest", arguments={"path": facts.path})
        free = Claim(text=f"{facts.path} is not there yet", call=there, expected=None, remedy="Plan again.")
        return Plan(steps=(step,), checks=(step.probe,), requirements=(free,), **told)

    def _what(self) -> str:
        """The source, for people: 'app flights'."""
        words = self.url or " ".join((self.system or "the project", self.table or self.files or ""))
        return "".join(one if one.isprintable() else "?" for one in words)

    def _step(self, facts: NewFacts) -> Step:
        path, text = facts.path, facts.text
        return Step(
            id=f"write {path}",
            call=Call(system="files", action="write", arguments={"path": path, "text": text}),
            why="How the source is loaded is written down, with the reasons, for a person to review.",
            effect=Effect.REVERSIBLE,
            probe=Claim(
                text=f"{path} is as planned",
                call=Call(system="files", action="digest", arguments={"path": path}),
                expected=hashlib.sha256(text.encode()).hexdigest(),
            ),
            undo=(Call(system="files", action="restore", arguments={"path": path, "digest": None}),),
            predicted=Prediction(bytes=len(text.encode()), basis="the text itself"),
            touches=(f"files:{path}",),
            paths=(path,),
            shown=tuple(text.splitlines()),
        )

    def _findings(self, facts: NewFacts) -> Iterator[Finding]:
        guessed = any(
            key.why == "measured" and key.columns == facts.decided.keys for key in facts.source.keys
        )
        if guessed:
            yield _finding("guessed-key", ", ".join(facts.decided.keys), "Nothing keeps it unique: look whether it is meant to be.", Severity.WARNING)  # fmt: skip
        for name, one in facts.decided.types.items():
            yield _finding("explicit-type", name, f"Loaded as {one.value}. {one.why}")
        for note in facts.source.notes:
            yield _finding("not-looked-at", self._what(), f"{note[:1].upper()}{note[1:]}.")


def _finding(rule: str, subject: str, what: str, severity: Severity = Severity.INFO) -> Finding:
    return Finding(rule=rule, subject=subject, what=what, severity=severity)
