"""A plan of every kind of step, for the tests of the runner: rows that would double, an index, a file, a table; two parts.

Its truth is easy to state: each row once, the index valid, the file and the table there; or, undone, none of them.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import ClassVar

import psycopg

from datareeve.core.authority import Gate
from datareeve.core.catalogue import Catalogue
from datareeve.core.estate import Authority, Estate, PostgresqlSystem, Rule
from datareeve.core.ledger import open_ledger
from datareeve.core.operation import Call, Claim, Effect, Operation, Plan, Step
from datareeve.core.runner import Runner
from datareeve.core.value import Value
from datareeve.systems.registry import Registry

SCHEMA = (
    "CREATE TABLE log (name text)",
    "CREATE TABLE big AS SELECT n, n % 97 AS m FROM generate_series(1, 20000) AS n",
)


class NoFacts(Value):
    """Nothing is looked at."""


def sql(text, shape="scalar"):
    return Call(system="app", action="query", arguments={"sql": text, "shape": shape})


def row(name, transactional):
    return Step(
        id=f"row {name}",
        call=Call(
            system="app", action="execute", arguments={"sql": f"INSERT INTO public.log VALUES ('{name}')"}
        ),
        why="A row that would stand twice if it were written twice.",
        effect=Effect.REVERSIBLE,
        probe=Claim(
            text=f"row {name} is there",
            call=sql(f"SELECT count(*) >= 1 FROM public.log WHERE name = '{name}'"),
        ),
        undo=(
            Call(
                system="app",
                action="execute",
                arguments={"sql": f"DELETE FROM public.log WHERE name = '{name}'"},
            ),
        ),
        transactional=transactional,
        touches=("app:public.log",),
    )


VALID = "SELECT coalesce((SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('public.big_m_idx')), false)"
INDEX = Step(
    id="index",
    call=Call(
        system="app",
        action="execute",
        arguments={"sql": "CREATE INDEX CONCURRENTLY big_m_idx ON public.big (m)"},
    ),
    why="An index whose failed build leaves an invalid one.",
    effect=Effect.REVERSIBLE,
    probe=Claim(text="the index is valid", call=sql(VALID)),
    undo=(
        Call(
            system="app",
            action="execute",
            arguments={"sql": "DROP INDEX CONCURRENTLY IF EXISTS public.big_m_idx"},
        ),
    ),
    touches=("app:public.big",),
)
FILE = Step(
    id="file",
    call=Call(system="files", action="write", arguments={"path": "data/note.txt", "text": "of run {run}"}),
    why="A file.",
    effect=Effect.REVERSIBLE,
    probe=Claim(
        text="the file is there",
        call=Call(system="files", action="exists", arguments={"path": "data/note.txt"}),
    ),
    undo=(Call(system="files", action="restore", arguments={"path": "data/note.txt", "digest": None}),),
    paths=("data/note.txt",),
)
TABLE = Step(
    id="table",
    call=Call(system="app", action="execute", arguments={"sql": "CREATE TABLE public.made (n int)"}),
    why="A table.",
    effect=Effect.REVERSIBLE,
    probe=Claim(text="the table is there", call=sql("SELECT to_regclass('public.made') IS NOT NULL")),
    undo=(Call(system="app", action="execute", arguments={"sql": "DROP TABLE IF EXISTS public.made"}),),
    transactional=True,
)


class Some(Operation[NoFacts]):
    """Some steps, by name."""

    name: ClassVar[str] = "test.some"
    effect: ClassVar[Effect] = Effect.REVERSIBLE
    wanted: tuple[str, ...]
    fails_check: bool = False

    def observe(self, systems):
        return NoFacts()

    def plan(self, facts):
        steps = tuple(STEPS[name] for name in self.wanted)
        wrong = Claim(text="what never holds", call=sql("SELECT false"))
        checks = tuple(step.probe for step in steps) + ((wrong,) if self.fails_check else ())
        before = tuple(
            step.probe.model_copy(update={"text": f"before: {step.id}", "expected": False}) for step in steps
        )
        return Plan(
            operation=self.name,
            inputs=self.inputs(),
            summary="Some steps.",
            requirements=before,
            steps=steps,
            checks=checks,
        )


STEPS = {
    "a": row("a", transactional=True),
    "d": row("d", transactional=False),
    "index": INDEX,
    "file": FILE,
    "table": TABLE,
}
STEPS["bad"] = TABLE.model_copy(
    update={
        "id": "bad",
        "call": Call(
            system="app",
            action="execute",
            arguments={"sql": "CREATE UNIQUE INDEX CONCURRENTLY big_m_idx ON public.big (m)"},
        ),
        "undo": INDEX.undo,
        "probe": INDEX.probe,
        "transactional": False,
    }
)


def two_parts():
    nothing = NoFacts()
    return Plan(
        operation="task",
        summary="Two parts.",
        parts=(
            Some(wanted=("a", "index", "file")).plan(nothing).labelled("1"),
            Some(wanted=("d", "table")).plan(nothing).labelled("2", needs=("1",)),
        ),
    )


def make_runner(project: Path, url: str, ledger_url: str, boundary=None):
    """A runner whose authority lets everything through."""
    allow = Authority(rules=(Rule(decision="allow"),))
    estate = Estate(systems={"app": PostgresqlSystem(kind="postgresql", url=url)}, authority=allow)
    ledger = open_ledger(ledger_url)
    registry = Registry(estate, project)
    return (
        Runner(ledger, registry, Catalogue([Some]), Gate(allow, ledger), boundary=boundary),
        ledger,
        registry,
    )


class DieAt:
    """A boundary that kills this process, as the machine's power would, when the n-th boundary is reached."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self, name: str) -> None:
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


def apply_in_child(project, url, ledger_url, die_at=None):
    """The child's work in the kill tests."""
    runner, _, _ = make_runner(Path(project), url, ledger_url, DieAt(die_at) if die_at is not None else None)
    runner.apply(two_parts(), by="test")


def undo_in_child(project, url, ledger_url, run, die_at=None):
    """The child's work in the kill tests of undo."""
    runner, _, _ = make_runner(Path(project), url, ledger_url, DieAt(die_at) if die_at is not None else None)
    runner.undo(run, by="test")


def truth(url, project):
    """What is really there: rows by name, index, table, file."""
    with psycopg.connect(url) as connection:
        rows = connection.execute("SELECT name, count(*) FROM log GROUP BY 1 ORDER BY 1").fetchall()
        index = connection.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('big_m_idx')"
        ).fetchall()
        table = connection.execute("SELECT to_regclass('made') IS NOT NULL").fetchone()
    return rows, index, table, (project / "data" / "note.txt").exists()


DONE = ([("a", 1), ("d", 1)], [(True,)], (True,), True)
BEFORE = ([], [], (False,), False)
