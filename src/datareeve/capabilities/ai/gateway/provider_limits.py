"""What providers say is left of their own limits, by key and model: a key that has no room is passed over instead of being refused there.

Read are `x-ratelimit-…` (OpenAI, Azure, Groq, Mistral, OpenRouter), `anthropic-ratelimit-…` and `Retry-After`. Between two answers what is left is
reckoned: less with each request sent, more with time, as both providers fill their limits up steadily (platform.openai.com/docs/guides/rate-limits,
docs.anthropic.com/en/api/rate-limits: token bucket). What they say is believed over our own count, but for what they cannot have counted yet.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from datareeve.capabilities.ai.gateway.failing import retry_after

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_PLACES = 10_000  # model names come from clients
LONGEST_SECONDS = 86_400.0
RECENT_SECONDS = 2.0  # what was sent longer ago is counted in what an answer says is left
LONGEST_TEXT = 40  # of a header's value
EPOCH = 1e9  # a larger number is a moment, not a duration; above 1e11 in milliseconds

REQUESTS: Final = "requests"
TOKENS: Final = "tokens"
KINDS = (REQUESTS, TOKENS, "input-tokens", "output-tokens")
FIELDS = ("limit", "remaining", "reset")
KNOWN = {
    f"{prefix}{name}".encode(): (kind, field_)
    for kind in KINDS
    for field_ in FIELDS
    for prefix, name in (
        ("x-ratelimit-", f"{field_}-{kind}"),
        ("anthropic-ratelimit-", f"{kind}-{field_}"),
    )
} | {f"x-ratelimit-{field_}".encode(): (REQUESTS, field_) for field_ in FIELDS}
PAUSES = frozenset((b"retry-after", b"retry-after-ms"))
DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")


@dataclass(slots=True)
class Bucket:
    """What is left of one limit, as reckoned at `at`. Full again at `full_at`."""

    left: float = math.inf
    limit: float = math.inf
    at: float = 0.0
    full_at: float = 0.0
    recent: float = 0.0  # sent since `recent_at` ...
    earlier: float = 0.0  # ... and in the time as long before
    recent_at: float = 0.0
    heard_at: float = 0.0  # Unix seconds: when the provider said so last

    def now_left(self, now: float) -> float:
        """What is left now; a limit whose size is not known is unknown once it was filled up."""
        if now >= self.full_at:
            return self.limit
        if self.limit is math.inf:
            return self.left
        return self.left + (self.limit - self.left) * max(now - self.at, 0.0) / (self.full_at - self.at)

    def send(self, amount: float, now: float) -> None:
        """So much is sent."""
        self.left, self.at = self.now_left(now) - amount, now
        if now - self.recent_at >= RECENT_SECONDS:
            self.earlier = self.recent if now - self.recent_at < 2 * RECENT_SECONDS else 0.0
            self.recent, self.recent_at = 0.0, now
        self.recent += amount

    def hear(self, left: float, limit: float | None, seconds: float | None, now: float) -> None:
        """The provider says so much is left of `limit`, and it is full again in so many seconds."""
        reckoned = self.now_left(now)
        uncounted = self.recent + self.earlier if now - self.recent_at < 2 * RECENT_SECONDS else 0.0
        self.left = min(left, max(reckoned, left - uncounted)) if reckoned < math.inf else left
        self.limit = (
            limit if limit is not None else max(self.limit, left) if self.limit < math.inf else math.inf
        )
        self.at = now
        self.full_at = now + seconds if seconds is not None else max(self.full_at, now + 1.0)

    def wait(self, amount: float, now: float) -> float:
        """Seconds until so much is there; more than all of it is let through when it is full: the provider may know better."""
        left = self.now_left(now)
        need = min(amount, self.limit)
        if left >= need or now >= self.full_at:
            return 0.0
        if self.limit is math.inf or self.limit <= left:
            return self.full_at - now
        return (self.full_at - now) * (need - left) / (self.limit - left)


@dataclass(slots=True)
class Standing:
    """All limits of one model under one key."""

    buckets: dict[str, Bucket] = field(default_factory=dict)
    blocked_until: float = 0.0

    def wait(self, tokens: int, now: float) -> float:
        """Seconds until a request of so many tokens may go."""
        seconds = max(self.blocked_until - now, 0.0)
        for kind, bucket in self.buckets.items():
            seconds = max(seconds, bucket.wait(_amount(kind, tokens), now))
        return seconds


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of one limit of a provider, for status and metrics."""

    key: str  # 'provider:key', as `Room` counts by
    model: str
    kind: str  # requests, tokens, input-tokens, output-tokens
    left: int
    limit: int | None
    full_in: float  # seconds
    heard_at: float  # Unix seconds: when the provider said so last

    @property
    def share(self) -> float:
        """How much of the limit is left, from 0 to 1; 1 where its size is not known."""
        return self.left / self.limit if self.limit else 1.0


class ProviderLimits:
    """What is left, of every key and model that a provider told of."""

    def __init__(self) -> None:
        self._standings: dict[tuple[str, str], Standing] = {}

    def room(self, key: str, model: str, tokens: int, now: float) -> bool:
        """Whether a request may be sent now; if so it is counted as sent."""
        standing = self._standings.get((key, model))
        if standing is None:
            return True
        if standing.wait(tokens, now) > 0:
            return False
        for kind, bucket in standing.buckets.items():
            bucket.send(_amount(kind, tokens), now)
        return True

    def free_in(self, key: str, model: str, tokens: int, now: float) -> float:
        """Seconds until there is room, as far as is known."""
        standing = self._standings.get((key, model))
        return 0.0 if standing is None else standing.wait(tokens, now)

    def heard(
        self, key: str, model: str, headers: Iterable[tuple[bytes, bytes]], now: float, wall: float
    ) -> None:
        """Read an answer's headers, names in lower case. What cannot be read is passed over: a provider's mistake costs no request."""
        said: dict[tuple[str, str], bytes] = {}
        pause: dict[bytes, bytes] = {}
        known = KNOWN.get
        for name, value in headers:
            place = known(name)
            if place is not None:
                said[place] = value
            elif name in PAUSES:
                pause[name] = value
        if not said and not pause:
            return
        standing = self._standing(key, model)
        for kind in KINDS:
            if (kind, "remaining") in said:
                _hear(standing, kind, said, now, wall)
        if pause:
            seconds = retry_after(pause.get(b"retry-after-ms"), pause.get(b"retry-after"), wall)
            if seconds is not None:
                standing.blocked_until = max(standing.blocked_until, now + seconds)

    def left(self, now: float) -> tuple[Left, ...]:
        """What is left of everything, for status and metrics."""
        return tuple(
            Left(
                key,
                model,
                kind,
                max(int(bucket.now_left(now)), 0),
                _whole(bucket.limit),
                round(max(bucket.full_at - now, 0.0), 1),
                bucket.heard_at,
            )
            for (key, model), standing in self._standings.items()
            for kind, bucket in standing.buckets.items()
            if bucket.now_left(now) < math.inf
        )

    def _standing(self, key: str, model: str) -> Standing:
        standing = self._standings.get((key, model))
        if standing is None:
            if len(self._standings) >= MOST_PLACES:
                self._standings.clear()
            standing = self._standings[key, model] = Standing()
        return standing


def duration(text: str, wall: float) -> float | None:
    """Seconds from now: '6m0s', '120ms', '1.5' or '17', RFC 3339, or a moment in Unix seconds or milliseconds. None if it is none of these.

    Never negative, at most a day.
    """
    if len(text) > LONGEST_TEXT or not text.isascii():
        return None
    seconds = _from_units(text) if text[-1:] == "s" else _from_number(text, wall)
    if seconds is None:
        seconds = _from_units(text)
    if seconds is None:
        seconds = _from_moment(text, wall)
    return None if seconds is None else min(max(seconds, 0.0), LONGEST_SECONDS)


def _from_number(text: str, wall: float) -> float | None:
    if not text.replace(".", "", 1).isdigit():
        return None
    number = float(text)
    if number > EPOCH * 100:
        return number / 1000 - wall
    return number - wall if number > EPOCH else number


@lru_cache(maxsize=2048)
def _from_units(text: str) -> float | None:
    found = DURATION.fullmatch(text)
    if not text or found is None:
        return None
    days, hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return days * 86_400 + hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _from_moment(text: str, wall: float) -> float | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - wall


def _hear(standing: Standing, kind: str, said: dict[tuple[str, str], bytes], now: float, wall: float) -> None:
    left = _count(said[kind, "remaining"])
    if left is None:
        return
    limit = _count(said.get((kind, "limit"), b""))
    seconds = duration(said.get((kind, "reset"), b"").decode("latin-1").strip(), wall)
    if limit is not None and limit < max(left, 1):
        limit = None
    bucket = standing.buckets.setdefault(kind, Bucket())
    bucket.hear(left, limit, seconds, now)
    bucket.heard_at = wall


def _count(value: bytes) -> float | None:
    text = value.strip()
    return float(text) if text.isdigit() and len(text) < 16 else None  # noqa: PLR2004 - exact in a float


def _amount(kind: str, tokens: int) -> float:
    """What a request takes of a limit; of input and output apart only that there is any."""
    if kind == TOKENS:
        return float(tokens)
    return 1.0


def _whole(limit: float) -> int | None:
    return None if limit is math.inf else int(limit)
