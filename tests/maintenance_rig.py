"""An app on one database for the lives of maintenance operations, killed where a test says, and what it shares with plan tests."""

from __future__ import annotations

import contextlib

from datareeve.app import App
from datareeve.core.estate import Authority, Estate, PostgresqlSystem, Rule, ServerControl

EVERYTHING = (Rule(decision="allow"),)


class Killed(BaseException):
    """As a worker's death: nothing that handles errors sees it."""


class DieBefore:
    """A boundary that ends the worker at the first one whose name starts so."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, name: str) -> None:
        if name.startswith(self.name):
            self.name = "never again"
            raise Killed


@contextlib.contextmanager
def opened(folder, url, *, local=None, boundary=None, rules=EVERYTHING, **entry):
    """An app whose only system is `app`, and whose authority allows everything unless other rules are given."""
    control = (
        ServerControl(data=str(local.data), bin=str(local.bin), os_user=local.os_user, log=str(local.log))
        if local
        else None
    )
    system = PostgresqlSystem(kind="postgresql", url=url, server=control, **entry)
    app = App(
        folder, Estate(systems={"app": system}, authority=Authority(rules=tuple(rules))), boundary=boundary
    )
    try:
        yield app
    finally:
        app.close()


def life(app, operation):
    """Planned, the same twice, applied, verified; quiet then. Gives the outcome."""
    plan = app.preview(operation)
    assert plan.fingerprint == app.preview(operation).fingerprint
    assert list(plan.all_steps()), plan.summary
    assert all(step.why and (step.undo or step.no_undo) for step in plan.all_steps())
    outcome = app.apply(plan, by="test")
    assert outcome.status == "done", [(part.reason, part.steps) for part in outcome.parts]
    again = app.preview(operation)
    assert not list(again.all_steps()), again.summary
    assert all(leaf.nothing_to_do for leaf in again.leaves())
    return outcome


def killed_in_the_middle(folder, url, operation, *, at="after effect", **options):
    """The run of an operation whose worker died there, resumed by another; gives the outcome."""
    with opened(folder, url, boundary=DieBefore(at), **options) as app:
        plan = app.preview(operation)
        with contextlib.suppress(Killed):
            app.apply(plan, by="test")
        runs = app.runs()
    with opened(folder, url, **options) as app:
        return app.resume(runs[-1].run, by="test")
