"""MCP over stdio: the tools that another agent delegates with.

No tool approves. What an agent plans is kept under its fingerprint; a person approves it at a terminal (`datareeve approve`), and only
then, or where the estate's authority allows it unattended, `apply` carries it out. Every call opens the project anew in a thread of its
own: what a person changed in estate.yaml counts from the next call on.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable  # noqa: TC003 - the SDK reads the tools' annotations
from pathlib import Path  # noqa: TC003 - as above
from typing import TYPE_CHECKING, Annotated, Any

import anyio.from_thread
import anyio.to_thread
from mcp.server.mcpserver import Context, MCPServer
from mcp.types import CallToolResult, TextContent, ToolAnnotations
from pydantic import Field

from datareeve import __version__
from datareeve.agent import standing
from datareeve.agent.bm25 import Document, Index
from datareeve.agent.planner import describe
from datareeve.agent.report import report as progress_report
from datareeve.agent.task import parse
from datareeve.app import App, catalogue, opened
from datareeve.core.errors import DatareeveError, NeedsApproval, Refused
from datareeve.core.operation import Effect
from datareeve.interfaces import crash, descriptions, fields, picking
from datareeve.interfaces.console import jsonable

if TYPE_CHECKING:
    from datareeve.core.operation import Operation, Plan
    from datareeve.core.runner import Progress

INSTRUCTIONS = """\
Datareeve does a data engineer's work on the databases of one estate. Hand it a task with `delegate`, in words, or plan one operation with
`plan`; both change nothing and give a plan with a fingerprint. `apply` carries a plan out where the estate allows it; where it answers
'waiting', a person must give the command that it names. Results are verified; `report` has the evidence."""

READS = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
KEEPS_A_PLAN = ToolAnnotations(
    read_only_hint=False, destructive_hint=False, idempotent_hint=True, open_world_hint=False
)
CHANGES = ToolAnnotations(
    read_only_hint=False, destructive_hint=True, idempotent_hint=True, open_world_hint=False
)
MOST_FOUND = 10
LONGEST_NAME = 64

Inputs = Annotated[
    dict[str, Any],
    Field(
        description="the operation's inputs, as describe_operation lists them; `system` may be left out where only one fits"
    ),
]
Fingerprint = Annotated[str, Field(description="the fingerprint of a plan, as `delegate` or `plan` gave it")]
OperationName = Annotated[str, Field(description="an operation's name, such as databases.create-index")]


class Tools:
    """The tools, on one project."""

    def __init__(self, project: Path) -> None:
        self._project = project

    def server(self) -> MCPServer[Any]:
        """The MCP server that publishes them."""
        server: MCPServer[Any] = MCPServer(
            "datareeve", version=__version__, instructions=INSTRUCTIONS, log_level="ERROR"
        )
        hints: dict[Callable[..., Any], ToolAnnotations] = {
            self.status: READS,
            self.report: READS,
            self.search_operations: READS,
            self.describe_operation: READS,
            self.run_read: READS,
            self.delegate: KEEPS_A_PLAN,
            self.plan: KEEPS_A_PLAN,
            self.apply: CHANGES,
        }
        for tool, hint in hints.items():
            server.add_tool(tool, annotations=hint)
        return server

    async def delegate(
        self,
        context: Context[Any, Any],
        task: Annotated[str, Field(description="the delegation template filled in, or one sentence")],
        rehearse: Annotated[bool, Field(description="try the plan on a disposable copy first")] = True,  # noqa: FBT002 - a tool's input
    ) -> CallToolResult:
        """Plan a data task given in words. Changes nothing: gives the plan, its fingerprint and what is asked back."""

        def work(app: App, progress: Progress) -> dict[str, Any]:
            read = app.plan_task(task)
            plan = app.rehearse(read.plan, progress) if rehearse and read.plan.parts else read.plan
            asked = [question.model_dump(mode="json") for question in read.questions]
            return {
                **_kept(app, plan, asked_by=caller(context), task=task),
                "notes": list(read.notes),
                "questions": asked,
            }

        return await self._answer(context, work)

    async def plan(
        self,
        context: Context[Any, Any],
        operation: OperationName,
        inputs: Inputs,
        rehearse: Annotated[  # noqa: FBT002 - a tool's input
            bool, Field(description="let an operation that learns on a copy try it there")
        ] = True,
    ) -> CallToolResult:
        """Plan one operation. Changes nothing: gives the plan and its fingerprint."""

        def work(app: App, progress: Progress) -> dict[str, Any]:
            made = _made(app, operation, inputs)
            plan = app.preview(made)
            plan = app.rehearse(plan, progress) if rehearse and made.learns_on_a_copy() else plan
            return _kept(app, plan, asked_by=caller(context), task="")

        return await self._answer(context, work)

    async def apply(self, context: Context[Any, Any], fingerprint: Fingerprint) -> CallToolResult:
        """Carry out a plan that a person approved or that the estate allows unattended; else say what a person must do."""

        def work(app: App, progress: Progress) -> dict[str, Any]:
            plan = picking.kept_plan(app, fingerprint)
            try:
                outcome = app.apply(plan, by=caller(context), progress=progress)
            except NeedsApproval as waiting:
                command = shlex.join(
                    ["datareeve", "approve", plan.fingerprint, "--project", str(app.project)]
                )
                return {
                    "status": "waiting",
                    "fingerprint": plan.fingerprint,
                    "why": waiting.what,
                    "a_person_runs": command,
                }
            return jsonable(outcome)  # type: ignore[no-any-return]

        return await self._answer(context, work)

    async def status(self, context: Context[Any, Any]) -> CallToolResult:
        """Look at every system of the estate now: health, performance, storage, service levels."""

        def work(app: App, _: Progress) -> dict[str, Any]:
            names = [name for kind in standing.LOOKS for name in app.systems.names(kind)]
            told = [
                standing.status(
                    name, estate=app.estate, catalogue=app.catalogue, ledger=app.ledger, preview=app.preview
                )
                for name in names
            ]
            told += standing.api_status(app.estate, app.catalogue, app.preview)
            told += standing.pipelines_status(app.catalogue, app.preview)
            return {
                "systems": jsonable(told),
                "service_levels": jsonable(
                    standing.objectives(
                        app.estate,
                        app.ledger,
                        standing.levels(app.estate, app.catalogue, app.preview),
                    )
                ),
            }

        return await self._answer(context, work)

    async def report(
        self, context: Context[Any, Any], run: Annotated[str, Field(description="a run, as `apply` named it")]
    ) -> CallToolResult:
        """The progress report of a run, with its evidence."""

        def work(app: App, _: Progress) -> dict[str, Any]:
            outcome = app.outcome(picking.run_named(app, run))
            words = app.ledger.entries("run", run=outcome.run)[0].body.get("task", "")
            told = progress_report(
                parse(words) if words else None, outcome, plan=app.stored_plan(outcome.plan)
            )
            return {"text": told.markdown(), **jsonable(told)}

        return await self._answer(context, work)

    async def search_operations(
        self,
        context: Context[Any, Any],
        query: Annotated[str, Field(description="what is to be done, in words; empty: all")] = "",
    ) -> CallToolResult:
        """Find operations by what they do, best first."""

        def work(app: App, _: Progress) -> dict[str, Any]:
            return {"operations": [descriptions.short(app.catalogue.get(name)) for name in _found(query)]}

        return await self._answer(context, work)

    async def describe_operation(
        self, context: Context[Any, Any], operation: OperationName
    ) -> CallToolResult:
        """What one operation does, its effect, and the JSON Schema of its inputs."""

        def work(app: App, _: Progress) -> dict[str, Any]:
            return descriptions.whole(app.catalogue.get(operation))

        return await self._answer(context, work)

    async def run_read(
        self, context: Context[Any, Any], operation: OperationName, inputs: Inputs
    ) -> CallToolResult:
        """Run an operation that only reads, and give its findings and figures. Any other is refused."""

        def work(app: App, progress: Progress) -> dict[str, Any]:
            if app.catalogue.get(operation).effect is not Effect.READ:
                raise Refused(
                    "mcp.not-a-read", f"{operation} does more than read.", "Use `plan`, then `apply`."
                )
            progress("part", operation=operation, summary="looking")
            plan = app.preview(_made(app, operation, inputs))
            progress("part", operation=operation, summary=plan.summary)
            kept = ("operation", "inputs", "summary", "findings", "figures", "blockers")
            return {key: value for key, value in jsonable(plan).items() if key in kept}

        return await self._answer(context, work)

    async def _answer(
        self, context: Context[Any, Any], work: Callable[[App, Progress], dict[str, Any]]
    ) -> CallToolResult:
        """The work's answer, done in a thread; an error is an answer too, with its code, what is wrong and what to do."""

        def in_thread() -> dict[str, Any]:
            with opened(self._project) as app:
                return work(app, told_to(context))

        try:
            return _result(await anyio.to_thread.run_sync(in_thread))
        except DatareeveError as error:
            return _result(error.as_json(), failed=True)
        except Exception as error:  # noqa: BLE001 - the boundary of a call: no traceback and no value leaves the process
            return _result(
                crash.written_down(error, ["mcp", "--project", str(self._project)]).as_json(), failed=True
            )


def caller(context: Context[Any, Any]) -> str:
    """Who calls: an agent, by the name its client gave. Never a person: nothing it does counts as an approval."""
    client = context.session.client_params
    name = client.client_info.name if client else "unknown"
    return "agent:" + "".join(c for c in name if c.isprintable())[:LONGEST_NAME]


def told_to(context: Context[Any, Any]) -> Progress:
    """A progress that the client is notified of, from the thread that does the work."""
    counted = 0

    def tell(event: str, **told: Any) -> None:
        nonlocal counted
        counted += 1
        words = [
            str(told[key])
            for key in ("operation", "step", "status", "text", "verdict", "summary")
            if told.get(key)
        ]
        anyio.from_thread.run(context.report_progress, counted, None, f"{event}: {' '.join(words)}")

    return tell


def _kept(app: App, plan: Plan, *, asked_by: str, task: str) -> dict[str, Any]:
    """A plan as an agent reads it, kept under its fingerprint where it would do something."""
    if any(plan.all_steps()):
        app.store(plan, asked_by=asked_by, task=task)
    return {
        "fingerprint": plan.fingerprint,
        "effect": plan.effect.value,
        "summary": plan.summary,
        "nothing_to_do": plan.nothing_to_do,
        "blockers": [
            *plan.blockers,
            *(blocker for leaf in plan.leaves() if leaf is not plan for blocker in leaf.blockers),
        ],
        "text": describe(plan),
        "steps": [
            {
                "part": leaf.part_id,
                "step": step.id,
                "why": step.why,
                "effect": step.effect.value,
                "can_be_undone": bool(step.undo),
            }
            for leaf in plan.leaves()
            for step in leaf.steps
        ],
    }


def _made(app: App, name: str, inputs: dict[str, Any]) -> Operation[Any]:
    return app.catalogue.make(name, fields.with_only_system(app.catalogue.get(name), inputs, app.systems))


def _found(query: str) -> list[str]:
    known = catalogue()
    if not query.strip():
        return list(known.names())
    documents = {}
    for name in known.names():
        operation = known.get(name)
        said = (name.replace(".", " ").replace("-", " "), descriptions.title(operation), *operation.examples)
        documents[name] = Document(key=name, utterances=said, body=descriptions.body(operation))
    return [score.key for score in Index(documents).search(query)[:MOST_FOUND]]


def _result(answer: dict[str, Any], *, failed: bool = False) -> CallToolResult:
    text = answer.get("text") or json.dumps(answer, ensure_ascii=False, indent=2)
    return CallToolResult(
        content=[TextContent(type="text", text=text)], structured_content=answer, is_error=failed
    )


def serve(project: Path) -> None:
    """Answer on standard input and output until the client hangs up."""
    Tools(project).server().run("stdio")
