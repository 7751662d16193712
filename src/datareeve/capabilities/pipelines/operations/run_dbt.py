"""`pipelines.run-dbt`: a command of dbt in a project that people have, planned, run once, and told."""

from __future__ import annotations

import re
from typing import Any, ClassVar, Literal

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

MOST_SHOWN = 60  # nodes in a plan
SECRET = re.compile(r"pass(?:word|wd|phrase)?|secret|token|api_?key|credential|private_?key", re.IGNORECASE)
CALLED = r"\bdbt\s+(?:run|test|build)\b[^\n]*?\s"  # and then an option of it
WORD = r"(?!-)[\w.+:*@/,-]*[\w+*]"  # of a selection, without the mark that ends a sentence
WORDS = rf"{WORD}(?:\s+(?!(?:and|then|in|on|of|for|but|with)\b){WORD})*"
REFERENCE = re.compile(r"^(?:env|file|keyring|vault):")


class DbtNode(Value):
    """A node that the command is about."""

    id: str
    kind: str
    name: str
    relation: str = ""
    schema_name: str = ""
    materialized: str = ""
    appends: bool = False
    writes: bool = False
    file: str = ""


class DbtFacts(Value):
    """What the command would do, in the order of doing."""

    project: str
    adapter: str
    dbt_version: str
    nodes: tuple[DbtNode, ...]
    downstream: tuple[str, ...] = ()
    exposures: tuple[str, ...] = ()
    seconds: float | None = None
    seconds_of: int = 0
    digest: str


class RunDbt(Operation[DbtFacts]):
    """Run a dbt command: `run`, `test` or `build` of a dbt project, of all of it or of a selection.

    The plan names each node in the order of its dependencies, the relations that are written, the models and exposures downstream of them, and how long it took
    the last time. It is made again before anything is done: a project that was changed in between is planned anew. dbt runs as a process of its own, once: after a crash
    only the nodes that had not finished are run, and an append that was under way is never repeated. What came of each node is told with its counts and the class of its
    error, without what dbt quotes. The run fails where a node fails. There is no undo: dbt keeps nothing of what it replaces.
    """

    name: ClassVar[str] = "pipelines.run-dbt"
    effect: ClassVar[Effect] = Effect.IRREVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "dbt run",
        "dbt test",
        "dbt build",
        "run the dbt project",
        "dbt run --select +daily_revenue --full-refresh",
        "dbt build --exclude stg_payments",
        "run the dbt models and the dbt tests",
        "rebuild a dbt model and what is downstream of it",
    )
    said_as: ClassVar[tuple[str, ...]] = (
        r"\bdbt\s+(?P<command>run|test|build)\b",
        rf"{CALLED}(?:--select|-s|--models?|-m)[\s=]+(?P<select>{WORDS})",
        rf"{CALLED}(?:--select|-s|--models?|-m)[\s=]+(?P<select_2>\S+)",  # whatever it is: a part is never taken for all
        rf"{CALLED}--exclude[\s=]+(?P<exclude>{WORDS})",
        rf"{CALLED}--exclude[\s=]+(?P<exclude_2>\S+)",
        rf"{CALLED}(?P<full_refresh>--full-refresh)\b",
        rf"{CALLED}(?P<options>--(?!select\b|models?\b|exclude\b|full-refresh\b)[\w-]+|-(?![-sm]\b)[a-zA-Z]\b)",
        r"\bdbt\s+(?P<command_2>test)s\b",
    )
    goes_to: ClassVar[tuple[str, ...]] = ("dbt",)
    takes_long: ClassVar[bool] = True

    system: str = Field(description="the dbt project's name in the estate")
    command: Literal["run", "test", "build"] = Field(
        "build", description="run: models; test: tests; build: seeds, snapshots, models and their tests"
    )
    select: tuple[str, ...] = Field(
        (), description="as dbt's --select: orders, +orders, tag:nightly; default: all"
    )
    exclude: tuple[str, ...] = Field((), description="as dbt's --exclude")
    full_refresh: bool = Field(default=False, description="make incremental models and seeds anew")
    vars: dict[str, Any] = Field(
        default_factory=dict,
        description="as dbt's --vars; no secrets: those go by `environment` in the estate",
    )

    options: str = Field(
        "", description="no other option of dbt is taken: a target and profiles stand in the estate"
    )

    @field_validator("options")
    @classmethod
    def _no_others(cls, given: str) -> str:
        if given:
            raise ValueError(
                f"dbt's {given} is not taken here: a target and profiles stand in the estate (systems), variables are `vars`"
            )
        return given

    @field_validator("full_refresh", mode="before")
    @classmethod
    def _as_said(cls, given: object) -> object:
        return True if given == "--full-refresh" else given

    @field_validator("select", "exclude", mode="before")
    @classmethod
    def _words(cls, given: object) -> object:
        return tuple(given.split()) if isinstance(given, str) else given

    @field_validator("vars")
    @classmethod
    def _no_secrets(cls, given: dict[str, Any]) -> dict[str, Any]:
        for name, value in given.items():
            if SECRET.search(name) or (isinstance(value, str) and REFERENCE.match(value)):
                raise ValueError(
                    f"{name!r} looks like a secret, and vars stand in the process's arguments: read it by env_var() and give it under systems.{{name}}.environment"
                )
        return given

    def observe(self, systems: Systems) -> DbtFacts:
        """What dbt itself says that the command is about."""
        return DbtFacts.model_validate(systems[self.system].read("selection", **self._asked()))

    def _asked(self) -> dict[str, Any]:
        return {
            "command": self.command,
            "select": list(self.select),
            "exclude": list(self.exclude),
            "vars": self.vars,
        }

    # -- deciding ------------------------------------------------------------------------------------------------------------------

    def plan(self, facts: DbtFacts) -> Plan:
        """Two parts: dbt runs; what came of each node is told."""
        if not facts.nodes:
            what = f"dbt {self.command} selects nothing in {facts.project}."
            return Plan(operation=self.name, inputs=self.inputs(), summary=what, blockers=(f"{what} Look at --select and --exclude.",))  # fmt: skip
        told = self._told(facts).labelled("2", needs=("1",))
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=self._summary(facts),
            figures=self._figures(facts),
            findings=tuple(self._appending(facts)),
            parts=(self._run(facts).labelled("1"), told),
        )

    def _summary(self, facts: DbtFacts) -> str:
        written = sum(node.writes for node in facts.nodes)
        wide = (
            f"; downstream: {_counted(len(facts.downstream), 'model')}, {_counted(len(facts.exposures), 'exposure')}"
            if written
            else ""
        )
        return f"dbt {self.command} of {facts.project} on {self.system}: {_counted(len(facts.nodes), 'node')}, {_counted(written, 'relation')} written{wide}."

    def _figures(self, facts: DbtFacts) -> dict[str, Any]:
        return {
            "nodes": len(facts.nodes),
            "relations_written": sum(node.writes for node in facts.nodes),
            "downstream": list(facts.downstream[:MOST_SHOWN]),
            "exposures": list(facts.exposures[:MOST_SHOWN]),
            "dbt_version": facts.dbt_version,
            "adapter": facts.adapter,
        }

    def _appending(self, facts: DbtFacts) -> list[Finding]:
        if self.full_refresh or self.command == "test":
            return []
        return [
            Finding(
                rule="dbt-appends",
                subject=f"{self.system}: {node.name}",
                what=f"{node.name} is incremental without a unique_key: each run appends to it, and one that is given twice doubles rows.",
                why="dbt keeps no mark of what it has appended.",
                instead="Give it a unique_key, or a filter in is_incremental() that a second run finds nothing by.",
                severity=Severity.INFO,
            )
            for node in facts.nodes
            if node.appends
        ]

    @property
    def key(self) -> str:
        """What tells this command from another one of the same run."""
        return fingerprint([self._asked(), self.full_refresh, self.system])[:12]

    def _run(self, facts: DbtFacts) -> Plan:
        written = [node for node in facts.nodes if node.writes]
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"dbt {self.command} in {facts.project}.",
            requirements=(self._still(facts),),
            steps=(self._step(facts, written),),
            checks=(self._ran(),),
        )

    def _step(self, facts: DbtFacts, written: list[DbtNode]) -> Step:
        given = {"key": self.key, "asked": self._asked(), "full_refresh": self.full_refresh}
        seconds = facts.seconds if facts.seconds_of else None
        basis = (
            f"the last results of {facts.seconds_of} of {len(facts.nodes)}, one after another"
            if facts.seconds_of
            else ""
        )
        return Step(
            id=f"dbt-{self.command} {self.system}",
            call=Call(system=self.system, action="command", arguments=given),
            why=f"dbt makes {_counted(len(written), 'relation')} anew, from what it is made of." if written else "dbt looks whether the data is as its tests say.",
            effect=Effect.IRREVERSIBLE if written else Effect.READ,
            probe=self._ran(),
            no_undo="dbt keeps nothing of what it replaces: restore a backup, or run it again from the same sources." if written else "Nothing is changed.",
            predicted=Prediction(seconds=seconds, basis=basis),
            touches=(f"{self.system}:project",),
            schemas=tuple(sorted({node.schema_name for node in written if node.schema_name})),
            continues=True,
            shown=_shown(facts.nodes),
        )  # fmt: skip

    def _told(self, facts: DbtFacts) -> Plan:
        step = Step(
            id=f"dbt-results {self.system}",
            call=Call(system=self.system, action="told", arguments={"key": self.key}),
            why="Each node that failed is named, with its counts and the class of its error.",
            effect=Effect.READ,
            probe=self._ran(),
            no_undo="Nothing is changed.",
        )
        good = Claim(
            text=f"no node of dbt {self.command} on {self.system} failed or was left out",
            call=self._read("not_good"),
            expected=0,
            remedy="The findings name the nodes.",
        )
        return Plan(operation=self.name, inputs=self.inputs(), summary=f"Read what came of {_counted(len(facts.nodes), 'node')}.", steps=(step,), checks=(good,))  # fmt: skip

    def _still(self, facts: DbtFacts) -> Claim:
        return Claim(
            text=f"{facts.project} is as it was planned",
            call=Call(system=self.system, action="digest", arguments=self._asked()),
            expected=facts.digest,
            remedy="Somebody changed the project: plan again.",
        )

    def _ran(self) -> Claim:
        return Claim(text=f"dbt {self.command} on {self.system} has ended", call=self._read("ran"))

    def _read(self, action: str) -> Call:
        return Call(system=self.system, action=action, arguments={"run": "{run}", "key": self.key})


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _shown(nodes: tuple[DbtNode, ...]) -> tuple[str, ...]:
    """Each node in order, as people read it: 'model orders_by_day: table "shop"."main"."orders_by_day"'."""
    lines = [
        f"{node.kind} {node.name}"
        + (f": {node.materialized} {node.relation}" if node.writes and node.relation else "")
        for node in nodes[:MOST_SHOWN]
    ]
    more = len(nodes) - MOST_SHOWN
    return (*lines, *([f"and {more:,} more"] if more > 0 else []))
