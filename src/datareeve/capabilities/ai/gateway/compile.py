"""From what is declared and kept to what a gateway works by: estate + store → `Config`; and the recognising of who asks.

A gateway makes a new `Config` when estate.yaml or the store's revision has changed, off the path, and puts it in whole. The store's revision is
read *before* the estate and the keys: a process that says it works by revision 7 has seen everything that was there when 7 was written.
"""

from __future__ import annotations

import hashlib
import hmac
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.ai.gateway.config import Config, Provider, ProviderKey, Route, Target, VirtualKey
from datareeve.capabilities.ai.gateway.dialects import Problem
from datareeve.core import estate as estates
from datareeve.systems.gateway_keys import (
    KeyRing,
    attempt,
    estate_key_id,
    providers_of,
    settings_of,
)
from datareeve.systems.key_text import checked_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from datareeve.core.estate import Estate
    from datareeve.core.estate_gateway import GatewaySettings
    from datareeve.core.secrets import Secret
    from datareeve.systems.gateway_keys import ProviderEntry
    from datareeve.systems.gateway_store import GatewayStore, StoredProviderKey, StoredVirtualKey

USED = ("active", "draining")  # in this order
PREFIX, ID_LENGTH, LONGEST_KEY = b"dr-", 12, 128
ID_END = len(PREFIX) + ID_LENGTH
NOBODY = VirtualKey(
    id="", digest=bytes(32), name=""
)  # compared with where no key has that id: it takes as long
MISSING = Problem(
    401,
    "authentication",
    "gateway.no-key",
    "No key was given. Give the gateway's key (dr-…) where you gave the provider's.",
)
UNKNOWN = Problem(
    401,
    "authentication",
    "gateway.unknown-key",
    "This key is not known here. Whoever runs the gateway issues one: `datareeve run ai.issue-virtual-key --for-name NAME`",
)
REVOKED = Problem(401, "authentication", "gateway.revoked-key", "This key was revoked. Ask for another one.")
EXPIRED = Problem(401, "authentication", "gateway.expired-key", "This key has expired. Ask for another one.")


def current(
    place: Path,
    store: GatewayStore,
    resolve: Callable[[str], Secret],
    *,
    before: Config | None = None,
    problems: dict[str, str] | None = None,
) -> tuple[Estate, Config]:
    """Read everything as it stands now; `place` is estate.yaml. The rest as `compiled`. Errors: those of `estate.load` and of the store."""
    revision = store.revision()
    estate = estates.load(place)
    return estate, compiled(estate, store, resolve, revision=revision, before=before, problems=problems)


def compiled(  # noqa: PLR0913 - what it is made of
    estate: Estate,
    store: GatewayStore,
    resolve: Callable[[str], Secret],
    *,
    revision: int | None = None,
    before: Config | None = None,
    problems: dict[str, str] | None = None,
) -> Config:
    """The `Config` of an estate and the store's keys. Errors: those of the store.

    A key that cannot be read now (its reference is empty, its seal does not open) is taken from `before`, where it is still meant to be used;
    else it is left out. Either way the reason is put into `problems` by the key's id: one lost key never keeps a revocation from being heard.
    """
    settings = with_declared(settings_of(estate), estate)
    known = store.revision() if revision is None else revision
    keys = _Keys(
        store.provider_keys(),
        KeyRing(settings, resolve),
        resolve,
        before,
        {} if problems is None else problems,
    )
    return Config(
        revision=known,
        settings=settings,
        providers=MappingProxyType(
            {name: _provider(name, entry, keys) for name, entry in providers_of(estate).items()}
        ),
        routes=MappingProxyType(_routes(settings)),
        virtual_keys=MappingProxyType({key.id: _virtual(key) for key in store.virtual_keys()}),
        budgets=MappingProxyType(dict(settings.budgets)),
    )


def with_declared(settings: GatewaySettings, estate: Estate) -> GatewaySettings:
    """The settings, with the columns that the estate's datasets call personal beside those that `privacy.columns` names."""
    if not settings.privacy.redact or not estate.datasets:
        return settings
    from datareeve.core.personal_data.declared import personal_words  # noqa: PLC0415 - only where an estate redacts and has datasets

    columns = tuple(dict.fromkeys((*settings.privacy.columns, *personal_words(estate))))
    privacy = settings.privacy.model_copy(update={"columns": columns})
    return settings.model_copy(update={"privacy": privacy})


def authenticate(config: Config, text: bytes, now: float) -> VirtualKey | Problem:
    """Whose key this is, or why it opens nothing. `now` in Unix seconds.

    The SHA-256 of the whole text is compared in constant time, also where there is no key of that id: how long it takes tells nothing.
    """
    if not text:
        return MISSING
    shaped = len(text) <= LONGEST_KEY and text.startswith(PREFIX) and text.isascii()
    name = text[len(PREFIX) : ID_END].decode() if shaped else ""
    key = config.virtual_keys.get(name, NOBODY)
    digest = hashlib.sha256(text if shaped else b"").digest()
    if not hmac.compare_digest(digest, key.digest) or key is NOBODY:
        return UNKNOWN
    if key.revoked:
        return REVOKED
    if key.expires_at is not None and now >= key.expires_at:
        return EXPIRED
    return key


class _Keys:
    """Gives the usable keys of a provider, and gathers what could not be read."""

    def __init__(
        self,
        stored: Sequence[StoredProviderKey],
        ring: KeyRing,
        resolve: Callable[[str], Secret],
        before: Config | None,
        problems: dict[str, str],
    ) -> None:
        self._stored = stored
        self._ring = ring
        self._resolve = resolve
        self._had = before.providers if before is not None else {}
        self._problems = problems

    def of(self, name: str, entry: ProviderEntry) -> tuple[ProviderKey, ...]:
        """Active ones first; among equals those of the estate, then the oldest."""
        found = (*self._declared(name, entry), *self._sealed(name))
        return tuple(sorted(found, key=lambda key: USED.index(key.state)))

    def _declared(self, name: str, entry: ProviderEntry) -> Iterator[ProviderKey]:
        for reference in dict.fromkeys(entry.keys):
            place = estate_key_id(reference)
            secret = self._read(name, place, lambda of: checked_key(self._resolve(of)), reference)
            if secret is not None:
                yield ProviderKey(place, name, secret)

    def _sealed(self, name: str) -> Iterator[ProviderKey]:
        for key in self._stored:
            if key.provider != name or key.state not in USED:
                continue
            secret = self._read(name, key.id, self._ring.open, key)
            if secret is not None:
                yield ProviderKey(key.id, name, secret, key.state, key.expires_at)

    def _read(self, name: str, key: str, read: Callable[[Any], Secret], of: object) -> Secret | None:
        secret, why = attempt(read, of)
        if secret is not None:
            return secret
        self._problems[key] = why
        had = self._had[name].keys if name in self._had else ()
        return next((one.secret for one in had if one.id == key), None)


def _provider(name: str, entry: ProviderEntry, keys: _Keys) -> Provider:
    return Provider(
        name=name,
        protocol=entry.kind,
        base_url=entry.base_url,
        keys=keys.of(name, entry),
        auth=entry.auth if entry.kind == "openai" else "x-api-key",
        headers=MappingProxyType(dict(entry.headers)),
        query=MappingProxyType(dict(entry.query) if entry.kind == "openai" else {}),
        requests_per_minute=entry.requests_per_minute,
        tokens_per_minute=entry.tokens_per_minute,
        connect_seconds=entry.connect_seconds,
        first_byte_seconds=entry.first_byte_seconds,
        idle_seconds=entry.idle_seconds,
        prices_as=entry.prices_as,
    )


def _routes(settings: GatewaySettings) -> dict[str, Route]:
    return {
        name: Route(name, tuple(_target(target) for target in route.targets), route)
        for name, route in settings.models.items()
    }


def _target(text: str) -> Target:
    provider, _, model = text.partition("/")
    return Target(provider, model)


def _virtual(key: StoredVirtualKey) -> VirtualKey:
    return VirtualKey(
        id=key.id,
        digest=key.digest,
        name=key.name,
        team=key.team,
        models=key.models,
        requests_per_minute=key.requests_per_minute,
        tokens_per_minute=key.tokens_per_minute,
        max_parallel=key.max_parallel,
        expires_at=key.expires_at,
        revoked=key.revoked_at is not None,
        cache=key.cache,
        admin=key.admin,
    )
