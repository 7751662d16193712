"""What a gateway process keeps beyond a request, where the estate asks for it: the cache's shelf, and prompts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from datareeve.capabilities.ai.gateway import redact
from datareeve.capabilities.ai.gateway.prompts import Prompts
from datareeve.capabilities.ai.gateway.shelving import Shelving
from datareeve.core.errors import BadInput, DatareeveError
from datareeve.systems.answer_shelf import RedisBoard, StoreBoard
from datareeve.systems.gateway_contents import Contents
from datareeve.systems.gateway_keys import kek_of
from datareeve.systems.gateway_saying import Troubles, say

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.ai.gateway.cache import Stored
    from datareeve.capabilities.ai.gateway.config import Config
    from datareeve.core.estate_gateway import GatewaySettings
    from datareeve.core.secrets import Secret
    from datareeve.systems.answer_shelf import Board
    from datareeve.systems.gateway_store import GatewayStore
    from datareeve.systems.sealing import Kek


KEPT_AGAIN = "prompts are kept from now on, or no longer asked for"


class Keeping:
    """The shelf (itself a `Shelf`, which has nothing where the cache is in memory alone) and the prompts of one process."""

    def __init__(self, store: GatewayStore, resolve: Callable[[str], Secret], config: Config) -> None:
        """Waits for the store: made in a thread."""
        self._store = store
        self._resolve = resolve
        self._where: tuple[object, ...] = ("memory",)
        self._shelving: Shelving | None = None
        self._troubles = Troubles()
        self.contents = Contents(store, lambda: None)
        self.prompts = Prompts(store, self.contents)
        self.adopt(config)

    def adopt(self, config: Config) -> None:
        """Work by this configuration; called in a thread, before the engine works by it."""
        settings = config.settings
        if settings.privacy.redact:
            redact.load()
        if settings.cache.where != "memory" or settings.privacy.keep_prompts:
            self.contents.adopt(lambda: self._kek(settings))
        lacking = settings.privacy.keep_prompts and not self.contents.can_seal
        self._troubles.are("prompts", {"": _no_kek(settings)} if lacking else {}, KEPT_AGAIN)
        where = (settings.cache.where, settings.cache.max_mb, settings.shared, settings.shared_password)
        if where != self._where:
            former, self._shelving = self._shelving, self._made(settings)
            self._where = where
            if former is not None:
                former.close()

    async def get(self, place: bytes) -> Stored | None:
        """See `Shelf`."""
        shelving = self._shelving
        return await shelving.get(place) if shelving is not None else None

    def put(self, place: bytes, stored: Stored) -> None:
        """See `Shelf`."""
        if self._shelving is not None:
            self._shelving.put(place, stored)

    @property
    def lost(self) -> int:
        """Answers and prompts that were to be kept and were not."""
        return self.prompts.lost + (self._shelving.lost if self._shelving is not None else 0)

    def close(self) -> None:
        """Write what waits."""
        self.prompts.close()
        if self._shelving is not None:
            self._shelving.close()

    def _made(self, settings: GatewaySettings) -> Shelving | None:
        board: Board
        if settings.cache.where == "memory":
            return None
        if settings.cache.where == "store":
            board = StoreBoard(self._store)
        elif settings.shared is None:
            say("cache: where: redis needs gateway: shared: redis://…; answers are kept in memory alone")
            return None
        else:
            try:
                password = self._resolve(settings.shared_password) if settings.shared_password else None
                board = RedisBoard(settings.shared, password=password)
            except (DatareeveError, ImportError, ValueError) as error:
                say(
                    f"the cache's Redis cannot be used ({type(error).__name__}); answers are kept in memory alone"
                )
                return None
        return Shelving(board, self.contents, max_mb=settings.cache.max_mb, clock=time.time)

    def _kek(self, settings: GatewaySettings) -> Kek | None:
        try:
            return kek_of(settings, self._resolve)
        except BadInput:
            return None


def _no_kek(settings: GatewaySettings) -> str:
    return (
        f"prompts are not kept, though gateway.privacy.keep_prompts asks for it: the key that seals them is not at {settings.kek}. "
        "`datareeve run ai.set-up-keys` makes it"
    )
