"""`effective_io_concurrency`: reads that may be under way at once."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import Advice, Rule, Situation

ASYNCHRONOUS_READS = 18


def advise(now: Situation) -> Advice | None:
    """200 before version 18 (a prefetch distance); from 18 on, with asynchronous reads, the built-in 16 unless the storage is far away."""
    if now.host is None or now.host.storage == "disk":
        return None
    if now.version >= ASYNCHRONOUS_READS and now.host.storage != "network":
        return None
    value = 64 if now.version >= ASYNCHRONOUS_READS else 200
    return Advice(
        value=value,
        why=f"{now.host.storage} storage answers many reads at once; bitmap scans ask for them ahead.",
    )


RULE = Rule(
    "effective_io_concurrency",
    source="PostgreSQL manual, 19.4.6 Asynchronous Behavior: higher values have most effect on high-latency storage",
    advise=advise,
)
