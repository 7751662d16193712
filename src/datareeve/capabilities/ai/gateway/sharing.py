"""Limits that outlive this process and are shared with others: budgets always in the gateway's store, limits a minute there or in Redis.

Where a budget is new, what was spent of its period before it was declared is read from the usage's sums, so that declaring one in the middle of a
month does not begin it anew.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.ai.gateway.leasing import Leasing
from datareeve.capabilities.ai.gateway.meters import Meters
from datareeve.systems.lease_pool import SqlPool
from datareeve.systems.store_database import named_statements

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.ai.gateway.config import Config
    from datareeve.capabilities.ai.gateway.leasing import LeasingState
    from datareeve.core.estate_gateway import GatewaySettings
    from datareeve.core.secrets import Secret
    from datareeve.systems.gateway_store import GatewayStore
    from datareeve.systems.lease_pool_redis import RedisPool

SQL = named_statements("usage_spent.sql")


class Sharing:
    """The meters of one process, and the tasks that share them."""

    def __init__(
        self, store: GatewayStore, instance: str, config: Config, resolve: Callable[[str], Secret]
    ) -> None:
        now = asyncio.get_running_loop().time
        self._store = store
        self.config = config
        durable = Leasing(SqlPool(store, instance), now=now, openings=self._spent)
        redis = _redis(config.settings, instance, resolve)
        self._all = [durable] if redis is None else [durable, Leasing(redis, now=now)]
        self.meters = Meters(now=now, leasing=self._all[-1], durable=durable)
        self._tasks = [asyncio.get_running_loop().create_task(leasing.run()) for leasing in self._all]

    def states(self) -> list[LeasingState]:
        """How each pool stands."""
        return [leasing.state() for leasing in self._all]

    async def close(self) -> None:
        """Give everything back."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        for leasing in self._all:
            await leasing.close()

    async def _spent(self, counter: str, period: str) -> int:
        """Micro-dollars spent in a period before the budget `counter` ('budget:<name>:<part>') was counted."""
        _, name, part = counter.split(":", 2)
        budget = self.config.budgets.get(name)
        if budget is None:
            return 0
        asked: dict[str, Any] = {
            "hour": _begins(period),
            "virtual_key": part if budget.key == "*" else "",
            "key": "" if budget.key in (None, "*") else budget.key,
            "team": part if budget.team == "*" else budget.team or "",
            "model": budget.model or "",
        }
        return await asyncio.to_thread(self._summed, asked)

    def _summed(self, asked: dict[str, Any]) -> int:
        with self._store.reading() as t:
            return int(t.rows(SQL["spent"], **asked)[0]["microusd"])


def _begins(period: str) -> int:
    """The first second of '2026-11' or '2026-11-23', UTC."""
    whole = period if period.count("-") > 1 else f"{period}-01"
    return int(datetime.strptime(whole, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())


def _redis(settings: GatewaySettings, instance: str, resolve: Callable[[str], Secret]) -> RedisPool | None:
    if settings.shared is None:
        return None
    try:
        from datareeve.systems.lease_pool_redis import RedisPool  # noqa: PLC0415 - an extra
    except ImportError:
        from datareeve.systems.answers import missing_driver  # noqa: PLC0415 - it loads PostgreSQL's driver

        raise missing_driver("redis", "A shared Redis", "redis") from None

    password = resolve(settings.shared_password) if settings.shared_password else None
    return RedisPool(settings.shared, instance, password=password)
