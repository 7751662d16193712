"""What the gateway tells of itself over HTTP: /health to anybody, /metrics and /status to this machine and to admin keys.

A request that another proxy passed on is not of this machine, whatever its address says: a gateway behind nginx would otherwise show its
figures to the world.
"""

from __future__ import annotations

import json
import os
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from datareeve import __version__
from datareeve.capabilities.ai.gateway.metrics import CONTENT_TYPE, FIRST_SECONDS, SECONDS, quantile_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datareeve.capabilities.ai.gateway.config import Config, ProviderKey, VirtualKey
    from datareeve.capabilities.ai.gateway.metrics import Metrics

    Headers = list[tuple[bytes, bytes]]

PATHS: Final = frozenset({"/health", "/metrics", "/status"})
PASSED_ON: Final = frozenset({b"forwarded", b"x-forwarded-for", b"x-real-ip", b"via"})
JSON: Final = b"application/json"
PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Admin:
    """Answers for one process, of the configuration that it works by at the moment."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._config: Config | None = None
        self._estate = ""
        self.draining = False  # set when the process is told to end: a load balancer then leaves it alone

    def adopt(self, config: Config, estate: str) -> None:
        """The process works by this from now on. `estate`: the digest of the estate's AI part, as `systems.gateway_process` makes it."""
        self._config, self._estate = config, estate

    def spill(self) -> None:
        """Let the sibling processes know: once a second, off the path. Does nothing in a process without siblings."""
        self._metrics.spill(self.about())

    def knows(self, method: str, path: str) -> bool:
        """Whether a request is for this, and for no provider."""
        return path in PATHS and method in ("GET", "HEAD")

    def answer(
        self, path: str, key: VirtualKey | None, peer: str, headers: Iterable[tuple[bytes, bytes]] = ()
    ) -> tuple[int, Headers, bytes]:
        """Status, headers and body. `key`: the one shown, authenticated already; `peer`: the client's address; `headers`: names in lower case."""
        if path == "/health":
            body = {"status": "draining" if self.draining else "ok"}
            return 503 if self.draining else 200, _typed(JSON), json.dumps(body).encode()
        if not (key is not None and key.admin) and not is_local(peer, (name for name, _ in headers)):
            what = "This is shown to admin keys, and to programs of the gateway's own machine."
            told = {
                "error": {"message": what, "type": "permission_error", "param": None, "code": "gateway.admin"}
            }
            return 403, _typed(JSON), json.dumps(told).encode()
        if path == "/metrics":
            return 200, _typed(CONTENT_TYPE.encode()), self._metrics.render()
        return 200, _typed(JSON), json.dumps(self.status()).encode()

    def about(self) -> dict[str, Any]:
        """What this process works by: the store's revision, and the digest of the estate's AI part."""
        revision = self._config.revision if self._config else 0
        return {"pid": os.getpid(), "revision": revision, "estate": self._estate}

    def status(self) -> dict[str, Any]:
        """The state of all processes of this gateway. No key, and no name of a person or an application, is in it."""
        siblings = self._metrics.siblings()
        config = self._config
        return {
            "status": "draining" if self.draining else "ok",
            "version": __version__,
            "processes": [self.about(), *(sibling["about"] for sibling in siblings)],
            "providers": {n: {"protocol": p.protocol, "keys": _states(p.keys)} for n, p in config.providers.items()} if config else {},
            "models": {n: [str(target) for target in r.targets] for n, r in config.routes.items()} if config else {},
            "virtual_keys": sum(not key.revoked for key in config.virtual_keys.values()) if config else 0,
            "figures": together([self._metrics.figures(), *(sibling["figures"] for sibling in siblings)]),
        }  # fmt: skip


def is_local(peer: str, header_names: Iterable[bytes]) -> bool:
    """Whether a request comes from a program of this machine: by its address, and no proxy's header is among its own."""
    try:
        return ip_address(peer).is_loopback and PASSED_ON.isdisjoint(header_names)
    except ValueError:
        return False


def together(figures: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The figures of several processes as one: counts added, percentiles from the added buckets."""
    first, *others = figures
    whole: dict[str, Any] = dict(first)
    for other in others:
        for name, value in other.items():
            whole[name] = min(whole["since"], value) if name == "since" else _sum(whole.get(name), value)
    for name, bounds in (("total_ms", SECONDS), ("first_ms", FIRST_SECONDS)):
        counts = whole.pop(f"{name}_buckets")
        for quantile, share in PERCENTILES.items():
            found = quantile_ms(counts, bounds, share)
            whole[f"{name}_{quantile}"] = None if found is None else round(found, 2)
    return whole


def _typed(content_type: bytes) -> Headers:
    return [(b"content-type", content_type), (b"cache-control", b"no-store")]


def _states(keys: Iterable[ProviderKey]) -> dict[str, int]:
    found: dict[str, int] = {}
    for key in keys:
        found[key.state] = found.get(key.state, 0) + 1
    return found


def _sum(one: Any, other: Any) -> Any:
    if one is None:
        return other
    if isinstance(one, dict):
        return {key: one.get(key, 0) + other.get(key, 0) for key in one.keys() | other.keys()}
    if isinstance(one, list):
        return [a + b for a, b in zip(one, other, strict=True)]
    return one + other
