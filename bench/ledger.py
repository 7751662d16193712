"""What keeping the books costs: a journalled step (intent and outcome, fenced and hash-chained) against two raw commits of the same bytes, durably on disk.

Beside it DBOS, whose step is one row, on the same server in the same run; and the time to plan the README's delegation.
Ratios are medians of rounds, each round measuring all sides in turn, because the machine's disk is not steady.
"""

from __future__ import annotations

import shutil
import sqlite3
import statistics
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peers
import psycopg

from datareeve.app import opened
from datareeve.core.journal import Journal
from datareeve.core.ledger import open_ledger
from datareeve.core.operation import Call, Claim, Effect, Plan, Step, StepOutcome
from datareeve.core.value import canonical
from datareeve.systems import pg_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CALL = Call(
    system="app",
    action="execute",
    arguments={"sql": "CREATE INDEX CONCURRENTLY flights_tailnum_idx ON flights (tailnum)"},
)
STEP = Step(
    id="step",
    call=CALL,
    why="Measured.",
    effect=Effect.REVERSIBLE,
    probe=Claim(text="it is there", call=CALL),
)
LEAF = Plan(operation="bench", summary="Measured.", steps=(STEP,), part_id="1")
DONE = StepOutcome(step="step", status="done", seconds=0.1, result={"rows": 1})
RAW = "CREATE TABLE raw (seq {}, at text, kind text, subject text, run text, body text, hash text)"
ROW = (
    "2026-01-01T00:00:00.000000+00:00",
    "step",
    "1/step",
    "20260101-000000-abcdef",
    canonical({"moment": "intent", "call": CALL}),
    "0" * 64,
)
Result = dict[str, Any]


def measure(*, quick: bool) -> Result:
    """Steps on both ledgers, DBOS, and the plan of the delegation."""
    rounds, steps = (3, 50) if quick else (9, 200)
    with scratch() as folder, disk_server(folder) as url:
        sqlite = in_turn(
            rounds,
            {
                "step": step_on(f"sqlite:///{folder}/ledger.sqlite", steps),
                "raw": raw_sqlite(folder / "raw.sqlite", steps),
            },
        )
        postgres = in_turn(rounds, {"step": step_on(url, steps), "raw": raw_postgres(url, steps)})
        found = {
            name: dbos(target, postgres["raw"] if name == "postgres" else sqlite["raw"], steps)
            for name, target in (("postgres", url), ("sqlite", f"sqlite:///{folder}/dbos.sqlite"))
        }
    figures = {
        "sqlite_step_ratio": sqlite["step"] / sqlite["raw"],
        "sqlite_step_us": sqlite["step"] * 1e6,
        "postgres_step_ratio": postgres["step"] / postgres["raw"],
        "postgres_step_us": postgres["step"] * 1e6,
        "plan_s": plan_seconds(3 if quick else 5),
    }
    if any(isinstance(value, str) for value in found.values()):
        return {
            "figures": figures,
            "peers": {"dbos": next(value for value in found.values() if isinstance(value, str))},
        }
    return {
        "figures": figures,
        "peers": {"dbos": {f"{name}_step_ratio": value for name, value in found.items()}},
    }


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that the server's user can enter."""
    folder = Path(tempfile.mkdtemp(prefix="datareeve-bench-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def disk_server(folder: Path) -> Iterator[str]:
    """A PostgreSQL whose commits reach the disk (fsync on, as it comes)."""
    server, url = pg_server.initialise(folder / "data")
    try:
        yield url
    finally:
        pg_server.destroy(server)


def in_turn(rounds: int, sides: dict[str, Callable[[], float]]) -> dict[str, float]:
    """The median seconds a step of each side, measured alternately."""
    for side in sides.values():
        side()
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            times[name].append(side())
    return {name: statistics.median(values) for name, values in times.items()}


def step_on(url: str, steps: int) -> Callable[[], float]:
    """Intent, a look at the lease, outcome: all that the runner asks of the ledger for each step."""
    ledger = open_ledger(url)

    def measured() -> float:
        with ledger.lease(f"bench-{time.monotonic_ns()}") as fence:
            journal = Journal(ledger, fence.run, fence)
            began = time.perf_counter()
            for _ in range(steps):
                journal.intent(LEAF, STEP)
                assert ledger.holds(fence)  # noqa: S101 - as the runner asks before an effect
                journal.outcome(LEAF, STEP, DONE)
            journal.flush()
            return (time.perf_counter() - began) / steps

    return measured


def raw_sqlite(path: Path, steps: int) -> Callable[[], float]:
    """Two commits of the same row, as plainly as Python can."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(RAW.format("integer primary key autoincrement"))

    def measured() -> float:
        began = time.perf_counter()
        for _ in range(2 * steps):
            connection.execute(
                "INSERT INTO raw (at, kind, subject, run, body, hash) VALUES (?, ?, ?, ?, ?, ?)", ROW
            )
        return (time.perf_counter() - began) / steps

    return measured


def raw_postgres(url: str, steps: int) -> Callable[[], float]:
    """Two commits of the same row, prepared, one round trip each."""
    connection = psycopg.connect(url, autocommit=True)
    connection.execute(RAW.format("bigserial primary key"))

    def measured() -> float:
        began = time.perf_counter()
        for _ in range(2 * steps):
            connection.execute(
                "INSERT INTO raw (at, kind, subject, run, body, hash) VALUES (%s, %s, %s, %s, %s, %s)",
                ROW,
                prepare=True,
            )
        return (time.perf_counter() - began) / steps

    return measured


def dbos(url: str, raw: float, steps: int) -> float | str:
    """DBOS's seconds a step over ours of two raw commits; or why it could not be measured."""
    try:
        return (
            float(peers.run("dbos", Path(__file__).parent / "dbos_steps.peer", url, str(steps))["step_s"])
            / raw
        )
    except (peers.NotInstalled, RuntimeError) as error:
        return str(error)


def plan_seconds(times: int) -> float:
    """The median time to plan the delegation of the README on the demo's database, before anything was done to it."""
    from datareeve.interfaces import demo  # noqa: PLC0415 - only this figure needs them
    from datareeve.interfaces.console import Screen  # noqa: PLC0415

    with scratch() as folder:
        project = folder / "demo"
        try:
            demo.prepare(project, demo.Show(Screen(as_json=True)))
            text = demo.delegation()
            with opened(project) as app:
                app.plan_task(text)  # opens connections, as a session's first plan does
                return statistics.median(timed(lambda: app.plan_task(text)) for _ in range(times))
        finally:
            demo.reset(project)


def timed(act: Callable[[], Any]) -> float:
    """The seconds that a call takes."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began
