"""Pipelines killed by SIGKILL at random moments, 200 of each phase, and run again: what is published then is compared with the truth, as a multiset.

The tests' rig (tests/pipeline_kills.py) does ours: each kill falls into its own slice of the phase, never into start-up. dlt is killed in the same way:
between the moment that its run begins, its imports done, and its end, one kill in each slice, then run again; what is in its table is compared with the
source as it is then. `*_equal` of as many `*_kills`: all must be. dlt's runs are processes of several seconds, so there are fewer of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import peers
import psycopg

HERE = Path(__file__).parent
sys.path.insert(1, str(HERE.parent / "tests"))
import servers  # noqa: E402 - of the tests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from run import Measured

KILLS, QUICK_KILLS = 200, 5
DLT_KILLS, DLT_QUICK_KILLS = 50, 2
TARGETS = ("duckdb", "postgres")
DLT_MODES = ("merge", "append")
ROWS = 20_000  # of dlt's first load; each round a quarter of these comes
TABLE = "CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(10,2), seen timestamptz NOT NULL)"
LONGEST = 3600 * 3


def measure(*, quick: bool) -> Measured:
    """All phases on both targets, and dlt."""
    kills, of_dlt = (QUICK_KILLS, DLT_QUICK_KILLS) if quick else (KILLS, DLT_KILLS)
    own: dict[str, float | None] = {}
    detail: dict[str, Any] = {}
    with server() as (running, folder):
        for target in TARGETS:
            for phase in phases():
                tally = ours(running, folder, target, phase, kills)
                own |= {f"{phase}_{target}_kills": tally["kills"], f"{phase}_{target}_equal": tally["equal"]}
                detail[f"{phase} {target}"] = tally
        others, told = dlt(running, folder, of_dlt)
    notes = {name: "; ".join(tally["wrong"]) for name, tally in (detail | told).items() if tally.get("wrong")}
    return {
        "figures": own,
        "peers": {"dlt": others},
        "detail": {"ours": _flat(detail), "dlt": _flat(told)},
        "notes": notes,
    }


def _flat(found: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {key: len(value) if key == "wrong" else value for key, value in tally.items()}
        for name, tally in found.items()
    }


@contextlib.contextmanager
def server() -> Iterator[tuple[Any, Path]]:
    """A server, and a folder."""
    folder = Path(tempfile.mkdtemp(prefix="datareeve-kills-"))
    try:
        with servers.server() as running:
            yield running, folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def progress(text: str) -> None:
    """A measurement takes long."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


# -- ours --------------------------------------------------------------------------------------------------------------------------


def phases() -> list[str]:
    """What the rig can kill in."""
    found: list[str] = asked([])
    return found


def ours(running: Any, folder: Path, target: str, phase: str, kills: int) -> dict[str, Any]:
    """One phase on one target."""
    with running.database() as source, contextlib.ExitStack() as stack:
        there = "duckdb" if target == "duckdb" else stack.enter_context(running.database())
        project = folder / f"{phase}-{target}"
        project.mkdir()
        job = {"project": str(project), "source": source, "target": there, "phase": phase, "kills": kills}
        path = folder / f"{phase}-{target}.json"
        path.write_text(json.dumps(job))
        try:
            tally: dict[str, Any] = asked([str(path)])
        except RuntimeError as error:
            tally = {
                "kills": 0,
                "equal": 0,
                "too_late": 0,
                "wrong": [f"not measured: {error}"],
                "phase_s": 0.0,
            }
    progress(
        f"{phase} on {target}: {tally['equal']} of {tally['kills']} equal, {tally['too_late']} came too late; {tally['phase_s']:.3f} s {'; '.join(tally['wrong'])}"
    )
    return tally


def asked(arguments: list[str]) -> Any:
    """What the process of ours prints. Errors: `RuntimeError` with the end of its complaint."""
    command = [sys.executable, str(HERE / "pipeline_kills_ours.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LONGEST)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-300:])
    return json.loads(done.stdout.strip().splitlines()[-1])


# -- dlt ---------------------------------------------------------------------------------------------------------------------------


@dataclass
class DltWorld:
    """A source, and a dlt pipeline from it."""

    python: Path
    folder: Path
    source: str
    target: str
    mode: str
    moment: int = 0
    random: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - spread, not secret

    def make(self) -> DltWorld:
        """The table with its rows, and a job for the peer."""
        self.folder.mkdir(parents=True)
        job = {"from": "postgres", "to": self.kind, "source": self.source, "folder": str(self.folder / "dlt"), "backend": "pyarrow", "mode": self.mode,
               "target": str(self.folder / "there.duckdb") if self.kind == "duckdb" else self.target, "table": "t", "cursor": "seen"}  # fmt: skip
        (self.folder / "job.json").write_text(json.dumps(job))
        with psycopg.connect(self.source, autocommit=True) as connection:
            connection.execute(TABLE.encode())
        self.change(ROWS)
        return self

    @property
    def kind(self) -> str:
        """The engine: duckdb or postgres."""
        return "duckdb" if self.target == "duckdb" else "postgres"

    def change(self, rows: int) -> None:
        """Rows come, each later than all before; with merge, some change. None goes: dlt's cursor cannot know of it."""
        self.moment += 1
        at = f"timestamptz '2026-01-01' + interval '1 day' * {self.moment}"
        new = f"INSERT INTO t SELECT (SELECT coalesce(max(id), 0) FROM t) + g, 'row ' || g, g / 7.0, {at} + interval '1 ms' * g FROM generate_series(1, {rows}) g"
        old = f"UPDATE t SET v = v || '.', seen = {at} + interval '1 hour' + interval '1 ms' * id WHERE id % 20 = {self.random.randrange(20)}"
        with psycopg.connect(self.source) as connection:
            connection.execute(new.encode())
            if self.mode == "merge" and self.moment > 1:
                connection.execute(old.encode())

    def begun(self) -> subprocess.Popen[str]:
        """A run that has its imports behind it."""
        command = [str(self.python), str(HERE / "loads_dlt.peer"), str(self.folder / "job.json")]
        with (self.folder / "said.txt").open("w") as said:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                start_new_session=True,
            )
        if process.stdout:
            process.stdout.readline()
        return process

    def run(self) -> str:
        """A run to its end; gives 'done', or what it said last."""
        with self.begun() as process:
            process.communicate()
        lines = (self.folder / "said.txt").read_text().strip().splitlines()
        return "done" if process.returncode == 0 else (lines or ["it ended without a word"])[-1][:200]

    def killed(self, after: float) -> bool:
        """Kill a run and all it started so long after it began; gives whether it was in time."""
        with self.begun() as process:
            try:
                process.wait(after)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return process.returncode == -signal.SIGKILL

    def length(self) -> float:
        """The median of three runs from where they begin."""
        found = []
        for _ in range(3):
            self.change(ROWS // 4)
            process = self.begun()
            began = time.perf_counter()
            process.communicate()
            found.append(time.perf_counter() - began)
        return statistics.median(found)

    def there(self) -> tuple[int, str]:
        """What is in its table: how many rows, and a digest of the multiset."""
        columns = "SELECT id, v, n, seen FROM {}"
        if self.kind == "duckdb":
            with duckdb.connect(str(self.folder / "there.duckdb"), read_only=True) as file:
                file.execute("SET TimeZone = 'UTC'")
                return digest(file.execute(columns.format("bench.t")).fetchall())
        with psycopg.connect(self.target) as connection:
            return digest(connection.execute(columns.format("bench.t").encode()).fetchall())

    def truth(self) -> tuple[int, str]:
        """What is at the source."""
        with psycopg.connect(self.source) as connection:
            return digest(connection.execute("SELECT id, v, n, seen FROM t").fetchall())


def digest(rows: list[Any]) -> tuple[int, str]:
    """Of a multiset of rows."""
    import hashlib  # noqa: PLC0415 - so small

    texts = sorted(f"{i}|{v}|{n:.2f}|{at.timestamp():.6f}" for i, v, n, at in rows)
    return len(texts), hashlib.sha256("\n".join(texts).encode()).hexdigest()


def dlt(running: Any, folder: Path, kills: int) -> tuple[dict[str, float | None] | str, dict[str, Any]]:
    """Every mode on every target."""
    try:
        python = peers.python("loads_dlt")
    except peers.NotInstalled as error:
        return str(error)[-200:], {}
    found: dict[str, float | None] = {}
    detail: dict[str, Any] = {}
    for target in TARGETS:
        for mode in DLT_MODES:
            with running.database() as source, running.database() as there:
                world = DltWorld(
                    python,
                    folder / f"dlt-{mode}-{target}",
                    source,
                    "duckdb" if target == "duckdb" else there,
                    mode,
                ).make()
                tally = dlt_trials(world, kills)
            found |= {f"{mode}_{target}_kills": tally["kills"], f"{mode}_{target}_equal": tally["equal"]}
            detail[f"{mode} {target}"] = tally
            progress(f"dlt, {mode} on {target}: {tally['equal']} of {tally['kills']} equal")
    return found, detail


def dlt_trials(world: DltWorld, kills: int) -> dict[str, Any]:
    """Kill so often, one kill in each slice of a run; begin anew where a result was wrong, so that no kill pays for another."""
    tally: dict[str, Any] = {"kills": 0, "equal": 0, "too_late": 0, "wrong": []}
    if (said := world.run()) != "done":
        return {**tally, "wrong": [f"its first run: {said}"], "phase_s": 0.0}
    length = world.length()
    while tally["kills"] < kills and tally["too_late"] < kills * 3:
        world.change(ROWS // 4)
        after = length * (tally["kills"] + world.random.random()) / kills
        if not world.killed(after):
            tally["too_late"] += 1
            world.run()
            continue
        tally["kills"] += 1
        said = world.run()
        right, found = world.truth(), world.there()
        tally["equal"] += found == right
        if found != right or said != "done":
            tally["wrong"].append(
                f"killed {after:.2f} s into {length:.2f} s: {said}; {found[0]} rows, and {right[0]} are right"
            )
        if found != right:
            anew(world)
    return {**tally, "phase_s": length}


def anew(world: DltWorld) -> None:
    """An empty target and no state: the next run loads everything."""
    shutil.rmtree(world.folder / "dlt", ignore_errors=True)
    (world.folder / "there.duckdb").unlink(missing_ok=True)
    if world.kind == "postgres":
        with psycopg.connect(world.target, autocommit=True) as connection:
            connection.execute(
                b"DROP SCHEMA IF EXISTS bench CASCADE; DROP SCHEMA IF EXISTS bench_staging CASCADE"
            )
    world.run()


# -- for the README ----------------------------------------------------------------------------------------------------------------


def markdown(result: dict[str, Any]) -> str:
    """One table: equal of so many, for ours by phase and dlt by mode."""
    lines = ["| killed in | DuckDB | PostgreSQL |", "| --- | ---: | ---: |"]
    for name, found in {"datareeve": result["figures"], **result["peers"]}.items():
        if isinstance(found, str):
            continue
        for what in dict.fromkeys(key.split("_")[0] for key in found):
            cells = [
                f"{found.get(f'{what}_{target}_equal'):,.0f} of {found.get(f'{what}_{target}_kills'):,.0f}"
                for target in TARGETS
            ]
            lines.append(f"| {name}: {what} | " + " | ".join(cells) + " |")
    missing = [
        f"- {name}: not compared: {why}" for name, why in result["peers"].items() if isinstance(why, str)
    ]
    return "\n".join([*lines, *([""] if missing else []), *missing])
