"""What the operations on keys share: a provider's keys as they are now, and the steps that a key goes through.

A key's life: sealed and set aside (`retired`) → tried at its provider → `active` → `draining`, when another takes over → `retired`; or `revoked`.
After each change that requests depend on, a step waits until every running gateway works by it.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.declared import Answered
from datareeve.core.operation import Call, Claim, Effect, Finding, Operation, Plan, Severity, Step, Systems
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

SYSTEM = "gateway"
IN_ESTATE = "estate:"
NUMBERED = re.compile(r"pk_(?P<provider>.+)_(?P<number>\d+)")
CONSOLES = {
    "api.openai.com": "https://platform.openai.com/api-keys",
    "api.anthropic.com": "https://console.anthropic.com/settings/keys",
}
ONLY_WAITS = "It only waits."
ONLY_ASKS = "It only asks the provider."


class Key(Value):
    """A provider's key, without its text. Times are Unix seconds."""

    id: str
    provider: str
    name: str = ""
    where: str = "store"  # or 'estate': by reference
    state: str = "active"
    added_at: float | None = None
    changed_at: float | None = None
    expires_at: float | None = None
    replaces: str = ""
    kek: str | None = None  # the ids of the keys that open its seal
    probed_at: float | None = None
    probe_ok: bool | None = None
    probe_status: int | None = None

    @property
    def reference(self) -> str:
        """Where the estate says that it stands; '' of a sealed one."""
        return self.id.removeprefix(IN_ESTATE) if self.where == "estate" else ""


class Kek(Value):
    """The key that seals keys. `id` is None where it cannot be had, and `problem` says why."""

    reference: str
    id: str | None = None
    private: bool = True  # only its owner reads its file
    problem: str = ""


class ProviderFacts(Value):
    """A provider and its keys as they are now."""

    name: str = ""  # '': it is not known which is meant
    known: tuple[str, ...] = ()
    base_url: str = ""
    keyless: bool = False
    keys: tuple[Key, ...] = ()
    kek: Kek
    gateways: int = 0  # running processes

    @property
    def active(self) -> tuple[Key, ...]:
        """Keys that requests are sent with."""
        return tuple(key for key in self.keys if key.state == "active")

    def key(self, name: str | None) -> Key | None:
        """A key by its id or its label."""
        return next((key for key in self.keys if name and name in (key.id, key.name)), None)

    def new_id(self) -> str:
        """The id of the next key: pk_openai_3."""
        numbers = (m for key in self.keys if (m := NUMBERED.fullmatch(key.id)))
        return f"pk_{self.name}_{1 + max((int(m['number']) for m in numbers), default=0)}"

    @property
    def console(self) -> str:
        """Where a person makes and deletes its keys."""
        host = urlsplit(self.base_url).hostname or ""
        return CONSOLES.get(host, f"the console of {host}")

    @property
    def touched(self) -> tuple[str, ...]:
        """What a run leases, so that no other changes the same keys meanwhile."""
        return (f"{SYSTEM}:keys of {self.name}",)


def look(systems: Systems, provider: str | None) -> ProviderFacts:
    """A provider's keys; without a name the only one's that asks for keys."""
    reader = systems[SYSTEM]
    every = {one["name"]: one for one in reader.read("providers")}
    asking = [name for name, one in every.items() if not one["keyless"]]
    name = provider if provider in every else asking[0] if provider is None and len(asking) == 1 else ""
    one = every.get(name or "", {})
    return ProviderFacts(
        name=name or "",
        known=tuple(every),
        base_url=one.get("base_url", ""),
        keyless=one.get("keyless", False),
        keys=tuple(Key(**key) for key in reader.read("provider_keys", provider=name)) if name else (),
        kek=Kek(**reader.read("kek")),
        gateways=len(reader.read("gateways")),
    )


def answered(systems: Systems, provider: str, *, model: str | None = None, **what: Any) -> Answered:
    """What a provider says to a key: one at a reference, or one that is kept."""
    told = systems[SYSTEM].read("probe", provider=provider, model=model, **what)
    return Answered(**{name: told[name] for name in ("ok", "verdict", "status", "models")})


def ends_at(day: date | None) -> float | None:
    """The end of a day in UTC, in Unix seconds."""
    return datetime.combine(day + timedelta(days=1), time(), UTC).timestamp() if day else None


def day_of(moment: float) -> str:
    """The day of a moment in UTC, as ISO 8601."""
    return datetime.fromtimestamp(moment, UTC).date().isoformat()


# -- why not -----------------------------------------------------------------------------------------------------------------------


def blocked(facts: ProviderFacts, asked: str | None) -> str:
    """Why nothing can be planned for a provider, '' where it can."""
    if not facts.name:
        known = ", ".join(facts.known)
        if not known:
            return "The estate has no AI provider: `datareeve run ai.set-up-gateway` declares those whose usual key variable is set here."
        return (
            f"The estate has no AI provider {asked!r}; it has {known}."
            if asked
            else f"Which provider is meant? The estate has {known}."
        )
    return f"{facts.name} asks for no key (auth: none)." if facts.keyless else ""


def kek_blocker(kek: Kek) -> str:
    """Why no key can be sealed, '' where it can, or where the sealing key will be made."""
    missing = kek.problem.startswith("secret.missing") and kek.reference.startswith("file:")
    return "" if kek.id or missing else f"The key that seals keys cannot be had: {kek.problem}"


def refused(provider: str, answer: Answered, where: str) -> str:
    """Why a key cannot be taken into use, '' where it can."""
    if answer.ok:
        return ""
    said = answer.verdict + (f", status {answer.status}" if answer.status else "")
    if answer.ok is False:
        return f"{provider} does not take the key at {where} ({said})."
    return f"{provider} does not say whether the key at {where} is good ({said}): try later, or name a model that it may use: --probe-model MODEL."


def quiet(
    operation: Operation[Any], reason: str = "", *, blocker: str = "", findings: tuple[Finding, ...] = ()
) -> Plan:
    """A plan without steps: nothing to do, with the reason, or what stands in the way."""
    return Plan(
        operation=operation.name,
        inputs=operation.inputs(),
        summary=reason or blocker,
        nothing_to_do=reason,
        blockers=(blocker,) if blocker else (),
        findings=findings,
    )


# -- claims ------------------------------------------------------------------------------------------------------------------------


def state_is(provider: str, key: str, state: str | None) -> Claim:
    """That a key is in a state; None: that there is no such key."""
    text = f"{key} is {state}" if state else f"there is no {key} yet"
    return Claim(text=text, call=_call("key_state", provider=provider, key=key), expected=state)


def taken(provider: str, reference: str, model: str | None, entry: dict[str, Any] | None = None) -> Claim:
    """That the provider takes the key at a reference."""
    what = {
        "provider": provider,
        "reference": reference,
        "model": model,
        **({"entry": entry} if entry else {}),
    }
    return Claim(
        text=f"{provider} takes the key at {reference}",
        call=_call("works", **what),
        remedy=f"Put a valid key at {reference}.",
    )


def followed(keys: Iterable[str] = (), *, estate: bool = False) -> Claim:
    """That every running gateway works by the store as it is (and the estate), and can read these keys. Holds where none runs."""
    return Claim(
        text="every running gateway works by it",
        call=_call("behind", keys=list(keys), estate=estate),
        expected=[],
    )


# -- steps -------------------------------------------------------------------------------------------------------------------------


def make_kek(kek: Kek) -> tuple[Step, ...]:
    """The sealing key is made in its file, where there is none yet."""
    if kek.id:
        return ()
    step = Step(
        id="make-kek",
        call=_call("make_kek", reference=kek.reference),
        why=f"Keys are kept sealed; what opens them stands at {kek.reference}, readable by its owner only.",
        effect=Effect.REVERSIBLE,
        probe=Claim(
            text=f"a sealing key stands at {kek.reference}", call=_call("kek_there", reference=kek.reference)
        ),
        undo=(_call("remove_kek", reference=kek.reference),),
        touches=(f"{SYSTEM}:kek",),
    )
    return (step,)


def seal(facts: ProviderFacts, key: str, reference: str, **what: Any) -> Step:
    """A key is taken in, sealed, and set aside. `what`: name, expires_at, replaces."""
    return Step(
        id=f"seal {key}",
        call=_call("add_provider_key", key=key, provider=facts.name, reference=reference, **what),
        why=f"The key at {reference} is kept sealed in the gateway's store; no request is sent with it yet.",
        effect=Effect.REVERSIBLE,
        probe=state_is(facts.name, key, "retired"),
        undo=(_call("remove_provider_key", key=key),),
        touches=facts.touched,
    )


def try_it(facts: ProviderFacts, key: str, model: str | None) -> Step:
    """The sealed key is opened and shown to its provider."""
    how = f"asks {model} for a few tokens" if model else "lists models, which is free"
    return Step(
        id=f"try {key}",
        call=_call("try_key", provider=facts.name, key=key, model=model),
        why=f"What was sealed is tried before a request rests on it: it {how}.",
        effect=Effect.READ,
        probe=Claim(text=f"{facts.name} takes {key}", call=_call("tried", key=key)),
        no_undo=ONLY_ASKS,
        touches=facts.touched,
    )


def activate(facts: ProviderFacts, key: str) -> Step:
    """Requests are sent with the key from now on. Its undo leaves the provider's last key in use, where there was another before."""
    back = _state(facts, key, "retired", not_last=bool(facts.active))
    return Step(
        id=f"activate {key}",
        call=_state(facts, key, "active", expected="retired"),
        why=f"Gateways send requests with {key} from now on.",
        effect=Effect.REVERSIBLE,
        probe=state_is(facts.name, key, "active"),
        undo=(back,),
        touches=facts.touched,
    )


def drain(facts: ProviderFacts, key: str) -> Step:
    """The key finishes what it began. Its undo tries it first: a key that has been deleted meanwhile is not put back."""
    again = _call("try_key", provider=facts.name, key=key, doubt=True)
    return Step(
        id=f"drain {key}",
        call=_state(facts, key, "draining", expected="active"),
        why=f"{key} is given no new request; what is under way with it ends in its own time.",
        effect=Effect.REVERSIBLE,
        probe=state_is(facts.name, key, "draining"),
        undo=(again, _state(facts, key, "active")),
        touches=facts.touched,
    )


def retire(facts: ProviderFacts, key: str) -> Step:
    """The key is given nothing any more; it stays sealed, so that the step can be taken back."""
    return Step(
        id=f"retire {key}",
        call=_state(facts, key, "retired", expected="draining"),
        why=f"No gateway needs {key} any more: it can be deleted at {facts.console}.",
        effect=Effect.REVERSIBLE,
        probe=state_is(facts.name, key, "retired"),
        undo=(_state(facts, key, "draining", expected="retired"),),
        touches=facts.touched,
    )


def follow(
    what: str,
    *,
    keys: Iterable[str] = (),
    estate: bool = False,
    drained: str = "",
    drain_seconds: float = 0.0,
) -> Step:
    """Waits until every running gateway works by what was changed; with `drained`, until no request is under way with that key."""
    claim = followed(keys, estate=estate)
    waits = {
        **claim.call.arguments,
        **({"drained": drained, "drain_seconds": drain_seconds} if drained else {}),
    }
    return Step(
        id=f"gateways follow: {what}",
        call=_call("follow", **waits),
        why="Nothing further is done before every running gateway works by it"
        + (f", and no request is under way with {drained}." if drained else "."),
        effect=Effect.READ,
        probe=claim,
        no_undo=ONLY_WAITS,
    )


# -- telling -----------------------------------------------------------------------------------------------------------------------


def no_gateway(gateways: int) -> tuple[Finding, ...]:
    """Said where no gateway runs: there is nobody who has to follow."""
    if gateways:
        return ()
    what = "No gateway runs: nothing has to follow. The next one that starts works by this."
    return (Finding(rule="no-gateway-runs", subject=SYSTEM, what=what, severity=Severity.INFO),)


def delete_there(facts: ProviderFacts, key: Key) -> Finding:
    """Said of a key that is no longer used here and that its provider still takes."""
    what = f"{key.id} is good at {facts.name} until it is deleted there."
    return Finding(
        rule="delete-at-provider",
        subject=key.id,
        what=what,
        instead=f"Delete it at {facts.console}; `{command('ai.check-keys', provider=facts.name)}` tells when it is dead.",
    )


def _state(facts: ProviderFacts, key: str, state: str, **more: Any) -> Call:
    return _call("set_key_state", provider=facts.name, key=key, state=state, **more)


def _call(action: str, /, **arguments: Any) -> Call:
    return Call(system=SYSTEM, action=action, arguments=arguments)
