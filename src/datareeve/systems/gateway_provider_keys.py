"""Providers and their keys: listed without their text, tried, taken in by reference and sealed at once, moved through their states."""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter, ValidationError

from datareeve.core.errors import BadInput, Failed
from datareeve.systems import gateway_keys, sealing
from datareeve.systems.adapter import effects, reads
from datareeve.systems.ai_provider import AiProvider, provider_of
from datareeve.systems.gateway_keys import IN_ESTATE, KeyRing, ProviderEntry, estate_key_id, wraps_of
from datareeve.systems.gateway_opened import OpenedGateway
from datareeve.systems.gateway_store import StoredProviderKey
from datareeve.systems.store_database import named_statements

if TYPE_CHECKING:
    from datareeve.core.secrets import Secret

SQL = named_statements("gateway_control.sql")
ENTRY: TypeAdapter[ProviderEntry] = TypeAdapter(ProviderEntry)


class ProviderKeys(OpenedGateway):
    """What is read and done about providers' keys. Times are Unix seconds."""

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
                f"Add one: `datareeve run ai.add-key --provider {provider} --key env:NAME`",
            )
        self._store.set_key_state(key, state, expected=expected)
        return {}

    def secret_for(self, provider: str, key: str | None) -> Secret | None:
        """For the provider's own adapter: a key's text, or the first active one's that can be read. Errors: of reading a named key."""
        if key is not None:
            return self._secret_of(provider, key)
        active = (k["id"] for k in self.provider_keys(provider) if k["state"] == "active")
        read = (gateway_keys.attempt(lambda id_: self._secret_of(provider, id_), one)[0] for one in active)
        return next((secret for secret in read if secret is not None), None)

    def _secret_of(self, provider: str, key: str) -> Secret:
        if key.startswith(IN_ESTATE):
            return self._text_at(key.removeprefix(IN_ESTATE))
        stored = next((k for k in self._stored(provider) if k.id == key), None)
        if stored is None:
            raise BadInput(
                "gateway.no-such-key",
                f"{provider} has no key {key}.",
                "`datareeve run ai.check-keys` lists them.",
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
            raise BadInput("provider.unknown", f"The estate has no AI provider {name!r}.", f"It has: {known}. Add one: `datareeve run ai.add-provider --kind openai --key env:NAME`")  # fmt: skip
        return provider_of(name, entry, lambda key: self.secret_for(name, key))

    def _another(self, provider: str, key: str) -> bool:
        now = time.time()
        return any(
            k["id"] != key and k["state"] == "active" and k["probe_ok"] is not False and (k["expires_at"] or now + 1) > now
            for k in self.provider_keys(provider)
        )  # fmt: skip


def _blank(key: str, provider: str) -> dict[str, Any]:
    empty = dict.fromkeys(
        ("added_at", "changed_at", "expires_at", "kek", "probed_at", "probe_ok", "probe_status")
    )
    return {"id": key, "provider": provider, "name": "", "replaces": "", **empty}


def _told(key: StoredProviderKey) -> dict[str, Any]:
    told = {name: getattr(key, name) for name in key.__slots__ if name != "sealed"}
    return {**told, "where": "store", "kek": "+".join(wraps_of(key))}


def _not_taken(provider: str, key: str, found: dict[str, Any]) -> Failed:
    said = " ".join(str(part) for part in (found["verdict"], found["status"], found["problem"]) if part)
    if found["ok"] is False:
        return Failed("provider.key-refused", f"{provider} does not take {key} ({said}).", "Look at the key in the provider's console.")  # fmt: skip
    return Failed("provider.key-unproved", f"{provider} does not say whether {key} is good ({said}).", "Try again later, or name a model that it may use: --probe-model.")  # fmt: skip
