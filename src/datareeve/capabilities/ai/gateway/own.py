"""What the gateway answers of itself on the same port: /health, /metrics, /status; and where its own faults are written down."""

from __future__ import annotations

import hmac
import traceback
from typing import TYPE_CHECKING

from datareeve.capabilities.ai.gateway import admin
from datareeve.systems.gateway_process import PROOF
from datareeve.systems.gateway_saying import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.capabilities.ai.gateway.config import Config, VirtualKey
    from datareeve.capabilities.ai.gateway.metrics import Metrics
    from datareeve.systems.http1 import Exchange

MOST_TOLD = 20  # faults that are written down in full; more only count


class Own:
    """The gateway's own paths."""

    def __init__(self, metrics: Metrics, estate: Callable[[], str], proof: str = "") -> None:
        """`proof`: what shows that somebody may read this project's files."""
        self.draining = False
        self._proof = proof
        self._metrics = metrics
        self._estate = estate
        self._faults = 0

    @staticmethod
    def knows(method: str, path: str) -> bool:
        """Whether a request is for the gateway itself."""
        return method in ("GET", "HEAD") and path in admin.PATHS

    def answer(self, exchange: Exchange, path: str, config: Config, key: VirtualKey | None) -> None:
        """Answer one of its paths."""
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in exchange.headers}
        local = config.settings.local_figures and (
            not exchange.of_http_1_0  # nginx's plain proxy_pass, whose one mark this is
            and admin.is_local(exchange.connection.peer, headers, headers.get("host", ""))
        )
        shown = headers.get(PROOF, "").encode()
        proven = bool(self._proof) and hmac.compare_digest(shown, self._proof.encode())
        told = admin.answer(
            path,
            config=config,
            metrics=self._metrics,
            estate=self._estate(),
            local=local or proven,
            key=key,
            draining=self.draining,
        )
        if told is not None:
            exchange.respond(told.status, [(b"content-type", told.content_type.encode())], told.body)

    def crashed(self, error: Exception) -> None:
        """A fault of our own: where it happened is written to standard error; no value is, for it may be a client's."""
        self._faults += 1
        self._metrics.count(
            "datareeve_gateway_faults_total", help_text="Requests that failed by a fault of the gateway."
        )
        if self._faults <= MOST_TOLD:
            frames = "".join(traceback.format_tb(error.__traceback__))
            say(f"a fault of the gateway, {type(error).__name__}:\n{frames}")
