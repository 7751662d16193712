"""Counters and histograms of what passes through, as Prometheus reads them (text format 0.0.4).

Names follow OpenTelemetry's GenAI conventions where those have one (https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/),
with their bucket boundaries; the gateway's own begin with `datareeve_gateway_`. `observe` is called once a request, on its path: it finds
the series of that kind of request in one dictionary and adds integers. Text is made only when somebody asks.

Labels are bounded. A model's name comes from whoever asks, so it becomes a label only where something was sent or answered, and of names
beyond the first few hundred all are told as `other`. No id, no path with an id in it, no text of a request becomes a label.
"""

from __future__ import annotations

import json
import os
import time
from bisect import bisect_left
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from datareeve.systems.gateway_process import METRICS_FOLDER, PROCESS_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from datareeve.capabilities.ai.gateway.usage import UsageRow

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
PREFIX: Final = "datareeve_gateway_"
OTHER: Final = "other"
MOST_NAMES = 200  # of models, of keys, of teams: further ones are told as `other`
MOST_KINDS = 4000  # of requests that are found in one look-up; further ones cost a few microseconds more
MOST_SERIES = 2000  # of a family: the names above, combined
LONGEST_NAME = 200  # characters
STALE_SECONDS = 10.0  # a sibling process that has not written for so long is gone

# https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/ gives these boundaries.
SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
FIRST_SECONDS = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
TOKENS = tuple(4**power for power in range(14))
_SECONDS_MS = tuple(bound * 1000 for bound in SECONDS)
_FIRST_MS = tuple(bound * 1000 for bound in FIRST_SECONDS)

_OPERATIONS = {  # gen_ai.operation.name, by the path's end
    "/chat/completions": "chat",
    "/messages": "chat",
    "/responses": "chat",
    "/completions": "text_completion",
    "/embeddings": "embeddings",
    "/messages/count_tokens": "count_tokens",
    "/models": "list_models",
    "/moderations": "moderation",
    "/batches": "batch",
    "/messages/batches": "batch",
    "/files": "file",
}
_PREFIXES = (("/messages/batches/", "batch"), ("/batches/", "batch"), ("/files/", "file"), ("/models/", "list_models"),
             ("/responses/", "chat"), ("/images/", "image"), ("/audio/", "audio"))  # fmt: skip


def operation_of(endpoint: str) -> str:
    """The convention's name of what a path does: 'chat' for /v1/chat/completions, /v1/messages and /v1/responses; never the path itself."""
    path = endpoint.removeprefix("/v1")
    named = _OPERATIONS.get(path)
    return named or next((name for prefix, name in _PREFIXES if path.startswith(prefix)), OTHER)


FAMILIES: Final[dict[str, tuple[str, str]]] = {
    "datareeve_gateway_requests_total": ("counter", "Requests that ended, by what became of them."),
    "datareeve_gateway_attempts_total": ("counter", "Requests sent to providers, further attempts included."),
    "datareeve_gateway_tokens_total": ("counter", "Tokens by kind; input and output include the other kinds."),
    "datareeve_gateway_cost_usd_total": ("counter", "What requests cost, in US dollars."),
    "datareeve_gateway_saved_usd_total": ("counter", "What requests answered from the cache would have cost."),
    "datareeve_gateway_cached_total": ("counter", "Requests answered from the gateway's cache."),
    "datareeve_gateway_estimated_total": ("counter", "Requests whose tokens the provider did not say."),
    "datareeve_gateway_unpriced_total": ("counter", "Requests that used tokens of a model without a price."),
    "datareeve_gateway_key_requests_total": ("counter", "Requests by virtual key."),
    "datareeve_gateway_key_tokens_total": ("counter", "Input and output tokens by virtual key."),
    "datareeve_gateway_key_cost_usd_total": ("counter", "US dollars by virtual key."),
    "gen_ai_server_request_duration_seconds": ("histogram", "From a request's first byte to its answer's last."),
    "gen_ai_server_time_to_first_token_seconds": ("histogram", "To the first token, or an answer's first byte."),
    "gen_ai_client_token_usage": ("histogram", "Tokens of a request, as the provider counted them."),
}  # fmt: skip


SeriesT = TypeVar("SeriesT")


class _Histogram:
    """Counts by bucket, not yet summed up. The last bucket has no bound."""

    __slots__ = ("counts", "total")

    def __init__(self, bounds: int) -> None:
        self.counts = [0] * (bounds + 1)
        self.total: float = 0


class _Times:
    """Durations and tokens of one operation, provider and model."""

    __slots__ = ("first", "input", "labels", "output", "whole")

    def __init__(self, labels: str) -> None:
        self.labels = labels
        self.whole = _Histogram(len(SECONDS))
        self.first = _Histogram(len(FIRST_SECONDS))
        self.input = _Histogram(len(TOKENS))
        self.output = _Histogram(len(TOKENS))


class _Kind:
    """What is counted of one kind of request."""

    __slots__ = ("attempts", "cached", "cost", "estimated", "labels", "requests", "saved", "status", "times", "tokens", "unpriced")  # fmt: skip

    def __init__(self, labels: str, status: str, times: _Times, tokens: _Spent) -> None:
        self.labels = labels
        self.status = status
        self.times = times
        self.tokens = tokens
        self.requests = self.attempts = self.cached = self.estimated = self.unpriced = 0
        self.cost = self.saved = 0  # micro-dollars


class _Spent:
    """Tokens by kind of one provider and model."""

    __slots__ = ("cache_read", "cache_write", "input", "labels", "output", "reasoning")

    def __init__(self, labels: str) -> None:
        self.labels = labels
        self.input = self.output = self.cache_read = self.cache_write = self.reasoning = 0


class _Key:
    """What one virtual key used."""

    __slots__ = ("cost", "labels", "requests", "tokens")

    def __init__(self, labels: str) -> None:
        self.labels = labels
        self.requests = self.tokens = self.cost = 0


class _Names:
    """The first names of a kind keep theirs, further ones are `other`: a stranger cannot make series without end."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: set[str] = set()

    def __call__(self, name: str) -> str:
        if name in self._known:
            return name
        if len(self._known) >= MOST_NAMES or len(name) > LONGEST_NAME:
            return OTHER
        self._known.add(name)
        return name


class Metrics:
    """What one gateway process counted. `process`: its number among its siblings, who share `folder`; one alone needs none."""

    def __init__(self, *, process: int = 0, folder: Path | None = None) -> None:
        self.started_at = time.time()
        self._process = process
        self._folder = folder
        self._kinds: dict[tuple[object, ...], _Kind] = {}  # by the row's own words
        self._bounded: dict[str, _Kind] = {}  # by labels
        self._times: dict[str, _Times] = {}
        self._spent: dict[str, _Spent] = {}
        self._keys: dict[tuple[str, str], _Key] = {}
        self._told_keys: dict[str, _Key] = {}
        self._models, self._served, self._key_names, self._teams = _Names(), _Names(), _Names(), _Names()
        self._codes = _Names()
        self._gauges: dict[str, dict[str, float | Callable[[], float]]] = {}
        self._counters: dict[str, dict[str, float]] = {}
        self._help: dict[str, str] = {}

    @classmethod
    def of_this_process(cls, project: Path) -> Metrics:
        """As the supervisor started it: its number among its siblings is in the environment; alone, it shares nothing."""
        number = os.environ.get(PROCESS_VARIABLE)
        if number is None or not number.isdigit():
            return cls()
        return cls(process=int(number), folder=project / METRICS_FOLDER)

    # -- on the path ---------------------------------------------------------------------------------------------------------------

    def observe(self, row: UsageRow) -> None:
        """Count one ended request. About 2 µs; nothing is formatted, written or allocated but for a new kind of request."""
        key = (row.endpoint, row.asked_model, row.provider, row.model, row.status, row.http_status, row.error)
        kind = self._kinds.get(key) or self._kind(key, row)
        kind.requests += 1
        kind.attempts += row.attempts
        kind.cost += row.cost_microusd
        times = kind.times
        total = row.total_ms
        whole = times.whole
        whole.counts[bisect_left(_SECONDS_MS, total)] += 1
        whole.total += total
        first = row.first_ms
        if first is not None:
            times.first.counts[bisect_left(_FIRST_MS, first)] += 1
            times.first.total += first
        if row.cached:
            kind.cached += 1
            kind.saved += row.saved_microusd
        elif row.tokens.input or row.tokens.output:
            self._count_tokens(kind, row)
        holder = self._keys.get((row.virtual_key, row.key_name)) or self._key(row)
        holder.requests += 1
        holder.cost += row.cost_microusd

    def _count_tokens(self, kind: _Kind, row: UsageRow) -> None:
        tokens, spent, times = row.tokens, kind.tokens, kind.times
        asked, given = tokens.input, tokens.output
        if row.estimated:
            kind.estimated += 1
        if not row.price_version:
            kind.unpriced += 1
        spent.input += asked
        spent.output += given
        if tokens.cache_read or tokens.cache_write or tokens.cache_write_1h or tokens.reasoning:
            spent.cache_read += tokens.cache_read
            spent.cache_write += tokens.cache_write + tokens.cache_write_1h
            spent.reasoning += tokens.reasoning
        # Bounds are powers of four, so the bucket is half of the length in bits.
        last = len(TOKENS)
        times.input.counts[min(((asked - 1).bit_length() + 1) >> 1, last) if asked > 1 else 0] += 1
        times.input.total += asked
        times.output.counts[min(((given - 1).bit_length() + 1) >> 1, last) if given > 1 else 0] += 1
        times.output.total += given
        (self._keys.get((row.virtual_key, row.key_name)) or self._key(row)).tokens += asked + given

    # -- what others count or measure ------------------------------------------------------------------------------------------------

    def gauge(
        self, name: str, value: float | Callable[[], float], /, help_text: str = "", **labels: str
    ) -> None:
        """Set a gauge, or give a function that is asked when the metrics are read. `name` without the prefix: 'in_flight'."""
        self._gauges.setdefault(_own(name), {})[_labels(labels.items())] = value
        self._describe(_own(name), "gauge", help_text)

    def forget(self, name: str, /, **labels: str) -> None:
        """Take a gauge out, quietly where there is none: a retired key, a model that is gone."""
        self._gauges.get(_own(name), {}).pop(_labels(labels.items()), None)

    def count(self, name: str, amount: float = 1, /, help_text: str = "", **labels: str) -> None:
        """Add to a counter of rare events: 'failovers_total', 'hedges_total', 'leases_without_store_total'. Not for every request."""
        series = self._counters.setdefault(_own(name), {})
        told = _labels(labels.items())
        if told not in series and len(series) >= MOST_NAMES:
            told = _labels((label, OTHER) for label in labels)
        series[told] = series.get(told, 0) + amount
        self._describe(_own(name), "counter", help_text)

    def count_refused(self, code: str) -> None:
        """A request that was refused before it became one: no key, no such path, too large."""
        self.count(
            "refused_total", 1, "Requests refused before they were read, by the error's code.", code=code
        )

    def _describe(self, name: str, kind: str, text: str) -> None:
        if name not in self._help or text:
            self._help[name] = f"{kind} {text}"

    # -- reading ---------------------------------------------------------------------------------------------------------------------

    def render(self) -> bytes:
        """Everything in Prometheus' text format, of this process and of its siblings, told apart by the label `process`."""
        families = dict(self._lines())
        for sibling in self.siblings():
            for name, (kind, text, lines) in sibling["families"].items():
                families[name] = (kind, text, [*families.get(name, (kind, text, []))[2], *lines])
        told = []
        for name, (kind, text, lines) in families.items():
            told += [f"# HELP {name} {text}", f"# TYPE {name} {kind}", *lines]
        return ("\n".join(told) + "\n").encode()

    def figures(self) -> dict[str, Any]:
        """The process since its start, as /status tells it: counts, tokens, micro-dollars, and latencies from the histograms' buckets."""
        kinds, times = list(self._bounded.values()), list(self._times.values())
        by_status: dict[str, int] = {}
        for kind in kinds:
            by_status[kind.status] = by_status.get(kind.status, 0) + kind.requests
        return {
            "since": self.started_at,
            "requests": sum(by_status.values()),
            "by_status": by_status,
            "attempts": sum(kind.attempts for kind in kinds),
            "cached": sum(kind.cached for kind in kinds),
            "estimated": sum(kind.estimated for kind in kinds),
            "unpriced": sum(kind.unpriced for kind in kinds),
            "cost_microusd": sum(kind.cost for kind in kinds),
            "saved_microusd": sum(kind.saved for kind in kinds),
            "input_tokens": sum(spent.input for spent in self._spent.values()),
            "output_tokens": sum(spent.output for spent in self._spent.values()),
            "total_ms_buckets": _added([series.whole.counts for series in times], len(SECONDS) + 1),
            "first_ms_buckets": _added([series.first.counts for series in times], len(FIRST_SECONDS) + 1),
            **{name: _now(values) for name, values in self._gauges.items()},
            **{name: sum(values.values()) for name, values in self._counters.items()},
        }

    # -- siblings --------------------------------------------------------------------------------------------------------------------

    @property
    def has_siblings(self) -> bool:
        """Whether other processes of this gateway tell of this one."""
        return self._folder is not None

    def snapshot(self, about: dict[str, Any] | None = None) -> bytes:
        """What the siblings need to tell of this process, b'' where it has none. `about`: what it works by. Made on the loop, once a second."""
        if self._folder is None:
            return b""
        told = {"process": self._process, "pid": os.getpid(), "at": time.time(), "about": about or {},
                "figures": self.figures(), "families": dict(self._lines())}  # fmt: skip
        return json.dumps(told).encode()

    def spill(self, snapshot: bytes) -> None:
        """Write a snapshot where the siblings find it: in a thread. Where it cannot be written nothing is raised: requests go on."""
        if self._folder is None or not snapshot:
            return
        place = self._folder / f"process-{self._process}.json"
        partial = place.with_suffix(".new")
        with suppress(OSError):
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_bytes(snapshot)
            partial.replace(place)

    def siblings(self) -> list[dict[str, Any]]:
        """What the other processes of this gateway wrote last; those that stopped writing are left out."""
        if self._folder is None:
            return []
        found = (_read(path) for path in sorted(self._folder.glob("process-*.json")))
        fresh = time.time() - STALE_SECONDS
        return [one for one in found if one and one["process"] != self._process and one["at"] >= fresh]

    # -- series of a kind of request, made when the first comes ----------------------------------------------------------------------

    def _kind(self, key: tuple[object, ...], row: UsageRow) -> _Kind:
        sent = bool(row.provider) or row.cached
        operation = operation_of(row.endpoint)
        full = len(self._bounded) >= MOST_SERIES
        asked = (OTHER if full else self._models(row.asked_model)) if sent else ""
        model = (OTHER if full else self._served(row.model)) if sent else ""
        common = (
            ("gen_ai_operation_name", operation),
            ("gen_ai_provider_name", row.provider),
            ("gen_ai_request_model", asked),
        )
        told = (
            ("gen_ai_response_model", model),
            ("status", row.status),
            ("http_status", str(row.http_status)),
        )
        labels = self._labelled((*common, *told, ("error_type", self._codes(row.error) if row.error else "")))
        kind = self._bounded.get(labels)
        if kind is None:
            spent = self._labelled((("gen_ai_provider_name", row.provider), ("gen_ai_response_model", model)))
            kind = self._bounded[labels] = _Kind(
                labels,
                row.status,
                _made(self._times, self._labelled(common), _Times),
                _made(self._spent, spent, _Spent),
            )
        if len(self._kinds) < MOST_KINDS and len(row.asked_model) <= LONGEST_NAME:
            self._kinds[key] = kind
        return kind

    def _key(self, row: UsageRow) -> _Key:
        if not row.virtual_key:
            name = team = ""  # none was recognised: what was shown instead is nobody's name
        else:
            name, team = self._key_names(row.key_name), self._teams(row.team)
        found = _made(self._told_keys, self._labelled((("key", name), ("team", team))), _Key)
        if len(self._keys) < MOST_KINDS:
            self._keys[row.virtual_key, row.key_name] = found
        return found

    def _labelled(self, pairs: Iterable[tuple[str, str]]) -> str:
        return _labels((*pairs, ("process", str(self._process))))

    # -- text ------------------------------------------------------------------------------------------------------------------------

    def _lines(self) -> Iterator[tuple[str, tuple[str, str, list[str]]]]:
        """Each family with its type, its help and its sample lines."""
        made = {name: list(lines) for name, lines in self._samples().items()}
        for name, (kind, text) in FAMILIES.items():
            if made.get(name):
                yield name, (kind, text, made[name])
        own = _labels((("process", str(self._process)),))
        others: list[tuple[str, Mapping[str, float | Callable[[], float]]]] = [
            *self._gauges.items(),
            *self._counters.items(),
        ]
        for name, series in others:
            kind, _, text = self._help[name].partition(" ")
            lines = [
                f"{name}{_with(labels, own)} {_number(_value(value))}" for labels, value in series.items()
            ]
            yield name, (kind, text or name.replace("_", " "), lines)
        yield "datareeve_gateway_start_time_seconds", (
            "gauge", "When the process started, in Unix seconds.", [f"datareeve_gateway_start_time_seconds{own} {self.started_at:.3f}"],
        )  # fmt: skip

    def _samples(self) -> dict[str, Iterator[str]]:
        kinds, keys = list(self._bounded.values()), list(self._told_keys.values())
        dollars = ("cost", "saved")
        counters = {name: f"datareeve_gateway_{name}{'_usd' if name in dollars else ''}_total"
                    for name in ("requests", "attempts", "cached", "estimated", "unpriced", *dollars)}  # fmt: skip
        of_kinds = {
            family: _counted(family, kinds, name, always=name == "requests")
            for name, family in counters.items()
        }
        of_keys = {family: _counted(family, keys, name, always=True) for family, name in (
            ("datareeve_gateway_key_requests_total", "requests"),
            ("datareeve_gateway_key_tokens_total", "tokens"),
            ("datareeve_gateway_key_cost_usd_total", "cost"))}  # fmt: skip
        times = list(self._times.values())
        return {
            **of_kinds,
            **of_keys,
            "datareeve_gateway_tokens_total": _token_lines(list(self._spent.values())),
            "gen_ai_server_request_duration_seconds": _histograms("gen_ai_server_request_duration_seconds", times, "whole", SECONDS),
            "gen_ai_server_time_to_first_token_seconds": _histograms("gen_ai_server_time_to_first_token_seconds", times, "first", FIRST_SECONDS),
            "gen_ai_client_token_usage": _token_histograms(times),
        }  # fmt: skip


def quantile_ms(counts: list[int], bounds: tuple[float, ...], share: float) -> float | None:
    """A quantile from a histogram's buckets (not summed up), in milliseconds, linear within its bucket, as Prometheus' histogram_quantile.

    None where nothing was counted; in the last, open bucket its lower bound, which is the least it can be.
    """
    wanted, below = share * sum(counts), 0
    if not wanted:
        return None
    for place, count in enumerate(counts):
        if below + count >= wanted and count:
            if place == len(bounds):
                return bounds[-1] * 1000
            low = bounds[place - 1] if place else 0.0
            return (low + (bounds[place] - low) * (wanted - below) / count) * 1000
        below += count
    return bounds[-1] * 1000


def _own(name: str) -> str:
    return name if name.startswith(PREFIX) else f"{PREFIX}{name}"


def _made(series: dict[str, SeriesT], labels: str, kind: Callable[[str], SeriesT]) -> SeriesT:
    found = series.get(labels)
    if found is None:
        found = series[labels] = kind(labels)
    return found


def _labels(pairs: Iterable[tuple[str, str]]) -> str:
    told = ",".join(f'{name}="{_escaped(value)}"' for name, value in pairs)
    return f"{{{told}}}" if told else ""


def _escaped(value: str) -> str:
    """As the text format wants it; control characters, which it would pass on, are taken out."""
    plain = value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return plain if plain.isprintable() else "".join(sign for sign in plain if sign.isprintable())


def _with(labels: str, more: str) -> str:
    return f"{labels[:-1]},{more[1:]}" if labels else more


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _value(value: float | Callable[[], float]) -> float:
    return float(value() if callable(value) else value)


def _now(values: dict[str, float | Callable[[], float]]) -> float:
    return sum(_value(value) for value in values.values())


def _added(rows: list[list[int]], width: int) -> list[int]:
    return [sum(column) for column in zip(*rows, strict=True)] if rows else [0] * width


def _counted(family: str, series: list[Any], name: str, *, always: bool) -> Iterator[str]:
    scale = 1e-6 if family.endswith("_usd_total") else 1
    for one in series:
        value = getattr(one, name)
        if value or always:
            yield f"{family}{one.labels} {_number(round(value * scale, 6))}"


def _token_lines(series: list[_Spent]) -> Iterator[str]:
    for one in series:
        for kind in ("input", "output", "cache_read", "cache_write", "reasoning"):
            if value := getattr(one, kind):
                yield f"datareeve_gateway_tokens_total{_with(one.labels, _labels((('gen_ai_token_type', kind),)))} {value}"


def _histograms(family: str, series: list[_Times], name: str, bounds: tuple[float, ...]) -> Iterator[str]:
    for one in series:
        yield from _buckets(family, one.labels, getattr(one, name), bounds, scale=1e-3)


def _token_histograms(series: list[_Times]) -> Iterator[str]:
    for one in series:
        for kind in ("input", "output"):
            labels = _with(one.labels, _labels((("gen_ai_token_type", kind),)))
            yield from _buckets("gen_ai_client_token_usage", labels, getattr(one, kind), TOKENS, scale=1)


def _buckets(
    family: str, labels: str, histogram: _Histogram, bounds: tuple[float, ...], *, scale: float
) -> Iterator[str]:
    below = 0
    for bound, count in zip((*map(_number, bounds), "+Inf"), histogram.counts, strict=True):
        below += count
        yield f"{family}_bucket{_with(labels, _labels((('le', bound),)))} {below}"
    yield f"{family}_sum{labels} {_number(round(histogram.total * scale, 6))}"
    yield f"{family}_count{labels} {below}"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # it is being replaced, or its process was killed
    return found if isinstance(found, dict) and {"process", "at", "families"} <= found.keys() else None
