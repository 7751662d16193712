"""What is counted of a request that was under way when the gateway was killed: what is usual, while budgets keep the most that it may cost.

A token of a prompt costs a micro-dollar here, one of an answer two.
"""

import contextlib
import threading

from ai_double import FaultDouble, ok
from ai_rig import estate, gateway, start
from ai_whole import Inside, chat, until
from datareeve.capabilities.ai.gateway.room import ENOUGH_ANSWERS, LIKELY_OUTPUT

NAMES = ("learned", "allowed", "unsaid")
ALLOWED = 5000
SETTINGS = {
    "models": {name: {"targets": [f"openai/{name}"]} for name in NAMES},
    "prices": {f"openai/{name}": {"input": 1, "output": 2} for name in NAMES},
    "budgets": {"all": {"usd": 1}},
}


def test_a_killed_gateways_requests_count_what_is_usual_and_its_budget_keeps_the_most(tmp_path):
    with FaultDouble() as double, contextlib.ExitStack() as stack:
        running = stack.enter_context(gateway(tmp_path, estate(double, gateway=SETTINGS)))
        inside = stack.enter_context(Inside(running))
        key = inside.issue("app")
        usual = [chat(running.port, key, "learned").json["usage"] for _ in range(ENOUGH_ANSWERS)]
        double.always(ok(hold=True))
        asked = {"learned": {"max_tokens": ALLOWED}, "allowed": {"max_tokens": ALLOWED}, "unsaid": {}}
        asking = [threading.Thread(target=chat, args=(running.port, key, name), kwargs=more) for name, more in asked.items()]  # fmt: skip
        for one in asking:
            one.start()
        double.wait_until(lambda: double.running == len(NAMES))
        until(lambda: in_use(inside) > ALLOWED * 2 * 2)  # told to the pool: what two may cost at most
        until(lambda: all(name in spooled(tmp_path) for name in NAMES[1:]))
        running.kill()
        for one in asking:
            one.join(10)
        after = start(tmp_path, running.environment)
        stack.callback(after.kill)
        rows = {row["asked_model"]: row for row in inside.rows(len(NAMES), status="interrupted")}
        mean = round(sum(one["completion_tokens"] for one in usual) / len(usual))
        assert {name: row["output"] for name, row in rows.items()} == {"learned": mean, "allowed": ALLOWED, "unsaid": LIKELY_OUTPUT}  # fmt: skip
        for row in rows.values():
            assert (row["estimated"], row["cost_microusd"]) == (1, row["input"] + 2 * row["output"])
            assert (row["provider"], 0 < row["input"] < 100) == ("openai", True)
        assert in_use(inside) > ALLOWED * 2 * 2  # nothing of the budget came back by the kill


def in_use(inside):
    with inside.store.reading() as t:
        return t.one("SELECT coalesce(sum(used), 0) AS used FROM lease_shares WHERE counter LIKE '%budget:all:%'")["used"]  # fmt: skip


def spooled(project):
    return "".join(one.read_text() for one in (project / ".datareeve/gateway/spool").glob("*.spool"))
