"""Usage rows as OpenTelemetry spans and metrics, by the GenAI conventions (https://opentelemetry.io/docs/specs/semconv/gen-ai/).

Made of rows that are in the store already, in the thread that moved them there: a request knows nothing of it. No prompt, no answer, no key
is in them, because none is in a row.
"""

from __future__ import annotations

import hashlib
from operator import itemgetter
from typing import TYPE_CHECKING

from datareeve.capabilities.ai.gateway.metrics import SECONDS, TOKENS, operation_of
from datareeve.systems.usage_table import COLUMNS, PLACE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datareeve.core.estate_gateway import GatewaySettings
    from datareeve.systems.otlp import Otlp, Span
    from datareeve.systems.usage_table import UsageTuple

NANOSECONDS = 1_000_000_000
MOST_SERIES = 2000  # of metrics' attributes: a model's name comes from whoever asks
DURATION, USAGE = "gen_ai.client.operation.duration", "gen_ai.client.token.usage"
TO_FIRST = "gen_ai.client.operation.time_to_first_chunk"
BOUNDS = {DURATION: SECONDS, TO_FIRST: SECONDS, USAGE: TOKENS}
MODELS, OTHERS = ("gen_ai.request.model", "gen_ai.response.model"), "_OTHER"
_TOTAL, _FIRST, _CACHED = PLACE["total_ms"], PLACE["first_ms"], PLACE["cached"]
_COUNTED = (("input", PLACE["input"]), ("output", PLACE["output"]))
_key = itemgetter(
    *(PLACE[name] for name in ("endpoint", "asked_model", "provider", "model", "error", "cached"))
)
UNITS = {DURATION: "s", TO_FIRST: "s", USAGE: "{token}"}


class Telemetry:
    """Told of every batch of rows that went into the store (an `Observer` of the mover). `sender` never makes the caller wait."""

    def __init__(self, sender: Otlp) -> None:
        self._sender = sender
        self._series: dict[tuple[object, ...], tuple[tuple[str, str], ...]] = {}

    @classmethod
    def of(cls, settings: GatewaySettings, instance: str) -> Telemetry | None:
        """As the estate asks for it, None where it does not."""
        if not settings.otlp:
            return None
        from datareeve.systems.otlp import Otlp  # noqa: PLC0415 - only where the estate has a collector

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
        series = self._bounded(row)
        record = self._sender.record
        record(DURATION, row[_TOTAL] / 1000, series)
        if row[_FIRST] is not None:
            record(TO_FIRST, row[_FIRST] / 1000, series)
        if not row[_CACHED]:
            for kind, place in _COUNTED:
                if row[place]:
                    record(USAGE, row[place], (*series, ("gen_ai.token.type", kind)))

    def _bounded(self, row: UsageTuple) -> tuple[tuple[str, str], ...]:
        """The attributes of a row's series, made once; of too many the models' names are given up."""
        key = _key(row)
        found = self._series.get(key)
        if found is None:
            common = _common(row)
            if len(self._series) >= MOST_SERIES:
                return tuple((name, OTHERS if name in MODELS else value) for name, value in common.items())
            found = self._series[key] = tuple(common.items())
        return found


def span_of(row: UsageTuple) -> Span:
    """One request as a client span: its times, what was asked, what answered, its tokens and its cost."""
    of = dict(zip(COLUMNS, row, strict=True))
    common = _common(row)
    start = int(of["at"] * NANOSECONDS)
    attributes = {
        **common,
        "gen_ai.request.stream": of["stream"],
        "gen_ai.usage.input_tokens": of["input"],
        "gen_ai.usage.output_tokens": of["output"],
        "gen_ai.usage.cache_read.input_tokens": of["cache_read"],
        "gen_ai.usage.cache_creation.input_tokens": of["cache_write"] + of["cache_write_1h"],
        "gen_ai.usage.reasoning.output_tokens": of["reasoning"],
        "http.response.status_code": of["http_status"],
        "datareeve.request.id": of["id"],
        "datareeve.key.name": of["key_name"],
        "datareeve.team": of["team"],
        "datareeve.status": of["status"],
        "datareeve.attempts": of["attempts"],
        "datareeve.cached": of["cached"],
        "datareeve.estimated": of["estimated"],
        "datareeve.cost_usd": of["cost_microusd"] / 1e6,
    }
    if of["first_ms"] is not None:
        attributes["gen_ai.response.time_to_first_chunk"] = of["first_ms"] / 1000
    return {
        "name": f"{common['gen_ai.operation.name']} {common.get('gen_ai.request.model', '')}".strip(),
        "trace": trace_of(of["id"]),
        "start": start,
        "end": start + int(of["total_ms"] * NANOSECONDS / 1000),
        "failed": of["status"] in ("error", "broken", "interrupted"),
        "attributes": attributes,
    }


def trace_of(request: str) -> str:
    """The trace id of a request, which whoever knows its id can find again: the first 128 bits of its SHA-256, in hexadecimal."""
    return hashlib.sha256(request.encode()).hexdigest()[:32]


def _common(row: UsageTuple) -> dict[str, str]:
    """What a span and its metrics share. A model that was asked for in vain is anybody's word, and is left out."""
    endpoint, asked, provider, model, error, cached = _key(row)
    found = {
        "gen_ai.operation.name": operation_of(endpoint),
        "gen_ai.provider.name": provider,
        "gen_ai.request.model": asked if provider or cached else "",
        "gen_ai.response.model": model,
        "error.type": error,
    }
    return {name: value for name, value in found.items() if value}
