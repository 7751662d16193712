"""What the gateway tells of itself over HTTP: /health to anybody, /metrics and /status to this machine and to admin keys.

A request that another proxy passed on is not of this machine, whatever its address says: a gateway behind nginx would otherwise show its
figures to the world. A proxy that says nothing of itself, and asks this machine by its own name, cannot be told: `local_figures: false` is for that.
"""

from __future__ import annotations

import json
import os
import re
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from datareeve import __version__
from datareeve.capabilities.ai.gateway.metrics import CONTENT_TYPE, FIRST_SECONDS, SECONDS, quantile_ms

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from datareeve.capabilities.ai.gateway.config import Config, ProviderKey, VirtualKey
    from datareeve.capabilities.ai.gateway.metrics import Metrics

PATHS: Final = frozenset({"/health", "/metrics", "/status"})
PASSED_ON: Final = re.compile(  # headers that only a proxy adds
    "forwarded|x-forwarded.*|x-real-ip|via|x-original-.*|x-client-ip|true-client-ip|cf-connecting-ip|x-envoy-.*"
)
HERE: Final = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
JSON: Final = "application/json"
PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Told(NamedTuple):
    """An answer: HTTP status, content type, body."""

    status: int
    content_type: str
    body: bytes


def is_local(peer: str, header_names: Iterable[str], host: str) -> bool:
    """Whether a request comes from a program of this machine: by its address, by the Host that it asks, and by no proxy's header (in lower case).

    The Host tells a proxy that adds no header of its own but keeps the public name, and a page in a browser of this machine whose name was made
    to lead here.
    """
    try:
        return (
            ip_address(peer).is_loopback
            and bool(HERE.fullmatch(host))
            and not any(map(PASSED_ON.fullmatch, header_names))
        )
    except ValueError:
        return False


def answer(  # noqa: PLR0913 - everything that it tells of
    path: str,
    *,
    config: Config,
    metrics: Metrics,
    estate: str,
    local: bool,
    key: VirtualKey | None = None,
    draining: bool = False,
) -> Told | None:
    """The answer for one of `PATHS`, None for any other. `estate`: the digest of what it works by; `key`: the one shown, checked already."""
    if path == "/health":
        body = {"status": "draining" if draining else "ok"}
        return Told(503 if draining else 200, JSON, json.dumps(body).encode())
    if path not in PATHS:
        return None
    if not local and not (key is not None and key.admin):
        what = "This is shown to admin keys, and to programs of the gateway's own machine."
        error = {"message": what, "type": "permission_error", "param": None, "code": "gateway.admin"}
        return Told(403, JSON, json.dumps({"error": error}).encode())
    if path == "/metrics":
        return Told(200, CONTENT_TYPE, metrics.render())
    return Told(200, JSON, json.dumps(status(config, metrics, estate, draining=draining)).encode())


def about(config: Config, estate: str) -> dict[str, Any]:
    """What one process works by: the store's revision, and the digest of the estate's AI part. Given to `Metrics.snapshot`."""
    return {"pid": os.getpid(), "revision": config.revision, "estate": estate}


def status(config: Config, metrics: Metrics, estate: str, *, draining: bool = False) -> dict[str, Any]:
    """The state of all processes of this gateway. No key, and no name of a person or an application, is in it."""
    siblings = metrics.siblings()
    return {
        "status": "draining" if draining else "ok",
        "version": __version__,
        "processes": [about(config, estate), *(sibling["about"] for sibling in siblings)],
        "providers": {
            n: {"protocol": p.protocol, "keys": _states(p.keys)} for n, p in config.providers.items()
        },
        "models": {n: [str(target) for target in r.targets] for n, r in config.routes.items()},
        "virtual_keys": sum(not key.revoked for key in config.virtual_keys.values()),
        "figures": together([metrics.figures(), *(sibling["figures"] for sibling in siblings)]),
    }


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
