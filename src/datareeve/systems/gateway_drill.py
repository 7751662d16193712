"""A drill of the gateway: a scratch one with the project's own settings, behind it a provider that fails on purpose, and what callers saw.

Nothing of it touches the project's gateway, its keys or its providers, and nothing costs anything. Routes, retries, breaker, queue and cache
are as the project has them; times that would make the drill long are shortened, which its record says. What comes out is judged case by
case: what was done to it, what had to happen, what did.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import secrets
import shutil
import socket
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from datareeve.core import clock
from datareeve.core import estate as estates
from datareeve.core.estate import ESTATE_FILE, STATE_FOLDER
from datareeve.core.estate_gateway import GatewaySettings
from datareeve.core.value import fingerprint
from datareeve.systems.fault_upstream import RETRY_AFTER_SECONDS, WORDS, FaultUpstream
from datareeve.systems.files import replace_file
from datareeve.systems.gateway_process import FOLDER, GatewayProcess
from datareeve.systems.gateway_store import GatewayStore, StoredVirtualKey

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PATHS: Final = {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}
SHORT_FIRST_BYTE_SECONDS = 0.5
SHORT_DEADLINE_SECONDS = 15.0
MOST_SECONDS = 30.0  # a caller waits so long, then it is a failure of the drill
SOON_SECONDS = 5.0
AWAY = 5  # requests that meet a provider that is away
LIMIT = 2  # a minute, of the route whose limit is tried
TOO_MANY, SERVER_ERROR = http.client.TOO_MANY_REQUESTS, http.client.INTERNAL_SERVER_ERROR
END: Final = {"openai": b"[DONE]", "anthropic": b"message_stop"}
ERROR: Final = {"openai": b'"error"', "anthropic": b"event: error"}
DRILLS = FOLDER / "drills"
VERSION = 1  # of the cases: a drill of other cases is another drill


@dataclass
class Case:
    """One case of one protocol: what was done, what had to happen, and whether it did."""

    case: str
    protocol: str
    done: str
    expected: str
    held: bool = False
    saw: str = ""
    figures: dict[str, float] = field(default_factory=dict)


@dataclass
class Seen:
    """What a caller saw."""

    status: int = 0  # 0: no answer
    body: bytes = b""
    seconds: float = 0.0
    retry_after: str = ""
    broke: str = ""  # the error's kind, where the answer broke off

    @property
    def document(self) -> dict[str, Any]:
        """The answer's JSON, {} where it is none."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def in_shape(self) -> bool:
        """Whether it is an error as the official SDKs expect one."""
        return isinstance(self.document.get("error"), dict)

    @property
    def whole(self) -> bool:
        """Whether all of the words are there."""
        return self.status == http.client.OK and "".join(WORDS).encode() in self.body


def drill(process: GatewayProcess, route: str | None, run: str) -> dict[str, Any]:
    """Run every case with the settings of a route (None: the first) as estate.yaml has them now, and keep the record. Gives what was seen.

    Errors: `Failed` `gateway.start` where the scratch gateway does not start; those of `estate.load`.
    """
    began = time.monotonic()
    settings = settings_of(process, route)
    folder = process.project / DRILLS / f"scratch-{secrets.token_hex(4)}"
    folder.mkdir(parents=True, mode=0o700)
    try:
        with FaultUpstream() as upstream:
            cases = _Drill(folder, upstream, settings).run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    record = {"at": clock.stamp(), "run": run, "seconds": round(time.monotonic() - began, 1), "settings": settings,
              "held": sum(case.held for case in cases), "cases": [asdict(case) for case in cases],
              "shortened": {"first_byte_seconds": SHORT_FIRST_BYTE_SECONDS, "deadline_seconds": SHORT_DEADLINE_SECONDS}}  # fmt: skip
    replace_file(_place(process, settings), json.dumps(record).encode(), 0o644)
    return {"cases": len(cases), "held": record["held"], **{f"{c.case} ({c.protocol})": c.saw for c in cases}}


def record_of(process: GatewayProcess, route: str | None) -> dict[str, Any] | None:
    """The record of the last drill with the settings as they are now; None where there was none."""
    place = _place(process, settings_of(process, route))
    return json.loads(place.read_text(encoding="utf-8")) if place.exists() else None


def forget(process: GatewayProcess, run: str) -> dict[str, Any]:
    """Remove the records that a run made; quiet where there are none."""
    for place in (process.project / DRILLS).glob("*.json"):
        if json.loads(place.read_text(encoding="utf-8")).get("run") == run:
            place.unlink()
    return {}


def settings_of(process: GatewayProcess, route: str | None) -> dict[str, Any]:
    """What a drill rests on: {route, breaker, protocols}, as estate.yaml has them now, defaults written out."""
    estate = estates.load(process.project / ESTATE_FILE)
    gateway = estate.gateway or GatewaySettings()
    models = gateway.models
    chosen = models.get(route) if route else next(iter(models.values()), None)
    kinds = {entry.kind for entry in estate.systems.values() if entry.kind in PATHS}
    fields = chosen.model_dump(mode="json", exclude={"targets"}) if chosen else {}
    return {
        "route": fields,
        "breaker": gateway.breaker.model_dump(mode="json"),
        "protocols": sorted(kinds) or sorted(PATHS),
    }


def _place(process: GatewayProcess, settings: dict[str, Any]) -> Path:
    return process.project / DRILLS / f"{fingerprint([VERSION, settings])[:24]}.json"


class _Drill:
    """One drill: a scratch gateway, its key, and the cases."""

    def __init__(self, folder: Path, upstream: FaultUpstream, settings: dict[str, Any]) -> None:
        self._upstream = upstream
        self._settings = settings
        self._protocols: list[str] = settings["protocols"]
        self._folder = folder
        self._gateway = GatewayProcess(folder)
        self._key = f"dr-{'drill'.ljust(12, '0')}-{secrets.token_urlsafe(32)}"
        self._address = ("", 0)
        self._cases: list[Case] = []

    def run(self) -> list[Case]:
        """Every case, one after another."""
        self._lay_out()
        self._gateway.start()
        host, port = self._gateway.state()["address"]
        self._address = (host, port)
        try:
            for protocol in self._protocols:
                for case in CASES:
                    case(self, protocol)
        finally:
            self._gateway.stop()
        return self._cases

    @property
    def failures(self) -> int:
        """Failures in a row after which a target is left alone, as the project has it."""
        return int(self._settings["breaker"].get("failures", 5))

    @property
    def retries(self) -> int:
        """Further attempts on one target, as the project has them."""
        return int(self._settings["route"].get("retries", 2))

    # -- the scratch project -------------------------------------------------------------------------------------------------------

    def _lay_out(self) -> None:
        estate = self._estate()
        systems = estate["systems"]
        (self._folder / "estate.yaml").write_text(json.dumps(estate), encoding="utf-8")
        for name in systems:
            (self._folder / f"{name}.key").write_text(f"sk-{name}", encoding="ascii")
        (self._folder / STATE_FOLDER).mkdir()
        store = GatewayStore.open(self._folder / STATE_FOLDER / "gateway.sqlite")
        digest = hashlib.sha256(self._key.encode()).digest()
        with closing(store):
            store.add_virtual_key(StoredVirtualKey(id=self._key[3:15], digest=digest, name="drill"))

    def _estate(self) -> dict[str, Any]:
        systems: dict[str, Any] = {}
        routes: dict[str, Any] = {}
        away = _closed_port()
        for protocol in self._protocols:
            for name, port in (("bad", self._upstream.port), ("good", self._upstream.port), ("away", away)):
                systems[f"{name}-{protocol}"] = _provider(f"{name}-{protocol}", protocol, port)
            for route, targets in ROUTES.items():
                named = [f"{name}-{protocol}/{model}" for name, model in targets]
                routes[f"{route}-{protocol}"] = {**self._route, **OWN.get(route, {}), "targets": named}
        dear = {
            f"good-{protocol}/dear": {"input": 1e6, "output": 1e6} for protocol in self._protocols
        }  # a dollar a token
        budgets = {
            f"{protocol}": {"usd": 0.01, "model": f"budget-{protocol}"} for protocol in self._protocols
        }
        gateway = {
            "listen": "127.0.0.1:0",
            "models": routes,
            "prices": dear,
            "budgets": budgets,
            "breaker": self._settings["breaker"],
        }
        return {"version": 1, "systems": systems, "gateway": gateway}

    @property
    def _route(self) -> dict[str, Any]:
        """A route's settings as the project has them, without what would keep a drill from ending, and without its limits."""
        left_out = ("targets", "requests_per_minute", "tokens_per_minute", "cache_seconds", "hedge_after_ms")
        carried = {key: value for key, value in self._settings["route"].items() if key not in left_out}
        deadline = min(float(carried.get("deadline_seconds", SHORT_DEADLINE_SECONDS)), SHORT_DEADLINE_SECONDS)
        return {**carried, "deadline_seconds": deadline, "cache_seconds": 0}

    # -- asking --------------------------------------------------------------------------------------------------------------------

    def ask(self, protocol: str, route: str, *, stream: bool = False, key: str = "", word: str = "") -> Seen:
        """Ask the scratch gateway as an application would, each time something else; with `word` something equal."""
        said = word or secrets.token_hex(8)
        body = {"model": f"{route}-{protocol}", "max_tokens": 16, "temperature": 0, "stream": stream,
                "messages": [{"role": "user", "content": f"Count to five. {said}"}]}  # fmt: skip
        return self.send(protocol, json.dumps(body).encode(), key or self._key)

    def send(self, protocol: str, body: bytes, key: str = "") -> Seen:
        """Send these bytes."""
        shown = {
            "authorization": f"Bearer {key or self._key}",
            "content-type": "application/json",
            "connection": "close",
        }
        connection = http.client.HTTPConnection(*self._address, timeout=MOST_SECONDS)
        seen, began = Seen(), time.monotonic()
        with closing(connection):
            try:
                connection.request("POST", PATHS[protocol], body, shown)
                answer = connection.getresponse()
                seen.status, seen.retry_after = answer.status, answer.getheader("retry-after", "")
                seen.body = answer.read()
            except http.client.IncompleteRead as error:
                seen.body, seen.broke = error.partial, "IncompleteRead"
            except (OSError, http.client.HTTPException) as error:
                seen.broke = type(error).__name__
        seen.seconds = time.monotonic() - began
        return seen

    def note(self, case: Case, seen: Seen, *, held: bool, **figures: float) -> None:
        """Take a case into the record, with what was seen of it."""
        case.held = held
        code = seen.document.get("error", {}).get("code") if seen.in_shape else ""
        broke = f", broke off ({seen.broke})" if seen.broke else ""
        case.saw = f"status {seen.status}{f' {code}' if code else ''} after {seen.seconds:.2f} s{broke}"
        case.figures = {"status": seen.status, "seconds": round(seen.seconds, 3), **figures}
        self._cases.append(case)

    def asked(self, protocol: str, model: str) -> tuple[float, ...]:
        """When the provider was asked for a model."""
        return self._upstream.asked(protocol, model)

    def counted(self, status: str, model: str) -> int:
        """How many rows of usage have that status, for a name asked for. Written in batches: they are waited for."""
        sql = "SELECT count(*) AS rows, coalesce(sum(output), 0) AS output FROM usage WHERE status = :status AND asked_model = :model"
        deadline = time.monotonic() + SOON_SECONDS
        with closing(GatewayStore.open(self._folder / STATE_FOLDER / "gateway.sqlite")) as store:
            while True:
                with store.reading() as t:
                    row = t.rows(sql, status=status, model=model)[0]
                if row["rows"] or time.monotonic() > deadline:
                    return int(row["rows"]) if row["output"] else 0
                time.sleep(0.05)


ROUTES: Final[dict[str, tuple[tuple[str, str], ...]]] = {  # by case: the provider and the fault, in order
    "throttled": (("bad", "throttle-once"),),
    "throttled-long": (("bad", "throttle-long"),),
    "error-once": (("bad", "error-once"),),
    "error": (("bad", "error"), ("good", "well")),
    "refused": (("bad", "refuse"), ("good", "well")),
    "slow": (("bad", "slow"), ("good", "well")),
    "cut-before": (("bad", "cut-before"), ("good", "well")),
    "cut-after": (("bad", "cut-after"), ("good", "well")),
    "garbage": (("bad", "garbage"), ("good", "well")),
    "away": (("away", "well"), ("good", "well")),
    "limited": (("good", "well"),),
    "budget": (("good", "dear"),),
    "cached": (("good", "kept"),),
}
OWN: Final[dict[str, dict[str, Any]]] = {  # what a case needs of its route, beside what the project's has
    "limited": {"requests_per_minute": LIMIT, "queue_seconds": 0},
    "budget": {"queue_seconds": 0},
    "cached": {"cache_seconds": 60},
}


def _provider(name: str, protocol: str, port: int) -> dict[str, Any]:
    version = "/v1" if protocol == "openai" else ""
    common = {
        "kind": protocol,
        "base_url": f"http://127.0.0.1:{port}{version}",
        "first_byte_seconds": SHORT_FIRST_BYTE_SECONDS,
    }
    return {**common, "keys": [f"file:{name}.key"]}


def _closed_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


# -- the cases ---------------------------------------------------------------------------------------------------------------------


def _throttled(drill: _Drill, protocol: str) -> None:
    seen = drill.ask(protocol, "throttled")
    times = drill.asked(protocol, "throttle-once")
    pause = times[-1] - times[0] if len(times) > 1 else 0.0
    if drill.retries:
        expected, held = (
            "waited for as long as it says, then answered",
            seen.whole and pause >= RETRY_AFTER_SECONDS * 0.95,
        )
    else:
        expected, held = (
            "passed on with Retry-After: no retries are set",
            seen.status == TOO_MANY and bool(seen.retry_after),
        )
    case = Case("throttled", protocol, f"429 with Retry-After: {RETRY_AFTER_SECONDS}", expected)
    drill.note(case, seen, held=held, attempts=len(times), pause_seconds=round(pause, 3))


def _throttled_long(drill: _Drill, protocol: str) -> None:
    seen = drill.ask(protocol, "throttled-long")
    case = Case(
        "throttled-long",
        protocol,
        "429 with Retry-After: an hour",
        "passed on at once, with Retry-After, in the protocol's shape",
    )
    held = (
        seen.status == TOO_MANY and seen.in_shape and bool(seen.retry_after) and seen.seconds < SOON_SECONDS
    )
    drill.note(case, seen, held=held, attempts=len(drill.asked(protocol, "throttle-long")))


def _error_once(drill: _Drill, protocol: str) -> None:
    seen = drill.ask(protocol, "error-once")
    attempts = len(drill.asked(protocol, "error-once"))
    if drill.retries:
        expected, held = "tried again, then answered", seen.whole and attempts == 2  # noqa: PLR2004 - the one that failed and the next
    else:
        expected, held = "passed on: no retries are set", seen.status >= SERVER_ERROR and seen.in_shape
    drill.note(Case("error-once", protocol, "status 500 once", expected), seen, held=held, attempts=attempts)


def _error(drill: _Drill, protocol: str) -> None:
    seen = drill.ask(protocol, "error")
    case = Case("error", protocol, "status 500 each time", "the next target answers")
    drill.note(case, seen, held=seen.whole, attempts=len(drill.asked(protocol, "error")))


def _breaker(drill: _Drill, protocol: str) -> None:
    """After enough failures the target is not asked at all; every caller was answered by the next one."""
    wanted = int(drill.failures) + AWAY
    seen = [drill.ask(protocol, "error") for _ in range(wanted)]
    before = len(drill.asked(protocol, "error"))
    last = [drill.ask(protocol, "error") for _ in range(AWAY)]
    asked = len(drill.asked(protocol, "error")) - before
    case = Case(
        "breaker",
        protocol,
        f"status 500, {wanted + AWAY} requests",
        "all are answered by the next target; the broken one is left alone",
    )
    figures = {"asked_while_open": asked, "ms_while_open": round(min(one.seconds for one in last) * 1000, 2)}
    drill.note(case, last[-1], held=all(one.whole for one in (*seen, *last)) and asked == 0, **figures)


def _refused(drill: _Drill, protocol: str) -> None:
    seen = drill.ask(protocol, "refused")
    case = Case(
        "refused", protocol, "status 400", "passed on as the provider said it, and sent to nobody else"
    )
    attempts = len(drill.asked(protocol, "refuse"))
    drill.note(
        case,
        seen,
        held=seen.status == http.client.BAD_REQUEST and seen.in_shape and attempts == 1,
        attempts=attempts,
    )


def _slow(drill: _Drill, protocol: str) -> None:
    seen = drill.ask(protocol, "slow")
    case = Case(
        "slow", protocol, f"no first byte within {SHORT_FIRST_BYTE_SECONDS} s", "the next target answers"
    )
    drill.note(case, seen, held=seen.whole, attempts=len(drill.asked(protocol, "slow")))


def _cut_before(drill: _Drill, protocol: str) -> None:
    seen = drill.ask(protocol, "cut-before", stream=True)
    case = Case(
        "cut-before",
        protocol,
        "a stream that breaks before its first token",
        "the next target's stream, whole to its end",
    )
    drill.note(case, seen, held=_streamed(seen) and END[protocol] in seen.body)


def _cut_after(drill: _Drill, protocol: str) -> None:
    seen = drill.ask(protocol, "cut-after", stream=True)
    rows = drill.counted("broken", f"cut-after-{protocol}")
    case = Case(
        "cut-after",
        protocol,
        "a stream that breaks after two tokens",
        "an error event ends it, no end that looks whole; its tokens are counted",
    )
    held = seen.status == http.client.OK and ERROR[protocol] in seen.body and END[protocol] not in seen.body
    drill.note(case, seen, held=held and rows == 1, usage_rows=rows)


def _garbage(drill: _Drill, protocol: str) -> None:
    case = Case("garbage", protocol, "an answer that is no HTTP", "the next target answers")
    seen = drill.ask(protocol, "garbage")
    drill.note(case, seen, held=seen.whole)


def _away(drill: _Drill, protocol: str) -> None:
    seen = [drill.ask(protocol, "away") for _ in range(AWAY)]
    case = Case("away", protocol, f"nothing listens, {AWAY} requests", "the next target answers each")
    drill.note(
        case,
        seen[-1],
        held=all(one.whole for one in seen),
        ms_least=round(min(one.seconds for one in seen) * 1000, 2),
    )


def _wrong_key(drill: _Drill, protocol: str) -> None:
    seen = drill.ask(protocol, "away", key="dr-nobodysknown-key")
    case = Case("wrong-key", protocol, "a key that nobody issued", "401 in the protocol's shape")
    drill.note(case, seen, held=seen.status == http.client.UNAUTHORIZED and seen.in_shape)


def _no_json(drill: _Drill, protocol: str) -> None:
    seen = drill.send(protocol, b'{"model": ')
    case = Case("no-json", protocol, "a body that is no JSON", "400 in the protocol's shape")
    drill.note(case, seen, held=seen.status == http.client.BAD_REQUEST and seen.in_shape)


def _limited(drill: _Drill, protocol: str) -> None:
    seen = [drill.ask(protocol, "limited") for _ in range(LIMIT + 1)]
    case = Case(
        "limited",
        protocol,
        f"{LIMIT + 1} requests where {LIMIT} a minute may pass",
        "the last is refused with 429 and Retry-After, unsent",
    )
    held = (
        all(one.whole for one in seen[:-1])
        and seen[-1].status == TOO_MANY
        and seen[-1].in_shape
        and bool(seen[-1].retry_after)
    )
    drill.note(case, seen[-1], held=held)


def _budget(drill: _Drill, protocol: str) -> None:
    seen = [drill.ask(protocol, "budget") for _ in range(2)]
    case = Case(
        "budget",
        protocol,
        "a second request when the budget is used up",
        "it is refused before it is sent, in the protocol's shape",
    )
    held = (
        seen[0].whole and not seen[1].whole and seen[1].in_shape and len(drill.asked(protocol, "dear")) == 1
    )
    drill.note(case, seen[-1], held=held)


def _cached(drill: _Drill, protocol: str) -> None:
    seen = [drill.ask(protocol, "cached", word="the same") for _ in range(2)]
    asked = len(drill.asked(protocol, "kept"))
    case = Case("cached", protocol, "an equal question twice", "the second is answered without the provider")
    drill.note(
        case,
        seen[-1],
        held=all(one.whole for one in seen) and asked == 1,
        asked=asked,
        ms=round(seen[-1].seconds * 1000, 2),
    )


def _streamed(seen: Seen) -> bool:
    return (
        seen.status == http.client.OK
        and not seen.broke
        and all(word.strip().encode() in seen.body for word in WORDS)
    )


CASES: Final[tuple[Callable[[_Drill, str], None], ...]] = (
    _throttled, _throttled_long, _error_once, _error, _breaker, _refused, _slow, _cut_before, _cut_after, _garbage, _away,
    _wrong_key, _no_json, _limited, _budget, _cached,
)  # fmt: skip
NAMES: Final = ("throttled", "throttled-long", "error-once", "error", "breaker", "refused", "slow", "cut-before", "cut-after", "garbage",
                "away", "wrong-key", "no-json", "limited", "budget", "cached")  # fmt: skip
