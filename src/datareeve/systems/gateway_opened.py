"""The gateway's part of a project, opened: estate.yaml as it says now, and the store.

What the parts of the system `gateway` share. estate.yaml is read anew each time it was changed, because a step before may have changed it.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from datareeve.core import estate as estates
from datareeve.core.authority import path_matches
from datareeve.core.errors import BadInput, Refused
from datareeve.core.estate import ESTATE_FILE
from datareeve.systems import gateway_keys
from datareeve.systems.adapter import Adapter
from datareeve.systems.files import inside_path
from datareeve.systems.key_text import checked_key
from datareeve.systems.sealing import Kek

if TYPE_CHECKING:
    from datareeve.core.estate import Estate
    from datareeve.core.estate_gateway import GatewaySettings
    from datareeve.core.secrets import Secret
    from datareeve.systems.gateway_keys import ProviderEntry, Resolve
    from datareeve.systems.gateway_store import GatewayStore, StoredProviderKey


class OpenedGateway(Adapter):
    """Estate, store and sealing key of one project. Looking makes nothing: where there is no store yet, there is nothing in it."""

    def __init__(self, project: Path, resolve: Resolve) -> None:
        super().__init__("gateway")
        self.project = project.resolve()
        self._resolve = resolve
        self._opened: tuple[str, GatewayStore] | None = None
        self._opening = threading.Lock()  # tools ask from several threads
        self._parsed: tuple[tuple[int, ...], Estate] | None = None

    def identity(self) -> str:
        """Its store."""
        return f"gateway:{gateway_keys.store_place(self._settings, self.project)}"

    def close(self) -> None:
        """Close the store."""
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    @property
    def _estate(self) -> Estate:
        """As the file says now; parsed again only when it was changed."""
        place = self.project / ESTATE_FILE
        try:
            found = place.stat()
            stamp: tuple[int, ...] = (found.st_mtime_ns, found.st_size, found.st_ino)
        except FileNotFoundError:
            stamp = ()
        if self._parsed is None or self._parsed[0] != stamp:
            self._parsed = (stamp, estates.load(place))
        return self._parsed[1]

    @property
    def _settings(self) -> GatewaySettings:
        return gateway_keys.settings_of(self._estate)

    @property
    def _entries(self) -> dict[str, ProviderEntry]:
        return gateway_keys.providers_of(self._estate)

    @property
    def _store(self) -> GatewayStore:
        """The store, made where it is not there."""
        found = self._open(make=True)
        assert found is not None  # noqa: S101 - `make` makes it; for the type checker
        return found

    @property
    def _reading(self) -> GatewayStore | None:
        """The store, or None where its file is not there: looking makes nothing."""
        return self._open(make=False)

    def _open(self, *, make: bool) -> GatewayStore | None:
        settings = self._settings
        place = str(gateway_keys.store_place(settings, self.project))
        with self._opening:
            if self._opened is not None and self._opened[0] != place:
                self.close()
            if self._opened is None:
                found = gateway_keys.open_store(settings, self.project, self._resolve, make=make)
                self._opened = (place, found) if found else None
            return self._opened[1] if self._opened else None

    def _stored(self, provider: str = "") -> list[StoredProviderKey]:
        store = self._reading
        return store.provider_keys(provider) if store else []

    def _text_at(self, reference: str) -> Secret:
        return checked_key(self._resolve(reference))

    def _kek(self) -> Kek:
        return gateway_keys.kek_of(self._settings, self._resolve)

    def _kek_at(self, reference: str) -> tuple[Kek | None, str]:
        text, why = gateway_keys.attempt(self._resolve, reference)
        if text is None:
            return None, why
        try:
            return Kek.of(text), ""
        except BadInput as error:
            return None, f"{error.code}: {error.what}"

    def _required_kek(self, reference: str) -> Kek:
        return Kek.of(self._resolve(reference))

    def _file_of(self, reference: str) -> Path | None:
        scheme, _, place = reference.partition(":")
        return self.project / Path(place).expanduser() if scheme == "file" else None

    def _writable(self, path: str, ours: str) -> Path:
        """A path in a folder of ours, or where the authority lets files be written. Errors: `Refused` `files.…`."""
        inside = inside_path(self.project, path)
        allowed = self._estate.authority.file_paths
        if not inside.startswith(ours) and not any(path_matches(inside, one) for one in allowed):
            raise Refused(
                "files.not-allowed",
                f"{inside} is outside the folders that may be written: {ours}, {', '.join(allowed)}.",
                "Use one of them, or widen authority.file_paths in estate.yaml.",
            )
        return self.project / inside
