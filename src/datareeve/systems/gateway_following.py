"""Running gateways: which there are, by what each of them works, and waiting until all work by what is here now."""

from __future__ import annotations

import json
import socket
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

import psutil

from datareeve.core.errors import Failed
from datareeve.systems.adapter import effects, reads
from datareeve.systems.gateway_opened import OpenedGateway
from datareeve.systems.gateway_process import estate_digest

if TYPE_CHECKING:
    from datareeve.systems.gateway_store import Instance

LOOK_EVERY_SECONDS = 0.05


class Following(OpenedGateway):
    """What is read of gateway processes."""

    @reads
    def gateways(self) -> list[dict[str, Any]]:
        """Gateway processes that run: [{id, host, pid, address, revision, current, in_flight, problems, providers, in_trouble, limits, sharing}].

        `current`: works by the estate as it stands; `in_flight` by provider key; `problems`: keys it cannot read, with the reason;
        `providers`: how each has done lately, of those that were asked; `in_trouble`: their models by key that failed or are left alone, the worst first;
        `limits`: what providers say is left of theirs; `sharing`: by how many processes limits are shared, or since when it is alone.
        """
        digest = estate_digest(self._estate)
        return [
            {
                "id": one.id,
                "host": one.host,
                "pid": one.pid,
                "address": one.address,
                "revision": one.revision,
                "current": one.estate == digest,
                "in_flight": _part(one, "in_flight"),
                "problems": _part(one, "problems"),
                "providers": _rows(one, "providers"),
                "in_trouble": _rows(one, "in_trouble"),
                "limits": _rows(one, "limits"),
                "sharing": _rows(one, "sharing"),
            }
            for one in self._live()
        ]

    @reads
    def behind(self, keys: list[str] | None = None, *, estate: bool = False) -> list[str]:
        """Gateway processes that do not work by the store as it is, each in a sentence; [] where all do, or none runs.

        With `keys`, also those that cannot read one of them; with `estate`, also those that work by another estate.
        """
        store = self._reading
        if store is None:
            return []
        revision = store.revision()
        found = ((g, _lag(g, revision, keys or [], estate=estate)) for g in self.gateways())
        return [f"{g['id']} ({g['host']}, pid {g['pid']}) {why}" for g, why in found if why]

    @reads
    def in_flight(self, key: str) -> int:
        """Requests that running gateways have under way with a provider's key."""
        return sum(int(g["in_flight"].get(key, 0)) for g in self.gateways())

    @effects
    def follow(
        self,
        *,
        keys: list[str] | None = None,
        estate: bool = False,
        seconds: float = 30.0,
        drained: str = "",
        drain_seconds: float = 0.0,
    ) -> dict[str, Any]:
        """Wait until every running gateway works by what is here now, and then until none has a request under way with key `drained`.

        Changes nothing. Gives {gateways, seconds}. Errors: `Failed` `gateway.behind`, `gateway.not-drained`.
        """
        began = time.monotonic()
        while lagging := self.behind(keys, estate=estate):
            _wait(began + seconds, Failed("gateway.behind", f"After {seconds:g} s: {'; '.join(lagging)}.", "Look at that gateway's log."))  # fmt: skip
        since = time.monotonic()
        while drained and (left := self.in_flight(drained)):
            _wait(since + drain_seconds, Failed("gateway.not-drained", f"After {drain_seconds:g} s {left} requests with {drained} are still under way.", "Give it longer: --drain-seconds."))  # fmt: skip
        return {"gateways": len(self._live()), "seconds": round(time.monotonic() - began, 3)}

    def _live(self) -> list[Instance]:
        """Processes heard of lately, without those of this machine that are gone."""
        store = self._reading
        return [one for one in (store.instances() if store else []) if one.host != self._host or psutil.pid_exists(one.pid)]  # fmt: skip

    @cached_property
    def _host(self) -> str:
        return socket.gethostname()


def _part(instance: Instance, name: str) -> dict[str, Any]:
    try:
        found = json.loads(instance.detail).get(name, {})
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def _rows(instance: Instance, name: str) -> list[dict[str, Any]]:
    try:
        found = json.loads(instance.detail).get(name, [])
    except (ValueError, AttributeError):
        return []
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _lag(gateway: dict[str, Any], revision: int, keys: list[str], *, estate: bool) -> str:
    if gateway["revision"] < revision:
        return f"works by revision {gateway['revision']} of {revision}"
    if estate and not gateway["current"]:
        return "works by another estate.yaml"
    unread = [key for key in keys if key in gateway["problems"]]
    return f"cannot read {', '.join(unread)}" if unread else ""


def _wait(until: float, otherwise: Failed) -> None:
    if time.monotonic() >= until:
        raise otherwise
    time.sleep(LOOK_EVERY_SECONDS)
