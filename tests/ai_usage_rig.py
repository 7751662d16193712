"""For tests of what usage tells: a project whose gateway's store holds the requests that a test wants, in SQLite or PostgreSQL."""

from __future__ import annotations

import contextlib
import itertools
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from datareeve.app import App
from datareeve.systems.gateway_store import GatewayStore
from datareeve.systems.usage_table import COLUMNS, Move, write_usage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datareeve.core.operation import Plan

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
HOUR, DAY = 3600, 86_400
_numbers = itertools.count()
PLAIN = {
    "virtual_key": "a1b2c3d4e5f6", "key_name": "checkout", "team": "shop", "endpoint": "/v1/chat/completions", "asked_model": "chat",
    "provider": "openai", "provider_key": "pk_openai_1", "model": "gpt-4.1-mini", "status": "ok", "http_status": 200, "attempts": 1,
    "stream": False, "cached": False, "input": 1000, "output": 200, "cache_read": 0, "cache_write": 0, "cache_write_1h": 0,
    "reasoning": 0, "estimated": False, "first_ms": 90.0, "total_ms": 400.0, "cost_microusd": 720, "saved_microusd": 0,
    "price_version": "list-1", "error": "", "digest": "", "prefix": "", "prefix_tokens": 0, "requests": 1,
}  # fmt: skip


def at(day: int, hour: float = 12, month: int = 11, year: int = 2026) -> float:
    """A moment, in Unix seconds."""
    return datetime(year, month, day, tzinfo=UTC).timestamp() + hour * HOUR


def requests(store: GatewayStore, *rows: dict[str, Any]) -> None:
    """Write rows as the gateway does, sums and all; `times` repeats one, `every` seconds apart."""
    tuples = []
    for row in rows:
        told = dict(row)
        times, every = told.pop("times", 1), told.pop("every", 1.0)
        for n in range(times):
            values = {**PLAIN, **told, "id": f"req_{next(_numbers)}", "at": told["at"] + n * every}
            if "id" in told:
                values["id"] = told["id"]
            tuples.append(tuple(values[name] for name in COLUMNS))
    frame = next(_numbers)
    write_usage(store, tuples, Move(f"spool-{frame}", 0, 1))


class Estate:
    """A project with a store."""

    def __init__(self, folder: Path, store: str | None, **text: Any) -> None:
        self.folder = folder
        estate = {
            "version": 1,
            "systems": {
                "openai": {"kind": "openai"},
                "claude": {"kind": "anthropic"},
            },
            "gateway": {"models": {"chat": {"targets": ["openai/gpt-4.1-mini"]}}},
            "authority": {"rules": [{"decision": "allow"}]},
            **text,
        }
        if store and estate["gateway"] is not None:
            estate["gateway"] = {**estate["gateway"], "store": store}
        (folder / "estate.yaml").write_text(json.dumps(estate))
        self.app = App.open(folder)
        self.store = GatewayStore.open(store or folder / ".datareeve" / "gateway.sqlite")

    @property
    def control(self) -> Any:
        return self.app.systems["gateway"]

    def requests(self, *rows: dict[str, Any]) -> None:
        requests(self.store, *rows)

    def plan(self, operation: str, **inputs: Any) -> Plan:
        """Planned twice, to the same fingerprint."""
        made = self.app.catalogue.make(f"ai.{operation}", inputs)
        plan = self.app.preview(made)
        assert plan.fingerprint == self.app.preview(made).fingerprint
        return plan


@contextlib.contextmanager
def estate(folder: Path, store: str | None = None, **text: Any) -> Iterator[Estate]:
    """A project of its own."""
    made = Estate(folder, store, **text)
    try:
        yield made
    finally:
        made.store.close()
        made.app.close()
