"""The gateway's keys as they lie: which the estate names, which the store holds sealed, and the key (KEK) that opens those.

Read by the control plane (`gateway_opened`) and by every gateway process when it makes its `Config`; nothing here acts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import DatareeveError, Failed
from datareeve.core.estate import STATE_FOLDER, Estate
from datareeve.core.estate_gateway import AnthropicSystem, GatewaySettings, OpenaiSystem
from datareeve.systems.gateway_store import GatewayStore
from datareeve.systems.key_text import checked_key
from datareeve.systems.sealing import Kek, unseal, wrapped_for

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datareeve.core.secrets import Secret
    from datareeve.systems.gateway_store import StoredProviderKey

    Resolve = Callable[[str], Secret]

IN_ESTATE = "estate:"
ProviderEntry = OpenaiSystem | AnthropicSystem


def settings_of(estate: Estate) -> GatewaySettings:
    """The estate's `gateway:`, or what holds where it says nothing."""
    return estate.gateway or GatewaySettings()


def providers_of(estate: Estate) -> dict[str, ProviderEntry]:
    """The estate's AI providers by name."""
    return {
        name: entry
        for name, entry in estate.systems.items()
        if isinstance(entry, (OpenaiSystem, AnthropicSystem))
    }


def keyless(entry: ProviderEntry) -> bool:
    """Whether a provider asks for no key: a model server of our own."""
    return isinstance(entry, OpenaiSystem) and entry.auth == "none"


def estate_key_id(reference: str) -> str:
    """The id of a key that the estate names: its reference, which stays the same when others are added before it."""
    return f"{IN_ESTATE}{reference}"


def store_place(settings: GatewaySettings, project: Path) -> str | Path:
    """Where the store is: its URL, or its file."""
    return settings.store or project / STATE_FOLDER / "gateway.sqlite"


def open_store(
    settings: GatewaySettings, project: Path, resolve: Resolve, *, make: bool = True
) -> GatewayStore | None:
    """Open the store; without `make`, None where its file is not there yet. Errors: those of `GatewayStore.open` and `secrets.resolve`."""
    place = store_place(settings, project)
    if not make and isinstance(place, Path) and not place.exists():
        return None
    return GatewayStore.open(place, resolve(settings.store_password) if settings.store_password else None)


def kek_of(settings: GatewaySettings, resolve: Resolve) -> Kek:
    """The key that opens sealed keys. Errors: `BadInput` `secret.missing`, `kek.malformed`."""
    return Kek.of(resolve(settings.kek))


def opened(key: StoredProviderKey, keks: Sequence[Kek]) -> Secret:
    """A stored key's text. Errors: `Failed` `sealed.…`; `BadInput` `key.malformed`."""
    return checked_key(unseal(key.sealed, keks, row=key.id, provider=key.provider))


def wraps_of(key: StoredProviderKey) -> tuple[str, ...]:
    """The ids of the sealing keys that open a stored key; none where it is no seal of ours."""
    try:
        return wrapped_for(key.sealed)
    except Failed:
        return ()


class KeyRing:
    """Opens stored keys; the KEK is asked for when the first one is to be opened."""

    def __init__(self, settings: GatewaySettings, resolve: Resolve) -> None:
        self._settings = settings
        self._resolve = resolve
        self._keks: tuple[Kek, ...] = ()

    def open(self, key: StoredProviderKey) -> Secret:
        """A stored key's text. Errors: as `kek_of` and `opened`."""
        if not self._keks:
            self._keks = (kek_of(self._settings, self._resolve),)
        return opened(key, self._keks)


def attempt(read: Callable[[Any], Secret], of: Any) -> tuple[Secret | None, str]:
    """What a reading gives, or None and the reason in one line."""
    try:
        return read(of), ""
    except DatareeveError as error:
        return None, f"{error.code}: {error.what}"
