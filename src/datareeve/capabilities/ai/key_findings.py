"""What is worth saying about keys: which end, which are dead or unread, which are alive though they should not be, which nobody uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.ai.advice import command
from datareeve.capabilities.ai.declared import Answered  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.ai.keys import Key, ProviderFacts  # noqa: TC001 - pydantic reads it
from datareeve.core.operation import Finding, Severity
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

DAY = 86_400
IN_USE = ("active", "draining")
VERDICTS = {
    "no credit": "has no credit left",
    "refused": "is not taken",
}


class Bounds(Value):
    """In days: when an end is near, when a key counts as unused, when as old."""

    warn: int
    unused: int
    old: int


class KeysSeen(Value):
    """All keys at one moment. Times are Unix seconds."""

    at: float
    providers: tuple[ProviderFacts, ...] = ()
    answers: dict[str, Answered] = Field(
        default_factory=dict
    )  # by provider and key id: 'openai pk_openai_1'; only of those that were asked
    unread: dict[str, str] = Field(default_factory=dict)  # in the same way: why a key cannot be read here
    used: dict[str, dict[str, Any]] = Field(default_factory=dict)  # by key id, within `unused` days
    virtual: tuple[dict[str, Any], ...] = ()
    virtual_used: dict[str, dict[str, Any]] = Field(default_factory=dict)
    budgeted: tuple[str, ...] = ()  # names of virtual keys that a budget holds, or *
    gateways: tuple[dict[str, Any], ...] = ()


def place(key: Key) -> str:
    """A key among those of all providers."""
    return f"{key.provider} {key.id}"


def findings(seen: KeysSeen, bounds: Bounds) -> Iterator[Finding]:
    """Everything worth saying, provider by provider."""
    for provider in seen.providers:
        if not provider.active and not provider.keyless:
            yield _no_key(provider)
        for key in provider.keys:
            yield from _of_key(provider, key, seen, bounds)
    yield from _of_seal(seen)
    for gateway in seen.gateways:
        if gateway["problems"]:
            yield _unread_there(gateway)
    for key_ in seen.virtual:
        if key_["state"] != "revoked":
            yield from _of_virtual(key_, seen, bounds)


def _of_key(provider: ProviderFacts, key: Key, seen: KeysSeen, bounds: Bounds) -> Iterator[Finding]:
    used = key.state in IN_USE
    if why := seen.unread.get(place(key)):
        yield _unread(key, why)
    if answer := seen.answers.get(place(key)):
        yield from _of_answer(provider, key, answer)
    if used and key.expires_at is not None and key.expires_at < seen.at + bounds.warn * DAY:
        yield _ends(provider, key, seen.at)
    since = key.changed_at or key.added_at
    if used and since and since < seen.at - bounds.unused * DAY and key.id not in seen.used and seen.used:
        yield Finding(
            rule="unused-key",
            subject=key.id,
            what=f"No request was sent with {key.id} of {provider.name} in {bounds.unused} days.",
            why="A key that nobody needs can only leak.",
            instead=command("ai.revoke-key", provider=provider.name, key=key.id),
            severity=Severity.INFO,
        )
    if used and key.added_at and key.added_at < seen.at - bounds.old * DAY:
        yield Finding(
            rule="old-key",
            subject=key.id,
            what=f"{key.id} of {provider.name} has been in use for {(seen.at - key.added_at) / DAY:.0f} days.",
            instead=_rotate(provider, key),
            severity=Severity.INFO,
            mended_by="ai.rotate-key",
        )


def _of_answer(provider: ProviderFacts, key: Key, answer: Answered) -> Iterator[Finding]:
    said = f"{answer.verdict}, status {answer.status}" if answer.status else answer.verdict
    if key.state in IN_USE and answer.ok is False:
        yield Finding(
            rule="key-refused",
            subject=key.id,
            what=f"{key.id} {VERDICTS.get(answer.verdict, 'is not taken')} at {provider.name} ({said}).",
            why="Requests that are sent with it fail, or go to another key after a wasted attempt.",
            instead=_rotate(provider, key),
            severity=Severity.CRITICAL,
            mended_by="ai.rotate-key",
        )
    elif key.state in IN_USE and answer.ok is None:
        yield Finding(rule="key-not-proved", subject=key.id, what=f"{provider.name} did not say whether {key.id} is good ({said}).",
                      instead=f"Try again later, or by asking a model: `{command('ai.check-keys', provider=provider.name, probe_model='MODEL')}`")  # fmt: skip
    elif key.state not in IN_USE and answer.ok:
        leaked = key.state == "revoked"
        yield Finding(
            rule="gone-key-alive",
            subject=key.id,
            what=f"{key.id} is {key.state} here, and {provider.name} still takes it.",
            why="Whoever has found it spends your money with it." if leaked else "",
            instead=f"Delete it at {provider.console}.",
            severity=Severity.CRITICAL if leaked else Severity.WARNING,
        )


def _ends(provider: ProviderFacts, key: Key, at: float) -> Finding:
    days = ((key.expires_at or 0.0) - at) / DAY
    ended = days <= 0
    return Finding(
        rule="key-expires",
        subject=key.id,
        what=f"{key.id} of {provider.name} " + ("has expired." if ended else f"expires in {days:.0f} days."),
        instead=_rotate(provider, key),
        severity=Severity.CRITICAL if ended else Severity.WARNING,
        figures={"days": round(days, 1)},
        mended_by="ai.rotate-key",
    )


def _rotate(provider: ProviderFacts, key: Key) -> str:
    rotate = command("ai.rotate-key", provider=provider.name, old=key.id, new="env:NAME")
    return f"Make a new one at {provider.console}, put it into a variable, then: `{rotate}`"


def _add(provider: str) -> str:
    return command("ai.add-key", provider=provider, key="env:NAME")


def _issue_again(key: dict[str, Any]) -> str:
    """With all that the key of that name may do now."""
    numbers = ("requests_per_minute", "tokens_per_minute", "max_parallel")
    scope = {name: key[name] for name in ("team", *numbers) if key.get(name)}
    if list(key.get("models") or ("*",)) != ["*"]:
        scope["models"] = list(key["models"])
    place = f".datareeve/secrets/{key['id']}-2.key"  # its own file stands where it was written
    return command("ai.issue-virtual-key", for_name=key["name"], to=place, **scope)


def _unread(key: Key, why: str) -> Finding:
    here = " Running gateways may have it in their environment; this shell has not." if key.reference else ""
    return Finding(
        rule="key-unread",
        subject=key.id,
        what=f"{key.id} of {key.provider} cannot be read here: {why}{here}",
        instead=f"Put the key at {key.reference}, or seal one: `{_add(key.provider)}`"
        if key.reference
        else f"Put the sealing key back, or add the provider's key again: `{_add(key.provider)}`",
        severity=Severity.WARNING if key.reference else Severity.CRITICAL,
    )


def _no_key(provider: ProviderFacts) -> Finding:
    return Finding(
        rule="no-key-in-use",
        subject=provider.name,
        what=f"{provider.name} has no key in use: no request can be sent to it.",
        instead=_add(provider.name),
        severity=Severity.CRITICAL,
        mended_by="ai.add-key",
    )


def _unread_there(gateway: dict[str, Any]) -> Finding:
    names = ", ".join(sorted(gateway["problems"]))
    return Finding(
        rule="key-unread-by-gateway",
        subject=gateway["id"],
        what=f"The gateway on {gateway['host']} (pid {gateway['pid']}) cannot read {names}.",
        why="It sends with the keys that it could read before, or with others.",
        instead="Give that process the variable, file or sealing key that is named, and start it again.",
        severity=Severity.CRITICAL,
    )


def _of_seal(seen: KeysSeen) -> Iterator[Finding]:
    kek = next((provider.kek for provider in seen.providers), None)
    if kek is not None and not kek.private:
        yield Finding(
            rule="sealing-key-open",
            subject=kek.reference,
            what=f"Others than its owner may read {kek.reference}, which opens every sealed key.",
            instead=f"chmod 600 {kek.reference.removeprefix('file:')}; if somebody may have read it: `{command('ai.rewrap-keys', to='file:.datareeve/gateway-2.kek')}`",
        )


def _of_virtual(key: dict[str, Any], seen: KeysSeen, bounds: Bounds) -> Iterator[Finding]:
    name, days = f"{key['name']} ({key['id']})", ((key["expires_at"] or 0.0) - seen.at) / DAY
    if key["state"] == "valid" and key["expires_at"] is not None and days < bounds.warn:
        yield Finding(
            rule="virtual-key-expires",
            subject=key["id"],
            what=f"The key of {name} expires in {days:.0f} days.",
            instead=f"`{command('ai.revoke-virtual-key', key=key['id'])}`, then: `{_issue_again(key)}`",
            figures={"days": round(days, 1)},
        )
    limits = (key["requests_per_minute"], key["tokens_per_minute"])
    if key["state"] == "valid" and limits == (None, None) and not {key["name"], "*"} & set(seen.budgeted):
        yield Finding(
            rule="unbounded-virtual-key",
            subject=key["id"],
            what=f"The key of {name} has neither a rate nor a budget: a runaway loop spends without end.",
            instead=command("ai.issue-virtual-key", for_name=key["name"], change=True, usd_per_month=100),
            severity=Severity.INFO,
            mended_by="ai.issue-virtual-key",
        )
    old = key["added_at"] < seen.at - bounds.unused * DAY
    if key["state"] == "valid" and old and key["id"] not in seen.virtual_used:
        yield Finding(
            rule="unused-virtual-key",
            subject=key["id"],
            what=f"Nobody has used the key of {name} in {bounds.unused} days.",
            instead=command("ai.revoke-virtual-key", key=key["id"]),
            severity=Severity.INFO,
            mended_by="ai.revoke-virtual-key",
        )
