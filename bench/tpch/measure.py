"""What the indexes that exist in a TPC-H database really do: CPU of each query and of the refresh functions, sizes, and which are used.

    PYTHONPATH=bench uv run --no-sync python -m tpch.measure URL [URL ...] [--rounds 3] [--queries Q3,Q17] [--no-refresh] [--workers 2]

CPU is the backend's own, from `/proc/PID/schedstat` (nanoseconds on a core): so the server is on this machine, and what else runs on it
disturbs little. With several URLs the databases are measured in turn, query by query, and the first is what the others are compared with.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psycopg

from tpch import make

if TYPE_CHECKING:
    from collections.abc import Iterator

WORKERS_END_S = 0.02  # until a query's workers are gone and counted to their parent
SETS = 20  # refresh sets a measurement inserts and deletes, each 0.1 % of the orders
HELPING = "SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'parallel worker'"
OWN_INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_relation_size(indexrelid) AS bytes, pg_get_indexdef(indexrelid) AS definition
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE pg_class.relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u', 'x'))
ORDER BY 1
"""
RF1 = ("orders", "lineitem")  # in this order: the foreign key
RF2 = ("DELETE FROM lineitem WHERE l_orderkey = %s", "DELETE FROM orders WHERE o_orderkey = %s")


class Side:
    """One database that is measured, with a connection of its own. `workers`: how many may help with a query; their CPU counts."""

    def __init__(self, url: str, workers: int = 0) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.execute(f"SET max_parallel_workers_per_gather = {workers}")
        self.workers = workers
        process = Path(f"/proc/{self.connection.info.backend_pid}")
        self.stat = process / "schedstat"
        self.parent = process.parent / _stat_fields(process)[1] / "stat"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def cpu(self) -> float:
        """Seconds that the backend has spent on a core, and with workers, those of the server's processes that have ended."""
        own = int(self.stat.read_text().split()[0]) / 1e9
        if not self.workers:
            return own
        while self.connection.execute(HELPING).fetchone() != (0,):
            time.sleep(WORKERS_END_S)
        time.sleep(WORKERS_END_S)
        return own + sum(map(int, _stat_fields(self.parent.parent)[13:15])) / os.sysconf("SC_CLK_TCK")

    def spent(self, text: str, *arguments: Any) -> float:
        """The CPU seconds of a statement, its rows fetched. Errors: `psycopg.errors.QueryCanceled` at the statement timeout."""
        began = self.cpu()
        with self.connection.cursor(binary=True) as cursor:
            cursor.execute(text, arguments or None)
            if cursor.description:
                cursor.fetchall()
        return self.cpu() - began

    def own_indexes(self) -> list[dict[str, Any]]:
        """The indexes that are no constraint's: name, bytes, definition."""
        rows = self.connection.execute(OWN_INDEXES).fetchall()
        return [dict(zip(("name", "bytes", "definition"), row, strict=True)) for row in rows]

    def used(self) -> set[str]:
        """The names of the indexes that a plan of the 22 uses."""
        return {name for text in make.texts().values() for name in self.indexes_of(text)}

    def indexes_of(self, text: str) -> set[str]:
        """The names of the indexes in a statement's plan."""
        (plan,) = self.connection.execute(f"EXPLAIN (FORMAT JSON) {text}").fetchone() or ({},)
        return set(index_names(plan))


def _stat_fields(process: Path) -> list[str]:
    """/proc/PID/stat behind the name: state, parent, …; 13 and 14 are the clock ticks of children that have ended."""
    return (process / "stat").read_text().rpartition(")")[2].split()


def index_names(node: Any) -> Iterator[str]:
    """Every index that a plan in JSON names."""
    if isinstance(node, dict):
        if "Index Name" in node:
            yield node["Index Name"]
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from index_names(child)


def queries(
    sides: list[Side], names: list[str], *, rounds: int = 3, timeout_s: float = 0, best: bool = False
) -> list[dict[str, float | None]]:
    """CPU seconds of each query on each side: warmed once, then the median (`best`: the least) of `rounds`, the sides in turn.

    None for a query that does not end in `timeout_s` (0: no limit).
    """
    texts = make.texts()
    results: list[dict[str, float | None]] = [{} for _ in sides]
    for side in sides:
        side.connection.execute(f"SET statement_timeout = {int(timeout_s * 1000)}")
    for name in names:
        for index, values in enumerate(_in_turn(sides, texts[name], rounds)):
            results[index][name] = (min if best else statistics.median)(values) if values else None
    return results


def _in_turn(sides: list[Side], text: str, rounds: int) -> list[list[float]]:
    """The CPU seconds of each side's runs of one statement; none for a side that was stopped by the timeout."""
    found: list[list[float]] = [[] for _ in sides]
    ended = [True for _ in sides]
    for number in range(rounds + 1):
        for index, side in enumerate(sides):
            if not ended[index]:
                continue
            try:
                spent = side.spent(text)
            except psycopg.errors.QueryCanceled:
                ended[index], found[index] = False, []
                continue
            if number:  # the first warms the caches
                found[index].append(spent)
    return found


def refresh(sides: list[Side], *, rounds: int = 5, sets: int = SETS) -> list[list[float]]:
    """CPU seconds of `sets` runs of RF1 and RF2, for each side and round; each round the sides in turn, vacuumed in between."""
    results: list[list[float]] = [[] for _ in sides]
    for side in sides:
        side.connection.execute("SET statement_timeout = 0")
    sides[0].connection.execute("DROP SCHEMA IF EXISTS refresh CASCADE")
    make.statements(sides[0].connection, "refresh.sql")
    rows = {table: _rows(sides[0], table, sets) for table in RF1}
    for number in range(rounds + 1):
        for index, side in enumerate(sides):
            spent = _refresh_once(side, rows)
            if number:
                results[index].append(spent)
    sides[0].connection.execute("DROP SCHEMA refresh CASCADE")
    return results


def _refresh_once(side: Side, rows: dict[str, list[list[Any]]]) -> float:
    """Insert each set, then delete each: a row a statement, as the specification has it, prepared; a transaction for each set."""
    sets = len(rows["orders"])
    began = side.cpu()
    for number in range(sets):
        with side.connection.transaction(), side.connection.cursor() as cursor:
            for table in RF1:
                marks = ", ".join(["%s"] * len(rows[table][number][0]))
                cursor.executemany(f"INSERT INTO {table} VALUES ({marks})", rows[table][number])
    for number in range(sets):
        with side.connection.transaction(), side.connection.cursor() as cursor:
            for statement in RF2:
                cursor.executemany(statement, [row[:1] for row in rows["orders"][number]])
    spent = side.cpu() - began
    side.connection.execute("VACUUM orders, lineitem")
    return spent


def _rows(side: Side, table: str, sets: int) -> list[list[Any]]:
    """The rows of each refresh set."""
    found: list[list[Any]] = [[] for _ in range(sets)]
    for number, *row in side.connection.execute(f"SELECT * FROM refresh.{table} WHERE set < %s", [sets]):
        found[number].append(row)
    return found


def main() -> int:
    """Measure the databases of the URLs and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("urls", nargs="+", metavar="URL")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queries", default="", help="Q1,Q3 (default: all)")
    parser.add_argument("--timeout", type=float, default=60, help="seconds a query may take")
    parser.add_argument("--no-refresh", action="store_true")
    parser.add_argument("--workers", type=int, default=0, help="max_parallel_workers_per_gather (default: 0)")
    asked = parser.parse_args()
    names = asked.queries.split(",") if asked.queries else list(make.texts())
    with ExitStack() as stack:
        sides = [stack.enter_context(Side(url, asked.workers)) for url in asked.urls]
        print_sizes(sides)
        found = queries(sides, names, rounds=asked.rounds, timeout_s=asked.timeout)
        print(table(found, names))
        if not asked.no_refresh:
            medians = [statistics.median(values) for values in refresh(sides)]
            print(row(f"RF x{SETS}", list(medians)))
    return 0


def print_sizes(sides: list[Side]) -> None:
    """The indexes of each side, their sizes, and those that no plan uses."""
    for number, side in enumerate(sides, 1):
        used, indexes = side.used(), side.own_indexes()
        total = sum(index["bytes"] for index in indexes) / 1e6
        print(f"database {number}: {len(indexes)} indexes, {total:.1f} MB")
        for index in indexes:
            mark = "" if index["name"] in used else "  NOT USED"
            print(f"  {index['bytes'] / 1e6:7.1f} MB  {index['definition'].removeprefix('CREATE ')}{mark}")


def table(found: list[dict[str, float | None]], names: list[str]) -> str:
    """CPU milliseconds a query and side, then the totals of those that ended everywhere; the ratio to the first side beside."""
    lines = [row(name, [one[name] for one in found]) for name in names]
    comparable = [name for name in names if all(one[name] is not None for one in found)]
    lines.append(row(f"all {len(comparable)}", [sum(one[name] or 0 for name in comparable) for one in found]))
    return "\n".join(lines)


def row(name: str, values: list[float | None]) -> str:
    """A line of milliseconds and, from the second on, ratios to the first."""
    cells = []
    for value in values:
        base = values[0]
        ratio = f"{value / base:6.2f}x" if value is not None and base else "       "
        cells.append(f"{'timeout':>9} {ratio}" if value is None else f"{value * 1000:9.1f} {ratio}")
    return f"{name:<8}" + "  ".join(cells)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
