"""What the ledger knows of occasions: entries of kind `occasion`, one subject for each pipeline, folded in order.

watched   a schedule is looked at from here on; its moments before are nobody's
due       an occasion is there, with the files and publications that it is for
skipped   moments were missed, and are not run
begun     an attempt begins              resumed   the attempt's run is carried on
stopped   its worker was told to stop    overrun   it took longer than its timeout, and is to be taken back
ended     an attempt ended; with `again_at`, another follows; else the occasion ended too
"""

from __future__ import annotations

from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import Field

from datareeve.capabilities.pipelines.scheduling.occasions import Known, Occasion, rule_of
from datareeve.core import clock
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterable

    from datareeve.capabilities.pipelines.spec import Schedule
    from datareeve.core.ledger import Entry, Fence, Ledger

KIND = "occasion"
REMEMBERED = 200  # ended occasions of a pipeline
FRESH = 500  # entries: what is read at each look; where more came meanwhile, all are read again


class Attempt(Value):
    """One try at an occasion."""

    number: int
    seq: int  # of the entry that began it: its run began after it
    resumed: int = 0  # not counting those that followed a stop
    overrun: bool = False
    ended: bool = False
    at: str = ""
    ended_at: str = ""
    again_at: str = ""
    told: dict[str, Any] = Field(default_factory=dict)  # how it ended


class Open(Value):
    """An occasion and its attempts."""

    occasion: Occasion
    seq: int
    attempts: tuple[Attempt, ...] = ()

    @property
    def last(self) -> Attempt | None:
        """The newest attempt."""
        return self.attempts[-1] if self.attempts else None

    @property
    def over(self) -> bool:
        """Whether nothing more is to be done for it."""
        return self.last is not None and self.last.ended and not self.last.again_at

    def not_before(self) -> datetime | None:
        """When the next attempt may begin; None: at once."""
        waits = self.last is not None and self.last.ended and self.last.again_at
        return datetime.fromisoformat(self.last.again_at) if waits and self.last else None


class Story:
    """All that is known of one pipeline's occasions, taken in entry by entry."""

    def __init__(self) -> None:
        self._known = Known()
        self._open: dict[str, Open] = {}
        self._keys: set[str] = set()
        self.ended: deque[Open] = deque(maxlen=REMEMBERED)

    @property
    def known(self) -> Known:
        """What decides whether there is a new occasion."""
        return self._known.model_copy(update={"waiting": bool(self._open)})

    @property
    def open(self) -> list[Open]:
        """What is still to be done, oldest first."""
        return list(self._open.values())

    def take(self, entry: Entry) -> None:
        """Take one entry into account."""
        body = entry.body
        state = body["state"]
        if state == "watched":
            at = datetime.fromisoformat(body["at"])
            self._learn(watched=self._known.watched or at, upto=at, rule=body["rule"])
        elif state in ("due", "skipped"):
            self._met(Occasion.model_validate(body["occasion"]), entry)
        elif body["key"] in self._open:
            self._attempt(self._open[body["key"]], entry)

    def _learn(self, **update: Any) -> None:
        self._known = self._known.model_copy(update=update)

    def _met(self, occasion: Occasion, entry: Entry) -> None:
        if occasion.key in self._keys:
            return  # decided by two loops at once: it is one
        self._keys.add(occasion.key)
        known = self._known
        self._learn(met=known.met + 1)
        if "clock" in occasion.causes:
            self._learn(upto=max(filter(None, (known.upto, occasion.at))))
        if occasion.files:
            self._learn(files={**known.files, **occasion.files})
        if occasion.upstream:
            self._learn(upstream={**known.upstream, **occasion.upstream})
        if not occasion.skipped:
            self._open[occasion.key] = Open(occasion=occasion, seq=entry.seq)

    def _attempt(self, one: Open, entry: Entry) -> None:
        body, last = entry.body, one.last
        if body["state"] == "begun":
            begun = Attempt(number=body["attempt"], seq=entry.seq, at=entry.at)
            attempts: tuple[Attempt, ...] = (*one.attempts, begun)
        elif last is None:
            return
        else:
            attempts = (*one.attempts[:-1], _after(last, entry))
        now = one.model_copy(update={"attempts": attempts})
        self._open[one.occasion.key] = now
        if now.over:
            self.ended.append(self._open.pop(one.occasion.key))


def _after(last: Attempt, entry: Entry) -> Attempt:
    body = entry.body
    changes: dict[str, dict[str, Any]] = {
        "resumed": {"resumed": last.resumed + 1},
        "stopped": {"resumed": 0},
        "overrun": {"overrun": True},
        "ended": {
            "ended": True,
            "ended_at": entry.at,
            "again_at": body.get("again_at", ""),
            "told": {key: value for key, value in body.items() if key not in ("state", "key", "again_at")},
        },
    }
    return last.model_copy(update=changes[body["state"]])


def story(entries: Iterable[Entry]) -> Story:
    """The story that entries of one pipeline tell."""
    found = Story()
    for entry in entries:
        found.take(entry)
    return found


class Journal:
    """Occasions in the ledger. It remembers what it has read, so that a look reads what is new only."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._stories: dict[str, Story] = {}
        self._read_to = 0

    def of(self, pipeline: str) -> Story:
        """What is known of one pipeline."""
        return self._stories.setdefault(pipeline, Story())

    def refresh(self) -> Journal:
        """Read what was written since; gives itself."""
        newest = self._ledger.entries(KIND, limit=FRESH)
        gap = len(newest) == FRESH and newest[0].seq > self._read_to + 1
        if gap:
            newest, self._stories, self._read_to = self._ledger.entries(KIND), {}, 0
        for entry in newest:
            if entry.seq > self._read_to:
                self._read_to = entry.seq
                self.of(entry.subject).take(entry)
        return self

    # -- writing -------------------------------------------------------------------------------------------------------------------

    def watch(self, pipeline: str, schedule: Schedule, now: datetime) -> None:
        """From now on its moments are counted."""
        self._write(pipeline, {"state": "watched", "at": clock.stamp(now), "rule": rule_of(schedule)})

    def met(self, occasion: Occasion) -> None:
        """An occasion is there."""
        state = "skipped" if occasion.skipped else "due"
        self._write(occasion.pipeline, {"state": state, "occasion": occasion.model_dump(mode="json")})

    def attempt(self, occasion: Occasion, state: str, fence: Fence, **told: Any) -> None:
        """How an attempt goes, written by whoever holds the pipeline. Errors: `LeaseLost` `lease.lost`."""
        self._write(occasion.pipeline, {"state": state, "key": occasion.key, **told}, fence)

    def _write(self, pipeline: str, body: dict[str, Any], fence: Fence | None = None) -> None:
        self._ledger.append(KIND, body, subject=pipeline, fence=fence)
