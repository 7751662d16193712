"""What running gateways have seen of each provider lately: also of one in whose place a fallback answers everything."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

UP, DEGRADED, DOWN, IDLE = "up", "degraded", "down", "idle"
LEAST_ANSWERED = 95.0  # percent; below it a provider is degraded
LEAST_ATTEMPTS = 3  # which all failed: fewer are no outage yet
SUMS = ("asked", "alone", "resting", "attempts", "failed", "saved")


class Seen(Value):
    """One provider, as all running gateways together have seen it."""

    provider: str
    asked: int = 0  # of its models, by key, in the last minutes
    alone: int = 0  # of these: left alone for their failures
    resting: int = 0  # of these: left alone because the provider asks for it, for its limits
    attempts: int = 0
    failed: int = 0  # of the attempts
    since: float | None = None  # Unix seconds when the trouble began
    reason: str = ""  # the code of the last failure
    saved: int = 0  # requests that were to go to it and that another target answered, since then
    instead: str = ""  # that target

    @property
    def state(self) -> str:
        """down: all that was asked is left alone, or every attempt failed; degraded: some; idle: nothing was asked."""
        if self.asked and self.alone >= self.asked:
            return DOWN
        if self.failed >= max(self.attempts, LEAST_ATTEMPTS) and not self.resting:
            return DOWN
        if self.alone or self.resting or 100 * self.failed > (100 - LEAST_ANSWERED) * self.attempts:
            return DEGRADED
        return UP if self.attempts else IDLE

    @property
    def is_ill(self) -> bool:
        """Whether there is a trouble to tell."""
        return self.state in (DOWN, DEGRADED)

    @property
    def briefly(self) -> str:
        """Why and since when, and what answered instead, in a few words."""
        since = f" since {iso(self.since)}" if self.since else ""
        return f"{self.reason or 'failed attempts'}{since}{self._saved}"

    @property
    def words(self) -> str:
        """The same, with the numbers it rests on."""
        since = f" since {iso(self.since)}" if self.since else ""
        parts = [f"{self.failed:,} of {self.attempts:,} attempts of the last minutes failed"] * bool(self.attempts)  # fmt: skip
        if self.alone or self.resting:
            parts.append(f"{self.alone + self.resting} of {self.asked} of its models, by key, are left alone")
        return f"{self.reason or 'in trouble'}{since}: {'; '.join(parts)}{self._saved}"

    @property
    def _saved(self) -> str:
        if not self.saved:
            return ""
        return f"; {self.instead or 'a fallback'} answered {self.saved:,} request{'s' * (self.saved != 1)} instead"


def seen(gateways: Iterable[dict[str, Any]], providers: Collection[str]) -> dict[str, Seen]:
    """By provider, of those that are declared: what each gateway tells, put together."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for row in (row for one in gateways for row in one["providers"]):
        if row.get("provider") in providers:
            rows.setdefault(row["provider"], []).append(row)
    return {name: _together(name, found) for name, found in rows.items()}


def _together(provider: str, rows: list[dict[str, Any]]) -> Seen:
    worst = max(rows, key=lambda row: (row.get("alone", 0), row.get("failed", 0), row.get("resting", 0)))
    return Seen(
        provider=provider,
        **{name: sum(row.get(name, 0) for row in rows) for name in SUMS},
        since=min((row["since"] for row in rows if row.get("since")), default=None),
        reason=worst.get("reason", ""),
        instead=next((row["instead"] for row in rows if row.get("instead")), ""),
    )


def availability(states: Iterable[str]) -> str:
    """Of all providers together: down where none is left, degraded where one is not well."""
    known = [state for state in states if state != IDLE]
    if known and all(state == DOWN for state in known):
        return DOWN
    return DEGRADED if any(state in (DOWN, DEGRADED) for state in known) else UP


def iso(moment: float) -> str:
    """Unix seconds as people and machines read them."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
