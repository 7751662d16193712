"""What the gateway's store keeps for a time: earlier answers, where the cache is in the store, and prompts, where the estate asks for them.

Both have an end, and go when it comes. A prompt is sealed by whoever gives it; here it is bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from datareeve.systems.gateway_store import SQL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.systems.gateway_store import GatewayStore

DROPPED_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class KeptPrompt:
    """A sealed prompt, by the id of its request. Times are Unix seconds."""

    id: str
    at: float
    expires_at: float
    sealed: bytes


def answer(store: GatewayStore, key: str, now: float) -> bytes | None:
    """An answer that is still good."""
    with store.reading() as t:
        row = t.one(SQL["answer"], key=key, now=now)
    return bytes(row["body"]) if row else None


def keep_answer(store: GatewayStore, key: str, body: bytes, *, now: float, seconds: float) -> None:
    """Keep an answer, in place of an earlier one to the same question."""
    with store.transaction() as t:
        t.run(SQL["keep_answer"], key=key, at=now, expires_at=now + seconds, size=len(body), body=body)


def trim_answers(store: GatewayStore, now: float, most_bytes: int) -> int:
    """Remove answers whose time is over, then the oldest until all are within the bound. Gives how many went."""
    with store.transaction() as t:
        removed = t.run(SQL["prune_answers"], now=now)
        while int(t.rows(SQL["size_of_answers"])[0]["bytes"]) > most_bytes:
            removed += t.run(SQL["drop_oldest_answers"], most=DROPPED_AT_ONCE)
    return removed


def keep_prompts(store: GatewayStore, prompts: Sequence[KeptPrompt]) -> None:
    """Keep prompts until their end; one whose id is there already stays as it is."""
    with store.transaction() as t:
        for one in prompts:
            t.run(SQL["keep_prompt"], id=one.id, at=one.at, expires_at=one.expires_at, sealed=one.sealed)


def prompts(store: GatewayStore, *, since: float, now: float, most: int = 1000) -> list[KeptPrompt]:
    """Prompts since a moment that are still kept, the newest first."""
    with store.reading() as t:
        rows = t.rows(SQL["prompts"], since=since, now=now, most=most)
    return [KeptPrompt(r["id"], r["at"], r["expires_at"], bytes(r["sealed"])) for r in rows]


def trim_prompts(store: GatewayStore, now: float) -> int:
    """Remove prompts whose end has come. Gives how many."""
    with store.transaction() as t:
        return t.run(SQL["prune_prompts"], now=now)
