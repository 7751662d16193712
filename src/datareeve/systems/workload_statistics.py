"""The workload as the server itself counts it: the view pg_stat_statements of PostgreSQL 13 to 18, in full.

The one idea: counters are read by query id, without texts; a text is asked for only where its id is not known yet. The columns are taken
from the catalog, for an extension may be older than its server (pg_upgrade without ALTER EXTENSION UPDATE).
See https://www.postgresql.org/docs/current/pgstatstatements.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from datareeve.systems.workload_source import OWN_MARK, Family, Recording, shape_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.systems.postgres import Postgres

# Our name of a counter: the view's, by version, newest first. All are added up over users.
ADDED = {
    "calls": ("calls",),
    "total_ms": ("total_exec_time", "total_time"),
    "rows": ("rows",),
    "plans": ("plans",),
    "plan_ms": ("total_plan_time",),
    "shared_hit_blocks": ("shared_blks_hit",),
    "shared_read_blocks": ("shared_blks_read",),
    "shared_dirtied_blocks": ("shared_blks_dirtied",),
    "shared_written_blocks": ("shared_blks_written",),
    "temp_read_blocks": ("temp_blks_read",),
    "temp_written_blocks": ("temp_blks_written",),
    "wal_bytes": ("wal_bytes",),
}
RESOURCES = tuple(ADDED)[3:]
MEAN, SPREAD = ("mean_exec_time", "mean_time"), ("stddev_exec_time", "stddev_time")
LEAST, MOST = ("min_exec_time", "min_time"), ("max_exec_time", "max_time")
ENTRIES_AT_MOST = 5000  # the extension's own default maximum
HIDDEN = "<insufficient privilege>"

VIEW_SQL = """
SELECT n.nspname AS schema, current_setting('pg_stat_statements.track', true) AS track,
       array(SELECT a.attname::text FROM pg_attribute a
              WHERE a.attrelid = to_regclass(quote_ident(n.nspname) || '.pg_stat_statements') AND a.attnum > 0) AS columns,
       to_regclass(quote_ident(n.nspname) || '.pg_stat_statements_info') IS NOT NULL AS has_info,
       current_setting('server_version_num')::int / 10000 AS major
  FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements'
"""
COUNTERS_SQL = """
WITH entries AS (
    SELECT queryid, {toplevel} AS toplevel, {added},
           sum(calls * ({spread} ^ 2 + {mean} ^ 2)) AS squares, min({least}) AS min_ms, max({most}) AS max_ms,
           {since} AS since, {minmax_since} AS minmax_since{text}
      FROM {schema}.pg_stat_statements({texts})
     WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND calls > 0
     GROUP BY 1, 2),
ranked AS (SELECT *, row_number() OVER (ORDER BY total_ms DESC, queryid) AS place FROM entries),
kept AS (SELECT *, queryid IS NULL AS hidden,
                place <= %(limit)s OR queryid::text = ANY(%(keep)s) AS shown FROM ranked)
SELECT CASE WHEN shown THEN queryid::text END AS id, hidden, toplevel, {summed},
       sum(squares) AS squares, min(min_ms) AS min_ms, max(max_ms) AS max_ms,
       CASE WHEN bool_and(shown) THEN min(since) END AS since, max(minmax_since) AS minmax_since{last_text}
  FROM kept GROUP BY 1, 2, 3 ORDER BY total_ms DESC
"""
INFO_SQL = (
    "SELECT extract(epoch FROM stats_reset)::float8 AS reset, dealloc FROM {schema}.pg_stat_statements_info"
)
TEXTS_SQL = """
SELECT DISTINCT ON (queryid) queryid::text AS id, query FROM {schema}.pg_stat_statements(true)
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND queryid::text = ANY(%(ids)s)
 ORDER BY queryid, length(query)
"""
NO_STATISTICS = (
    "No workload is declared and pg_stat_statements is not installed: give systems.*.workload in estate.yaml (a trace, a server log or a "
    "file of statements), or add pg_stat_statements to shared_preload_libraries and run CREATE EXTENSION pg_stat_statements"
)
NOT_LOADED = (
    "pg_stat_statements is created in this database but not loaded: add it to shared_preload_libraries and restart the server "
    "(databases.tune-settings can do it)"
)
TRACKS_NOTHING = "pg_stat_statements.track is none, so nothing is counted any more: set it to top (ALTER SYSTEM SET pg_stat_statements.track = 'top')"


class View(NamedTuple):
    """Where the extension is and what it has."""

    schema: str  # quoted
    track: str | None  # None: the library is not loaded
    columns: frozenset[str]
    has_info: bool
    major: int

    def first(self, names: Sequence[str], default: str = "NULL") -> str:
        """The first of some columns that this version has."""
        return next((name for name in names if name in self.columns), default)


def view_of(system: Postgres) -> View | None:
    """The extension in this database; None where it is not created."""
    row = system.query(VIEW_SQL, shape="row")
    if row is None:
        return None
    schema = '"' + str(row["schema"]).replace('"', '""') + '"'
    return View(schema, row["track"], frozenset(row["columns"]), row["has_info"], row["major"])


def counters(
    system: Postgres, view: View, *, limit: int, keep: Sequence[str] = (), texts: bool = False
) -> list[dict[str, Any]]:
    """The counters of this database: a row for each of the `limit` longest query ids and for those to `keep`, one for the rest (id None).

    Each has id, hidden (its text is not ours to see), toplevel, the names of `ADDED`, squares (sum of squared milliseconds), min_ms,
    max_ms, since and minmax_since (seconds since 1970, None before 17), and query where `texts`.
    """
    since, minmax = (
        f"min(extract(epoch FROM {name}))::float8" if name in view.columns else "NULL::float8"
        for name in ("stats_since", "minmax_stats_since")
    )
    sql = COUNTERS_SQL.format(
        schema=view.schema,
        texts="true" if texts else "false",
        toplevel=view.first(("toplevel",), "true"),
        added=", ".join(f"sum({view.first(names, '0')})::float8 AS {ours}" for ours, names in ADDED.items()),
        summed=", ".join(f"sum({ours}) AS {ours}" for ours in ADDED),
        mean=view.first(MEAN),
        spread=view.first(SPREAD),
        least=view.first(LEAST),
        most=view.first(MOST),
        since=since,
        minmax_since=minmax,
        text=", min(query) AS query" if texts else "",
        last_text=", min(query) AS query" if texts else "",
    )
    found: list[dict[str, Any]] = system.query(sql, {"limit": limit, "keep": list(keep)})
    return found


def texts_of(system: Postgres, view: View, ids: Sequence[str]) -> dict[str, str]:
    """The texts of some query ids, as the extension has them."""
    if not ids:
        return {}
    rows = system.query(TEXTS_SQL.format(schema=view.schema), {"ids": list(ids)})
    return {row["id"]: str(row["query"]) for row in rows}


def info(system: Postgres, view: View) -> dict[str, Any]:
    """When the statistics began (seconds since 1970) and how often an entry was evicted; None where the version does not say (13)."""
    if not view.has_info:
        return {"reset": None, "dealloc": None}
    found: dict[str, Any] = system.query(INFO_SQL.format(schema=view.schema), shape="row")
    return found


CALLS_SQL = """
SELECT sum(calls)::float8 AS calls FROM {schema}.pg_stat_statements(false)
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def calls_counted(system: Postgres) -> dict[str, Any] | None:
    """All calls in this database and since when they are counted; None where the view is not there or does not tell."""
    view = view_of(system)
    if view is None or view.track in {None, "none"}:
        return None
    since = info(system, view)["reset"]
    calls = system.query(CALLS_SQL.format(schema=view.schema), shape="scalar")
    return None if since is None or calls is None else {"calls": calls, "since": since}


def is_our_own(text: str) -> bool:
    """Whether Datareeve sent a statement: every reading statement of ours ends in a mark."""
    return OWN_MARK in text


def from_statistics(system: Postgres) -> Recording:
    """The families that pg_stat_statements counts; empty, with the reason, where it counts none."""
    result = Recording("pg_stat_statements", "the view pg_stat_statements")
    view = view_of(system)
    if view is None or view.track is None:
        why = NO_STATISTICS if view is None else NOT_LOADED
        result.kind, result.place, result.why_empty = "none", "nowhere", why
        return result
    for row in counters(system, view, limit=ENTRIES_AT_MOST, texts=True):
        _take(result, row)
    _remark(result, view, info(system, view))
    return result


def _take(result: Recording, row: dict[str, Any]) -> None:
    calls, text = int(row["calls"]), str(row["query"] or "")
    if row["hidden"] or text == HIDDEN:
        result.counts["hidden"] += calls
        result.hidden_ms += float(row["total_ms"])
        return
    if row["id"] is None:
        result.counts["other"] += calls
        return
    if is_our_own(text):
        result.counts["own"] += calls
        return
    shape = shape_of(text)
    if shape.kind not in {"read", "write"}:
        result.counts[shape.kind] += calls
        return
    family = result.families.setdefault(shape.fingerprint, Family(shape, counts_rows=True, nested=True))
    count(family, row, text)
    result.counts["statements"] += calls
    result.counts["unparsed"] += not shape.parsed


def count(family: Family, row: dict[str, Any], text: str) -> None:
    """Add the counters of one entry to a family. The longest entry's text becomes the one that is executed."""
    calls, total = int(row["calls"]), float(row["total_ms"])
    if not family.template or total > family.longest:
        family.template, family.longest = text, total
    family.calls += calls
    family.timed += calls
    family.total_ms += total
    family.squares += float(row["squares"] or 0.0)
    family.rows += int(row["rows"])
    if row["max_ms"]:  # both are 0 where min and max were reset and nothing ran since
        family.min_ms = min(family.min_ms, float(row["min_ms"]))
        family.max_ms = max(family.max_ms, float(row["max_ms"]))
    family.nested = family.nested and not row["toplevel"]
    for name in RESOURCES:
        family.resources[name] += row[name] or 0


def _remark(result: Recording, view: View, found: dict[str, Any]) -> None:
    """Say what the figures leave out."""
    result.reset = found["reset"]
    if result.counts["hidden"]:
        result.notes.append(
            f"the texts of {result.counts['hidden']:,} calls ({result.hidden_ms:,.0f} ms) are hidden from this role: GRANT pg_read_all_stats"
        )
    if found["dealloc"]:
        result.counts["evicted"] = int(found["dealloc"])
        result.notes.append(
            f"rare statements were evicted {found['dealloc']:,} times and their calls are missing: raise pg_stat_statements.max"
        )
    if view.track == "none":
        result.notes.append(TRACKS_NOTHING)
        if not result.families:
            result.why_empty = TRACKS_NOTHING
