"""A contract of 40 checks, executed: beside the best plan that can be written by hand, and beside Soda Core, Great Expectations, dbt, Pandera and Pointblank.

DuckDB and Parquet: 10 million rows of 12 columns; PostgreSQL: 5 million. Every side is a process of its own and is run three times, in turn; the
medians count. A side whose verdicts are not those that the data was made for is not compared. `*_ratio_hand_plan` is the wall time of the
whole operation (project opened, planned, executed, judged, kept) over that of the quickest of several hand-written plans, which only count;
`*_ratio_process` is of both processes from start to end, as it is of the peers;
`*_ratio_cpu` is the same of CPU, the server's included; `*_ratio_statements` is what the engine is asked alone, over the hand plan.
`fixed_cpu_s`: the CPU of `datareeve run quality.check-contract`, from start to end, on a table of a hundred rows.
"""

from __future__ import annotations

import importlib
import json
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import peers
import psycopg
import quality_checks as checks
import quality_data as data
import quality_hand as hand
import quality_sides as sides
import yaml
from quality_sides import NotComparable, Run

from datareeve.systems import pg_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from run import Measured

HERE = Path(__file__).parent
ROWS, QUICK_ROWS = (
    {"duckdb": 10_000_000, "parquet": 10_000_000, "postgres": 5_000_000},
    {"duckdb": 1_000_000, "parquet": 1_000_000, "postgres": 500_000},
)
ROUNDS = 3
LITTLE = 100  # rows of the table of the fixed overhead
PYTHON, DATAREEVE = sys.executable, str(Path(sys.executable).with_name("datareeve"))
PEERS = {  # name -> (environment, script, engines)
    "soda": ("quality_soda", "quality_soda.peer", ("duckdb", "postgres")),
    # On DuckDB it reads a result after giving its connection back, when duckdb-engine has none any more: "list index out of range".
    "gx": ("quality_gx", "quality_gx.peer", ("postgres",)),
    "dbt": ("quality_dbt", "quality_dbt.peer", ("duckdb", "postgres")),
    "pointblank": ("quality_frames", "quality_pointblank.peer", ("duckdb", "postgres")),
    "pandera": ("quality_frames", "quality_pandera.peer", ("parquet",)),
}
PARTS = {  # measurements of their own: which of their figures belong here, and under what name
    "quality_reconcile": {"reconcile_ratio_scan": "reconcile_ratio_scan"},
    "quality_classify": {
        "pii_precision": "pii_precision",
        "pii_recall": "pii_recall",
        "classify_ms_column": "ms_a_column",
    },
}
KINDS = {"duckdb": "duckdb", "parquet": "folder", "postgres": "postgresql"}


@dataclass(frozen=True)
class Place:
    """A set of tables on an engine: where a side finds it."""

    engine: str
    rows: int
    where: str  # the file, the folder, or the URL
    postmaster: int | None = None


@dataclass(frozen=True)
class Side:
    """One way to have the forty answered."""

    name: str
    run: Callable[[], Run]
    wrong: Callable[[Run], str]  # in what its answers differ; '' where they do not


def measure(*, quick: bool) -> Measured:
    """All of it."""
    rows = QUICK_ROWS if quick else ROWS
    found: dict[str, dict[str, Run]] = {}
    missing: dict[str, str] = {}
    little: dict[str, Run] = {}
    rounds = 1 if quick else ROUNDS
    with scratch() as folder:
        for engine, count in rows.items():
            with placed(engine, count, folder) as place:
                found[engine] = medians(place, folder, missing, rounds)
                if engine == "postgres":
                    little = on_server(place, folder, missing, rounds)
        little |= overheads(folder, missing, rounds)
    notes = {"not compared": "; ".join(f"{name}: {why}" for name, why in missing.items())} if missing else {}
    own, others = parts(quick=quick, notes=notes)
    detail = {engine: {name: told(one) for name, one in by_name.items()} for engine, by_name in found.items()}
    return {"figures": figures(found, little) | own, "peers": of_peers(found, little, missing) | others, "detail": {"rows": dict(rows), **detail, "a table of little": {name: told(one) for name, one in little.items()}},
            "notes": notes}  # fmt: skip


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
def placed(engine: str, rows: int, folder: Path) -> Iterator[Place]:
    """The tables on an engine."""
    progress(f"{engine}: {rows:,} rows")
    file = data.file(rows)
    if engine != "postgres":
        yield Place(engine, rows, str(file if engine == "duckdb" else file.parent))
        return
    server, url = pg_server.initialise(
        folder / "data",
        settings={"shared_buffers": "1GB", "fsync": "off", "max_wal_size": "4GB", "autovacuum": "off"},
    )
    try:
        load(url, file, folder)
        yield Place(engine, rows, url, int((server.data / "postmaster.pid").read_text().splitlines()[0]))
    finally:
        pg_server.destroy(server)


def load(url: str, file: Path, folder: Path) -> None:
    """Copy the three tables into PostgreSQL."""
    with duckdb.connect(str(file), read_only=True) as made, psycopg.connect(url, autocommit=True) as server:
        for statement in data.POSTGRES.split(";"):
            server.execute(statement.encode())
        for name in ("orders", "customers", "products"):
            text = folder / f"{name}.csv"
            made.execute(f"COPY {name} TO '{text}' (FORMAT csv, HEADER false, NULLSTR '\\N')")
            with (
                server.cursor().copy(f"COPY {name} FROM STDIN (FORMAT csv, NULL '\\N')".encode()) as copy,
                text.open("rb") as stream,
            ):
                while block := stream.read(1 << 20):
                    copy.write(block)
            text.unlink()
        server.execute("VACUUM ANALYZE")


# -- sides -------------------------------------------------------------------------------------------------------------------------


def ours(place: Place, folder: Path, *, key: bool = False) -> tuple[Side, ...]:
    """The whole operation, and its statements alone."""
    project = folder / f"project-{place.engine}-{place.rows}{'-key' if key else ''}"
    (project / "contracts").mkdir(parents=True, exist_ok=True)
    entry = {
        "kind": KINDS[place.engine],
        **({"url": place.where} if place.engine == "postgres" else {"path": place.where}),
    }
    (project / "estate.yaml").write_text(yaml.safe_dump({"systems": {"shop": entry}}))
    (project / "contracts" / "orders.yaml").write_text(checks.contract(place.rows, "shop", key=key))

    def side(name: str, mode: str, wrong: Callable[[Run], str]) -> Side:
        return Side(
            name,
            lambda: sides.run(
                [PYTHON, str(HERE / "quality_ours.py"), str(project), mode], postmaster=place.postmaster
            ),
            wrong,
        )

    if key:
        return (side("datareeve, rows named", "whole", lambda run: wrong_of_ours(place.rows, run, key=True)),)
    return (
        side("datareeve", "whole", lambda run: wrong_of_ours(place.rows, run)),
        side("datareeve, statements", "statements", lambda run: str(run.told["not_run"] or "")),
    )


def wrong_of_ours(rows: int, run: Run, *, key: bool = False) -> str:
    """Every check must have the verdict, and exactly as many failing rows, that the data was made for."""
    answers = run.told["answers"]
    wrong = []
    for check in checks.checks(rows):
        found = answers.get(check.id)
        if found is None and key and check.id in checks.BY_KEY:
            continue  # asked by the primary key's own rules
        says = found and found["says"]
        right = says == ("fail" if check.failing else "pass") and (
            check.bounds or (found.get("failing") or 0) == check.failing
        )
        if not right:
            wrong.append(
                f"{check.id} {says} {found and (found.get('failing'), found.get('reason'))}, not {check.failing}"
            )
    return "; ".join(wrong)


def by_hand(place: Place) -> list[Side]:
    """Every plan that was written for the engine."""

    def side(plan: str) -> Side:
        command = [PYTHON, str(HERE / "quality_hand.py"), place.engine, place.where, str(place.rows), plan]
        return Side(
            f"hand: {plan}",
            lambda: sides.run(command, postmaster=place.postmaster),
            lambda run: wrong_by_hand(place.rows, run),
        )

    return [side(plan) for plan in hand.PLANS[place.engine](place.rows)]


def wrong_by_hand(rows: int, run: Run) -> str:
    """As for ours: counts, and the metrics within their bounds."""
    answers = run.told["answers"]
    return "; ".join(
        check.id
        for check in checks.checks(rows)
        if not (
            within(check.bounds, answers[check.id]) if check.bounds else answers[check.id] == check.failing
        )
    )


def within(bounds: dict[str, float], figure: float) -> bool:
    """Whether a metric is good."""
    return bounds.get("mustBeGreaterOrEqualTo", figure) <= figure <= bounds.get("mustBeLessOrEqualTo", figure)


def of_peer(name: str, place: Place, folder: Path) -> Side:
    """A peer. Errors: `peers.NotInstalled`."""
    environment, script, _ = PEERS[name]
    job = folder / f"job-{place.engine}-{place.rows}.json"
    job.write_text(
        json.dumps(
            {
                "engine": place.engine,
                "where": place.where,
                "rows": place.rows,
                "checks": [one._asdict() for one in checks.checks(place.rows)],
            }
        )
    )
    command = [str(peers.python(environment)), str(HERE / script), str(job)]
    return Side(
        name,
        lambda: sides.run(command, postmaster=place.postmaster, cwd=folder),
        lambda run: wrong_of_peer(name, place.rows, run),
    )


def wrong_of_peer(name: str, rows: int, run: Run) -> str:
    """Its verdicts must be those that the data was made for; its counts as well, in what it counts."""
    wrong = []
    for check in checks.checks(rows):
        found = run.told["answers"].get(check.id)
        counts = {None, check.failing}
        if (
            check.kind == "unique"
        ):  # rows beyond the first, keys that are there twice, or all rows of those keys
            counts |= {check.groups, check.failing + check.groups}
        if check.kind == "set" and name == "dbt" and check.failing:
            counts.add(1)  # values, not rows
        if (
            found is None
            or found["passed"] is not (check.failing == 0)
            or not (check.bounds or found["failing"] in counts)
        ):
            wrong.append(f"{check.id} {found}")
    return "; ".join(wrong[:3]) + (f" and {len(wrong) - 3} more" if len(wrong) > 3 else "")  # noqa: PLR2004 - enough to see


# -- rounds ------------------------------------------------------------------------------------------------------------------------


def medians(place: Place, folder: Path, missing: dict[str, str], rounds: int) -> dict[str, Run]:
    """The median run of each side, the sides in turn; one that does not answer as it must is left out, with the reason."""
    taking = [*ours(place, folder), *ours(place, folder, key=True), *by_hand(place)]
    for name, (_, _, engines) in PEERS.items():
        if place.engine in engines:
            try:
                taking.append(of_peer(name, place, folder))
            except peers.NotInstalled as error:
                missing[f"{name} on {place.engine}"] = str(error)[-200:]
    found: dict[str, list[Run]] = {}
    for number in range(rounds):
        for side in list(taking):
            try:
                one = side.run()
                must_be_right(side, one)
            except NotComparable as error:
                if side.name.startswith("hand"):
                    raise
                missing[f"{side.name} on {place.engine}"] = str(error)
                taking.remove(side)
                found.pop(side.name, None)
                progress(f"  {side.name}: {error}")
                continue
            found.setdefault(side.name, []).append(one)
            progress(
                f"  {number + 1}/{rounds} {side.name}: {one.work_s:.2f} s, {one.cpu_s:.2f} s CPU, {one.peak_mb:.0f} MB"
            )
    return {name: middle(runs) for name, runs in found.items()}


def must_be_right(side: Side, one: Run) -> None:
    """Errors: `NotComparable` where a side's answers are not those that the data was made for."""
    if why := side.wrong(one):
        raise NotComparable(why)


def middle(runs: list[Run]) -> Run:
    """The median of each figure."""
    names = ("wall_s", "cpu_s", "own_cpu_s", "peak_mb", "work_s")
    return replace(runs[0], **{name: statistics.median(getattr(run, name) for run in runs) for name in names})


def overheads(folder: Path, missing: dict[str, str], rounds: int) -> dict[str, Run]:
    """Each tool's process, start to end, on a table of next to nothing in DuckDB."""
    place = Place("duckdb", LITTLE, str(data.little()))
    ours(place, folder)
    command = [
        DATAREEVE,
        "run",
        "quality.check-contract",
        "--contract",
        "orders",
        "--project",
        str(folder / f"project-duckdb-{LITTLE}"),
        "--json",
    ]
    taking: dict[str, Callable[[], Run]] = {"datareeve": lambda: sides.run(command, parse=False, good=(0, 1))}
    for name, (_, _, engines) in PEERS.items():
        if "duckdb" in engines and f"{name} on duckdb" not in missing:
            taking[name] = of_peer(name, place, folder).run
    return in_turn(taking, missing, rounds)


def on_server(place: Place, folder: Path, missing: dict[str, str], rounds: int) -> dict[str, Run]:
    """The same of those that know PostgreSQL, and not DuckDB."""
    with psycopg.connect(place.where, autocommit=True) as server:
        server.execute("CREATE DATABASE little")
    url = place.where.rsplit("/", 1)[0] + "/little"
    load(url, data.little(), folder)
    there = replace(place, rows=LITTLE, where=url)
    names = [
        name for name, (_, _, engines) in PEERS.items() if "postgres" in engines and "duckdb" not in engines
    ]
    taking = {
        name: of_peer(name, there, folder).run for name in names if f"{name} on postgres" not in missing
    }
    return in_turn(taking, missing, rounds)


def in_turn(taking: dict[str, Callable[[], Run]], missing: dict[str, str], rounds: int) -> dict[str, Run]:
    """The median run of each on a table of little; what it answers there is not looked at."""
    found: dict[str, list[Run]] = {}
    for _ in range(rounds):
        for name, run in taking.items():
            try:
                found.setdefault(name, []).append(run())
            except NotComparable as error:
                missing[f"{name} on a table of little"] = str(error)
    known = {name: middle(runs) for name, runs in found.items() if runs}
    progress("  overheads: " + ", ".join(f"{name} {run.own_cpu_s:.2f} s CPU" for name, run in known.items()))
    return known


def progress(text: str) -> None:
    """A measurement takes long."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


# -- figures -----------------------------------------------------------------------------------------------------------------------


def best(by_name: dict[str, Run], figure: str = "work_s") -> Run | None:
    """The hand plan that is best in a figure."""
    plans = [run for name, run in by_name.items() if name.startswith("hand: ")]
    return min(plans, key=lambda run: float(getattr(run, figure))) if plans else None


def ratio(one: Run | None, other: Run | None, figure: str = "work_s") -> float | None:
    """One over the other."""
    return getattr(one, figure) / getattr(other, figure) if one and other else None


def figures(found: dict[str, dict[str, Run]], little: dict[str, Run]) -> dict[str, float | None]:
    """Ours beside the hand plans."""
    own: dict[str, float | None] = {}
    for engine, by_name in found.items():
        whole = by_name.get("datareeve")
        own |= {
            f"{engine}_ratio_hand_plan": ratio(whole, best(by_name)),
            f"{engine}_ratio_cpu": ratio(whole, best(by_name, "cpu_s"), "cpu_s"),
            f"{engine}_ratio_statements": ratio(by_name.get("datareeve, statements"), best(by_name)),
            f"{engine}_ratio_rows_named": ratio(by_name.get("datareeve, rows named"), best(by_name)),
            f"{engine}_ratio_process": ratio(whole, best(by_name, "wall_s"), "wall_s"),
            f"{engine}_s": whole.wall_s if whole else None,
            f"{engine}_cpu_s": whole.cpu_s if whole else None,
        }
    wholes = [
        run.peak_mb
        for by_name in found.values()
        for name, run in by_name.items()
        if name.startswith("datareeve")
    ]
    own |= {
        "fixed_cpu_s": little["datareeve"].own_cpu_s if "datareeve" in little else None,
        "peak_mb": max(wholes, default=None),
    }
    return own


def of_peers(
    found: dict[str, dict[str, Run]], little: dict[str, Run], missing: dict[str, str]
) -> dict[str, dict[str, float | None] | str]:
    """The same of each peer; or why there is nothing of it."""
    told_: dict[str, dict[str, float | None] | str] = {}
    for name in PEERS:
        own: dict[str, float | None] = {}
        for engine, by_name in found.items():
            if name in by_name:
                own |= {
                    f"{engine}_ratio_process": ratio(by_name[name], best(by_name, "wall_s"), "wall_s"),
                    f"{engine}_ratio_cpu": ratio(by_name[name], best(by_name, "cpu_s"), "cpu_s"),
                    f"{engine}_s": by_name[name].wall_s,
                    f"{engine}_cpu_s": by_name[name].cpu_s,
                    f"{engine}_peak_mb": by_name[name].peak_mb,
                }
        if name in little and own:
            own["fixed_cpu_s"] = little[name].own_cpu_s
        told_[name] = (
            own or "; ".join(why for what, why in missing.items() if what.startswith(name)) or "not run"
        )
    return told_


def told(run: Run) -> dict[str, float | None]:
    """A run's figures, for the detail."""
    return {
        "s": run.work_s,
        "wall s": run.wall_s,
        "cpu s": run.cpu_s,
        "own cpu s": run.own_cpu_s,
        "MB": run.peak_mb,
    }


def parts(*, quick: bool, notes: dict[str, str]) -> tuple[dict[str, float | None], dict[str, Any]]:
    """The figures of what is measured in files of its own, and their peers'."""
    own: dict[str, float | None] = {}
    others: dict[str, Any] = {}
    for name, wanted in PARTS.items():
        progress(name.replace("_", " "))
        try:
            given = importlib.import_module(name).measure(quick=quick)
        except (AttributeError, ImportError, RuntimeError, OSError) as error:
            notes[name] = f"not measured: {type(error).__name__}: {error}"
            continue
        others |= given["peers"]
        own |= {ours_: given["figures"].get(theirs) for ours_, theirs in wanted.items()}
    return own, others


# -- for the README ----------------------------------------------------------------------------------------------------------------

ROWS_OF_TABLE = (
    ("DuckDB: seconds", "duckdb_s"), ("of CPU", "duckdb_cpu_s"), ("times the hand plan's process", "duckdb_ratio_process"),
    ("Parquet: seconds", "parquet_s"), ("of CPU", "parquet_cpu_s"), ("times the hand plan's process", "parquet_ratio_process"),
    ("PostgreSQL: seconds", "postgres_s"), ("of CPU", "postgres_cpu_s"), ("times the hand plan's process", "postgres_ratio_process"),
    ("Start to end on a table of little: CPU seconds", "fixed_cpu_s"),
)  # fmt: skip
OWN_ROWS = (
    ("Memory at most, MB", "peak_mb"), ("Reconciliation, times both scans", "reconcile_ratio_scan"),
    ("Classification, ms a column", "classify_ms_column"), ("Personal data found: precision", "pii_precision"), ("recall", "pii_recall"),
)  # fmt: skip


def markdown(result: dict[str, Any]) -> str:
    """Two tables: all sides, and what only ours has."""
    found = {
        "datareeve": result["figures"],
        **{name: one for name, one in result["peers"].items() if name in PEERS and not isinstance(one, str)},
    }
    lines = ["| 40 checks | " + " | ".join(found) + " |", "| --- |" + " ---: |" * len(found)]
    lines += [
        "| " + " | ".join([words, *(short(one.get(key)) for one in found.values())]) + " |"
        for words, key in ROWS_OF_TABLE
    ]
    lines += ["", "| | datareeve |", "| --- | ---: |"]
    lines += [f"| {words} | {short(result['figures'].get(key))} |" for words, key in OWN_ROWS]
    missing = [
        f"- {name}: not compared: {why}." for name, why in result["peers"].items() if isinstance(why, str)
    ]
    sizes = ", ".join(f"{engine} {count:,}" for engine, count in result["detail"].get("rows", {}).items())
    return "\n".join([*lines, "", f"Rows: {sizes}.", *missing])


def short(value: float | None) -> str:
    """Three significant digits; a dash where there is none."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"  # noqa: PLR2004 - the words say it
