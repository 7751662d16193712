"""Reconciliation of two equal tables of 10 million rows and 12 columns: beside one scan of each, by hand, and beside reladiff.

The limit is what both scans take when they are asked for at the same time, as Datareeve asks them: `portable` are the best queries whose
checksums are the same on both engines (MD5 of a row's text), `native` the best that each engine has (its own hash, which no other knows),
`plain` reads every column and reckons nothing. `found_seconds`: three rows are changed, and all three are named with their columns.
"""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import duckdb
import psycopg

from datareeve.capabilities.quality.reconcile import planning, tables
from datareeve.capabilities.quality.reconcile.planning import Wanted
from datareeve.capabilities.quality.reconcile.reconciling import reconcile
from datareeve.core.estate import Estate
from datareeve.systems import pg_server
from datareeve.systems.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from run import Measured

ROWS, QUICK_ROWS = 10_000_000, 1_000_000
PEER = "reladiff==0.6.0"
COLUMNS = (
    "id", "store", "customer", "order_no", "amount", "weight", "ordered_at", "due", "name", "city", "paid", "ref",
)  # fmt: skip
MADE = {
    "postgresql": """CREATE TABLE orders AS SELECT g AS id, (g % 977)::int AS store, (g * 7 % 100003)::int AS customer, g * 3000000019 AS order_no,
        ((g % 100000) / 100.0)::numeric(12,2) AS amount, sqrt(g) AS weight, timestamp '2024-01-01' + g * interval '1.25 seconds' AS ordered_at,
        date '2020-01-01' + (g % 2000)::int AS due, 'customer ' || g AS name, 'city ' || (g % 500) AS city, g % 2 = 0 AS paid, md5(g::text)::uuid AS ref
        FROM generate_series(1::bigint, {rows}) g""",
    "duckdb": """CREATE TABLE orders AS SELECT g AS id, (g % 977)::int AS store, (g * 7 % 100003)::int AS customer, g * 3000000019 AS order_no,
        ((g % 100000)::decimal(12,2) / 100)::decimal(12,2) AS amount, sqrt(g) AS weight, timestamp '2024-01-01' + to_microseconds(g * 1250000) AS ordered_at,
        date '2020-01-01' + (g % 2000)::int AS due, 'customer ' || g AS name, 'city ' || (g % 500) AS city, g % 2 = 0 AS paid, md5(g::text)::uuid AS ref
        FROM range(1, {rows} + 1) t(g)""",
}  # fmt: skip
BY_HAND: dict[str, dict[str, tuple[str, ...]]] = {
    "postgresql": {
        "portable": ("SELECT count(*), sum(('x' || substr(md5(concat_ws('|', id, store, customer, order_no, amount, weight, ordered_at, due, name, city, paid, ref)), 1, 16))::bit(64)::bigint) FROM orders",),
        "native": ("SELECT count(*), sum(hash_record_extended(o, 0)) FROM orders o", "SELECT count(*), sum(hashtextextended(o::text, 0)) FROM orders o"),
        "plain": ("SELECT " + ", ".join(f"count({name})" for name in COLUMNS) + " FROM orders",),
    },
    "duckdb": {
        "portable": ("SELECT count(*), sum(('0x' || substr(md5(concat_ws('|', id, store, customer, order_no, amount, weight, ordered_at, due, name, city, paid, ref)), 1, 15))::bigint) FROM orders",),
        "native": ("SELECT count(*), sum(hash(id, store, customer, order_no, amount, weight, ordered_at, due, name, city, paid, ref)) FROM orders",),
        "plain": ("SELECT " + ", ".join(f"max({name})" for name in COLUMNS) + " FROM orders",),
    },
}  # fmt: skip
PAIRS = (("postgresql", "duckdb"), ("postgresql", "postgresql"), ("duckdb", "duckdb"))


def measure(*, quick: bool) -> Measured:
    """The three pairs of engines, medians of 3."""
    rows, times = (QUICK_ROWS, 1) if quick else (ROWS, 3)
    with _engines(rows) as world:
        figures: dict[str, float | None] = {}
        for pair in PAIRS:
            figures |= _pair(world, pair, times)
        figures["reconcile_ratio_scan"] = figures["postgresql_duckdb_ratio_portable"]
        figures |= _changed(world, rows)
        peers: dict[str, Any] = {"reladiff": _reladiff(world, times)}
    notes = {
        "limit": "what both hand-written scans take at the same time; portable: MD5 of a row's text, equal on both engines; native: each engine's own hash; plain: no checksum",
        "rows": f"{rows:,} on each side, 12 columns; medians of {times}",
    }
    return {"figures": figures, "peers": peers, "notes": notes}


class World:
    """Two databases of each engine, with the same table."""

    def __init__(self, folder: Path, urls: list[str], systems: Registry) -> None:
        self.folder, self.urls, self.systems = folder, urls, systems

    def names(self, pair: tuple[str, str]) -> tuple[str, str]:
        """The systems of a pair: the second of an engine where both are of one."""
        return f"{pair[0]}1", f"{pair[1]}{2 if pair[0] == pair[1] else 1}"

    def run(self, system: str, sql: str) -> Any:
        """One statement by hand, on a connection of its own, as its driver has it."""
        if system.startswith("postgresql"):
            with psycopg.connect(self.urls[int(system[-1]) - 1], autocommit=True) as connection:
                cursor = connection.execute(sql)
                return cursor.fetchall() if cursor.description else None
        with duckdb.connect(str(self.folder / f"{system}.duckdb"), config={"threads": 2}) as opened:
            return opened.execute(sql).fetchall()


@contextlib.contextmanager
def _engines(rows: int) -> Iterator[World]:
    with tempfile.TemporaryDirectory(prefix="datareeve-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        server, url = pg_server.initialise(
            folder / "pg", settings={"fsync": "off", "shared_buffers": "2GB", "max_wal_size": "8GB"}
        )
        try:
            urls = [url.rsplit("/", 1)[0] + f"/bench{n}" for n in (1, 2)]
            with psycopg.connect(url, autocommit=True) as admin:
                for n in (1, 2):
                    admin.execute(f"CREATE DATABASE bench{n}")
            systems = {
                f"postgresql{n}": {"kind": "postgresql", "url": one, "read_timeout_seconds": 3600}
                for n, one in enumerate(urls, 1)
            }
            systems |= {
                f"duckdb{n}": {"kind": "duckdb", "path": f"duckdb{n}.duckdb", "read_timeout_seconds": 3600}
                for n in (1, 2)
            }
            world = World(folder, urls, Registry(Estate.model_validate({"systems": systems}), folder))
            for system in systems:
                _fill(world, system, rows)
            yield world
            world.systems.close()
        finally:
            pg_server.destroy(server)


def _fill(world: World, system: str, rows: int) -> None:
    world.run(system, MADE[system[:-1]].format(rows=rows))
    world.run(system, "ALTER TABLE orders ADD PRIMARY KEY (id)")
    world.run(system, "VACUUM ANALYZE orders" if system.startswith("postgresql") else "CHECKPOINT")


def _pair(world: World, pair: tuple[str, str], times: int) -> dict[str, float | None]:
    names, title = world.names(pair), "_".join(pair)
    seconds = _median(lambda: _reconcile(world, names), times)
    figures: dict[str, float | None] = {f"{title}_seconds": seconds}
    for kind in ("portable", "native", "plain"):
        scans = [_best(world, name, BY_HAND[engine][kind]) for name, engine in zip(names, pair, strict=True)]
        limit = _median(lambda scans=scans: _at_once(world, names, scans), times)  # type: ignore[misc]
        figures[f"{title}_{kind}_scans_seconds"] = limit
        figures[f"{title}_ratio_{kind}"] = seconds / limit
    return figures


def _reconcile(world: World, names: tuple[str, str]) -> dict[str, Any]:
    left, right = (world.systems[name] for name in names)
    one, other = tables.read(left, "orders"), tables.read(right, "orders")
    prepared = planning.prepare(one, other, Wanted())
    told = reconcile(left, right, planning.compared(one, other, prepared).model_dump(mode="json"))
    assert told["exact"]  # noqa: S101 - a measurement of something else is none
    return told


def _best(world: World, name: str, queries: tuple[str, ...]) -> str:
    """The fastest of some queries that do the same."""
    return (
        min(queries, key=lambda sql: _seconds(lambda: world.run(name, sql)))
        if len(queries) > 1
        else queries[0]
    )


def _at_once(world: World, names: tuple[str, str], scans: list[str]) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(world.run, names, scans))


def _changed(world: World, rows: int) -> dict[str, float | None]:
    """Three rows of one side are changed: how long until they are named."""
    world.run("duckdb1", f"UPDATE orders SET amount = amount + 1 WHERE id IN (3, {rows // 2}, {rows - 3})")
    began = perf_counter()
    told = _reconcile(world, ("postgresql1", "duckdb1"))
    seconds = perf_counter() - began
    assert (told["differing"], told["columns"]) == (3, {"amount": 3})  # noqa: S101 - as above
    return {
        "found_seconds": seconds,
        "found_bytes_fetched": told["bytes_fetched"],
        "found_statements": told["statements"],
    }


def _median(act: Callable[[], Any], times: int) -> float:
    act()  # caches are warm for every side
    return statistics.median(_seconds(act) for _ in range(times))


def _seconds(act: Callable[[], Any]) -> float:
    began = perf_counter()
    act()
    return perf_counter() - began


PEER_SCRIPT = """
import sys, time
import reladiff
left = reladiff.connect_to_table(sys.argv[1], "orders", "id", extra_columns=tuple(sys.argv[3].split(",")), thread_count=2)
right = reladiff.connect_to_table(sys.argv[2], "orders", "id", extra_columns=tuple(sys.argv[3].split(",")), thread_count=2)
began = time.perf_counter()
assert not list(reladiff.diff_tables(left, right))
print(time.perf_counter() - began)
"""


def _reladiff(world: World, times: int) -> dict[str, float | None] | str:
    """Between the two PostgreSQL databases, in an environment of its own; its own comparison of equal tables."""
    folder = world.folder / "peer"
    try:
        venv.create(folder, with_pip=True)
        subprocess.run(
            [folder / "bin" / "pip", "install", "-q", PEER, "psycopg2-binary", "setuptools<81"],
            check=True,
            capture_output=True,
            timeout=300,
        )
        argv = [str(folder / "bin" / "python"), "-c", PEER_SCRIPT, *world.urls, ",".join(COLUMNS[1:])]
        taken = [
            float(subprocess.run(argv, check=True, capture_output=True, text=True, timeout=1800).stdout)
            for _ in range(times)
        ]
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        printed = getattr(error, "stderr", None) or str(error)
        said = printed.decode(errors="replace") if isinstance(printed, bytes) else str(printed)
        return f"{PEER}: {(said.strip().splitlines() or [type(error).__name__])[-1][:200]}"
    return {"postgresql_postgresql_seconds": statistics.median(taken)}


if __name__ == "__main__":
    print(measure(quick="--quick" in sys.argv))
