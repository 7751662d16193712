"""What the tests of the usage log share: rows, what the store holds of them, and processes that write rows until they are killed."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import resource
import signal
import time
from pathlib import Path

from datareeve.capabilities.ai.gateway import usage_log
from datareeve.capabilities.ai.gateway.usage import Tokens, UsageRow
from datareeve.capabilities.ai.gateway.usage_log import UsageLog
from datareeve.systems import usage_mover, usage_spool, usage_table
from datareeve.systems.gateway_store import GatewayStore
from datareeve.systems.usage_spool import Spool
from datareeve.systems.usage_table import KEYS, MEASURES

AT = 1_795_400_000.0
ESTIMATE = 777  # micro-dollars that a request reserves


def row(number: int | str, **changes) -> UsageRow:
    """A request that ended well, and cost 1234 micro-dollars."""
    values = {
        "id": f"req_{number}", "at": AT, "virtual_key": "a1b2c3d4e5f6", "key_name": "checkout", "team": "shop",
        "endpoint": "/v1/chat/completions", "asked_model": "fast", "provider": "openai", "provider_key": "pk_1",
        "model": "gpt-4.1-mini", "status": "ok", "http_status": 200, "attempts": 1, "stream": False, "cached": False,
        "tokens": Tokens(120, 80, 20, 3, 2, 10), "estimated": False, "first_ms": 12.5, "total_ms": 345.25,
        "cost_microusd": 1234, "saved_microusd": 0, "price_version": "list-1", "error": "", "digest": "d1", "prefix": "p1",
        "prefix_tokens": 77,
    }  # fmt: skip
    return UsageRow(**{**values, **changes})


def begun(number: int | str, **changes) -> UsageRow:
    """The same request when it is sent: an estimate."""
    told = {
        "tokens": Tokens(input=100),
        "cost_microusd": ESTIMATE,
        "estimated": True,
        "status": "interrupted",
        "first_ms": None,
    }
    return row(number, **{**told, **changes})


def usage_of(store: GatewayStore) -> list[dict]:
    with store.reading() as t:
        return t.rows("SELECT * FROM usage ORDER BY id")


def totals(store: GatewayStore) -> dict[str, int]:
    with store.reading() as t:
        return t.rows(
            "SELECT count(*) AS rows, coalesce(sum(requests), 0) AS requests, coalesce(sum(cost_microusd), 0) AS cost FROM usage"
        )[0]


# The sums as SQL says them, written without a look at the code that makes them.
SUMS_BY_SQL = """
SELECT CAST(floor(at / 3600) AS BIGINT) * 3600 AS hour, virtual_key, key_name, team, endpoint,
       CASE WHEN status = 'refused' THEN '' ELSE asked_model END AS asked_model, provider, provider_key, model, status,
       sum(requests) AS requests, sum(attempts) AS attempts, sum(CASE WHEN stream THEN requests ELSE 0 END) AS streams,
       sum(CASE WHEN cached THEN requests ELSE 0 END) AS cached, sum(CASE WHEN estimated THEN requests ELSE 0 END) AS estimated,
       sum(CASE WHEN model <> '' AND price_version = '' THEN requests ELSE 0 END) AS unpriced, sum(input) AS input,
       sum(output) AS output, sum(cache_read) AS cache_read, sum(cache_write) AS cache_write, sum(cache_write_1h) AS cache_write_1h,
       sum(reasoning) AS reasoning, sum(cost_microusd) AS cost_microusd, sum(saved_microusd) AS saved_microusd,
       sum(total_ms) AS total_ms, coalesce(sum(first_ms), 0) AS first_ms, count(first_ms) AS firsts
  FROM usage GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
"""


def assert_sums_are_those_of_the_rows(store: GatewayStore) -> None:
    with store.reading() as t:
        of_rows, kept = t.rows(SUMS_BY_SQL), t.rows("SELECT * FROM usage_hourly")
        classes = t.rows("SELECT measure, sum(requests) AS n FROM latency_hourly GROUP BY 1 ORDER BY 1")
        whole = t.rows("SELECT count(first_ms) AS first, count(*) AS total FROM usage"
                       " WHERE status = 'ok' AND NOT cached AND model <> '' AND requests = 1")[0]  # fmt: skip
    assert _by_key(of_rows) == _by_key(kept)
    assert {c["measure"]: c["n"] for c in classes} == {name: n for name, n in whole.items() if n}


def _by_key(rows: list[dict]) -> dict:
    keys = ("hour", *KEYS)
    found = {tuple(r[k] for k in keys): tuple(round(float(r[m]), 3) for m in MEASURES) for r in rows}
    assert len(found) == len(rows)
    return found


# -- processes -------------------------------------------------------------------------------------------------------------------


def write_until_killed(where: str, folder: str, told: str, rotate_bytes: int) -> None:
    """Write rows as a busy gateway does, and tell in a file what was begun, ended and flushed, and when."""
    usage_spool.FILE_BYTES = rotate_bytes
    diary = os.open(told, os.O_CREAT | os.O_WRONLY | os.O_APPEND)

    def tell(*what) -> None:
        os.write(diary, (" ".join(map(str, what)) + f" {time.monotonic():.6f}\n").encode())

    class Told(UsageLog):
        def flush(self) -> None:
            super().flush()
            tell("F", "-")

    async def work() -> None:
        log = Told(GatewayStore.open(where), Path(folder), "gw")
        await log.start()
        running: list[int] = []
        for number in itertools.count():
            log.begin(begun(number))
            tell("B", number)
            running.append(number)
            if number % 3 == 0:  # most end soon, some late, some never
                ended = running.pop(-1 if number % 2 else len(running) // 2)
                tell("E", ended)
                log.end(row(ended))
            if number % 5 == 0:
                await asyncio.sleep(0.001)

    asyncio.run(work())


def work_until_boundary(where: str, folder: str, boundary: int, role: str) -> None:
    """Write (and close), or drain, and be killed just before or after the n-th thing that is done to a file or the store."""
    usage_spool.FILE_BYTES = 1500
    usage_spool.BATCH_ROWS = 4
    passed = itertools.count()

    def maybe_die() -> None:
        if next(passed) == boundary:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(call):
        def watching(*args, **more):
            maybe_die()
            result = call(*args, **more)
            maybe_die()
            return result

        return watching

    for owner, name in (
        (usage_table, "_write"), (usage_table._Table, "insert"), (Spool, "append"), (Path, "unlink"), (usage_spool, "_remove"), (usage_mover, "spool_frame"),
    ):  # fmt: skip
        setattr(owner, name, watched(getattr(owner, name)))
    if role == "drain":
        with_store = GatewayStore.open(where)
        usage_spool.drain(with_store, Path(folder))
    else:
        asyncio.run(_write_some(where, folder))
    Path(folder, "ended").touch()


async def _write_some(where: str, folder: str) -> None:
    log = UsageLog(GatewayStore.open(where), Path(folder), "gw")
    await log.start()
    for number in range(24):
        log.begin(begun(number))
        if number % 2:
            log.end(row(number))
        if number % 5 == 4:
            log.end(row(number - 2 - number % 2))
        log.flush()
        await asyncio.sleep(0.002)
    await log.close(20)


def write_on_a_full_disk(where: str, folder: str, told: str) -> None:
    """Files may have 48 kB only: write beyond it, look; then have room, close, and look again."""
    usage_log.MEMORY_BYTES = 40_000
    usage_log.RETRY_SECONDS = 0.02
    usage_mover.WAIT_FIRST = usage_mover.WAIT_MOST = 0.1
    store = GatewayStore.open(where)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def work() -> dict:
        log = UsageLog(store, Path(folder), "gw")
        await log.start()
        running = [begun(f"long-{n}") for n in range(10)]
        for one in running:
            log.begin(one)
        log.flush()
        resource.setrlimit(resource.RLIMIT_FSIZE, (48_000, limits[1]))
        for number in range(2000):
            log.begin(begun(number))
            if number % 10 == 0:
                log.flush()
            if number < 5:
                log.end(row(running[number].id.removeprefix("req_")))
            log.end(row(number, asked_model=f"model-{number % 7}"))
        log.flush()
        await asyncio.sleep(0.5)
        full = log.figures()
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        left = await log.close(20)
        return {
            "full": [full.problem, full.behind, full.summed, full.in_memory_bytes],
            "left": [left.in_spool, left.lost],
        }

    result = asyncio.run(work())
    store.close()
    Path(told).write_text(json.dumps(result))
