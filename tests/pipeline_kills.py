"""Pipelines killed at random moments of one of their phases, and what is then in the destination: the tests' rig, and the bench's."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import signal
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

PHASES = {  # from the boundary that begins it to the one that ends it
    "load": ("before effect of build/load t", "after effect of build/load t"),
    "merge": ("before effect of build/compare", "after effect of build/compare"),
    "publish": ("before effect of publish/publish", "after effect of publish/publish"),
    "backfill": ("before effect of build/begin", "after effect of publish/publish"),
}
CHILDREN = multiprocessing.get_context("forkserver")
PRELOAD = ["pipeline_kills", "datareeve.app", "datareeve.capabilities.pipelines.flow.building", "datareeve.systems.destination_duckdb",
           "datareeve.systems.destination_postgres", "datareeve.systems.destination_dataset", "datareeve.systems.sources", "datareeve.systems.pipeline_desk", "duckdb"]  # fmt: skip
CHILDREN.set_forkserver_preload(PRELOAD)
COLUMNS = "id, v, n, seen"
SOURCE = """CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(10,2), seen timestamptz NOT NULL);
CREATE INDEX ON t (seen)"""
ESTATE = """version: 1
systems:
  app: {{kind: postgresql, url: "{source}"}}
  there: {target}
"""
OF_PATHS = {
    "duckdb": "{kind: duckdb, path: there.duckdb}",
    "dataset": "{kind: folder, path: there, writable: true}",
}
PIPELINE = """version: 1
target: there
loads:
  t:
    source: {{system: app, table: t}}
    mode: {mode}
    keys: [id]
    {more}
    batch_rows: {batch}
"""


@dataclass
class World:
    """A source, a destination and a pipeline between them."""

    project: Path
    source: str  # URL of a PostgreSQL database
    target: str  # 'duckdb', 'dataset', or the URL of another PostgreSQL database
    mode: str = "upsert"
    rows: int = 2000
    batch: int = 300
    moment: int = 0
    begun: bool = False
    backfill: bool = False
    random: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - spread, not secret

    def make(self) -> World:
        """Make the project and the source's table."""
        (self.project / "etl").mkdir(parents=True, exist_ok=True)
        target = OF_PATHS.get(self.target) or f'{{kind: postgresql, url: "{self.target}"}}'
        (self.project / "estate.yaml").write_text(ESTATE.format(source=self.source, target=target))
        more = {"upsert": "cursor: seen\n    deletes: remove", "append": "cursor: seen"}.get(self.mode, "")
        (self.project / "etl/p.yaml").write_text(PIPELINE.format(mode=self.mode, more=more, batch=self.batch))
        with psycopg.connect(self.source, autocommit=True) as connection:
            for statement in SOURCE.split(";"):
                connection.execute(statement)
        self.change(self.rows)
        return self

    def change(self, rows: int) -> None:
        """Something happens at the source: rows come, and where the mode can tell, change and go."""
        with psycopg.connect(self.source) as connection:
            if (
                self.backfill and self.moment
            ):  # rows are corrected, missed and taken out in the past, behind the cursor's back
                connection.execute(f"UPDATE t SET v = v || '.' WHERE id % 20 = {self.random.randrange(20)}")
                connection.execute(f"DELETE FROM t WHERE id % 97 = {self.random.randrange(97)} AND id > 1")
                connection.execute(
                    f"INSERT INTO t SELECT (SELECT max(id) FROM t) + g, 'late', g / 7.0, timestamptz '2026-01-02' + interval '1 ms' * g FROM generate_series(1, {rows // 8}) g"
                )
                return
            self.moment += 1
            at = f"timestamptz '2026-01-01' + interval '1 day' * {self.moment}"
            connection.execute(
                f"INSERT INTO t SELECT (SELECT coalesce(max(id), 0) FROM t) + g, 'row ' || g, g / 7.0, {at} + interval '1 ms' * g FROM generate_series(1, {rows}) g"
            )
            if self.mode != "append" and self.moment > 1:
                part = self.random.randrange(20)
                connection.execute(
                    f"UPDATE t SET v = v || '.', seen = {at} + interval '1 hour' + interval '1 ms' * id WHERE id % 20 = {part}"
                )
                connection.execute(f"DELETE FROM t WHERE id % 97 = {self.random.randrange(97)}")

    def truth(self) -> tuple[int, str]:
        """What is at the source."""
        with psycopg.connect(self.source) as connection:
            return _digest(connection.execute(f"SELECT {COLUMNS} FROM t").fetchall())

    def there(self) -> tuple[int, str]:
        """What is published."""
        if self.target == "duckdb":
            import duckdb  # noqa: PLC0415 - not in the process that children are forked from, but once

            with duckdb.connect(str(self.project / "there.duckdb"), read_only=True) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                return _digest(connection.execute(f"SELECT {COLUMNS} FROM t").fetchall())
        if self.target == "dataset":
            return _digest(_published(self.project / "there"))
        with psycopg.connect(self.target) as connection:
            return _digest(connection.execute(f"SELECT {COLUMNS} FROM t").fetchall())

    @property
    def asked(self) -> tuple[str, dict]:
        """The operation that is run."""
        if self.backfill and self.begun:
            return "pipelines.backfill", {
                "pipeline": "p",
                "load": "t",
                "since": "2026-01-01",
                "until": "2026-01-04",
                "interval": "hour",
            }
        return "pipelines.run", {"pipeline": "p"}

    # -- running -----------------------------------------------------------------------------------------------------------------------

    def run(self, *, resume: bool = False) -> str:
        """Run the pipeline to its end in a process of its own; gives how the run ended."""
        mine, theirs = CHILDREN.Pipe(duplex=False)
        child = CHILDREN.Process(target=_to_the_end, args=(str(self.project), self.asked, resume, theirs))
        child.start()
        theirs.close()
        said = mine.recv() if mine.poll(120) else "nothing was heard of it"
        child.join(30)
        return said

    def killed(self, phase: str, after: float) -> bool:
        """Kill a run so long after the phase began; gives whether it was in time."""
        mine, theirs = CHILDREN.Pipe(duplex=False)
        child = CHILDREN.Process(
            target=_with_marks, args=(str(self.project), self.asked, PHASES[phase], theirs)
        )
        child.start()
        theirs.close()
        began = mine.recv() if mine.poll(60) else None
        if began != "begins":
            child.join()
            return False
        time.sleep(after)
        with contextlib.suppress(ProcessLookupError):  # it had ended
            os.kill(child.pid, signal.SIGKILL)
        child.join()
        return not mine.poll(0) or not _ended(mine)

    def length(self, phase: str) -> float:
        """How long a phase takes, the median of three."""
        found = []
        for _ in range(3):
            self.change(self.rows // 4)
            mine, theirs = CHILDREN.Pipe(duplex=False)
            child = CHILDREN.Process(
                target=_with_marks, args=(str(self.project), self.asked, PHASES[phase], theirs)
            )
            child.start()
            theirs.close()
            mine.recv()
            began = time.perf_counter()
            mine.recv()
            found.append(time.perf_counter() - began)
            child.join(60)
        return statistics.median(found)


@dataclass
class Tally:
    """What came of the kills of one phase."""

    kills: int = 0
    equal: int = 0
    too_late: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0


def trials(world: World, phase: str, kills: int, *, progress=None) -> Tally:
    """Kill so often, each time spread over the phase, and look at what is published after the next run has ended."""
    assert world.run() == "done"
    world.begun = True
    length = world.length(phase)
    tally = Tally(seconds=length)
    while tally.kills < kills and tally.too_late < 20 + kills * 3:
        world.change(world.rows // 4)
        # The draw is spread evenly: one kill in each slice of the phase, whatever the order.
        after = length * ((tally.kills + world.random.random()) / kills)
        if not world.killed(phase, after):
            tally.too_late += 1
            length *= (
                0.85  # the phase has become shorter than it was measured: a machine is not always as busy
            )
            if world.run() not in ("done", "nothing to do"):
                tally.wrong.append("the run after one that ended did not end well")
            continue
        tally.kills += 1
        said = world.run(resume=tally.kills % 2 == 0)
        if said not in ("done", "nothing to do"):  # it was taken back: the next one does it
            said = world.run()
        same = world.there() == world.truth()
        tally.equal += same
        if not same or not said.startswith(("done", "nothing to do")):
            tally.wrong.append(
                f"killed {after:.3f} s into {phase}: {said}; {world.there()[0]} rows, and {world.truth()[0]} are right"
            )
        if progress:
            progress(tally)
    return tally


def _published(root: Path) -> list:
    """The rows of the files that the newest manifest names."""
    import duckdb  # noqa: PLC0415 - as above

    newest = max(root.glob("_datareeve/*.json"))
    files = [str(root / file) for file in json.loads(newest.read_text())["tables"]["t"]["files"]]
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        return connection.execute(f"SELECT {COLUMNS} FROM read_parquet(?)", [files]).fetchall()


def _ended(mine) -> bool:
    try:
        return mine.recv() == "ended"
    except EOFError:
        return False


def _digest(rows) -> tuple[int, str]:
    import hashlib  # noqa: PLC0415 - so small

    texts = sorted(f"{i}|{v}|{n:.2f}|{at.timestamp():.6f}" for i, v, n, at in rows)
    return len(texts), hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _with_marks(project: str, asked: tuple[str, dict], marks: tuple[str, str], told) -> None:
    """In a child: run the pipeline, and tell when the phase begins and ends."""
    from datareeve.app import App  # noqa: PLC0415 - in the child

    def boundary(name: str) -> None:
        if name == marks[0]:
            told.send("begins")
        elif name == marks[1]:
            told.send("ended")

    app = App.open(Path(project), boundary=boundary)
    plan = app.preview(app.catalogue.make(*asked))
    app.apply(plan, by="test", approved=True)


def _to_the_end(project: str, asked: tuple[str, dict], resume: bool, told) -> None:  # noqa: FBT001 - of a child
    from datareeve.app import App  # noqa: PLC0415 - as above

    app = App.open(Path(project))
    try:
        open_ = [run for run in app.runs() if run.status == "interrupted"]
        if resume and open_:
            told.send(app.resume(open_[-1].run, by="test").status)
            return
        plan = app.preview(app.catalogue.make(*asked))
        told.send(
            app.apply(plan, by="test", approved=True).status if not plan.blockers else str(plan.blockers)
        )
    except Exception as error:  # noqa: BLE001 - told to the parent
        told.send(f"{type(error).__name__}: {error}")
    finally:
        app.close()
