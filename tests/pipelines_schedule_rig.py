"""A stand-in for a pipeline, for tests of what runs pipelines: three steps that leave a line each, fail when told to, and wait at a file.

Its truth is easy to state: of a run each line stands once, and in order. Steps wait as long as `block-STEP` lies in the folder; a step fails
with the code that `fail` holds; what is there of a run is told by `effects.txt`.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from datareeve.app import App
from datareeve.capabilities.pipelines.scheduling.publications import PUBLISH, RUN
from datareeve.capabilities.pipelines.spec import Schedule
from datareeve.core.catalogue import Catalogue
from datareeve.core.errors import Failed, LeaseLost
from datareeve.core.estate import Authority, Estate, Rule
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Step
from datareeve.core.value import Value
from datareeve.interfaces import worker
from datareeve.systems.adapter import Adapter, effects, reads

if TYPE_CHECKING:
    from datareeve.core.ledger import Fence, Ledger

BUILD = "pipelines.build"
STEPS = ("load a", "load b", "publish")


class StandIn(Adapter):
    """Leaves a line in a file for each effect."""

    kind = "stand-in"

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        super().__init__("stand-in")
        self.folder, self.ledger = folder, ledger

    @reads
    def there(self, step: str, by_run: str) -> bool:
        """Whether the line is there."""
        return f"{step} {by_run}" in lines(self.folder)

    @effects
    def work(self, step: str, *, run: str, fence: Fence) -> dict[str, object]:
        """Wait where told to, fail where told to, leave a line."""
        (self.folder / f"at-{step.replace(' ', '-')}").write_text(str(os.getpid()))
        while (self.folder / f"block-{step.replace(' ', '-')}").exists():
            time.sleep(0.01)
        if not self.ledger.holds(
            fence
        ):  # as a destination that is fenced refuses what a worker without a lease commits
            raise LeaseLost("lease.lost", "Another worker has it.", "")
        fails = self.folder / "fail"
        if fails.exists():
            raise Failed(fails.read_text(), "It was told to.", "Nothing.")
        with (self.folder / "effects.txt").open("a") as file:
            file.write(f"{step} {run}\n")
        return {"rows": 10}

    @effects
    def take_back(self, step: str, by_run: str) -> dict[str, object]:
        """Remove the line."""
        kept = [line for line in lines(self.folder) if line != f"{step} {by_run}"]
        (self.folder / "effects.txt").write_text("".join(f"{line}\n" for line in kept))
        return {}


def lines(folder: Path) -> list[str]:
    """What was done."""
    file = folder / "effects.txt"
    return file.read_text().splitlines() if file.exists() else []


class NoFacts(Value):
    """Nothing is looked at."""


def step(name: str, pipeline: str) -> Step:
    """One step of the stand-in."""
    mine = {"step": name, "by_run": "{run}"}
    return Step(
        id=name,
        call=Call(system="stand-in", action="work", arguments={"step": name}),
        why="A line that would stand twice if it were done twice.",
        effect=Effect.REVERSIBLE,
        probe=Claim(text=f"{name} is done", call=Call(system="stand-in", action="there", arguments=mine)),
        undo=(Call(system="stand-in", action="take_back", arguments=mine),),
        touches=(f"pipeline:{pipeline}",),
    )


class Run(Operation[NoFacts]):
    """Runs the stand-in."""

    name: ClassVar[str] = RUN
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    pipeline: str

    def observe(self, systems):
        return NoFacts()

    def plan(self, facts):
        parts = (
            self.part(BUILD, STEPS[:2]).labelled("1"),
            self.part(PUBLISH, STEPS[2:]).labelled("2", needs=("1",)),
        )
        return Plan(operation=RUN, inputs=self.inputs(), summary="Runs it.", parts=parts)

    def part(self, operation, names):
        steps = tuple(step(name, self.pipeline) for name in names)
        return Plan(operation=operation, inputs=self.inputs(), summary=operation, steps=steps)


class Build(Run):
    """Its first part."""

    name: ClassVar[str] = BUILD


class Publish(Run):
    """Its second part."""

    name: ClassVar[str] = PUBLISH


ALLOWED = Authority(rules=(Rule(decision="allow"),))


def application(project: Path, ledger: str | None = None, **estate) -> App:
    """An application whose only operations are the stand-in's."""
    app = App(project, Estate(ledger=ledger, authority=ALLOWED, **estate))
    return prepared(app)


def prepared(app: App) -> App:
    """The stand-in in the place of every operation."""
    app.catalogue = Catalogue([Run, Build, Publish])
    app.systems.add_lazily("stand-in", lambda: StandIn(app.project, app.ledger))
    return app


# -- as processes: `child PIPELINE PROJECT`, `worker PROJECT`, `look PROJECT` ---------------------------------------------------------


def opened(project: Path) -> App:
    """The project with the stand-in, and the schedules of `schedules.json`."""
    app = prepared(App.open(project))
    told = json.loads((project / "schedules.json").read_text())
    app.pipeline_schedules = lambda: {name: Schedule.model_validate(one) for name, one in told.items()}
    return app


COMMAND = (sys.executable, __file__, "child")


def work(project: Path, *, once: bool = False) -> None:
    """A worker that takes another for dead after two seconds."""
    app = opened(project)
    worker.work(project, app.job_queue(), concurrency=2, once=once, command=COMMAND, stalled_seconds=2.0)


if __name__ == "__main__":
    if sys.argv[1] == "child":
        sys.exit(worker.main(sys.argv[2:], opened))
    work(Path(sys.argv[2]), once="once" in sys.argv)
