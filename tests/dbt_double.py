"""A program that behaves as dbt does towards its caller: the artifacts, the events, the exit status; run by the tests in dbt's place.

What it does is written in `double.json` in the project: {"hang_at": node, "fails": [node], "breaks": true}. What it was called with is added to `calls.jsonl`.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

PROJECT = Path(sys.argv[sys.argv.index("--project-dir") + 1])
TARGET = Path(sys.argv[sys.argv.index("--target-path") + 1])
COMMAND = sys.argv[1]
MANIFEST = json.loads((PROJECT / "recorded.json").read_text())
BEHAVIOUR = json.loads((PROJECT / "double.json").read_text()) if (PROJECT / "double.json").exists() else {}
KINDS = {"run": {"model"}, "test": {"test"}, "build": {"model", "test"}, "ls": {"model", "test"}}


def listed(option):
    """The words after an option, up to the next."""
    if option not in sys.argv:
        return []
    words = sys.argv[sys.argv.index(option) + 1 :]
    return words[: next((n for n, word in enumerate(words) if word.startswith("--")), len(words))]


def selected():
    kinds = {sys.argv[n + 1] for n, word in enumerate(sys.argv) if word == "--resource-type"} or KINDS[
        COMMAND
    ]
    nodes = [node for node in MANIFEST["nodes"].values() if node["resource_type"] in kinds]
    wanted = {word.removeprefix("fqn:") for word in listed("--select")}
    found = [node for node in nodes if not wanted or {node["name"], ".".join(node["fqn"])} & wanted]
    order = {"stg_orders": 0, "order_log": 2, "orders_by_day": 3}
    return sorted(found, key=lambda node: order.get(node["name"], 1))


def say(name, node=None, status="", level="info", msg=""):
    info = {"name": name, "level": level, "msg": msg}
    told = {"unique_id": node["unique_id"], "node_status": status} if node else {}
    print(  # noqa: T201 - as dbt does
        json.dumps({"info": info, "data": {"msg": msg, **({"node_info": told} if told else {})}}), flush=True
    )


def finish(results):
    marks = {
        name.removeprefix("DBT_ENV_CUSTOM_ENV_"): value
        for name, value in os.environ.items()
        if name.startswith("DBT_ENV_CUSTOM_ENV_")
    }
    told = {
        "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json",
        "invocation_id": str(time.time_ns()),
        "env": marks,
    }
    TARGET.mkdir(parents=True, exist_ok=True)
    (TARGET / "run_results.json").write_text(
        json.dumps({"metadata": told, "results": results, "elapsed_time": 1.5})
    )


with (PROJECT / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps({"argv": sys.argv[1:], "environ": dict(os.environ)}) + "\n")
if BEHAVIOUR.get("breaks"):
    said = "Compilation Error in model stg_orders (models/stg_orders.sql)\n  secret canary7f3a of a row\n  line 3"
    say("MainEncounteredError", level="error", msg=f"Encountered an error:\n{said}")
    sys.exit(2)
if COMMAND == "ls":
    TARGET.mkdir(parents=True, exist_ok=True)
    (TARGET / "manifest.json").write_text(json.dumps(MANIFEST))
    for node in selected():
        say("PrintEvent", msg=json.dumps({"unique_id": node["unique_id"]}))
    sys.exit(0)

results = []
signal.signal(signal.SIGINT, lambda *_: (finish(results), sys.exit(2)))
for node in selected():
    say("LogStartLine", node, "started")
    if node["name"] == BEHAVIOUR.get("hang_at"):
        (PROJECT / "hanging").touch()
        while True:
            time.sleep(0.05)
    bad = node["name"] in BEHAVIOUR.get("fails", ())
    status = "error" if bad else "pass" if node["resource_type"] == "test" else "success"
    message = 'Database Error in model x (models/x.sql)\n  duplicate key value violates unique constraint "k"\n  DETAIL:  Key (id)=(canary7f3a) already exists.'
    results.append(
        {
            "unique_id": node["unique_id"],
            "status": status,
            "execution_time": 0.25,
            "message": message if bad else None,
            "adapter_response": {"rows_affected": 7},
        }
    )
    say("LogModelResult", node, status)
finish(results)
sys.exit(1 if any(one["status"] == "error" for one in results) else 0)
