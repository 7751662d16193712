"""`shared_buffers`: a quarter of the memory."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import MB, Advice, Rule, Situation, megabytes, whole_mb


def advise(now: Situation) -> Advice | None:
    """A quarter of the memory, at least the built-in 128 MB; on a host below 512 MB nothing."""
    if now.host is None or now.host.memory_bytes < 512 * MB:
        return None
    value = max(whole_mb(now.host.memory_bytes / 4), 128 * MB)
    return Advice(
        value=value,
        why=f"A quarter of {megabytes(now.host.memory_bytes)} of memory caches tables and indexes; the rest serves as the system's own cache.",
    )


RULE = Rule(
    "shared_buffers",
    source="PostgreSQL manual, 19.4.1 Memory: 25% of the memory is a reasonable starting value",
    advise=advise,
)
