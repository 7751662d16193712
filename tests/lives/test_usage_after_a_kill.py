"""A gateway is killed under load: its ledger against the provider's own count."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from contextlib import suppress

import ai_rig
import usage_rig
from ai_double import FaultDouble, ok
from datareeve.systems.gateway_store import GatewayStore

CLIENTS = 12
PROMISED_SECONDS = 0.25


def test_killed_under_load_the_ledger_differs_from_the_providers_count_by_the_last_quarter_of_a_second(
    tmp_path,
):
    with FaultDouble() as double, ai_rig.gateway(tmp_path, ai_rig.estate(double)) as gateway:
        key = gateway.issue()
        double.always(ok(delay=0.4), model="gpt-4o")  # some are under way for long
        before = len(double.matching())
        stop = threading.Event()
        clients = [threading.Thread(target=_ask, args=(gateway, key, n, stop)) for n in range(CLIENTS)]
        for client in clients:
            client.start()
        double.wait_until(lambda: _enough(double.matching()[before:]), 30)
        killed = time.monotonic()
        gateway.kill()
        stop.set()
        for client in clients:
            client.join()
        seen = list(double.matching())[before:]
        rows = _rows_after_the_next_start(gateway)
    old = [s for s in seen if s.at < killed - PROMISED_SECONDS]
    status = Counter(r["status"] for r in rows)
    assert len(old) <= len(rows) <= len(seen) + CLIENTS
    assert status["interrupted"] > 0
    assert set(status) <= {"ok", "interrupted"}
    assert len({r["id"] for r in rows}) == len(rows)
    # What was paid for at least 250 ms before is there to the token, and nothing that the provider did not bill.
    quick = [s for s in old if s.model == "gpt-4.1" and s.at < killed - 2 * PROMISED_SECONDS]
    ended = [r for r in rows if r["status"] == "ok" and r["asked_model"] == "gpt-4.1"]
    assert len(quick) > 20
    assert sum(s.used.output for s in quick) <= sum(r["output"] for r in ended)
    assert sum(r["output"] for r in ended) <= sum(s.used.output for s in seen if s.model == "gpt-4.1")
    assert all(r["cost_microusd"] > 0 and r["estimated"] for r in rows if r["status"] == "interrupted")


def _enough(seen):
    """Many requests, some of them long ago enough for what is promised of them."""
    return len(seen) > 300 and time.monotonic() - seen[0].at > 6 * PROMISED_SECONDS


def _ask(gateway, key, number, stop):
    body = {
        "model": "gpt-4.1" if number % 3 else "gpt-4o",
        "max_tokens": 50,
        "messages": [{"role": "user", "content": "Count to five."}],
    }
    while not stop.is_set():
        with suppress(OSError, http.client.HTTPException):
            gateway.post("/v1/chat/completions", body, key)


def _rows_after_the_next_start(gateway):
    """A gateway that starts moves what the one before left; then it ends in order."""
    store = GatewayStore.open(gateway.project / ".datareeve" / "gateway.sqlite")
    again = ai_rig.start(gateway.project, gateway.environment)
    try:
        spool = next(path for path in (gateway.project / ".datareeve").rglob("spool") if path.is_dir())
        again.wait_until(lambda: len({p.name.rsplit(".", 2)[0] for p in spool.glob("*.spool")}) <= 1, 10)
        assert again.stop() == 0
    finally:
        again.kill()
    assert list(spool.iterdir()) == []
    usage_rig.assert_sums_are_those_of_the_rows(store)
    rows = usage_rig.usage_of(store)
    store.close()
    return [r for r in rows if r["endpoint"] == "/v1/chat/completions" and r["status"] != "refused"]
