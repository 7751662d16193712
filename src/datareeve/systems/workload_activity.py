"""The workload as it is running just now: samples of pg_stat_activity, for servers that count no statements.

A statement seen in a share of the samples took about that share of the time; so a sample is worth the pause before it. Short statements are
seen by luck alone, and how often one is called is not known but for the executions that were seen: both are said. Our own sessions are left out.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from datareeve.systems.workload_source import OWN_NAME, Family, Recording, Statement, shape_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.systems.postgres import Postgres

SECONDS = 2.0  # of sampling, whenever the workload is asked for anew
PAUSE = 0.05
FRESH_SECONDS = 60.0  # samples are taken again after this
SAMPLE_SQL = """
SELECT pid, extract(epoch FROM query_start)::float8 AS began, extract(epoch FROM clock_timestamp() - query_start)::float8 * 1000 AS ms,
       query, coalesce(wait_event_type || ':' || wait_event, 'running') AS waits_for,
       octet_length(query) >= pg_size_bytes(current_setting('track_activity_query_size')) - 1 AS is_cut
  FROM pg_stat_activity
 WHERE datname = current_database() AND state = 'active' AND backend_type = 'client backend'
   AND pid <> pg_backend_pid() AND application_name NOT LIKE %(ours)s
"""
HIDDEN = "<insufficient privilege>"


def sample(
    system: Postgres,
    *,
    seconds: float = SECONDS,
    pause: float = PAUSE,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Recording:
    """Look at the active sessions for some seconds; gives a recording whose times are estimates."""
    result = Recording("activity", f"samples of pg_stat_activity over {seconds:g} s")
    seen: set[tuple[int, float]] = set()
    last, end = clock(), clock() + seconds
    while clock() < end:
        sleep(pause)
        now = clock()
        for row in system.query(SAMPLE_SQL, {"ours": f"{OWN_NAME}%"}):
            _take(result, row, (now - last) * 1000, seen)
        result.counts["samples"] += 1
        last = now
    result.notes.append(
        "calls are the executions that were seen and times are estimated from samples: short statements are missing"
    )
    if result.counts["hidden"]:
        result.notes.append("other users' statements are hidden from this role: GRANT pg_monitor")
    if not result.families:
        result.why_empty = f"Nothing was running on {system.name} in {seconds:g} s of sampling"
    return result


def _take(result: Recording, row: dict[str, Any], worth_ms: float, seen: set[tuple[int, float]]) -> None:
    text = str(row["query"] or "")
    if text == HIDDEN:
        result.counts["hidden"] += 1
        return
    shape = shape_of(text)
    if shape.kind not in {"read", "write"}:
        result.counts[shape.kind] += 1
        return
    family = result.families.setdefault(shape.fingerprint, Family(shape))
    family.waits[row["waits_for"]] += 1
    family.total_ms += worth_ms
    execution = (row["pid"], row["began"])
    if execution not in seen:
        seen.add(execution)
        family.calls += 1
        family.timed += 1
        result.counts["statements"] += 1
        result.counts["unparsed"] += not shape.parsed
        if not row["is_cut"]:
            family.examples = [*family.examples[-63:], Statement("", text)]
            family.template = family.template or text
