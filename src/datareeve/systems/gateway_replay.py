"""Recorded prompts, sent again to another model through the running gateway, and its answers compared with the recorded ones.

The one idea: it is an application like any other. It has a virtual key of its own for as long as it runs (named `replay`, scoped to that one
model, past the cache), so limits and budgets hold, and what it cost stands in usage. Neither prompt nor answer is kept: a record
holds figures. Streams are asked for as whole answers.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import secrets
import string
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict, dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Self

from datareeve.core import clock
from datareeve.core.errors import BadInput, DatareeveError, Unreachable
from datareeve.core.value import fingerprint
from datareeve.systems.adapter import effects, reads
from datareeve.systems.answer_compare import compared
from datareeve.systems.files import replace_file
from datareeve.systems.gateway_following import Following
from datareeve.systems.gateway_process import FOLDER, reachable
from datareeve.systems.gateway_store import REPLAY, StoredVirtualKey
from datareeve.systems.gateway_usage import UsageReads

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

REPLAYS = FOLDER / "replays"
PATHS = ("/v1/chat/completions", "/v1/messages", "/v1/responses")
NOT_AGAIN = (
    "stream",
    "stream_options",
    "background",
    "store",
    "previous_response_id",
    "conversation",
)  # of the request, for an answer in one piece
VALID_SECONDS = 3600.0
ANSWER_SECONDS = 300.0
COUNTED_SECONDS = 5.0  # until the gateway has written down what was used
PARALLEL = 4
LARGEST_ANSWER = 32 << 20
LETTERS = string.ascii_letters + string.digits
OK = http.client.OK
SHARES = ("exact", "same_form", "same_tools", "schema_before", "schema_now", "empty")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one prompt."""

    status: int  # 0: nothing
    ms: float
    document: dict[str, Any]
    error: str = ""


class Replays(Following, UsageReads):
    """Replaying recorded prompts, and the records of it."""

    @reads
    def replays(self) -> list[dict[str, Any]]:
        """Records of replays, the newest first: [{at, run, target, asked, models, figures}]; `models`: what had answered when it was recorded."""
        found = [
            json.loads(place.read_text(encoding="utf-8")) for place in (self.project / REPLAYS).glob("*.json")
        ]
        return sorted(found, key=lambda one: one["at"], reverse=True)

    @reads
    def replayed(
        self, target: str, asked: str = "", days: float = 30.0, most: int = 50
    ) -> dict[str, Any] | None:
        """The record of a replay of just this; None where there is none."""
        place = _place(self.project, target, asked, days, most)
        found: dict[str, Any] | None = (
            json.loads(place.read_text(encoding="utf-8")) if place.exists() else None
        )
        return found

    @reads
    def recorded_sizes(self, since: float, most: int = 500) -> list[dict[str, Any]]:
        """How many tokens recorded prompts asked for at most, and how many they got: [{asked_model, max_tokens, output}]; no text."""
        reader = getattr(self, "recorded", None)
        return [
            {
                "asked_model": one["asked_model"],
                "max_tokens": asked,
                "output": int((one["tokens"] or {}).get("output", 0)),
            }
            for one in (reader(since=since, most=most) if reader else [])
            if (asked := _most_tokens(one["body"]))
        ]

    @effects
    def replay(  # noqa: PLR0913 - what is replayed, on what, how much
        self,
        target: str,
        *,
        run: str,
        asked: str = "",
        days: float = 30.0,
        most: int = 50,
        usd_most: float = 5.0,
    ) -> dict[str, Any]:
        """Send recorded prompts (of one asked name, or all) to 'provider/model', compare, and keep the record. Gives its figures.

        Ends early where `usd_most` is spent. Errors: `BadInput` `replay.no-prompts`, `replay.sealed`; `Unreachable` `gateway.not-running`; `Failed` `gateway.behind`.
        """
        address = self._address()
        prompts = self._prompts(asked, days, most)
        with _Key(self, target) as key:
            answers = self._answers(prompts, key, address, usd_most)
            spent = self._spent(key.id, sum(one.status == OK for one in answers))
        came = figures(prompts[: len(answers)], answers, spent)
        record = {
            "at": clock.stamp(), "run": run, "target": target, "asked": asked,
            "models": sorted({str(one["asked_model"]) for one in prompts} | self._served(asked, days)),
            "figures": came,
        }  # fmt: skip
        place = _place(self.project, target, asked, days, most)
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_file(place, json.dumps(record).encode(), 0o600)
        return {**came, "left_out": len(prompts) - len(answers)}

    @effects
    def forget_replay(self, by_run: str) -> dict[str, Any]:
        """Remove the records of a run's replays; quiet where there are none. What it cost is not given back."""
        for place in (self.project / REPLAYS).glob("*.json"):
            if json.loads(place.read_text(encoding="utf-8")).get("run") == by_run:
                place.unlink()
        return {}

    # -- within --------------------------------------------------------------------------------------------------------------------

    def _prompts(self, asked: str, days: float, most: int) -> list[dict[str, Any]]:
        """Recorded prompts that can be sent again, the newest first. Errors: `BadInput` `replay.no-prompts`, `replay.sealed`."""
        reader = getattr(self, "recorded", None)
        found = reader(since=clock.now().timestamp() - days * 86_400, most=most * 4) if reader else []
        kept = [
            one
            for one in found
            if asked in ("", one["asked_model"])
            and one["endpoint"] in PATHS
            and isinstance(one["body"], dict)
        ]
        if not found and self.kept_prompts(since=clock.now().timestamp() - days * 86_400):
            raise BadInput(
                "replay.sealed",
                f"No recorded prompt opens with the key at {self._settings.kek}: they were sealed with another.",
                "Name that one under gateway.kek in estate.yaml, or record prompts anew.",
            )
        if not kept:
            raise BadInput(
                "replay.no-prompts",
                f"No prompt{f' that asked for {asked}' if asked else ''} was recorded in {days:g} days.",
                "Have them kept, encrypted: gateway: {privacy: {keep_prompts: true}} in estate.yaml.",
            )
        return kept[:most]

    def _served(self, asked: str, days: float) -> set[str]:
        """What had answered the recorded prompts, as provider/model."""
        kept = self.kept_prompts(since=clock.now().timestamp() - days * 86_400)
        return {f"{one['provider']}/{one['model']}" for one in kept if asked in ("", one["asked_model"])}

    def _address(self) -> tuple[str, int]:
        """Where a gateway of this project answers. Errors: `Unreachable` `gateway.not-running`."""
        for one in self.gateways():
            host, _, port = str(one["address"]).rpartition(":")
            if port.isdigit():
                return reachable((host.strip("[]") or "127.0.0.1", int(port)))
        raise Unreachable(
            "gateway.not-running",
            "No gateway runs: prompts are replayed through it.",
            "`datareeve run ai.set-up-gateway` starts it.",
        )

    def _answers(
        self, prompts: list[dict[str, Any]], key: _Key, address: tuple[str, int], usd_most: float
    ) -> list[Answer]:
        answers: list[Answer] = []
        with ThreadPoolExecutor(PARALLEL) as pool:
            for start in range(0, len(prompts), PARALLEL):
                answers += pool.map(
                    lambda one: sent(address, key.text, key.target, one), prompts[start : start + PARALLEL]
                )
                if self._microusd(key.id)[1] >= usd_most * 1e6:
                    break
        return answers

    def _spent(self, key: str, answered: int) -> int:
        """What it cost, once the gateway has written it all down, in micro-dollars."""
        deadline = time.monotonic() + COUNTED_SECONDS
        while (counted := self._microusd(key))[0] < answered and time.monotonic() < deadline:
            time.sleep(0.05)
        return counted[1]

    def _microusd(self, key: str) -> tuple[int, int]:
        now = clock.now().timestamp()
        found = self.usage(
            since=now - 2 * VALID_SECONDS, until=now + 2 * VALID_SECONDS, where={"key_id": key}
        )
        return (int(found[0]["requests"]), int(found[0]["cost_microusd"])) if found else (0, 0)


class _Key:
    """A virtual key for one replay. Its text is nowhere but here; should this process die, it ends by itself within the hour."""

    def __init__(self, control: Replays, target: str) -> None:
        self._control = control
        self.target = target
        self.id = secrets.token_hex(6)
        self.text = f"dr-{self.id}-{''.join(secrets.choice(LETTERS) for _ in range(43))}"

    def __enter__(self) -> Self:
        digest = hashlib.sha256(self.text.encode()).digest()
        key = StoredVirtualKey(
            id=self.id,
            digest=digest,
            name=REPLAY,
            team=REPLAY,
            models=(self.target,),
            cache=False,
            expires_at=clock.now().timestamp() + VALID_SECONDS,
        )
        self._control._store.add_virtual_key(key)  # noqa: SLF001 - of its own kind
        try:
            self._control.follow()
        except DatareeveError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._control._store.remove_virtual_key(self.id)  # noqa: SLF001 - of its own kind


def sent(address: tuple[str, int], key: str, target: str, prompt: dict[str, Any]) -> Answer:
    """Send one recorded prompt to a target, and give what came back. Raises nothing."""
    body = {name: value for name, value in prompt["body"].items() if name not in NOT_AGAIN}
    data = json.dumps({**body, "model": target}).encode()
    headers = {
        "Authorization": f"Bearer {key}",
        "x-api-key": key,
        "Content-Type": "application/json",
        "anthropic-version": "2023-06-01",
    }
    began = time.monotonic()
    with closing(http.client.HTTPConnection(*address, timeout=ANSWER_SECONDS)) as connection:
        try:
            connection.request("POST", prompt["endpoint"], data, headers)
            answer = connection.getresponse()
            status, raw = answer.status, answer.read(LARGEST_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, _ms(began), {}, type(error).__name__)
    return Answer(
        status,
        _ms(began),
        _document(raw),
        "" if status == OK else _error_name(_document(raw)) or f"status {status}",
    )


def figures(prompts: list[dict[str, Any]], answers: list[Answer], spent_microusd: int) -> dict[str, Any]:
    """What a replay came to, as figures only."""
    pairs = [(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True) if answer.status == OK]
    found = [asdict(compared(prompt["body"], prompt["answer"], answer.document)) for prompt, answer in pairs]
    before = sum(int(prompt["cost_microusd"]) for prompt, _ in pairs)
    told: dict[str, Any] = {
        "prompts": len(prompts),
        "answered": len(pairs),
        "errors": _counted(answer.error for answer in answers if answer.error),
        **{f"{name}_percent": _percent(one[name] for one in found) for name in SHARES},
        "length_ratio_median": _middle(one["length_ratio"] for one in found),
        "ms_median_before": _middle(prompt["total_ms"] for prompt, _ in pairs),
        "ms_median": _middle(answer.ms for _, answer in pairs),
        "usd_before": round(before / 1e6, 6),
        "usd": round(spent_microusd / 1e6, 6),
        "usd_change_percent": round(100 * (spent_microusd / before - 1), 1) if before else None,
    }
    return {name: value for name, value in told.items() if value is not None}


def _most_tokens(body: Any) -> int:
    """The bound that a request sets to its answer, 0 where it sets none."""
    named = (
        (body.get(name) for name in ("max_completion_tokens", "max_tokens", "max_output_tokens"))
        if isinstance(body, dict)
        else ()
    )
    return next(
        (value for value in named if isinstance(value, int) and not isinstance(value, bool) and value > 0), 0
    )


def _percent(truths: Iterable[bool | None]) -> float | None:
    known = [truth for truth in truths if truth is not None]
    return round(100 * sum(known) / len(known), 1) if known else None


def _middle(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(median(known), 3) if known else None


def _counted(words: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        found[word] = found.get(word, 0) + 1
    return found


def _place(project: Path, *of: object) -> Path:
    return project / REPLAYS / f"{fingerprint(list(of))[:16]}.json"


def _ms(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)


def _document(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _error_name(document: dict[str, Any]) -> str:
    """The stable name of an error, never its message: providers quote prompts in it."""
    error = document.get("error")
    name = (error.get("code") or error.get("type")) if isinstance(error, dict) else ""
    return (
        name[:60]
        if isinstance(name, str) and name.replace("_", "").replace("-", "").replace(".", "").isalnum()
        else ""
    )
