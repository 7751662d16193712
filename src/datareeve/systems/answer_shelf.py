"""Where earlier answers outlive a gateway process: the gateway's store, or a Redis that several machines share.

Plain places for bytes: what is kept is sealed before it comes here. Calls wait for their database and raise what it raises: they are made in
threads, by somebody who can do without (`capabilities.ai.gateway.shelving`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from datareeve.core.errors import Unreachable
from datareeve.systems import gateway_kept
from datareeve.systems.gateway_store import SQL
from datareeve.systems.store_database import text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.core.secrets import Secret
    from datareeve.systems.gateway_store import GatewayStore

PREFIX = "{datareeve}:answers:"  # the braces keep all keys on one node of a cluster
ANSWER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Entry:
    """An answer to keep. Times are Unix seconds."""

    key: str
    body: bytes
    at: float
    ends_at: float


class Board(Protocol):
    """A place for answers. Its errors are `DatareeveError`s."""

    def get(self, key: str, now: float) -> bytes | None:
        """An answer that is still good."""

    def put(self, entries: Sequence[Entry]) -> None:
        """Keep answers, each in place of an earlier one."""

    def trim(self, now: float, most_bytes: int) -> int:
        """Remove what is over, then the oldest until all are within the bound. Gives how many went."""

    def close(self) -> None:
        """Close its connections."""


class StoreBoard:
    """In the gateway's store, which somebody else closes."""

    def __init__(self, store: GatewayStore) -> None:
        self._store = store

    def get(self, key: str, now: float) -> bytes | None:
        """See `Board`."""
        return gateway_kept.answer(self._store, key, now)

    def put(self, entries: Sequence[Entry]) -> None:
        """See `Board`: one transaction."""
        with self._store.transaction() as t:
            for one in entries:
                t.run(
                    SQL["keep_answer"],
                    key=one.key,
                    at=one.at,
                    expires_at=one.ends_at,
                    size=len(one.body),
                    body=one.body,
                )

    def trim(self, now: float, most_bytes: int) -> int:
        """See `Board`."""
        return gateway_kept.trim_answers(self._store, now, most_bytes)

    def close(self) -> None:
        """See `Board`."""


class RedisBoard:
    """In Redis or Valkey: entries end by themselves; two sorted sets know the oldest, and which have ended (answer_shelf.lua)."""

    def __init__(self, url: str, *, password: Secret | None = None, prefix: str = PREFIX) -> None:
        import redis  # noqa: PLC0415 - an extra
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415

        self._errors = (redis.RedisError, OSError)
        self._client: Any = redis.Redis.from_url(
            url,
            password=password.reveal() if password else None,
            socket_timeout=ANSWER_SECONDS,
            socket_connect_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._script = self._client.register_script(text_of("answer_shelf.lua"))
        self._prefix = prefix

    def get(self, key: str, now: float) -> bytes | None:
        """See `Board`: Redis itself knows whether it is over."""
        del now
        found = self._asked(lambda: self._client.get(f"{self._prefix}entry:{key}"))
        return bytes(found) if found is not None else None

    def put(self, entries: Sequence[Entry]) -> None:
        """See `Board`."""
        for one in entries:
            left = max(1, round((one.ends_at - one.at) * 1000))
            self._asked(
                lambda one=one, left=left: self._script(
                    keys=[self._prefix],
                    args=["put", one.key, one.body, repr(one.at), repr(one.ends_at), left],
                )
            )

    def trim(self, now: float, most_bytes: int) -> int:
        """See `Board`."""
        return int(
            self._asked(lambda: self._script(keys=[self._prefix], args=["trim", repr(now), most_bytes]))
        )

    def close(self) -> None:
        """See `Board`."""
        self._client.close()

    def _asked(self, ask: Any) -> Any:
        try:
            return ask()
        except self._errors as error:
            raise Unreachable(
                "gateway.cache-down",
                f"The Redis that answers are shared by cannot be used ({type(error).__name__}).",
                "Check `gateway: shared:` in estate.yaml, its password, and that its server runs.",
            ) from None
