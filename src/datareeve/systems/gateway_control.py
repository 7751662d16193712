"""The AI gateway as the control plane sees it: keys, who may use it, and by what its running processes work.

The built-in system `gateway`. Secrets come in by reference and are sealed at once; of keys only ids, states and times go out. A key that is
issued is written once, to a file that only its owner reads. estate.yaml is read anew each time: a step before may have changed it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import socket
import string
import time
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import psutil
from pydantic import TypeAdapter, ValidationError

from datareeve.core import estate as estates
from datareeve.core.authority import path_matches
from datareeve.core.errors import BadInput, Failed, Refused
from datareeve.core.estate import ESTATE_FILE, STATE_FOLDER
from datareeve.systems import gateway_keys, sealing
from datareeve.systems.adapter import Adapter, effects, reads
from datareeve.systems.ai_provider import AiProvider, checked_key, provider_of
from datareeve.systems.files import inside_path
from datareeve.systems.gateway_database import named_statements
from datareeve.systems.gateway_keys import IN_ESTATE, KeyRing, ProviderEntry, estate_key_id
from datareeve.systems.gateway_process import estate_digest
from datareeve.systems.gateway_store import StoredProviderKey, StoredVirtualKey
from datareeve.systems.gateway_usage import UsageReads
from datareeve.systems.sealing import Kek

if TYPE_CHECKING:
    from datareeve.core.estate import Estate
    from datareeve.core.secrets import Secret
    from datareeve.systems.gateway_keys import Resolve
    from datareeve.systems.gateway_store import GatewayStore, Instance

SQL = named_statements("gateway_control.sql")
KEY_FOLDER = f"{STATE_FOLDER}/secrets/"
LETTERS = string.ascii_letters + string.digits
SECRET_LENGTH = 43  # of 62 signs: 256 bits
PRIVATE = 0o600
LOOK_EVERY_SECONDS = 0.05
ATTEMPTS = 3  # at re-wrapping keys that somebody else changes at the same time
ENTRY: TypeAdapter[ProviderEntry] = TypeAdapter(ProviderEntry)


class GatewayControl(UsageReads, Adapter):
    """Keys of providers, virtual keys, and the gateway's running processes."""

    kind = "gateway"

    def __init__(self, project: Path, resolve: Resolve) -> None:
        super().__init__("gateway")
        self.project = project.resolve()
        self._resolve = resolve
        self._opened: tuple[str, GatewayStore] | None = None
        self._parsed: tuple[tuple[int, ...], Estate] | None = None

    def identity(self) -> str:
        """Its store."""
        return f"gateway:{gateway_keys.store_place(self._settings, self.project)}"

    def close(self) -> None:
        """Close the store."""
        if self._opened is not None:
            self._opened[1].close()
            self._opened = None

    # -- providers and their keys --------------------------------------------------------------------------------------------------

    @reads
    def providers(self) -> list[dict[str, Any]]:
        """The estate's providers: [{name, kind, base_url, keyless}]."""
        return [
            {"name": n, "kind": e.kind, "base_url": e.base_url, "keyless": gateway_keys.keyless(e)}
            for n, e in self._entries.items()
        ]

    @reads
    def provider_keys(self, provider: str = "") -> list[dict[str, Any]]:
        """Keys of one provider, or all, those that the estate names first; times in Unix seconds. Never their text.

        [{id, provider, name, where ('estate' or 'store'), state, added_at, changed_at, expires_at, replaces, kek, probed_at, probe_ok, probe_status}]
        """
        declared = [
            {**_blank(estate_key_id(reference), name), "where": "estate", "state": "active"}
            for name, entry in self._entries.items()
            if provider in ("", name)
            for reference in dict.fromkeys(entry.keys)
        ]
        return [*declared, *(_told(key) for key in self._stored(provider))]

    @reads
    def key_state(self, provider: str, key: str) -> str | None:
        """active, draining, retired or revoked; None where the provider has no such key."""
        return next((k["state"] for k in self.provider_keys(provider) if k["id"] == key), None)

    @reads
    def find_key(self, provider: str, reference: str) -> str | None:
        """The id of the provider's key whose text stands at a reference; None where it has none. Errors: `secret.missing`, `key.malformed`."""
        wanted = self._text_at(reference)
        for key in self.provider_keys(provider):
            text, _ = gateway_keys.attempt(lambda id_: self._secret_of(provider, id_), key["id"])
            if text is not None and hmac.compare_digest(text.reveal().encode(), wanted.reveal().encode()):
                return str(key["id"])
        return None

    @reads
    def unopened(self) -> dict[str, str]:
        """Sealed keys that do not open, by id, with the reason."""
        ring = KeyRing(self._settings, self._resolve)
        tried = {key.id: gateway_keys.attempt(ring.open, key)[1] for key in self._stored()}
        return {key: why for key, why in tried.items() if why}

    @reads
    def probe(
        self,
        provider: str,
        *,
        key: str | None = None,
        reference: str | None = None,
        model: str | None = None,
        entry: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Try a key that is kept, one that stands at a reference, or none, at a provider of the estate or as `entry` would declare it.

        Gives what `AiProvider.probed` gives. Errors: those of reading the key.
        """
        secret = self._text_at(reference) if reference else self._secret_of(provider, key) if key else None
        return self._provider(provider, entry).probed(secret, model)

    @reads
    def works(self, provider: str, **what: Any) -> bool | None:
        """Whether a key is taken, as `probe`; None: the provider's answer says nothing about the key."""
        return self.probe(provider, **what)["ok"]  # type: ignore[no-any-return]

    @reads
    def tried(self, key: str) -> bool | None:
        """What the last `try_key` of a stored key said; None: never tried."""
        return next((k.probe_ok for k in self._stored() if k.id == key), None)

    @reads
    def key_use(
        self, of: Literal["provider", "virtual"] = "provider", days: int = 30
    ) -> dict[str, dict[str, Any]]:
        """How much each key was used in the last so many days: {id: {requests, failed, cost_microusd, last_hour}}; of keys that were not, nothing.

        `last_hour` is the beginning of the hour in which it was used last, in Unix seconds.
        """
        store = self._reading
        if store is None:
            return {}
        with store.reading() as t:
            rows = t.rows(SQL[f"{of}_key_use"], since=int(t.now()) - days * 86_400)
        return {row["key"]: {name: int(row[name]) for name in row if name != "key"} for row in rows}

    @effects
    def add_provider_key(  # noqa: PLR0913 - what a key is
        self,
        key: str,
        provider: str,
        reference: str,
        *,
        name: str = "",
        expires_at: float | None = None,
        replaces: str = "",
    ) -> dict[str, Any]:
        """Seal the key that stands at a reference and keep it set aside (`retired`); quiet where its id is there."""
        sealed = sealing.seal(self._text_at(reference), self._kek(), row=key, provider=provider)
        self._store.add_provider_key(
            StoredProviderKey(
                id=key,
                provider=provider,
                sealed=sealed,
                name=name,
                state="retired",
                expires_at=expires_at,
                replaces=replaces,
            )
        )
        return {}

    @effects
    def remove_provider_key(self, key: str) -> dict[str, Any]:
        """Take out a key that is set aside, as if it had never been added; quiet where it is not there.

        Errors: `Failed` `gateway.key-in-use`.
        """
        if any(k.id == key and k.state in ("active", "draining") for k in self._stored()):
            raise Failed("gateway.key-in-use", f"{key} is in use and stays.", "Rotate to another key first.")
        self._store.remove_provider_key(key)
        return {}

    @effects
    def try_key(
        self, provider: str, key: str, model: str | None = None, *, doubt: bool = False
    ) -> dict[str, Any]:
        """Show a kept key to its provider, and keep what came of it. Gives {latency_ms, status}.

        With `doubt`, an answer that says nothing about the key passes. Errors: `Failed` `provider.key-refused`, `provider.key-unproved`.
        """
        found = self.probe(provider, key=key, model=model)
        if not key.startswith(IN_ESTATE) and found["ok"] is not None:
            self._store.note_probe(key, ok=found["ok"], status=found["status"] or 0)
        if found["ok"] is False or (found["ok"] is None and not doubt):
            raise _not_taken(provider, key, found)
        return {"latency_ms": found["latency_ms"], "status": found["status"]}

    @effects
    def set_key_state(
        self, provider: str, key: str, state: Any, *, expected: Any = "", not_last: bool = False
    ) -> dict[str, Any]:
        """Give a stored key another state, with `expected` only from that one.

        Errors: `Failed` `gateway.last-key` where, with `not_last`, no other key of the provider could take its requests.
        """
        if not_last and not self._another(provider, key):
            raise Failed(
                "gateway.last-key",
                f"{provider} has no other key that works: {key} stays in use.",
                "Add one with ai.add-key.",
            )
        self._store.set_key_state(key, state, expected=expected)
        return {}

    # -- the key that seals keys ---------------------------------------------------------------------------------------------------

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
        wraps = [str(_told(key)["kek"]).split("+") for key in self._stored()]
        return kek is not None and all(wrap == [kek.id] if only else kek.id in wrap for wrap in wraps)

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
        kept = any(kek.id in str(_told(key)["kek"]).split("+") for key in self._stored())
        if not kept:
            file.unlink(missing_ok=True)
        return {"kept": kept}

    @effects
    def wrap_also(self, reference: str) -> dict[str, Any]:
        """Every sealed key can be opened by the KEK at a reference as well. Gives {rows}."""
        new, old = self._required_kek(reference), self._kek_at(self._settings.kek)[0]
        keks = [kek for kek in (old, new) if kek]
        return self._rewrap(
            lambda k: sealing.wrapped_also(k.sealed, keks, new, row=k.id, provider=k.provider)
        )

    @effects
    def wrap_only(self, reference: str) -> dict[str, Any]:
        """Every sealed key can be opened by the KEK at a reference and no other. Gives {rows}."""
        kek = self._required_kek(reference)
        return self._rewrap(lambda k: sealing.wrapped_only(k.sealed, kek, row=k.id, provider=k.provider))

    # -- running gateways ----------------------------------------------------------------------------------------------------------

    @reads
    def gateways(self) -> list[dict[str, Any]]:
        """Gateway processes that run: [{id, host, pid, address, revision, current, in_flight, problems}].

        `current`: works by the estate as it stands; `in_flight` by provider key; `problems`: keys it cannot read, with the reason.
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

    # -- virtual keys --------------------------------------------------------------------------------------------------------------

    @reads
    def virtual_keys(self) -> list[dict[str, Any]]:
        """Keys of applications and people, oldest first, times in Unix seconds: all of `StoredVirtualKey` but the digest, and `state`."""
        store = self._reading
        now = time.time()
        return [_virtual_told(key, now) for key in (store.virtual_keys() if store else ())]

    @reads
    def virtual_key_state(self, key: str) -> str | None:
        """valid, expired or revoked; None where there is no such key."""
        return next((k["state"] for k in self.virtual_keys() if k["id"] == key), None)

    @reads
    def has_limits(self, key: str, **scope: Any) -> bool:
        """Whether a virtual key has these limits, as `change_virtual_key` gives them."""
        found = next((k for k in self.virtual_keys() if k["id"] == key), None)
        return found is not None and all(found[name] == value for name, value in scope.items())

    @reads
    def issued(self, key: str, path: str) -> bool:
        """Whether a virtual key is there and its text stands in a file."""
        store = self._reading
        found = next((k for k in (store.virtual_keys() if store else ()) if k.id == key), None)
        return found is not None and _digest_in(self._key_file(path)) == found.digest

    @reads
    def file_free(self, path: str) -> bool:
        """Whether a key can be written to a path: there is no such file yet. Errors: `Refused` `files.…` where nothing may be written there."""
        return not self._key_file(path).exists()

    @effects
    def issue_virtual_key(
        self, key: str, path: str, *, valid_days: float | None = None, **scope: Any
    ) -> dict[str, Any]:
        """Make a virtual key: its text goes to a file that only its owner reads, its SHA-256 to the store. Quiet where it was issued.

        `scope`: name, team, models, requests_per_minute, tokens_per_minute, max_parallel, cache, admin.
        """
        if self.issued(key, path):
            return {}
        text = f"dr-{key}-{''.join(secrets.choice(LETTERS) for _ in range(SECRET_LENGTH))}"
        _write_private(self._key_file(path), text)
        expires_at = time.time() + valid_days * 86_400 if valid_days else None
        digest = hashlib.sha256(text.encode()).digest()
        stored = {**scope, "models": tuple(scope["models"])}
        self._store.add_virtual_key(StoredVirtualKey(id=key, digest=digest, expires_at=expires_at, **stored))
        return {}

    @effects
    def withdraw_virtual_key(self, key: str, path: str) -> dict[str, Any]:
        """Take an issued key back, with its file, as if it had never been; idempotent. A file that holds something else stays."""
        file = self._key_file(path)
        if file.is_file() and file.read_bytes().startswith(f"dr-{key}-".encode()):
            file.unlink()
        self._store.remove_virtual_key(key)
        return {}

    @effects
    def change_virtual_key(self, key: str, **scope: Any) -> dict[str, Any]:
        """Give a virtual key other limits; its text and its end stay. Quiet where it has them, or is not there."""
        given = {**scope, **({"models": tuple(scope["models"])} if "models" in scope else {})}
        for stored in self._store.virtual_keys():
            if stored.id == key and not self.has_limits(key, **scope):
                self._store.change_virtual_key(replace(stored, **given))
        return {}

    @effects
    def revoke_virtual_key(self, key: str) -> dict[str, Any]:
        """From now on it opens nothing."""
        self._store.revoke_virtual_key(key)
        return {}

    @effects
    def restore_virtual_key(self, key: str) -> dict[str, Any]:
        """A revocation is taken back."""
        self._store.restore_virtual_key(key)
        return {}

    # -- within --------------------------------------------------------------------------------------------------------------------

    def secret_for(self, provider: str, key: str | None) -> Secret | None:
        """For the provider's own adapter: a key's text, or the first active one's that can be read. Errors: of reading a named key."""
        if key is not None:
            return self._secret_of(provider, key)
        active = (k["id"] for k in self.provider_keys(provider) if k["state"] == "active")
        read = (gateway_keys.attempt(lambda id_: self._secret_of(provider, id_), one)[0] for one in active)
        return next((secret for secret in read if secret is not None), None)

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
    def _settings(self) -> Any:
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

    def _secret_of(self, provider: str, key: str) -> Secret:
        if key.startswith(IN_ESTATE):
            return self._text_at(key.removeprefix(IN_ESTATE))
        stored = next((k for k in self._stored(provider) if k.id == key), None)
        if stored is None:
            raise BadInput(
                "gateway.no-such-key", f"{provider} has no key {key}.", "`ai.check-keys` lists them."
            )
        return KeyRing(self._settings, self._resolve).open(stored)

    def _provider(self, name: str, declared: dict[str, Any] | None) -> AiProvider:
        try:
            entry = ENTRY.validate_python(declared) if declared else self._entries.get(name)
        except ValidationError as error:
            problem = error.errors()[0]
            what = f"{problem['loc'][-1]}: {problem['msg'].removeprefix('Value error, ')}."
            raise BadInput(
                "estate.invalid", what, "`datareeve operations ai.add-provider` lists the fields."
            ) from None
        if entry is None:
            known = ", ".join(self._entries) or "none yet"
            raise BadInput("provider.unknown", f"The estate has no AI provider {name!r}.", f"It has: {known}. Add one with ai.add-provider.")  # fmt: skip
        return provider_of(name, entry, lambda key: self.secret_for(name, key))

    def _another(self, provider: str, key: str) -> bool:
        now = time.time()
        return any(
            k["id"] != key and k["state"] == "active" and k["probe_ok"] is not False and (k["expires_at"] or now + 1) > now
            for k in self.provider_keys(provider)
        )  # fmt: skip

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

    def _rewrap(self, change: Any) -> dict[str, Any]:
        """Again where somebody changed a key in between: what is not in is wrapped at the next turn."""
        rows = 0
        for _ in range(ATTEMPTS):
            wanted = {k.id: (k.sealed, change(k)) for k in self._stored()}
            wanted = {key: pair for key, pair in wanted.items() if pair[0] != pair[1]}
            if not wanted:
                break
            rows += self._store.rewrap_provider_keys(wanted)
        return {"rows": rows}

    def _file_of(self, reference: str) -> Path | None:
        scheme, _, place = reference.partition(":")
        return self.project / Path(place).expanduser() if scheme == "file" else None

    def _key_file(self, path: str) -> Path:
        return self._writable(path, KEY_FOLDER)

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

    def _live(self) -> list[Instance]:
        """Processes heard of lately, without those of this machine that are gone."""
        store = self._reading
        return [one for one in (store.instances() if store else []) if one.host != self._host or psutil.pid_exists(one.pid)]  # fmt: skip

    @cached_property
    def _host(self) -> str:
        return socket.gethostname()


def _blank(key: str, provider: str) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("added_at", "changed_at", "expires_at", "kek", "probed_at", "probe_ok", "probe_status")
    )
    return {"id": key, "provider": provider, "name": "", "replaces": "", **empty}


def _told(key: StoredProviderKey) -> dict[str, Any]:
    told = {name: getattr(key, name) for name in key.__slots__ if name != "sealed"}
    try:
        kek = "+".join(sealing.wrapped_for(key.sealed))
    except Failed:
        kek = ""  # no seal of ours: `unopened` says so
    return {**told, "where": "store", "kek": kek}


def _virtual_told(key: StoredVirtualKey, now: float) -> dict[str, Any]:
    expired = key.expires_at is not None and key.expires_at <= now
    told = {name: getattr(key, name) for name in key.__slots__ if name != "digest"}
    state = "revoked" if key.revoked_at is not None else "expired" if expired else "valid"
    return {**told, "models": list(key.models), "state": state}


def _not_taken(provider: str, key: str, found: dict[str, Any]) -> Failed:
    said = " ".join(str(part) for part in (found["verdict"], found["status"], found["problem"]) if part)
    if found["ok"] is False:
        return Failed("provider.key-refused", f"{provider} does not take {key} ({said}).", "Look at the key in the provider's console.")  # fmt: skip
    return Failed("provider.key-unproved", f"{provider} does not say whether {key} is good ({said}).", "Try again later, or name a model that it may use: --probe-model.")  # fmt: skip


def _part(instance: Instance, name: str) -> dict[str, Any]:
    try:
        found = json.loads(instance.detail).get(name, {})
    except (ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


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


def _digest_in(file: Path) -> bytes | None:
    return hashlib.sha256(file.read_bytes().rstrip(b"\n")).digest() if file.is_file() else None


def _write_private(file: Path, text: str) -> None:
    """Write a new file that only its owner reads. Errors: `Failed` `files.write`, also where there is a file of that name."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(f"{text}\n")
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        raise Failed("files.write", f"{file.name} cannot be written: {error.strerror}.", "Name a path that is free.") from None  # fmt: skip
