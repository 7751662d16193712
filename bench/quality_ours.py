"""Datareeve's side of `script/bench quality`, in a process of its own: `quality_ours.py PROJECT whole|statements` prints what it found and the seconds.

`whole` is what a person's command does once Python stands: the project opened, the contract read, planned, executed, judged, kept in the store
and the ledger. `statements`: what the engine takes of it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from datareeve.app import opened
from datareeve.capabilities.quality import contract_files, engines, running
from datareeve.capabilities.quality.compiling import compile_contract
from datareeve.capabilities.quality.operations.check_contract import CheckContract, tables_of

CONTRACT, SYSTEM = "orders", "shop"


def whole(project: Path) -> dict[str, Any]:
    """The operation, from the opening of the project to the kept verdicts."""
    began = time.perf_counter()
    with opened(project) as app:
        outcome = app.apply(app.preview(CheckContract(contract=CONTRACT)), by="bench")
        seconds = time.perf_counter() - began
        verdicts = app.systems["quality"].read("verdicts", contract=CONTRACT, system=SYSTEM)
        told = {one["rule"]: one["told"] for one in verdicts}
        return {"seconds": seconds, "status": str(outcome.status), "answers": told}


def statements(project: Path) -> dict[str, Any]:
    """What the engine takes of it: the statements, and those that name rows."""
    with opened(project) as app:
        contract = contract_files.load(app.systems, CONTRACT)
        reader = app.systems[SYSTEM]
        catalog = engines.catalog_of(reader, sorted(tables_of(contract)))
        compiled = compile_contract(contract, catalog, engines.dialect_of(catalog.kind), {})
        results = running.run(reader, compiled, contract.rules, app.estate.quality, lambda _: [])
    not_run = {verdict.rule: verdict.reason for verdict in results.verdicts if verdict.says == "not run"}
    return {"seconds": results.seconds, "not_run": not_run}


if __name__ == "__main__":
    print(json.dumps({"whole": whole, "statements": statements}[sys.argv[2]](Path(sys.argv[1]))))
