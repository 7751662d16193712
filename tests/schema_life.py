"""A plan's life without the runner: requirements hold, each step's probe turns true, checks hold; then back again."""

from __future__ import annotations

import os
import re
import subprocess
from urllib.parse import urlsplit

from datareeve.core.operation import examine


def plan_of(operation, systems):
    return operation.plan(operation.observe(systems))


def holds(claim, systems):
    return examine(claim, systems).verdict == "holds"


def perform(call, systems):
    systems[call.system].perform(call.action, run="r1", **call.arguments)


def carry_out(plan, systems):
    for leaf in plan.leaves():
        assert all(holds(claim, systems) for claim in leaf.requirements)
        for step in leaf.steps:
            assert not holds(step.probe, systems), step.id
            perform(step.call, systems)
            assert holds(step.probe, systems), step.id
    assert all(holds(check, systems) for leaf in plan.leaves() for check in leaf.checks)


def undo(plan, systems, *, times=1):
    for step in reversed(list(plan.all_steps())):
        for call in step.undo * times:
            perform(call, systems)


def dump(server, url):
    """The schema as pg_dump writes it, without its own random \\restrict line."""
    parts = urlsplit(url)
    command = [
        server.local.bin / "pg_dump",
        "--schema-only",
        "-h",
        parts.hostname,
        "-p",
        str(parts.port),
        "-U",
        "postgres",
        parts.path[1:],
    ]
    text = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)
