"""Authority: what may be done unattended, what needs a person's approval, what never. Decided step by step, before anything happens.

An approval names a plan's fingerprint and expires. It is content-bound: another plan, however alike, needs another approval.
"""

from __future__ import annotations

import posixpath
import re
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from datareeve.core import clock
from datareeve.core.errors import BadInput, NeedsApproval, Refused
from datareeve.core.operation import Effect
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.core.estate import Authority, Rule
    from datareeve.core.ledger import Ledger
    from datareeve.core.operation import Plan, Step

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WINDOW = re.compile(
    r"(?:(?P<first>[A-Z][a-z]{2})(?:-(?P<last>[A-Z][a-z]{2}))? )?(?P<start>(?:[01]\d|2[0-3]):[0-5]\d)-(?P<end>(?:[01]\d|2[0-3]):[0-5]\d|24:00)(?: (?P<zone>\S+))?$"
)


class Decision(Value):
    """What the authority says of one step, and the rule it said it by."""

    decision: Literal["allow", "approve", "never"]
    rule: str
    step: str = ""


def decide(authority: Authority, step: Step, operation: str, now: datetime) -> Decision:
    """The decision on one step. `never` wins; else the first rule that matches; else reads are allowed and the rest needs approval.

    No rule allows a step that needs a person.
    """
    matching = [
        (n, rule) for n, rule in enumerate(authority.rules, 1) if _matches(rule, step, operation, now)
    ]
    for n, rule in sorted(matching, key=lambda pair: pair[1].decision != "never"):
        if rule.decision == "allow" and step.needs_person:
            break  # a rule was written for kinds of steps; this one is somebody's session, or hours of somebody's service
        return Decision(decision=rule.decision, rule=f"rule {n} ({rule.why or rule.decision})", step=step.id)
    if step.needs_person:
        return Decision(decision="approve", rule="only ever by a person's approval", step=step.id)
    if step.effect is Effect.READ:
        return Decision(decision="allow", rule="reading is allowed by default", step=step.id)
    return Decision(
        decision="approve", rule=f"{step.effect} effects need an approval by default", step=step.id
    )


def _matches(rule: Rule, step: Step, operation: str, now: datetime) -> bool:
    # A rule that names schemas or paths speaks only of steps that touch nothing else when it allows, of any that touch one when it does not.
    every_or_any = all if rule.decision == "allow" else any
    return (
        (not rule.effects or step.effect in rule.effects)
        and (not rule.systems or _on_systems(rule, step))
        and (not rule.operations or any(fnmatchcase(operation, pattern) for pattern in rule.operations))
        and (
            not rule.schemas
            or (bool(step.schemas) and every_or_any(schema in rule.schemas for schema in step.schemas))
        )
        and (
            not rule.paths
            or (bool(step.paths) and every_or_any(_path_matches(path, rule.paths) for path in step.paths))
        )
        and (rule.window is None or in_window(rule.window, now))
    )


def _on_systems(rule: Rule, step: Step) -> bool:
    if rule.decision == "allow":
        return set(step.on or (step.call.system,)) <= set(rule.systems)
    return not {step.call.system, *step.on}.isdisjoint(rule.systems)


def path_matches(path: str, pattern: str) -> bool:
    """Whether a path below the project matches a pattern; `**/` also stands for no folder at all, as in gitignore."""
    return fnmatchcase(path, pattern) or (pattern.startswith("**/") and fnmatchcase(path, pattern[3:]))


def _path_matches(path: str, patterns: tuple[str, ...]) -> bool:
    plain = posixpath.normpath(path)  # `data/../data/x` is `data/x`: another spelling is no way around a rule
    return any(path_matches(plain, pattern) for pattern in patterns)


def in_window(window: str, now: datetime) -> bool:
    """Whether `now` lies in a window such as `Mon-Fri 22:00-06:00 Europe/Berlin` (a night belongs to the day it starts on).

    A window that ends when it starts is a day long.

    Errors: `BadInput` `authority.window`.
    """
    found = WINDOW.match(window)
    try:
        zone = ZoneInfo(found["zone"] or "UTC") if found else None
        first = DAYS.index(found["first"]) if found and found["first"] else 0
        last = (
            DAYS.index(found["last"])
            if found and found["last"]
            else (first if found and found["first"] else 6)
        )
    except (ValueError, ZoneInfoNotFoundError):
        found = None
    if found is None:
        raise BadInput(
            "authority.window",
            f"{window!r} is not a window.",
            "Write it as 'Mon-Fri 22:00-06:00 Europe/Berlin'.",
        )
    local = now.astimezone(zone)
    time, day = local.strftime("%H:%M"), local.weekday()
    if found["start"] < found["end"]:
        return found["start"] <= time < found["end"] and _in_days(day, first, last)
    if time >= found["start"]:
        return _in_days(day, first, last)
    return time < found["end"] and _in_days((day - 1) % 7, first, last)


def _in_days(day: int, first: int, last: int) -> bool:
    return first <= day <= last if first <= last else day >= first or day <= last


class Gate:
    """The authority of an estate, with the approvals and the spending that the ledger knows of."""

    def __init__(self, authority: Authority, ledger: Ledger) -> None:
        self._authority = authority
        self._ledger = ledger

    def decisions(self, plan: Plan) -> tuple[Decision, ...]:
        """The decision on every step of a plan, in order."""
        now = clock.now()
        found = [
            decide(self._authority, step, leaf.operation, now)
            for leaf in plan.leaves()
            for step in leaf.steps
        ]
        return (*found, *self._over_budget(plan))

    def require(self, plan: Plan) -> str:
        """Let a plan through, and say by what. Errors: `Refused` `authority.never`, `NeedsApproval` `approval.needed`, each naming the rule."""
        decisions = self.refuse_forbidden(plan)
        waiting = [d for d in decisions if d.decision == "approve"]
        if not waiting:
            return "the estate's authority"
        if (by := self.approved_by(plan.fingerprint)) is not None:
            return f"approval by {by}"
        rules = "; ".join(dict.fromkeys(one.rule for one in waiting))
        raise NeedsApproval(
            "approval.needed",
            f"{len(waiting)} of {len(decisions)} steps need a person's approval ({rules}).",
            f"Read the plan, then run: datareeve approve {plan.fingerprint}",
            fingerprint=plan.fingerprint,
        )

    def refuse_forbidden(self, plan: Plan) -> tuple[Decision, ...]:
        """Stop where a rule says never, whatever was approved; gives every decision. Errors: `Refused` `authority.never`."""
        decisions = self.decisions(plan)
        if refused := [d for d in decisions if d.decision == "never"]:
            raise Refused(
                "authority.never",
                f"Step {refused[0].step!r} is forbidden by {refused[0].rule}.",
                "Ask the owner of estate.yaml to change that rule, or plan without this step.",
            )
        return decisions

    def approve(self, fingerprint: str, *, by: str) -> None:
        """Record an approval of a stored plan.

        Errors: `BadInput` `approval.unknown-plan`; `Refused` `approval.four-eyes`, `approval.not-a-person`.
        """
        plans = self._ledger.entries("plan", subject=fingerprint)
        if not plans:
            raise BadInput(
                "approval.unknown-plan",
                f"No plan has the fingerprint {fingerprint[:16]}….",
                "Plan again, and approve the fingerprint it prints.",
            )
        if by.startswith("agent:"):
            raise Refused(
                "approval.not-a-person",
                "An approval is given by a person, not by an agent.",
                "Ask a person to run `datareeve approve`.",
            )
        if self._authority.four_eyes and any(plan.body.get("asked_by") == by for plan in plans):
            raise Refused(
                "approval.four-eyes",
                f"{by} asked for this plan and cannot approve it.",
                "Somebody else must run `datareeve approve`.",
            )
        expires = clock.now() + timedelta(hours=self._authority.approvals_expire_hours)
        self._ledger.append("approval", {"by": by, "expires_at": clock.stamp(expires)}, subject=fingerprint)

    def approved_by(self, fingerprint: str) -> str | None:
        """Who has approved this fingerprint, in an approval that has not expired."""
        now = clock.stamp()
        return next(
            (
                e.body["by"]
                for e in reversed(self._ledger.entries("approval", subject=fingerprint))
                if e.body["expires_at"] > now
            ),
            None,
        )

    def _over_budget(self, plan: Plan) -> tuple[Decision, ...]:
        cost = sum(step.cost_usd for step in plan.all_steps())
        limit = self._authority.budget.usd_per_month
        month = clock.stamp()[:7]
        spent = (
            sum(e.body.get("cost_usd", 0.0) for e in self._ledger.entries("run") if e.at.startswith(month))
            if cost
            else 0.0
        )
        if cost == 0 or spent + cost <= limit:
            return ()
        return (
            Decision(
                decision="approve",
                rule=f"budget: {spent + cost:.2f} of {limit:.2f} USD this month",
                step="cost",
            ),
        )
