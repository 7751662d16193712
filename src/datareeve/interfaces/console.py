"""What a person sees in a terminal: plans, outcomes, lists, progress. Nothing is decided here.

Names and texts come from databases and files, so nothing is printed as markup and control characters are shown, not obeyed.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel
from rich.console import Console, Group
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from datareeve.core import clock
from datareeve.core import figures as readable
from datareeve.core.operation import Effect, Severity, Verdict
from datareeve.core.runner import noticed
from datareeve.interfaces import descriptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from datareeve.agent.standing import Objective
    from datareeve.core.amounts import Amount
    from datareeve.core.operation import (
        Call,
        Check,
        Finding,
        Operation,
        Outcome,
        PartOutcome,
        Plan,
        Prediction,
        Step,
        StepOutcome,
    )
    from datareeve.core.runner import RunSummary
    from datareeve.systems.introduce import Joined

NOTHING_YET = (
    "The estate has nothing to look at yet. For the AI gateway: `datareeve run ai.set-up-gateway`, with OPENAI_API_KEY or "
    "ANTHROPIC_API_KEY set. For a database: `datareeve init postgresql://user@host:5432/database`"
)
PIPE_WIDTH = 140  # where the output is no terminal
FINDINGS_SHOWN = 5  # of one part of a wide plan
SHOWN = 12  # statements of a step
KEYS_SHOWN = 3  # of the rows that a finding names
ARGUMENT_SHOWN = 160  # characters
EFFECT_STYLES = {
    Effect.READ: "dim",
    Effect.REVERSIBLE: "green",
    Effect.IRREVERSIBLE: "bold red",
    Effect.COST: "yellow",
}
SEVERITY_MARKS = {
    Severity.INFO: ("·", "dim"),
    Severity.WARNING: ("!", "yellow"),
    Severity.CRITICAL: ("‼", "bold red"),
}
VERDICT_MARKS = {
    Verdict.HOLDS: ("✓", "green"),
    Verdict.FAILS: ("✗", "bold red"),
    Verdict.NOT_RUN: ("?", "yellow"),
}
STATUS_STYLES = {
    "done": "green",
    "nothing to do": "green",
    "skipped": "yellow",
    "partly done": "yellow",
    "blocked": "yellow",
    "under way": "cyan",
    "interrupted": "yellow",
}


class Screen:
    """Where a command's answer goes: text for a person, or one JSON value for a program. Progress and questions go to stderr."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self.out = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
        self.err = Console(stderr=True, width=None if sys.stderr.isatty() else PIPE_WIDTH, highlight=False)

    def show(self, value: Any, *rendered: RenderableType) -> None:
        """Print the answer: `value` as JSON, or what it looks like."""
        if self.as_json:
            sys.stdout.write(json.dumps(jsonable(value), ensure_ascii=False, indent=2) + "\n")
            return
        for part in rendered:
            self.out.print(part)

    def tell(self, *rendered: RenderableType) -> None:
        """Something for a person beside the answer; nothing with --json."""
        if not self.as_json:
            for part in rendered:
                self.out.print(part)

    def can_ask(self) -> bool:
        """Whether a person is there to answer."""
        return not self.as_json and sys.stdin.isatty() and sys.stderr.isatty()

    def ask(self, question: str) -> bool:
        """A yes or no; anything but yes is no."""
        return self.err.input(Text(f"{question} [y/N] ", "bold")).strip().lower() in {"y", "yes"}

    def progress(self, plan: Plan | None = None) -> Watcher:
        """What is told while something is looked at or a plan is carried out; nothing where a plan has no steps."""
        steps = sum(1 for _ in plan.all_steps()) if plan else None
        return Watcher(self.err, quiet=self.as_json or steps == 0, steps=steps)


def jsonable(value: Any) -> Any:
    """JSON of values, and of lists and mappings of them."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): jsonable(part) for key, part in value.items()}
    return [jsonable(part) for part in value] if isinstance(value, (list, tuple)) else value


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan with what is worked out from it."""
    return {"fingerprint": plan.fingerprint, "effect": plan.effect.value, **plan.model_dump(mode="json")}


def text(content: object, style: str = "") -> Text:
    """A text with its control characters made visible."""
    shown = "".join(
        c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in str(content).replace("\t", "  ")
    )
    return Text(shown, style)


def line(*parts: tuple[object, str] | object, indent: int = 0) -> RenderableType:
    """A line of styled parts, wrapped below its own indent."""
    joined = Text()
    for part in parts:
        joined.append_text(text(*part) if isinstance(part, tuple) else text(part))
    return Padding(joined, (0, 0, 0, indent), expand=False)


# -- plans -------------------------------------------------------------------------------------------------------------------------


def plan_view(plan: Plan, *, looks: bool = True) -> RenderableType:
    """Everything that would happen, for the person who approves it. `looks`: with the statements of steps that only look."""
    wide = bool(plan.parts)
    parts: list[RenderableType] = [line((plan.summary, "bold"))] if wide else []
    serves = None
    for leaf in plan.leaves():
        if leaf.serves and leaf.serves != serves:
            parts += ["", line(("• ", "cyan"), (leaf.serves, "bold cyan"))]
        serves = leaf.serves
        found = FINDINGS_SHOWN if wide else None
        parts.append(_leaf_view(leaf, 2 if wide else 0, findings=found, looks=looks))
    if wide and plan.blockers:
        parts += ["", *(line(("! ", "bold yellow"), blocker) for blocker in plan.blockers)]
    return Group(*parts, *_plan_foot(plan))


def _leaf_view(leaf: Plan, indent: int, findings: int | None, *, looks: bool) -> RenderableType:
    head = line(
        (f"{leaf.part_id} " if leaf.part_id else "", "dim"),
        (leaf.operation, "cyan"),
        "  ",
        ("" if leaf.summary in leaf.blockers else leaf.summary, "bold"),  # said once, as what blocks it
        indent=indent,
    )
    parts: list[RenderableType] = [head]
    if leaf.nothing_to_do and leaf.nothing_to_do != leaf.summary:
        parts.append(line(("nothing to do: ", "green"), leaf.nothing_to_do, indent=indent + 2))
    parts += [line(("blocked: ", "bold yellow"), blocker, indent=indent + 2) for blocker in leaf.blockers]
    parts += _findings(leaf.findings, indent + 2, findings)
    parts += [part for step in leaf.steps for part in _step_view(step, indent + 2, looks=looks)]
    parts += [
        line(("then checked: ", "dim"), (claim.text, "dim"), indent=indent + 2)
        for claim in leaf.checks
        if leaf.steps
    ]
    if leaf.figures and not leaf.steps and findings is None:
        parts.append(Padding(_figures(leaf.figures), (0, 0, 0, indent + 2)))
    return Group(*parts)


def _step_view(step: Step, indent: int, *, looks: bool) -> Iterator[RenderableType]:
    marks = [(f"  {step.effect.value}", EFFECT_STYLES[step.effect])]
    if step.restarts:
        marks.append(("  interrupts the service for a moment", "bold yellow"))
    if step.cost_usd:
        marks.append((f"  costs {step.cost_usd:.2f} USD", "yellow"))
    yield line(("→ ", "cyan"), (step.id, "bold"), *marks, indent=indent)
    if step.effect is not Effect.READ or looks:
        told = step.shown or (call_text(step.call),)
        yield from (line((one, "bright_blue"), indent=indent + 4) for one in told[:SHOWN])
        if len(told) > SHOWN:
            yield line((f"… and {len(told) - SHOWN} more", "dim"), indent=indent + 4)
    yield line(step.why, indent=indent + 4)
    if predicted := prediction_text(step.predicted):
        yield line(("expected  ", "dim"), predicted, indent=indent + 4)
    if step.undo:
        yield line(
            ("undo      ", "dim"),
            ("; ".join(call_text(call) for call in step.undo), "dim"),
            indent=indent + 4,
        )
    elif step.effect is Effect.READ:
        yield line((step.no_undo, "dim"), indent=indent + 4)
    else:
        yield line(("no way back  ", "bold red"), step.no_undo, indent=indent + 4)


def _plan_foot(plan: Plan) -> Iterator[RenderableType]:
    steps = list(plan.all_steps())
    if steps:
        counted = ", ".join(
            f"{n} {effect.value}" for effect in Effect if (n := sum(step.effect is effect for step in steps))
        )
        yield ""
        yield line(
            (f"{len(steps)} step{'s' * (len(steps) != 1)}", "bold"),
            f" ({counted})   ",
            ("fingerprint ", "dim"),
            plan.fingerprint,
        )


def call_text(call: Call) -> str:
    """A call as a person would write it."""
    arguments = call.arguments
    if "sql" in arguments:
        return _sql(str(arguments["sql"]), arguments.get("parameters"))
    if call.action == "alter_system":
        value = arguments.get("value")
        return (
            f"ALTER SYSTEM RESET {arguments['name']}"
            if value is None
            else f"ALTER SYSTEM SET {arguments['name']} = {value!r}"
        )
    if call.action == "write" and "text" in arguments:
        return f"write {arguments['path']} ({size(len(str(arguments['text']).encode()))})"
    listed = ", ".join(f"{key}={_short(value)}" for key, value in arguments.items())
    return f"{call.system}: {call.action.replace('_', ' ')} {listed}".rstrip()


def _sql(statement: str, parameters: object) -> str:
    """A statement on one line, without its comment lines, and what stands for its parameters."""
    told = " ".join(
        part.strip() for part in statement.splitlines() if not part.lstrip().startswith("--")
    ).strip()
    return f"{told}  with {_short(parameters)}" if parameters else told


def _short(value: object) -> str:
    shown = json.dumps(value, ensure_ascii=False, default=str)
    return shown if len(shown) <= ARGUMENT_SHOWN else f"{shown[:ARGUMENT_SHOWN]}…"


def prediction_text(predicted: Prediction) -> str:
    """What a step is expected to cost, in one line."""
    figures = (
        f"lock {predicted.lock}" if predicted.lock else "",
        f"{predicted.rows:,} rows" if predicted.rows is not None else "",
        size(predicted.bytes) if predicted.bytes is not None else "",
        f"{predicted.seconds:,.2g} s" if predicted.seconds is not None else "",
    )
    known = " · ".join(figure for figure in figures if figure)
    return f"{known} ({predicted.basis})" if known and predicted.basis else known


def _findings(findings: Sequence[Finding], indent: int, most: int | None) -> Iterator[RenderableType]:
    worst_first = sorted(findings, key=lambda f: list(Severity).index(f.severity), reverse=True)
    for finding in worst_first[:most]:
        mark, style = SEVERITY_MARKS[finding.severity]
        yield line((f"{mark} ", style), (finding.subject, "bold"), f"  {finding.what}", indent=indent)
        told = "  ".join(
            part for part in (finding.why, finding.instead and f"Instead: {finding.instead}") if part
        )
        if told:
            yield line((told, "dim"), indent=indent + 2)
        if most is None:
            words = (
                ("Computed: ", finding.figures.get("computed")),
                ("Proof: ", finding.figures.get("proof")),
                ("Rows: ", _keys(finding.figures.get("keys") or ())),
            )
            yield from (line((f"{word}{value}", "dim"), indent=indent + 2) for word, value in words if value)
    if most is not None and len(findings) > most:
        yield line((f"… and {len(findings) - most} more findings", "dim"), indent=indent)


def _keys(keys: Sequence[dict[str, Any]]) -> str:
    """Rows by their keys: 'tailnum=N201AA; tailnum=N202AA and 18 more'."""
    told = [
        "; ".join(", ".join(f"{name}={value}" for name, value in key.items()) for key in keys[:KEYS_SHOWN])
    ]
    return "".join([*told, f" and {len(keys) - KEYS_SHOWN} more" if len(keys) > KEYS_SHOWN else ""])


def _figures(figures: dict[str, Any]) -> RenderableType:
    """Figures by name, and below them those that are rows of something, each as a table."""
    grid = Table.grid(padding=(0, 2))
    rows = {name: found for name, value in figures.items() if (found := _rows_of(name, value, figures))}
    for name, value in figures.items():
        if name not in rows and not (name == "columns" and "rows" in rows):
            # A name of words is read as words; one that holds a key's id or a person's name stays as it is, to be copied.
            words = name.replace("_", " ") if name.isidentifier() else name
            grid.add_row(text(words, "dim"), text(_figure(name, value)))
    return Group(grid, *(_rows_view(name, *found) for name, found in rows.items()))


def _rows_of(name: str, value: Any, figures: dict[str, Any]) -> tuple[list[str], list[list[Any]]] | None:
    """Columns and rows of a figure that is a list of flat rows, without columns that say nothing; None of any other."""
    if not isinstance(value, (list, tuple)) or not value:
        return None
    if name == "rows" and isinstance(figures.get("columns"), (list, tuple)):
        return list(figures["columns"]), [list(row) for row in value]
    if not all(isinstance(row, dict) and not any(isinstance(v, dict) for v in row.values()) for row in value):
        return None
    named = dict.fromkeys(key for row in value for key in row)
    columns = [key for key in named if any(row.get(key) not in (None, "", 0, []) for row in value)]
    columns.sort(
        key=lambda key: not any(isinstance(row.get(key), str) for row in value)
    )  # what it is before how much
    return columns, [[row.get(column) for column in columns] for row in value]


def _rows_view(name: str, columns: list[str], rows: list[list[Any]]) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for place, column in enumerate(columns):
        numbers = all(isinstance(row[place], (int, float, type(None))) for row in rows)
        table.add_column(column.replace("_", " "), justify="right" if numbers else "left", overflow="fold")
    for row in rows[:ROWS_SHOWN]:
        shown = zip(columns, row, strict=True)
        table.add_row(*(text("" if value is None else _figure(column, value)) for column, value in shown))
    title = [] if name == "rows" else [line(""), line((name.replace("_", " "), "dim"))]
    more = len(rows) - ROWS_SHOWN
    left = [line((f"… and {more:,} more rows: --json has all of them", "dim"))] if more > 0 else []
    return Group(*title, table, *left)


def _figure(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value) if isinstance(value, str) else _told(name, value)
    if name.endswith("bytes"):
        return size(value)
    return readable.written(name, value)


def _told(name: str, value: Any) -> str:
    """A figure that is made of others, each by its own name too; what is nested deeper as JSON."""
    if not isinstance(value, dict) or any(isinstance(one, (dict, list, tuple)) for one in value.values()):
        return _short(value)
    return ", ".join(f"{key.replace('_', ' ')} {_figure(f'{name}_{key}', one)}" for key, one in value.items())


# -- outcomes ----------------------------------------------------------------------------------------------------------------------


def outcome_view(outcome: Outcome, plan: Plan | None = None) -> RenderableType:
    """What became of a run; with its plan, each step's prediction beside what really happened."""
    predicted = (
        {(leaf.part_id, step.id): step.predicted for leaf in plan.leaves() for step in leaf.steps}
        if plan
        else {}
    )
    parts: list[RenderableType] = []
    serves = None
    for part in outcome.parts:
        if part.serves and part.serves != serves:
            parts += ["", line(("• ", "cyan"), (part.serves, "bold cyan"))]
        serves = part.serves
        parts.append(_part_view(part, predicted))
    status = (
        "blocked"
        if outcome.parts and all(part.status == "blocked" for part in outcome.parts)
        else outcome.status
    )
    return Group(
        *parts,
        "",
        line(
            (status, f"bold {status_style(status)}"),
            "   run ",
            (outcome.run, "bold"),
            *_took(outcome),
        ),
    )


def _took(outcome: Outcome) -> Iterable[tuple[str, str]]:
    began = outcome.undo_at or outcome.started_at  # an undo took its own time, not that since the run began
    if began and outcome.ended_at:
        seconds = (datetime.fromisoformat(outcome.ended_at) - datetime.fromisoformat(began)).total_seconds()
        yield f"   {seconds:,.1f} s", "dim"


def _part_view(part: PartOutcome, predicted: dict[tuple[str, str], Prediction]) -> RenderableType:
    head = line(
        (f"{part.status}  ", status_style(part.status)),
        (part.operation, "cyan"),
        "" if part.summary in part.blockers else f"  {part.summary}",
    )
    parts: list[RenderableType] = [head]
    if part.reason and part.reason != part.summary:
        parts.append(line((part.reason, "dim"), indent=4))
    parts += [line(("blocked: ", "bold yellow"), blocker, indent=4) for blocker in part.blockers]
    parts += [_step_outcome(step, predicted.get((part.part_id, step.step))) for step in part.steps]
    parts += [check_view(check, indent=4) for check in part.checks]
    # What the plan found already was shown with it.
    findings = [finding for step in part.steps for finding in noticed(step)] if part.steps else part.findings
    parts += _findings(findings, 4, FINDINGS_SHOWN if part.part_id else None)
    if part.figures and not part.part_id:
        parts.append(Padding(_figures(part.figures), (0, 0, 0, 4)))
    return Group(*parts)


def _step_outcome(step: StepOutcome, predicted: Prediction | None) -> RenderableType:
    measured = [f"{step.seconds:,.2f} s"] if step.seconds is not None else []
    measured += [
        f"{value:,} rows" if key == "rows" else size(value)
        for key, value in step.result.items()
        if key in {"rows", "bytes"} and isinstance(value, int)
    ]
    told = ", ".join(measured) + (" (found there after a crash)" if step.found_by_probe else "")
    expected = prediction_text(predicted) if predicted else ""
    parts = [(f"{step.status:<7} ", status_style(step.status)), f"{step.step}  ", (told, "dim")]
    parts += [(f"  expected {expected}", "dim")] if expected else []
    return Group(line(*parts, indent=4), *([line((step.error, "red"), indent=8)] if step.error else []))


def check_view(check: Check, indent: int = 0) -> RenderableType:
    """A claim and what looking gave."""
    mark, style = VERDICT_MARKS[check.verdict]
    told = f"  {check.reason}" if check.reason else ""
    return line((f"{mark} ", style), check.claim.text, (told, "yellow"), indent=indent)


def status_style(status: str) -> str:
    """The colour of a status: green where it is well, red where it is not."""
    return STATUS_STYLES.get(status, "red")


# -- lists -------------------------------------------------------------------------------------------------------------------------


def runs_view(runs: Sequence[RunSummary]) -> RenderableType:
    """Runs, newest first."""
    if not runs:
        return line(
            "No runs yet. `datareeve delegate task.txt` or `datareeve run OPERATION` makes the first."
        )
    table = _table("run", "when", "status", "by", "what")
    for run in reversed(runs):
        table.add_row(
            text(run.run),
            text(ago(run.started_at), "dim"),
            text(run.status, status_style(run.status)),
            text(run.by, "dim"),
            text(run.summary),
        )
    halted = [run.run for run in runs if run.status == "interrupted"]
    return Group(table, interrupted_view(halted[-1])) if halted else table


def interrupted_view(run: str) -> RenderableType:
    """What to do about a run whose worker is gone."""
    return line(("! ", "yellow"), f"{run} was interrupted: `datareeve resume {run}` carries it on, `datareeve undo {run}` takes it back.")  # fmt: skip


def operations_view(operations: Iterable[type[Operation[Any]]]) -> RenderableType:
    """The catalogue."""
    table = _table("operation", "effect", "what it does")
    for operation in operations:
        table.add_row(
            text(operation.name, "cyan"),
            text(operation.effect.value, EFFECT_STYLES[operation.effect]),
            text(descriptions.title(operation)),
        )
    return table


def operation_view(operation: type[Operation[Any]]) -> RenderableType:
    """One operation: what it does, its inputs, how people ask for it."""
    table = _table("field", "needed", "what it is")
    for name, field in operation.model_fields.items():
        needed = (
            "yes"
            if field.is_required()
            else f"no ({_short(jsonable(field.get_default(call_default_factory=True)))})"
        )
        table.add_row(text(f"--{name.replace('_', '-')}"), text(needed, "dim"), text(field.description or ""))
    asked = [line(("“" + example + "”", "dim"), indent=2) for example in operation.examples]
    head = line(
        (operation.name, "bold cyan"),
        (f"  {operation.effect.value}", EFFECT_STYLES[operation.effect]),
        f"  {descriptions.title(operation)}",
    )
    return Group(
        head,
        "",
        line(descriptions.body(operation)),
        "",
        table,
        "",
        line(("It is asked for like this:", "dim")),
        *asked,
    )


def checks_view(checks: Sequence[Check], *, again: bool) -> RenderableType:
    """Evidence: each claim with what was seen and when; looked at again, whether it still holds."""
    if not checks:
        return line("This run recorded no checks.")
    words = {
        Verdict.HOLDS: "holds",
        Verdict.FAILS: "no longer holds" if again else "did not hold",
        Verdict.NOT_RUN: "cannot be re-run" if again else "was not run",
    }
    rows = [
        Group(
            line(
                (
                    f"{VERDICT_MARKS[check.verdict][0]} {words[check.verdict]}  ",
                    VERDICT_MARKS[check.verdict][1],
                ),
                check.claim.text,
            ),
            line(
                (
                    f"seen {_short(check.observed)}, expected {_expected(check)}   {check.at[:19]}  {check.reason}".rstrip(),
                    "dim",
                ),
                indent=2,
            ),
            line((call_text(check.claim.call), "bright_blue"), indent=2),
        )
        for check in checks
    ]
    return Group(*rows)


def _expected(check: Check) -> str:
    words = {"equals": "", "at_least": "at least ", "at_most": "at most ", "contains": "one that holds "}
    return words[check.claim.comparison] + _short(check.claim.expected)


def objectives_view(found: Sequence[Objective]) -> RenderableType:
    """Service levels: the target, what was measured last, and how much of the last 30 days was within it."""
    if not found:
        return line(NOTHING_YET)
    table = _table("system", "target", "bound", "latest", "within, 30 days", "measured")
    for objective in found:
        row = [
            text(objective.system, "cyan"),
            text(objective.target.replace("_", " ")),
            text(f"{'more than' if objective.more_than else 'at most'} {objective.limit:g}"),
        ]
        if objective.queries and objective.latest is None:
            row += _counted_queries(objective.queries)
        elif objective.latest is None or objective.share is None:
            row += [text("not measured yet", "yellow"), text(""), text(f"by {objective.measured_by}", "dim")]
        else:
            style = "green" if objective.kept else "bold red"
            counted = f"{objective.share:.1%} of {objective.measured:,}"
            row += [
                text(readable.number(objective.latest), style),
                text(counted),
                text(ago(objective.at), "dim"),
            ]
        table.add_row(*row)
    levels = [_query_level(o.system, o.queries) for o in found if o.queries]
    return Group(table, *levels)


VERDICT_STYLES = {"met": "green", "missed": "bold red", "cannot be told": "yellow", "not known": "yellow"}


def _query_level(system: str, level: dict[str, Any]) -> RenderableType:
    """The service level of a database's queries: verdict, error budget, burn rates, and the families that have most slow calls."""
    verdict = level["slo_verdict"]
    parts: list[RenderableType] = [
        line(""),
        line(
            (system, "cyan"),
            "  queries: ",
            (verdict, VERDICT_STYLES[verdict]),
            f"  {level.get('summary', '')}",
        ),
    ]
    rates = [(name, rate) for name, rate in level.get("slo_burn", {}).items() if rate]
    if rates:
        told = ", ".join(f"{name} {_between(rate[0], rate[1], '.2f')}x" for name, rate in rates)
        parts.append(line((f"budget burned in the last {told} (1x lasts 30 days)", "dim"), indent=4))
    parts += [line((note, "dim"), indent=4) for note in level.get("slo_notes", ())]
    families = level.get("slo_families", ())[:QUERY_FAMILIES_SHOWN]
    if not families:
        return Group(*parts)
    table = _table("fingerprint", "calls", "over the target", "verdict", "statement")
    for row in families:
        over = _between(row["over_at_least"], row["over_at_most"], ",d")
        shown = row["sql"] if len(row["sql"]) <= SHOWN_WIDTH else f"{row['sql'][: SHOWN_WIDTH - 1]}…"
        style = VERDICT_STYLES[row["verdict"]]
        table.add_row(
            text(row["fingerprint"]),
            text(f"{row['calls']:,}"),
            text(over),
            text(row["verdict"], style),
            text(shown, "dim"),
        )
    return Group(*parts, Padding(table, (0, 0, 0, 4)))


def _counted_queries(level: dict[str, Any]) -> list[Text]:
    """The row of a target that is held against the workload itself."""
    verdict, low = level["slo_verdict"], level.get("slo_share_at_least")
    if low is None:
        return [text(verdict, VERDICT_STYLES[verdict]), text(""), text("see below", "dim")]
    counted = (
        f"{_between(low, level['slo_share_at_most'], '.1%')} of {level['slo_budget']['calls']:,} queries"
    )
    return [
        text(verdict, VERDICT_STYLES[verdict]),
        text(counted),
        text("by the workload's own counters", "dim"),
    ]


QUERY_FAMILIES_SHOWN = 8
ROWS_SHOWN = 50
SHOWN_WIDTH = 70


def _between(low: float, high: float, form: str) -> str:
    one, other = format(low, form), format(high, form)
    return one if one == other else f"{one} to {other}"


def joined_view(joined: Sequence[Joined]) -> RenderableType:
    """What `init` found, what is missing with the text to paste, and what to do next."""
    return Group(*(part for system in joined for part in _joined(system)))


def _joined(system: Joined) -> Iterator[RenderableType]:
    found = system.found
    tables = sum(found.schemas.values())
    already = "  already in estate.yaml, left as it is" if system.known else ""
    yield line(
        (system.name, "bold cyan"),
        f"  {found.product} {found.version}, {size(found.size_bytes)}, {tables} tables in {', '.join(found.schemas) or 'no schema'}",
        (already, "dim"),
    )
    if system.stored:
        yield line(
            ("! ", "yellow"),
            f"The password stood on the command line, where others may have seen it. It is now in {system.password.removeprefix('file:') if system.password else ''}: change it if that matters.",
            indent=2,
        )
    for note in found.notes:
        yield line(("· ", "dim"), note, indent=2)
    if found.server:
        yield line(
            ("✓ ", "green"),
            f"Its files are on this machine ({found.server.data}): it can be restarted when you approve it.",
            indent=2,
        )
    for missing in found.missing:
        yield line(("! ", "yellow"), missing.without, indent=2)
        yield line(("\n".join(missing.statements), "bright_blue"), indent=6)
    if found.superuser and found.least_privilege:
        yield line(
            ("· ", "dim"),
            "To have all reading done under a role that can do nothing else, paste this and add `read_role: datareeve_read` to the system:",
            indent=2,
        )
        yield line(("\n".join(found.least_privilege), "bright_blue"), indent=6)


def markdown_view(markdown: str) -> RenderableType:
    """A report as it is read in a terminal."""
    from rich.markdown import Markdown  # noqa: PLC0415 - slow to import, and only reports need it

    return Markdown("".join(c if c.isprintable() or c == "\n" else " " for c in markdown))


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


# -- progress ----------------------------------------------------------------------------------------------------------------------


PLAIN_SECONDS = 30.0  # between two lines of how far a step is, where there is no terminal


class Watcher:
    """Tells a person what the runner is doing: a live bar on a terminal, plain lines elsewhere, nothing with --json."""

    def __init__(self, console: Console, *, quiet: bool, steps: int | None) -> None:
        self._console = console
        self._quiet = quiet
        self._serves = ""
        self._at, self._told_at = "", 0.0  # the step, and when it last told how far it is
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        self._bar = Progress(
            *columns, console=console, transient=True, disable=quiet or not console.is_terminal
        )
        self._task = self._bar.add_task("", total=steps)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, event: str, **fields: Any) -> None:
        """An event of the runner."""
        if self._quiet:
            return
        teller: Callable[..., None] = getattr(self, f"_{event}", self._other)
        teller(**fields)

    def _part(self, *, serves: str = "", operation: str = "", summary: str = "", **_: Any) -> None:
        if serves and serves != self._serves:
            self._print(line(("• ", "cyan"), (serves, "bold")))
        self._serves = serves
        self._print(line((f"{operation}  ", "cyan"), summary, indent=2))

    def _step(self, *, step: str, status: str, seconds: float | None = None, **_: Any) -> None:
        if status == "begins":
            self._at, self._told_at = step, time.monotonic()
            self._bar.update(self._task, description=text(step).plain)
            return
        self._bar.advance(self._task)
        took = f"  {seconds:,.1f} s" if seconds is not None else ""
        self._print(line((f"{status:<7} ", status_style(status)), step, (took, "dim"), indent=4))

    def amount(self, done: Amount) -> None:
        """How far the step is, from another thread."""
        if self._quiet:
            return
        told = [f"{done.rows:,} rows" if done.rows is not None else f"{100 * done.share:.0f} %"]
        if done.rows_per_s is not None:
            told.append(f"{done.rows_per_s:,.0f} a second")
        if done.seconds_left is not None:
            told.append(f"about {timedelta(seconds=round(done.seconds_left))} left")
        self._bar.update(self._task, description=text(f"{self._at}: {', '.join(told)}").plain)
        if not self._console.is_terminal and time.monotonic() > self._told_at + PLAIN_SECONDS:
            self._told_at = time.monotonic()
            self._print(line((", ".join(told), "dim"), indent=6))

    def _check(self, *, text: str, verdict: Verdict, **_: Any) -> None:
        mark, style = VERDICT_MARKS[Verdict(verdict)]
        self._print(line((f"{mark} ", style), text, indent=4))

    def _other(self, *, text: str = "", **_: Any) -> None:
        self._print(line((text, "dim"), indent=4))

    def _print(self, rendered: RenderableType) -> None:
        self._bar.console.print(rendered)


# -- words -------------------------------------------------------------------------------------------------------------------------


def size(count: float) -> str:
    """Bytes, as people say them."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:  # noqa: PLR2004 - SI prefixes
            return f"{count:,.0f} {unit}" if unit == "B" else f"{count:,.1f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def ago(stamp: str) -> str:
    """How long ago a moment was."""
    seconds = max(0.0, (clock.now() - datetime.fromisoformat(stamp)).total_seconds())
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"
