"""A stream on its way, with faults of our own in what reads it: whoever waits for it is told, always."""

import asyncio

import pytest

from datareeve.capabilities.ai.gateway.relay import Relay
from datareeve.systems.upstream import UpstreamError


class Call:
    """As much of a call as a relay uses."""

    deadline = 0.0
    last_at = 1.0

    def relay(self, on_data, on_end):
        self.on_data, self.on_end, self.ended = on_data, on_end, False

    def cancel(self):
        self.fail("upstream.cancelled")

    resume = cancel

    def fail(self, code):
        self.end(UpstreamError(code, sent=True))

    def end(self, error=None):
        if not self.ended:
            self.ended = True
            self.on_end(error)


class Scanner:
    """Reads well, but for where it is told to fall over."""

    tokens = None
    failed = ""
    complete = True
    began = False
    output_chars = 0

    def __init__(self, falls=()):
        self._falls = falls

    def feed(self, data):
        if "feed" in self._falls:
            raise TypeError("unhashable type")
        self.began = True
        return data

    def flush(self):
        if "flush" in self._falls:
            raise TypeError("unhashable type")
        return b""


class Exchange:
    held_back = False

    def __init__(self):
        self.sent = b""

    def start(self, status, headers, first):
        self.sent += first

    def write(self, data):
        self.sent += data


@pytest.mark.parametrize("falls", [("feed",), ("flush",), ("feed", "flush")])
def test_a_fault_in_what_reads_a_stream_ends_it_and_leaves_nobody_waiting(falls):
    async def main():
        call = Call()
        relay = Relay(call, Scanner(falls))
        call.on_data(b"data: {}\n\n")
        call.end()
        assert relay.ready.done()
        assert relay.done.done()
        assert relay.problem == "gateway.internal"
        assert isinstance(relay.fault, TypeError)

    asyncio.run(main())


def test_an_error_event_that_quotes_the_providers_key_does_not_tell_it():
    async def main():
        call, scanner, exchange = Call(), Scanner(), Exchange()
        relay = Relay(call, scanner)
        relay.secret = b"sk-provider"
        call.on_data(b"data: 1\n\n")
        relay.commit(exchange, 200, [])
        scanner.failed = "authentication_error"
        call.on_data(b'data: {"error":"sk-provider"}\n\n')
        assert exchange.sent == b'data: 1\n\ndata: {"error":"***"}\n\n'

    asyncio.run(main())
