"""A gateway process: opens what it needs, listens, works by the newest configuration, and stops without losing anything.

What can wait on a disk or a network runs in threads: the store, the estate's file, keys' seals. The loop only ever swaps in what they made.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import json
import os
import signal
import socket
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import uvloop

from datareeve import __version__
from datareeve.capabilities.ai.gateway import admin, holding, own, standings
from datareeve.capabilities.ai.gateway import compile as compiling
from datareeve.capabilities.ai.gateway.cache import Cache
from datareeve.capabilities.ai.gateway.engine import Engine, Parts
from datareeve.capabilities.ai.gateway.keeping import Keeping
from datareeve.capabilities.ai.gateway.metrics import Metrics
from datareeve.capabilities.ai.gateway.objects import Objects
from datareeve.capabilities.ai.gateway.prices import PriceBook
from datareeve.capabilities.ai.gateway.provider_limits import ProviderLimits
from datareeve.capabilities.ai.gateway.queueing import Waiting
from datareeve.capabilities.ai.gateway.room import Room
from datareeve.capabilities.ai.gateway.sharing import Sharing
from datareeve.capabilities.ai.gateway.telemetry import Telemetry
from datareeve.capabilities.ai.gateway.usage_log import UsageLog
from datareeve.core import estate as estates
from datareeve.core.errors import DatareeveError
from datareeve.systems.gateway_keys import open_store, settings_of
from datareeve.systems.gateway_process import DIGEST_KEY, FOLDER, estate_digest, proof
from datareeve.systems.gateway_saying import Troubles, say
from datareeve.systems.gateway_store import Instance
from datareeve.systems.http1 import Bounds, Server
from datareeve.systems.secret_references import resolver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datareeve.capabilities.ai.gateway.config import Config
    from datareeve.core.estate import Estate
    from datareeve.core.estate_gateway import GatewaySettings
    from datareeve.systems.gateway_store import GatewayStore

LOOK_SECONDS = 0.2  # between two looks at estate.yaml and the store's revision
BEAT_SECONDS = 3.0
SPILL_SECONDS = 1.0  # between two accounts to the other processes
MOST_LIMITS = 50  # of providers that a beat tells: those with the least left
DRAIN_SECONDS = 30.0  # for requests under way, when it stops
AT_START = (  # of the gateway's settings: what is read when it starts, and not again
    "listen", "processes", "store", "store_password", "shared", "shared_password", "max_body_mb", "max_held_mb", "header_seconds", "body_seconds",
    "stalled_seconds", "keep_usage_days", "otlp",
)  # fmt: skip


def serve(
    project: Path,
    *,
    listen: tuple[str, int] | None = None,
    reuse_port: bool = False,
    ready: Callable[[tuple[str, int]], None] | None = None,
) -> int:
    """Serve in this process until SIGTERM or SIGINT; gives the exit status. `ready` is told the address really taken.

    Errors: those of `estate.load`, of opening the store and of the keys; `OSError` where it cannot listen.
    """
    process = Process(project.resolve())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(process.run(listen, reuse_port=reuse_port, ready=ready))


class Process:
    """One process of the gateway."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._resolve = resolver(project)
        self._store: GatewayStore
        self._estate: Estate
        self._began: GatewaySettings
        self._engine: Engine
        self._sharing: Sharing
        self._keeping: Keeping
        self._unread: dict[str, str] = {}  # keys that cannot be read, and why
        self._read_at = 0.0  # time.monotonic() when keys were read last
        self._troubles = Troubles()
        self._stamp: tuple[int, int, int] | None = None
        self._stop = asyncio.Event()
        self._telemetry: Telemetry | None = None
        self._instance = Instance(
            id=f"gw_{uuid.uuid4().hex[:12]}", host=socket.gethostname(), pid=os.getpid(), version=__version__
        )

    async def run(
        self,
        listen: tuple[str, int] | None,
        *,
        reuse_port: bool,
        ready: Callable[[tuple[str, int]], None] | None,
    ) -> int:
        """Open, listen, follow changes, drain, close."""
        config = await asyncio.to_thread(self._open)
        parts = await self._parts(config)
        self._engine = Engine(config, parts)
        parts.objects.batches.apply = partial(holding.keep_back, self._engine)
        parts.objects.batches.hand_over = parts.room.handed_over
        await self._look_at_batches()
        server = Server(self._engine, _bounds(config))
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        host, port = listen or config.settings.address
        address = await server.listen(host, port, reuse_port=reuse_port)
        self._instance = replace(self._instance, address=f"{address[0]}:{address[1]}")
        await self._beat()
        self._gauge(server)
        await self._tell_siblings()
        following = loop.create_task(self._follow())
        if ready is not None:
            ready(address)
        await asyncio.to_thread(parts.prices.load)  # a quarter of a second, which no request shall wait for
        gc.collect()
        gc.freeze()  # what is here now stays: the collector need not look at it with every few hundred requests
        gc.set_threshold(20_000, 10, 5)  # what ends in a circle is found before it is much
        await self._stop.wait()
        parts.own.draining = True
        await server.close(DRAIN_SECONDS)
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
        await self._engine.close()
        await asyncio.to_thread(self._keeping.close)
        await self._sharing.close()
        left = await parts.usage.close()
        if left.lost:
            say(f"{left.lost} requests could not be counted: neither disk nor store took their rows")
        if self._telemetry is not None:
            await asyncio.to_thread(self._telemetry.close)
        with suppress(DatareeveError):
            await asyncio.to_thread(self._store.instance_stopped, self._instance.id, behind=left.in_spool)
        self._store.close()
        return 0

    # -- opening -----------------------------------------------------------------------------------------------

    def _open(self) -> Config:
        place = self._project / estates.ESTATE_FILE
        estate = estates.load(place)
        store = open_store(settings_of(estate), self._project, self._resolve)
        assert store is not None  # noqa: S101 - it is made where it is not there; for the type checker
        self._store, self._stamp = store, self._stamped()
        self._estate, config = compiling.current(place, store, self._resolve, problems=self._unread)
        self._tell_unread()
        self._began = config.settings
        return config

    async def _parts(self, config: Config) -> Parts:
        metrics = Metrics.of_this_process(self._project)
        self._sharing = Sharing(self._store, self._instance.id, config, self._resolve)
        meters = self._sharing.meters
        settings, folder = config.settings, self._project / FOLDER
        self._telemetry = Telemetry.of(settings, self._instance.id)
        usage = UsageLog(
            self._store,
            folder / "spool",
            self._instance.id,
            observers=(self._telemetry,) if self._telemetry else (),
            keep_days=settings.keep_usage_days,
        )
        await usage.start()
        self._keeping = await asyncio.to_thread(Keeping, self._store, self._resolve, config)
        secret = await asyncio.to_thread(digest_key, folder / DIGEST_KEY)
        return Parts(
            room=Room(meters, Waiting(meters), ProviderLimits()),
            usage=usage,
            prices=PriceBook(settings.prices),
            metrics=metrics,
            own=own.Own(metrics, lambda: estate_digest(self._estate), proof(secret)),
            objects=Objects(self._store),
            cache=Cache(config, time.time, self._keeping),
            prompts=self._keeping.prompts,
            secret=secret,
        )

    def _gauge(self, server: Server) -> None:
        """What stands at this moment, for /metrics."""
        engine, parts, now = self._engine, self._engine.parts, time.monotonic
        cache, log, states = parts.cache, parts.usage.figures, self._sharing.states
        for name, value, text in (
            ("in_flight", lambda: engine.busy, "Requests under way."),
            ("connections", lambda: server.connections, "Clients that are connected."),
            ("queued", lambda: len(parts.room.waiting), "Requests that wait for room under a limit."),
            ("cache_bytes", lambda: cache.size[1] if cache else 0, "Answers in memory."),
            (
                "breakers_open",
                lambda: engine.left_alone(now()),
                "Models of providers that are left alone, by key.",
            ),
            (
                "limits_down_seconds",
                lambda: max(s.down_seconds for s in states()),
                "Shared limits cannot be reached since.",
            ),
            ("usage_behind", lambda: log().behind, "Requests that ended and are not in the store yet."),
            ("usage_summed", lambda: log().summed, "Requests of which a full disk left only sums."),
            (
                "not_kept",
                lambda: self._keeping.lost,
                "Answers and prompts that were to be kept and were not.",
            ),
            ("usage_damaged", lambda: log().damaged, "Pieces of the spool that could not be read."),
        ):
            parts.metrics.gauge(name, value, text)

    # -- following changes -------------------------------------------------------------------------------------

    async def _follow(self) -> None:
        """Look for changes; say that we live."""
        loop = asyncio.get_running_loop()
        beaten, told = loop.time(), self._urgent()
        spilled = beaten
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            changed = await self._look()
            await self._look_at_batches()
            if changed or loop.time() - spilled > SPILL_SECONDS:
                spilled = loop.time()
                await self._tell_siblings()
            urgent = self._urgent()
            if changed or urgent != told or loop.time() - beaten > BEAT_SECONDS:
                beaten, told = loop.time(), urgent
                await self._beat()

    async def _tell_siblings(self) -> None:
        """What the other processes of this gateway answer for this one: its counts, and by what it works."""
        metrics = self._engine.parts.metrics
        if metrics.has_siblings:
            told = metrics.snapshot(admin.about(self._engine.config, estate_digest(self._estate)))
            await asyncio.to_thread(metrics.spill, told)

    def _urgent(self) -> tuple[object, ...]:
        """What is told at once where it changes: a rotation waits for requests with its key, people for who is left alone."""
        return self._leaving(), standings.left_alone(self._engine.standings, time.monotonic())

    def _leaving(self) -> dict[str, int]:
        """Requests under way with keys that are given no new ones."""
        providers = self._engine.config.providers.values()
        active = {key.id for provider in providers for key in provider.keys if key.state == "active"}
        return {key: n for key, n in self._engine.in_flight().items() if key not in active}

    async def _look(self) -> bool:
        """Work by what has changed; what cannot be worked by is told, and the former stays."""
        try:
            found = await asyncio.to_thread(self._newer)
        except DatareeveError as error:
            why = f"the former configuration stays: {error.code}: {error.what} {error.remedy}"
            return self._troubles.are("configuration", {"": why}, "")
        self._troubles.are("configuration", {}, "changes are followed again: what was in the way is over")
        if found is None:
            return False
        self._estate, config = found
        self._tell_unread()
        self._tell_waiting(config.settings)
        self._sharing.config = config
        self._engine.adopt(config)
        self._engine.parts.objects.batches.applied()
        return True

    async def _look_at_batches(self) -> None:
        """Keep back what open batches may still cost; while the store is away, what they might when it was read last."""
        batches = self._engine.parts.objects.batches
        with suppress(DatareeveError):
            batches.adopt(await asyncio.to_thread(batches.read))

    def _tell_unread(self) -> None:
        now = {key: f"{key} cannot be read: {why}" for key, why in self._unread.items()}
        self._troubles.are("keys", now, "{} is read again, or no longer asked for")

    def _tell_waiting(self, settings: GatewaySettings) -> None:
        """Another store, above all: whoever issues or revokes keys works in it, and this process in the former."""
        changed = [name for name in AT_START if getattr(settings, name) != getattr(self._began, name)]
        now = {name: f"gateway.{name} is read when the gateway starts: it works by the former until it is started anew" for name in changed}  # fmt: skip
        self._troubles.are("start", now, "gateway.{} is again as the gateway started with")

    def _newer(self) -> tuple[Estate, Config] | None:
        stamp, revision = self._stamped(), self._store.revision()
        again = (
            bool(self._unread) and time.monotonic() - self._read_at > BEAT_SECONDS
        )  # its file may be there by now
        if stamp == self._stamp and revision == self._engine.config.revision and not again:
            return None
        self._read_at = time.monotonic()
        unread: dict[str, str] = {}
        place, before = self._project / estates.ESTATE_FILE, self._engine.config
        found = compiling.current(place, self._store, self._resolve, before=before, problems=unread)
        self._keeping.adopt(found[1])
        self._stamp, self._unread = stamp, unread
        return found

    def _stamped(self) -> tuple[int, int, int] | None:
        try:
            status = (self._project / estates.ESTATE_FILE).stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    async def _beat(self) -> None:
        parts, config = self._engine.parts, self._engine.config
        self._instance = replace(
            self._instance,
            revision=config.revision,
            estate=estate_digest(self._estate),
            behind=parts.usage.behind,
            detail=json.dumps(self._detail()),
        )
        with suppress(DatareeveError):  # the store is down: requests go on, and the next beat tells
            await asyncio.to_thread(self._store.heartbeat, self._instance)

    def _detail(self) -> dict[str, Any]:
        """What else a beat tells: keys that cannot be read, requests under way, how providers do, what they say is left, and who shares the limits."""
        room, wall = self._engine.parts.room, time.time()
        left = heapq.nsmallest(MOST_LIMITS, room.limits.left(room.meters.now()), key=lambda one: one.share)
        return {
            "problems": self._unread,
            "in_flight": self._engine.in_flight(),
            **standings.told(self._engine.standings, time.monotonic(), wall),
            "limits": [asdict(one) for one in left],
            "sharing": [
                {
                    "instances": state.instances,
                    "alone_since": wall - state.down_seconds if state.down_seconds else None,
                    "trouble": state.trouble if state.down_seconds else "",
                }
                for state in self._sharing.states()
            ],
        }


def digest_key(place: Path) -> bytes:
    """The key of requests' digests: made once a project, readable by its owner alone."""
    place.parent.mkdir(parents=True, exist_ok=True)
    new = place.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(os.urandom(32))
    with suppress(FileExistsError):  # whoever is first
        os.link(new, place)
    new.unlink()
    return place.read_bytes()


def _bounds(config: Config) -> Bounds:
    settings = config.settings
    return Bounds(
        body_bytes=settings.max_body_mb << 20,
        held_bytes=settings.max_held_mb << 20,
        header_seconds=settings.header_seconds,
        body_seconds=settings.body_seconds,
        stalled_seconds=settings.stalled_seconds,
    )
