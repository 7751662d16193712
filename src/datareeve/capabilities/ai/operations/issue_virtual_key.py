"""`ai.issue-virtual-key`: a key for an application or a person, with what it may do."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Any, ClassVar

from pydantic import Field

from datareeve.capabilities.ai import keys
from datareeve.capabilities.ai.declared import Change
from datareeve.core.figures import money
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Step, Systems
from datareeve.core.value import Value

SCOPE = ("team", "models", "requests_per_minute", "tokens_per_minute", "max_parallel", "cache", "admin")


class IssueVirtualKeyFacts(Value):
    """What issue-virtual-key looks at."""

    named: tuple[dict[str, Any], ...] = ()  # keys of that name, also those that were revoked
    free: bool = True  # nothing stands where the key is to be written
    budget: dict[str, Any] | None = None  # of that name, as it stands in the estate
    gateways: int = 0

    @property
    def valid(self) -> dict[str, Any] | None:
        """The key of that name that is in use."""
        return next((key for key in self.named if key["state"] == "valid"), None)


class IssueVirtualKey(Operation[IssueVirtualKeyFacts]):
    """Issue a key for an application or a person.

    It opens the gateway and nothing else: only the models it is given, at its rates, within its budget, until its end. The key is written
    once, to a file that only its owner reads; here only its SHA-256 is kept, so that it cannot be shown again. Running gateways take it within
    a second. Asked for again under the same name, it does nothing, or with --change gives that key other limits. Undo takes it out again.
    """

    name: ClassVar[str] = "ai.issue-virtual-key"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    examples: ClassVar[tuple[str, ...]] = (
        "issue a virtual key for the checkout service",
        "give an application access to the AI gateway",
        "create a key for a team with its own rate limits",
        "let a developer use GPT through the gateway",
        "give a service a scoped key with a monthly budget",
    )

    for_name: str = Field(
        pattern=r"^\w[\w .@/+-]{0,79}$",
        description="who it is for: the application or person; stands in usage and bills",
    )
    to: str | None = Field(
        None, min_length=1, description="the file it is written to; default: .datareeve/secrets/NAME.key"
    )
    team: str = Field("", pattern=r"^[\w .@/+-]{0,80}$", description="whose usage it counts to as well")
    models: tuple[str, ...] = Field(
        ("*",), min_length=1, description="the names it may ask for; * at the end matches the rest"
    )
    requests_per_minute: int | None = Field(None, gt=0, description="at most so many requests in any minute")
    tokens_per_minute: int | None = Field(None, gt=0, description="at most so many tokens in any minute")
    max_parallel: int | None = Field(None, gt=0, description="at most so many requests at once")
    valid_days: float | None = Field(
        None, gt=0, le=3660, description="how long it is good; default: until it is revoked"
    )
    usd_per_month: float | None = Field(
        None, gt=0, description="what it may spend in a calendar month (UTC); beyond it is refused"
    )
    cache: bool = Field(default=True, description="may be answered from the cache, and fill it")
    admin: bool = Field(default=False, description="may read the gateway's status and metrics")
    change: bool = Field(
        default=False,
        description="give the key of that name what is said here; what is not said stays, as do its text and its end",
    )

    @property
    def path(self) -> str:
        """Where the key is written."""
        slug = re.sub(r"[^A-Za-z0-9_-]+", "-", self.for_name).strip("-") or "key"
        return self.to or f".datareeve/secrets/{slug}.key"

    @property
    def budget(self) -> str:
        """The name of its budget in the estate."""
        return f"key {self.for_name}"

    def observe(self, systems: Systems) -> IssueVirtualKeyFacts:
        """Keys of that name, and whether the file's place is free."""
        reader = systems[keys.SYSTEM]
        return IssueVirtualKeyFacts(
            named=tuple(key for key in reader.read("virtual_keys") if key["name"] == self.for_name),
            free=reader.read("file_free", path=self.path),
            budget=systems["estate"].read("get", where=["gateway", "budgets", self.budget]),
            gateways=len(reader.read("gateways")),
        )

    def plan(self, facts: IssueVirtualKeyFacts) -> Plan:
        """Write the file and the key, and wait for the gateways; for a key that is there: other limits, or nothing."""
        changing = self._budgeting(facts)
        if (valid := facts.valid) is not None:
            return self._about(facts, valid, changing)
        if self.change:
            return keys.quiet(
                self, blocker=f"There is no valid key for {self.for_name} that could be changed."
            )
        if not facts.free:
            return keys.quiet(
                self, blocker=f"There is a file {self.path} already: name another place with --to."
            )
        key = key_id(self.for_name, len(facts.named))
        state = Claim(
            text=f"no key {key} was issued", call=_call("virtual_key_state", key=key), expected=None
        )
        free = Claim(text=f"{self.path} is free", call=_call("file_free", path=self.path))
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Issue key {key} for {self.for_name} into {self.path}.",
            requirements=(state, free),
            steps=(*(change.step() for change in changing), self._issue(key), self._follow(changing)),
            checks=(self._valid(key), *(change.stands() for change in changing), keys.followed()),
            findings=keys.no_gateway(facts.gateways),
            figures={"gateways": facts.gateways},
        )

    # -- a key that is there -------------------------------------------------------------------------------------------------------

    def _about(
        self, facts: IssueVirtualKeyFacts, valid: dict[str, Any], changing: tuple[Change, ...]
    ) -> Plan:
        scope = self._scope(valid)
        differs = [name for name in SCOPE if valid[name] != scope[name]]
        if not differs and not changing:
            return keys.quiet(self, f"{self.for_name} has key {valid['id']} with these limits.")
        if not self.change:
            other = ", ".join(differs or ["budget"])
            return keys.quiet(
                self,
                blocker=f"{self.for_name} has key {valid['id']}, with another {other}: --change gives it these limits.",
            )
        steps = (
            *(change.step() for change in changing),
            *self._limits(valid, differs),
            self._follow(changing),
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary=f"Give key {valid['id']} of {self.for_name} other limits: {', '.join(differs or ['budget'])}.",
            requirements=(self._scoped(valid["id"], {name: valid[name] for name in SCOPE}),),
            steps=steps,
            checks=(self._scoped(valid["id"], scope), keys.followed()),
            findings=keys.no_gateway(facts.gateways),
        )

    def _limits(self, valid: dict[str, Any], differs: list[str]) -> tuple[Step, ...]:
        if not differs:
            return ()
        before, scope = {name: valid[name] for name in SCOPE}, self._scope(valid)
        step = Step(
            id=f"limit {valid['id']}",
            call=_call("change_virtual_key", key=valid["id"], **scope),
            why=f"{self.for_name} may do this from now on: {', '.join(f'{n} {_shown(scope[n])}' for n in differs)}.",
            effect=Effect.REVERSIBLE,
            probe=self._scoped(valid["id"], scope),
            undo=(_call("change_virtual_key", key=valid["id"], **before),),
            touches=(f"{keys.SYSTEM}:virtual key {valid['id']}",),
        )
        return (step,)

    def _scoped(self, key: str, scope: dict[str, Any]) -> Claim:
        return Claim(text=f"key {key} has these limits", call=_call("has_limits", key=key, **scope))

    # -- a new one -----------------------------------------------------------------------------------------------------------------

    def _scope(self, valid: dict[str, Any] | None = None) -> dict[str, Any]:
        """What the key may do; of one that is changed, what was not said is as it stands."""
        stays = (
            {n: valid[n] for n in SCOPE if n not in self.model_fields_set} if valid and self.change else {}
        )
        return {**{name: getattr(self, name) for name in SCOPE}, "models": list(self.models), **stays}

    def _issue(self, key: str) -> Step:
        what = {"name": self.for_name, "valid_days": self.valid_days, **self._scope()}
        return Step(
            id=f"issue {key}",
            call=_call("issue_virtual_key", key=key, path=self.path, **what),
            why=f"{self.for_name} shows this key to the gateway; it stands in {self.path}, for its owner's eyes only.",
            effect=Effect.REVERSIBLE,
            probe=Claim(
                text=f"key {key} is valid and stands in its file",
                call=_call("issued", key=key, path=self.path),
            ),
            undo=(_call("withdraw_virtual_key", key=key, path=self.path),),
            touches=(f"{keys.SYSTEM}:virtual key {key}",),
            paths=(self.path,),
        )

    def _valid(self, key: str) -> Claim:
        return Claim(text=f"key {key} is valid", call=_call("virtual_key_state", key=key), expected="valid")

    def _follow(self, changing: tuple[Change, ...]) -> Step:
        return keys.follow(f"the key of {self.for_name}", estate=bool(changing))

    def _budgeting(self, facts: IssueVirtualKeyFacts) -> tuple[Change, ...]:
        if self.usd_per_month is None:
            return ()
        wanted = {"usd": self.usd_per_month, "period": "month", "key": self.for_name}
        change = Change(
            id=f"budget of {self.for_name}",
            where=("gateway", "budgets", self.budget),
            before=facts.budget,
            after={**(facts.budget or {}), **wanted},
            why=f"{self.for_name} spends at most {money(self.usd_per_month)} in a month; a request beyond it is refused.",
        )
        return () if change.is_there else (change,)


def key_id(name: str, earlier: int) -> str:
    """The public id of a key: of its name, and of how many there were by that name. It is no secret, and the same each time it is planned."""
    digest = hashlib.sha256(f"{name}\0{earlier}".encode()).digest()
    return base64.b32encode(digest).decode().lower()[:12]


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else "no limit" if value is None else str(value)


def _call(action: str, /, **arguments: Any) -> Call:
    return Call(system=keys.SYSTEM, action=action, arguments=arguments)
