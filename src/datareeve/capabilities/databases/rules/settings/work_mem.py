"""`work_mem`: memory of one sort or hash, such that all connections together still fit."""

from __future__ import annotations

from datareeve.capabilities.databases.settings import MB, Advice, Rule, Situation, megabytes, power_of_two


def advise(now: Situation) -> Advice | None:
    """An even share of what shared buffers leave, three operations a connection; more where sorts were seen to spill, while a quarter of the memory holds."""
    if now.host is None:
        return None
    left = now.host.memory_bytes - now.amount("shared_buffers")
    share = left / (3 * now.activity.max_connections)
    why = f"{megabytes(left)} beside shared buffers, over {now.activity.max_connections} connections with three sorts or hashes each, is {megabytes(share)}."
    if now.activity.temp_files:
        spilled = now.activity.temp_bytes / now.activity.temp_files
        # What spills compactly to disk takes about twice the room in memory; sessions seen, not sessions allowed, do it at once.
        share = max(
            share,
            min(2 * spilled, now.host.memory_bytes / 4 / max(now.activity.connections, 2 * now.host.cores)),
        )
        why += f" {now.activity.temp_files} temporary files of {megabytes(spilled)} on average were written."
    return Advice(value=min(max(power_of_two(share), 4 * MB), 256 * MB), why=why, tolerance=1)


RULE = Rule(
    "work_mem",
    source="PostgreSQL manual, 19.4.1 Memory: several sorts of several sessions run at once, each with this much",
    advise=advise,
)
