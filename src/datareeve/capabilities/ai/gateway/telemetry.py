"""Usage rows as OpenTelemetry spans and metrics, by the GenAI conventions (https://opentelemetry.io/docs/specs/semconv/gen-ai/).

Made of rows that are in the store already, in the thread that moved them there: a request knows nothing of it. No prompt, no answer, no key
is in them, because none is in a row.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from datareeve.capabilities.ai.gateway.metrics import SECONDS, TOKENS, operation_of
from datareeve.systems.otlp import Otlp
from datareeve.systems.usage_table import PLACE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datareeve.core.estate_gateway import GatewaySettings
    from datareeve.systems.otlp import Span
    from datareeve.systems.usage_table import UsageTuple

NANOSECONDS = 1_000_000_000
MOST_SERIES = 2000  # of metrics' attributes: a model's name comes from whoever asks
DURATION, USAGE = "gen_ai.client.operation.duration", "gen_ai.client.token.usage"
TO_FIRST = "gen_ai.client.operation.time_to_first_chunk"
BOUNDS = {DURATION: SECONDS, TO_FIRST: SECONDS, USAGE: TOKENS}
UNITS = {DURATION: "s", TO_FIRST: "s", USAGE: "{token}"}


class Telemetry:
    """Told of every batch of rows that went into the store (an `Observer` of the mover). `sender` never makes the caller wait."""

    def __init__(self, sender: Otlp) -> None:
        self._sender = sender
        self._series: set[tuple[object, ...]] = set()

    @classmethod
    def of(cls, settings: GatewaySettings, instance: str) -> Telemetry | None:
        """As the estate asks for it, None where it does not. Errors: `BadInput` `otel.extra`."""
        if not settings.otlp:
            return None
        return cls(Otlp(settings.otlp, bounds=BOUNDS, units=UNITS, instance=instance))

    def close(self) -> None:
        """Send what is waiting. Waits up to some seconds for a collector that is away: not on the event loop."""
        self._sender.close()

    def __call__(self, rows: Sequence[UsageTuple]) -> None:
        """Give a batch on."""
        self._sender.offer([span_of(row) for row in rows])
        for row in rows:
            self._measure(row)

    def _measure(self, row: UsageTuple) -> None:
        attributes = self._bounded(_common(_reader(row)))
        seconds, first = row[PLACE["total_ms"]] / 1000, row[PLACE["first_ms"]]
        self._sender.record(DURATION, seconds, attributes)
        if first is not None:
            self._sender.record(TO_FIRST, first / 1000, attributes)
        for kind in ("input", "output"):
            if row[PLACE[kind]] and not row[PLACE["cached"]]:
                self._sender.record(USAGE, row[PLACE[kind]], {**attributes, "gen_ai.token.type": kind})

    def _bounded(self, attributes: dict[str, Any]) -> dict[str, Any]:
        key = tuple(attributes.items())
        if key in self._series or len(self._series) < MOST_SERIES:
            self._series.add(key)
            return attributes
        return {**attributes, "gen_ai.request.model": "_OTHER", "gen_ai.response.model": "_OTHER"}


def span_of(row: UsageTuple) -> Span:
    """One request as a client span: its times, what was asked, what answered, its tokens and its cost."""
    of = _reader(row)
    start = int(of("at") * NANOSECONDS)
    attributes = {
        **_common(of),
        "gen_ai.request.stream": of("stream"),
        "gen_ai.usage.input_tokens": of("input"),
        "gen_ai.usage.output_tokens": of("output"),
        "gen_ai.usage.cache_read.input_tokens": of("cache_read"),
        "gen_ai.usage.cache_creation.input_tokens": of("cache_write") + of("cache_write_1h"),
        "gen_ai.usage.reasoning.output_tokens": of("reasoning"),
        "http.response.status_code": of("http_status"),
        "datareeve.request.id": of("id"),
        "datareeve.key.name": of("key_name"),
        "datareeve.team": of("team"),
        "datareeve.status": of("status"),
        "datareeve.attempts": of("attempts"),
        "datareeve.cached": of("cached"),
        "datareeve.estimated": of("estimated"),
        "datareeve.cost_usd": of("cost_microusd") / 1e6,
    }
    if of("first_ms") is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = of("first_ms") / 1000
    return {
        "name": f"{attributes['gen_ai.operation.name']} {of('asked_model')}".strip(),
        "trace": _trace_of(of("id")),
        "start": start,
        "end": start + int(of("total_ms") * NANOSECONDS / 1000),
        "failed": of("status") in ("error", "broken", "interrupted"),
        "attributes": {name: value for name, value in attributes.items() if value != ""},
    }


def _common(of: Callable[[str], Any]) -> dict[str, Any]:
    """What a span and its metrics share."""
    found = {
        "gen_ai.operation.name": operation_of(of("endpoint")),
        "gen_ai.provider.name": of("provider"),
        "gen_ai.request.model": of("asked_model") if of("provider") or of("cached") else "",
        "gen_ai.response.model": of("model"),
        "error.type": of("error"),
    }
    return {name: value for name, value in found.items() if value}


def _reader(row: UsageTuple) -> Callable[[str], Any]:
    return lambda name: row[PLACE[name]]


def _trace_of(request: str) -> int:
    """A trace id that whoever knows the request id can find again: the first 128 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(request.encode()).digest()[:16]) or 1
