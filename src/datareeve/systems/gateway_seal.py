"""The key that seals keys (KEK): made in a file, and changed by wrapping every sealed key for another one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput, Failed
from datareeve.core.estate import STATE_FOLDER
from datareeve.systems import gateway_contents, sealing
from datareeve.systems.adapter import effects, reads
from datareeve.systems.gateway_contents import BELONGS as CONTENTS
from datareeve.systems.gateway_keys import wraps_of
from datareeve.systems.gateway_opened import OpenedGateway

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.systems.gateway_store import StoredProviderKey
    from datareeve.systems.sealing import Kek

ATTEMPTS = 3  # at re-wrapping keys that somebody else changes at the same time


class Seal(OpenedGateway):
    """What is read and done about the sealing key."""

    @reads
    def kek(self, reference: str | None = None) -> dict[str, Any]:
        """The KEK, the estate's or the one at a reference: {reference, id, private, problem}; `id` is None where it cannot be had.

        `private`: False where others than its owner may read its file.
        """
        place = reference or self._settings.kek
        found, problem = self._kek_at(place)
        file = self._file_of(place)
        private = file is None or not file.exists() or not file.stat().st_mode & 0o077
        return {
            "reference": place,
            "id": found.id if found else None,
            "private": private,
            "problem": problem,
        }

    @reads
    def kek_there(self, reference: str) -> bool:
        """Whether a usable KEK stands at a reference."""
        return self.kek(reference)["id"] is not None

    @reads
    def wrapped(self, reference: str, *, only: bool = False) -> bool:
        """Whether the KEK at a reference opens every sealed key; with `only`, whether no other one does."""
        kek, _ = self._kek_at(reference)
        wraps = [wraps_of(key) for key in self._stored()] + self._wraps_of_contents(kek)
        return kek is not None and all(wrap == (kek.id,) if only else kek.id in wrap for wrap in wraps)

    @effects
    def make_kek(self, reference: str) -> dict[str, Any]:
        """Make a KEK in a file that only its owner reads; one that is there stays.

        Errors: `BadInput` `kek.not-a-file`; `Refused` `files.…` where it is neither what the estate names nor where files may be written;
        `Failed` `kek.write`.
        """
        file = self._file_of(reference)
        if file is None:
            what = f"No key stands at {reference}, and it can only be made in a file."
            raise BadInput("kek.not-a-file", what, "Put one there: openssl rand -base64 32")
        if reference != self._settings.kek:
            self._writable(str(file), f"{STATE_FOLDER}/")
        try:
            sealing.make_kek_file(file)
        except OSError as error:
            raise Failed(
                "kek.write", f"{file} cannot be written: {error.strerror}.", "Mend the folder's rights."
            ) from None
        return {}

    @effects
    def remove_kek(self, reference: str) -> dict[str, Any]:
        """Remove a KEK's file, the undo of making it; it stays where it holds something else, or keys were sealed with it meanwhile. Gives {kept}."""
        kek, _ = self._kek_at(reference)
        file = self._file_of(reference)
        if kek is None or file is None:
            return {"kept": file is not None and file.exists()}
        wraps = [wraps_of(key) for key in self._stored()] + self._wraps_of_contents(None)
        kept = any(kek.id in wrap for wrap in wraps)
        if not kept:
            file.unlink(missing_ok=True)
        return {"kept": kept}

    @effects
    def wrap_also(self, reference: str) -> dict[str, Any]:
        """Every sealed key can be opened by the KEK at a reference as well. Gives {rows}."""
        new, old = self._required_kek(reference), self._kek_at(self._settings.kek)[0]
        keks = [kek for kek in (old, new) if kek]
        gateway_contents.rewrap(
            self._store, lambda k: sealing.wrapped_also(k.sealed, keks, new, row=k.id, provider=CONTENTS)
        )
        return self._rewrap(
            lambda k: sealing.wrapped_also(k.sealed, keks, new, row=k.id, provider=k.provider)
        )

    @effects
    def wrap_only(self, reference: str) -> dict[str, Any]:
        """Every sealed key can be opened by the KEK at a reference and no other. Gives {rows}."""
        kek = self._required_kek(reference)
        gateway_contents.rewrap(
            self._store, lambda k: sealing.wrapped_only(k.sealed, kek, row=k.id, provider=CONTENTS)
        )
        return self._rewrap(lambda k: sealing.wrapped_only(k.sealed, kek, row=k.id, provider=k.provider))

    def _wraps_of_contents(self, kek: Kek | None) -> list[tuple[str, ...]]:
        """Which KEKs open each key of contents; with `kek`, only of those that it or the estate's opens: the others are lost."""
        store = self._reading
        found = (
            [sealing.wrapped_for(key.sealed) for key in gateway_contents.content_keys(store)] if store else []
        )
        if kek is None:
            return found
        declared = self._kek_at(self._settings.kek)[0]
        opening = {one.id for one in (kek, declared) if one}
        return [wraps for wraps in found if opening & set(wraps)]

    def _rewrap(self, change: Callable[[StoredProviderKey], str]) -> dict[str, Any]:
        """Again where somebody changed a key in between: what is not in is wrapped at the next turn."""
        rows = 0
        for _ in range(ATTEMPTS):
            wanted = {k.id: (k.sealed, change(k)) for k in self._stored()}
            wanted = {key: pair for key, pair in wanted.items() if pair[0] != pair[1]}
            if not wanted:
                break
            rows += self._store.rewrap_provider_keys(wanted)
        return {"rows": rows}
