"""The sides of `script/bench loads`: ours as a person runs it, the limits by hand, dlt and sling. Each run is a process of its own with a fresh target."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import loads_data as data
import peers
import psycopg
import quality_sides as processes
import yaml
from loads_limits import TABLE
from loads_world import digest
from quality_sides import NotComparable, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from loads_world import Route, World

HERE = Path(__file__).parent
PYTHON, DATAREEVE = sys.executable, str(Path(sys.executable).with_name("datareeve"))
LIMITS = {  # by (source is files, target, upsert): what is raw COPY, or the engine's reader; then the engine's own best way
    (False, "duckdb", False): ("copy_out", "scanner"),
    (False, "parquet", False): ("copy_out", "scanner_parquet"),
    (False, "postgres", False): ("copy_pipe",),
    (True, "duckdb", False): ("reader",),
    (True, "postgres", False): ("copy_in",),
    (False, "duckdb", True): ("merge_duckdb",),
    (False, "postgres", True): ("merge_postgres",),
}  # fmt: skip
OF_DUCKDB = {"scanner", "scanner_parquet", "reader", "merge_duckdb"}  # these run with both settings
WRITES_NOTHING = {"copy_out"}


@dataclass(frozen=True)
class Side:
    """One way to have a table loaded: `run` gives a run whose result was looked at."""

    name: str
    run: Callable[[], Run]


def load_seconds(outcome: dict[str, Any]) -> float:
    """What the steps that move rows took, of an outcome."""
    steps = [step for part in outcome.get("parts", ()) for step in part["steps"]]
    return float(sum(step["seconds"] for step in steps if step["step"].startswith("load ")))


def step_seconds(outcome: dict[str, Any]) -> dict[str, float]:
    """What each step took."""
    return {step["step"]: step["seconds"] for part in outcome.get("parts", ()) for step in part["steps"]}


# -- ours --------------------------------------------------------------------------------------------------------------------------


def project(folder: Path, route: Route, source: str, target: str) -> Path:
    """A folder as a person has it: the estate, and one pipeline."""
    (folder / "etl").mkdir(parents=True, exist_ok=True)
    files = route.source != "postgres"
    there = {
        "postgres": {"kind": "postgresql", "url": target},
        "duckdb": {"kind": "duckdb", "path": target},
        "parquet": {"kind": "folder", "path": str(Path(target).parent), "writable": True},
    }[route.target]
    app = (
        {"kind": "folder", "path": str(Path(source).parent)}
        if files
        else {"kind": "postgresql", "url": source}
    )
    (folder / "estate.yaml").write_text(
        yaml.safe_dump({"version": 1, "systems": {"app": app, "there": there}})
    )
    reads = {"files": Path(source).name} if files else {"table": TABLE}
    load: dict[str, Any] = {"source": {"system": "app", **reads}, "mode": "full", "keys": ["id"]}
    if route.upsert:
        load |= {"mode": "upsert", "cursor": "updated_at"}
    spec = {"version": 1, "target": "there", "loads": {TABLE: load}}
    (folder / "etl" / "p.yaml").write_text(yaml.safe_dump(spec))
    return folder


def command(folder: Path) -> list[str]:
    """What a person types."""
    return [DATAREEVE, "run", "pipelines.run", "--pipeline", "p", "--yes", "--json", "--project", str(folder)]


def ours(world: World, route: Route, base: Base | None = None) -> Side:
    """The whole command."""

    def run() -> Run:
        with world.fresh(route.target, base.target if base else "") as target, scratch(world) as folder:
            if base:
                shutil.copytree(base.project, folder, dirs_exist_ok=True)
            project(folder, route, world.source(route), target)
            return checked(world, route, target, lambda: commanded(world, folder))

    return Side("datareeve", run)


def commanded(world: World, folder: Path) -> Run:
    """One run of the command. Errors: `NotComparable` with what it said."""
    world.settle()
    try:
        return processes.run(command(folder), postmaster=world.postmaster)
    except NotComparable as error:
        crash = next(iter(sorted(folder.glob(".datareeve/crash-*.txt"))), None)
        last = crash.read_text().strip().splitlines()[-1] if crash else ""
        said = re.findall(r'"(?:what|reason|error)": "([^"]+)"', str(error))
        raise NotComparable(" ".join([*said, last]).strip() or str(error)) from None


@dataclass(frozen=True)
class Base:
    """A target that has all rows, and the project that published them."""

    target: str
    project: Path


@contextlib.contextmanager
def published(world: World, route: Route) -> Iterator[Base]:
    """What an upsert begins from: published by ours once, with a primary key where the engine's MERGE can use one."""
    with world.fresh(route.target) as target, scratch(world) as folder:
        project(folder, route, world.table(), target)
        commanded(world, folder)
        if route.target == "postgres":
            with psycopg.connect(target, autocommit=True) as connection:
                connection.execute(f"ALTER TABLE {TABLE} ADD PRIMARY KEY (id)".encode())
                connection.execute(b"VACUUM ANALYZE")
        yield Base(target, folder)


@contextlib.contextmanager
def scratch(world: World) -> Iterator[Path]:
    """A folder for the length of a run."""
    folder = world.folder / f"project-{uuid4().hex[:10]}"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def checked(world: World, route: Route, target: str, run: Callable[[], Run], table: str = TABLE) -> Run:
    """A run whose target holds what it must. Errors: `NotComparable`."""
    done = run()
    found = digest(target, route.target, table)()
    if found != world.truth(route):
        raise NotComparable(f"the table is not right: {found[0]:,} rows, {world.truth(route)[0]:,} expected")
    return done


# -- limits ------------------------------------------------------------------------------------------------------------------------


def limits(world: World, route: Route, base: Base | None = None) -> list[Side]:
    """Every way by hand; DuckDB's with the settings of ours, and with its own."""
    return [
        by_hand(world, route, way, settings, base)
        for way in LIMITS[route.source != "postgres", route.target, route.upsert]
        for settings in (("same", "defaults") if way in OF_DUCKDB else ("",))
    ]


def by_hand(world: World, route: Route, way: str, settings: str, base: Base | None) -> Side:
    """One of them."""

    def run() -> Run:
        with world.fresh(route.target, base.target if base else "") as target, scratch(world) as folder:
            job = {"way": way, "settings": settings, "source": world.source(route), "target": target, "psql": world.psql,
                   "ending": route.source, "csv": str(data.file(world.rows, "csv")) if way == "copy_in" else ""}  # fmt: skip
            started = [PYTHON, str(HERE / "loads_limits.py"), str(written(folder, job))]
            world.settle()

            def once() -> Run:
                return processes.run(started, postmaster=world.postmaster)

            return once() if way in WRITES_NOTHING else checked(world, route, target, once)

    return Side(f"limit: {way} {settings}".strip(), run)


def written(folder: Path, job: dict[str, Any]) -> Path:
    """A job as a file."""
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    return path


# -- peers -------------------------------------------------------------------------------------------------------------------------


def dlt(world: World, route: Route, backend: str) -> Side:
    """The peer dlt with a backend: pyarrow is its fast way, sqlalchemy its default. Errors: `peers.NotInstalled`."""
    job = {"backend": backend, "mode": "replace"}
    return of_peer(world, route, f"dlt, {backend}", job, table="bench.lineitem")


def sling(world: World, route: Route) -> Side:
    """sling, where its program can be had. Errors: `peers.NotInstalled`."""
    return of_peer(world, route, "sling", {}, table=TABLE)


def of_peer(world: World, route: Route, name: str, more: dict[str, Any], *, table: str) -> Side:
    """A peer's script with a job."""
    peer = name.partition(",")[0]
    python = peers.python(f"loads_{peer}")

    def run() -> Run:
        with world.fresh(route.target) as target, scratch(world) as folder:
            job = {
                "from": route.source,
                "to": route.target,
                "source": world.source(route),
                "target": target,
                "folder": str(folder),
                **more,
            }
            started = [str(python), str(HERE / f"loads_{peer}.peer"), str(written(folder, job))]
            world.settle()
            return checked(world, route, target, lambda: must_have_run(started, world, folder), table)

    return Side(name, run)


def must_have_run(started: list[str], world: World, folder: Path) -> Run:
    """Errors: `NotComparable` where it says that it could not."""
    done = processes.run(started, postmaster=world.postmaster, cwd=folder)
    if missing := done.told.get("missing"):
        raise NotComparable(missing)
    return done
