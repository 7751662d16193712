"""What advised indexes are worth: TPC-H, scale 0.2, on PostgreSQL 15, real CPU of 22 queries and of the refresh functions with and without.

Ours is asked as a user asks it (`datareeve run databases.advise-indexes`), the peers by their own entry points, all on the same database
with primary and foreign keys and no other index, with the same texts and a budget of 150 MB where they take one. Each one's indexes are then
made in a clone of its own and measured by the same code, all in turn: CPU is what the backend itself spent (`/proc/PID/schedstat`).

Server: one process a query (`max_parallel_workers_per_gather = 0`), `jit = off`, `shared_buffers = 256MB`, `work_mem = 32MB`, autovacuum off
(bench/tpch/make.py); planner's costs as they come. Q17 and Q20 do not end in 60 s without an index on lineitem's part, and Q2 is what Kossmann
et al. ("Magic mirror in my hand, which is the best in the land?", VLDB 2020) leave out beside them: the other 19 are compared. Queries are
warmed, then the median of three; RF1 and RF2 insert and delete row by row, 20 sets of 0.1 %, the median of five rounds.

    cpu_ratio         CPU of the 19 queries together, with the advised indexes / without      cpu_ratio_mean   mean of the 19 ratios
    cpu_ratio_parallel  as cpu_ratio, with PostgreSQL's default of two workers a query, their CPU counted (not when --quick)
    cpu_ratio_22      the same of all 22, where an unindexed query that was stopped counts with what it had spent by then: an upper bound
    index_mb          real size of the advised indexes       write_cpu_ratio   CPU of the refresh functions with / without
    duplicates        advised indexes that another one, or an existing one, makes superfluous       unused   those in no plan of the 22
    texts_analysed    of 22, as they are written             advice_s, twin_s  seconds of the whole advice; of the part that executes nothing

Anchors on another machine: dexter 0.70 / 34 MB / 1.34x, hyrise's Extend 0.68 / 67 MB / 1.21x, its DB2Advis 0.62 / 85 MB / 1.42x, postgres-mcp
0.63 / 340 MB / 2.49x. postgres-mcp cannot take these texts as they are (unqualified columns), nor seven of them at all (aliases, derived
tables): it is given qualified ones, each by itself, as its tool for a query is used.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import peers
import psycopg
import sqlglot
from sqlglot.optimizer.qualify import qualify
from tpch import make
from tpch.measure import Side, queries, refresh

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.systems.pg_server import LocalServer

HERE = Path(__file__).parent
SCALE, BUDGET_MB, WORKERS = 0.2, 150, 2
LEFT_OUT = ("Q2", "Q17", "Q20")
TIMEOUT_S, QUICK_TIMEOUT_S = 60, 15
INDEXES = """
SELECT i.indexrelid::regclass::text AS name, i.indrelid AS "table", am.amname AS method, pg_get_expr(i.indpred, i.indrelid) AS predicate,
  i.indisunique AS is_unique, ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, false) || ' ' || i.indoption[n - 1] || ' ' || i.indclass[n - 1]
    FROM generate_series(1, i.indnkeyatts) AS n ORDER BY n) AS keys,
  ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, false) FROM generate_series(1, i.indnatts) AS n) AS columns
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS am ON am.oid = c.relam
WHERE c.relnamespace = 'public'::regnamespace
"""
Result = dict[str, Any]


@dataclass
class Advice:
    """What an advisor said: statements, and figures of the advising itself."""

    indexes: list[str]
    figures: dict[str, float | None]
    queries: dict[str, float | None] = field(default_factory=dict)


def measure(*, quick: bool) -> Result:
    """Ask everyone, then measure everyone in turn."""
    folder = Path(tempfile.mkdtemp(prefix="datareeve-bench-"))
    folder.chmod(0o755)
    try:
        with make.server(folder) as (local, url):
            progress(f"loading TPC-H, scale {SCALE}")
            make.load(url, SCALE)
            ours = asked("datareeve", lambda: datareeve(local, url, folder))
            if isinstance(ours, str):
                raise SystemExit(f"databases.advise-indexes failed: {ours}")
            said = {"datareeve": ours} | {name: asked(name, ask) for name, ask in others(url, folder).items()}
            advised = {name: one for name, one in said.items() if isinstance(one, Advice)}
            detail = measured(url, advised, quick=quick)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    figures = {name: one.figures if isinstance(one, Advice) else one for name, one in said.items()}
    return {"figures": figures.pop("datareeve"), "peers": figures, "detail": detail}


def progress(text: str) -> None:
    """A line for whoever waits: this takes minutes."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def others(url: str, folder: Path) -> dict[str, Callable[[], Advice]]:
    """The peers, by name, and how each is asked."""
    plain = HERE / "tpch" / "queries.sql"

    def selection(algorithm: str) -> Advice:
        return peer("index_selection", algorithm, url, plain)

    return {
        "postgres-mcp": lambda: postgres_mcp(url, plain, folder),
        "dexter": lambda: dexter(url, plain),
        "extend (own implementation)": lambda: selection("extend"),
        "db2advis (own implementation)": lambda: selection("db2advis"),
    }


def asked(name: str, ask: Callable[[], Advice]) -> Advice | str:
    """What it says, or why it could not be asked."""
    progress(f"asking {name}")
    try:
        return ask()
    except (peers.NotInstalled, RuntimeError, subprocess.TimeoutExpired) as error:
        return " ".join(str(error).split())[-300:]


def datareeve(local: LocalServer, url: str, folder: Path) -> Advice:
    """Our own advice through the command line: the indexes that are there afterwards, which are then taken away."""
    project = folder / "project"
    project.mkdir()
    (project / "estate.yaml").write_text(json.dumps(estate(local, url)))
    twin_s, foretold = twin_only(project)
    seconds, _ = command(project, "--yes")
    with Side(url) as side:
        indexes = [index["definition"] for index in side.own_indexes()]
        for index in side.own_indexes():
            side.connection.execute(f"DROP INDEX {index['name']}")
    figures = {
        "texts_analysed": figure(foretold, "families_analysed"),
        "advice_s": seconds,
        "twin_s": twin_s,
    }
    return Advice(indexes, figures)


def twin_only(project: Path) -> tuple[float, Any]:
    """Seconds of the advice that executes nothing, and the plan."""
    return command(project, "--no-execute", "--plan")


def estate(local: LocalServer, url: str) -> dict[str, Any]:
    """The estate of the database (JSON is YAML): its server is on this machine, its workload a file of SQL."""
    control = {"data": str(local.data), "bin": str(local.bin), "os_user": local.os_user}
    workload = {"kind": "sql", "path": str(HERE / "tpch" / "queries.sql")}
    app = {"kind": "postgresql", "url": url, "schemas": ["public"], "server": control, "workload": workload}
    rules = [{"decision": "allow", "effects": ["read", "reversible"]}]
    return {"version": 1, "name": "bench", "systems": {"app": app}, "authority": {"rules": rules}}


def command(project: Path, *arguments: str) -> tuple[float, Any]:
    """Seconds and answer of `databases.advise-indexes` with these arguments. Errors: `RuntimeError` with what it said."""
    began = time.perf_counter()
    asked_for = ("databases.advise-indexes", "--system", "app", "--budget-mb", str(BUDGET_MB), "--json")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("datareeve")), "run", *asked_for, *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode not in (0, 4):
        raise RuntimeError(f"exit status {done.returncode}: {done.stdout[-300:]} {done.stderr[-300:]}")
    return time.perf_counter() - began, json.loads(done.stdout)


def figure(answer: Any, name: str) -> float | None:
    """The first figure of that name anywhere in the answer."""
    if isinstance(answer, dict):
        if isinstance(value := answer.get(name), int | float):
            return float(value)
        answer = list(answer.values())
    found = (figure(one, name) for one in answer) if isinstance(answer, list) else iter(())
    return next((value for value in found if value is not None), None)


def peer(name: str, *arguments: object) -> Advice:
    """A peer's advice by its script, `bench/NAME.peer`."""
    answer = peers.run(name, HERE / f"{name}.peer", *map(str, arguments), str(BUDGET_MB))
    return Advice(answer["indexes"], {key: answer[key] for key in ("texts_analysed", "advice_s")})


def postgres_mcp(url: str, plain: Path, folder: Path) -> Advice:
    """Asked with qualified texts; how many of the plain ones it takes is its figure."""
    path = folder / "qualified.sql"
    path.write_text(";\n".join(qualified(url)))
    taken = peer("postgres_mcp", url, plain).figures["texts_analysed"]
    advice = peer("postgres_mcp", url, path)
    qualified_taken = advice.figures["texts_analysed"]
    return Advice(
        advice.indexes,
        {**advice.figures, "texts_analysed": taken, "qualified_texts_analysed": qualified_taken},
    )


def qualified(url: str) -> list[str]:
    """The texts with each column's table before it."""
    schema: dict[str, Any] = {}
    with psycopg.connect(url) as connection:
        sql = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"
        for table, column, kind in connection.execute(sql):
            schema.setdefault(table, {})[column] = kind
    return [
        qualify(
            sqlglot.parse_one(text, dialect="postgres"), schema=schema, dialect="postgres", identify=False
        ).sql(dialect="postgres")
        for text in make.texts().values()
    ]


def dexter(url: str, plain: Path) -> Advice:
    """Its advice (ankane/dexter): from RubyGems, installed where that can be reached. Errors: `NotInstalled`."""
    program = peers.gem("pgdexter", "dexter")
    began = time.perf_counter()
    done = subprocess.run(
        [str(program), "-d", url, "--input-format", "sql", "--create", "--non-concurrently", str(plain)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    seconds = time.perf_counter() - began
    with Side(url) as side:
        indexes = [index["definition"] for index in side.own_indexes()]
        for index in side.own_indexes():
            side.connection.execute(f"DROP INDEX {index['name']}")
    return Advice(indexes, {"texts_analysed": None, "advice_s": seconds})


def measured(url: str, advised: dict[str, Advice], *, quick: bool) -> dict[str, Any]:
    """Make each one's indexes in a clone, measure all in turn, and put the figures into each advice. Gives the details."""
    clones = [clone(url, number, one.indexes) for number, one in enumerate(advised.values())]
    with ExitStack() as stack:
        base, *sides = [stack.enter_context(Side(one)) for one in (url, *clones)]
        timeout_s = QUICK_TIMEOUT_S if quick else TIMEOUT_S
        progress("finding the queries that do not end without an index")
        stopped = bounded(base, timeout_s)
        names = [name for name in make.texts() if name not in stopped]
        rounds = 2 if quick else 3
        progress(f"measuring {len(names)} queries")
        without, *found = queries([base, *sides], names, rounds=rounds)
        parallel = [{}] * len(clones) if quick else in_parallel([url, *clones], names)
        progress(f"measuring {', '.join(stopped)}")
        slow = queries(sides, list(stopped), rounds=rounds, timeout_s=timeout_s)
        progress("measuring the refresh functions")
        writes = [statistics.median(values) for values in refresh([base, *sides], rounds=2 if quick else 5)]
        for side, one, fast, heavy, helped, write in zip(
            sides, advised.values(), found, slow, parallel, writes[1:], strict=True
        ):
            one.queries = {**fast, **heavy}
            one.figures = {
                **ratios({**without, **stopped}, one.queries),
                **helped,
                **of_indexes(side),
                "write_cpu_ratio": write / writes[0],
                **one.figures,
            }
    return {
        "left_out": list(LEFT_OUT),
        "stopped_without_indexes": {name: round(value, 1) for name, value in stopped.items()},
        "cpu_ms": {"without": milliseconds(without)}
        | {name: milliseconds(one.queries) for name, one in advised.items()},
        "indexes": {name: one.indexes for name, one in advised.items()},
    }


def in_parallel(urls: list[str], names: list[str]) -> list[dict[str, float | None]]:
    """The ratio again with PostgreSQL's own default of two workers a query, whose CPU counts too (to a hundredth of a second)."""
    progress(f"measuring {len(names)} queries with two workers each")
    with ExitStack() as stack:
        without, *found = queries([stack.enter_context(Side(url, WORKERS)) for url in urls], names, rounds=2)
    compared = [name for name in names if name not in LEFT_OUT]
    return [
        {"cpu_ratio_parallel": _ratio([(one[name], without[name] or 0.0) for name in compared])}
        for one in found
    ]


def clone(url: str, number: int, indexes: list[str]) -> str:
    """A copy of the database with these indexes; the statistics are the same, but for those that an expression's index adds."""
    name = f"advised_{number}"
    with psycopg.connect(url.rsplit("/", 1)[0] + "/postgres", autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {make.DATABASE}")
    with Side(url.rsplit("/", 1)[0] + f"/{name}") as side:
        for statement in indexes:
            side.connection.execute(statement)
        for (table,) in side.connection.execute(
            "SELECT DISTINCT indrelid::regclass::text FROM pg_index WHERE indexprs IS NOT NULL AND indexrelid > 16383"
        ).fetchall():
            side.connection.execute(f"ANALYZE {table}")
        side.connection.execute("VACUUM")
    return url.rsplit("/", 1)[0] + f"/{name}"


def bounded(base: Side, timeout_s: float) -> dict[str, float]:
    """The queries that do not end in time without an index, and the CPU seconds they had spent by then."""
    stopped = {}
    base.connection.execute(f"SET statement_timeout = {int(timeout_s * 1000)}")
    for name, text in make.texts().items():
        began = base.cpu()
        try:
            base.spent(text)
        except psycopg.errors.QueryCanceled:
            stopped[name] = base.cpu() - began
    return stopped


def ratios(without: dict[str, float | None], found: dict[str, float | None]) -> dict[str, float | None]:
    """The three ratios of CPU; none where a query does not end with the indexes either."""
    pairs = {name: (found[name], without[name] or 0.0) for name in found}
    compared = [pair for name, pair in pairs.items() if name not in LEFT_OUT]
    return {
        "cpu_ratio": _ratio(compared),
        "cpu_ratio_mean": statistics.mean(new / old for new, old in compared if new is not None),
        "cpu_ratio_22": _ratio(list(pairs.values())),
    }


def _ratio(pairs: list[tuple[float | None, float]]) -> float | None:
    new = [new for new, _ in pairs if new is not None]
    return sum(new) / sum(old for _, old in pairs) if len(new) == len(pairs) else None


def of_indexes(side: Side) -> dict[str, float | None]:
    """Count, size, duplicates and unused of the advised indexes of a clone."""
    indexes, used = side.own_indexes(), side.used()
    names = {index["name"] for index in indexes}
    return {
        "indexes": len(indexes),
        "index_mb": sum(index["bytes"] for index in indexes) / 1e6,
        "duplicates": len(superfluous(side, names)),
        "unused": len(names - used),
    }


def superfluous(side: Side, names: set[str]) -> set[str]:
    """Those of the named indexes that another index could stand in for: same table, method and predicate, its keys a beginning of the other's."""
    cursor = side.connection.execute(INDEXES)
    columns = [column.name for column in cursor.description or ()]
    indexes = [dict(zip(columns, row, strict=True)) for row in cursor]
    gone: set[str] = set()
    for one in sorted(
        (i for i in indexes if i["name"] in names), key=lambda i: (len(i["columns"]), i["name"])
    ):
        others = (i for i in indexes if i["name"] != one["name"] and i["name"] not in gone)
        if any(_covers(other, one) for other in others):
            gone.add(one["name"])
    return gone


def _covers(other: dict[str, Any], one: dict[str, Any]) -> bool:
    same = all(other[key] == one[key] for key in ("table", "method", "predicate"))
    begins = other["keys"][: len(one["keys"])] == one["keys"]
    return same and begins and not one["is_unique"] and set(one["columns"]) <= set(other["columns"])


def milliseconds(found: dict[str, float | None]) -> dict[str, float | None]:
    """CPU milliseconds by query, in the order of the queries."""
    order = sorted(found, key=lambda name: int(name[1:]))
    return {name: None if (value := found[name]) is None else round(value * 1000, 1) for name in order}
