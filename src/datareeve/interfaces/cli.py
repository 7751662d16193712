"""The command line: parses, calls the application, renders.

Nothing heavy is imported before a command runs: `datareeve --help` answers at once. Every command takes `--json` and `--project`; the
exit status says how it went: 0 done and verified, 1 failed, 2 bad input, 3 refused, 4 waiting for approval, 5 another agent's work.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, CycloptsError, Group, Parameter

from datareeve import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from datareeve import app as application
    from datareeve.core.errors import DatareeveError
    from datareeve.interfaces.console import Screen

WORK = Group("Work", sort_key=1)
LOOK = Group("Look", sort_key=2)
SERVE = Group("Serve", sort_key=3)
WELL = ("done", "nothing to do")
INTERRUPTED = 130

cli = App(
    name="datareeve",
    version=__version__,
    help="The data engineer you install: hand it a data task in plain words; it plans, acts within its authority, verifies and reports.",
    help_format="plaintext",
    help_epilogue="Exit status: 0 done and verified, 1 failed, 2 bad input, 3 refused, 4 waits for approval, 5 another agent's work.",
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Common:
    """What every command takes."""

    project: Annotated[Path, Parameter(help="The folder that holds estate.yaml.")] = Path()
    json: Annotated[bool, Parameter(negative="", help="Answer with one JSON value.")] = False

    def screen(self) -> Screen:
        """Where the answer goes."""
        from datareeve.interfaces.console import Screen  # noqa: PLC0415 - rich is slow to import

        return Screen(as_json=self.json)

    @contextmanager
    def opened(self, *, acts: bool = False) -> Iterator[tuple[application.App, Screen]]:
        """The project's application, closed at the end, and the screen. `acts`: it is known first that what is done can be recorded."""
        from datareeve.app import opened  # noqa: PLC0415 - as above

        with opened(self.project.resolve()) as app:
            if acts:
                app.ledger.must_be_writable()
            yield app, self.screen()


COMMON = Common()


# -- work --------------------------------------------------------------------------------------------------------------------------


@cli.command(group=WORK)
def demo(
    *,
    stop: Annotated[bool, Parameter(negative="")] = False,
    reset: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> int:
    """Do a delegated task end to end on an embedded PostgreSQL with real data.

    Parameters
    ----------
    stop
        Stop the demo's server.
    reset
        Stop it and remove the demo's folder.
    """
    from datareeve.interfaces import demo as demonstration  # noqa: PLC0415 - as above

    folder = Path("demo") if common.project == Path() else common.project
    if stop or reset:
        (demonstration.reset if reset else demonstration.stop)(folder)
        return 0
    return demonstration.run(folder, as_json=common.json)


@cli.command(group=WORK)
def init(*urls: str, password: str | None = None, common: Common = COMMON) -> int:
    """Begin: write estate.yaml, with the databases that are given; they are looked at, and nothing is changed on them.

    None is needed: for the AI gateway alone, `datareeve init` and then `datareeve run ai.set-up-gateway`.

    Parameters
    ----------
    urls
        postgresql://user@host:5432/database, the path of an SQLite or DuckDB file, or of a folder of Parquet, CSV and JSON files; without any, $DATABASE_URL; an empty estate where that is not set.
    password
        Where the password is: env:NAME, file:path or keyring:service/name.
    """
    from datareeve.core import estate as estates  # noqa: PLC0415 - as above
    from datareeve.interfaces.console import NOTHING_YET, joined_view, line  # noqa: PLC0415 - as above
    from datareeve.systems.introduce import introduce  # noqa: PLC0415 - as above

    given = urls or tuple(filter(None, [os.environ.get("DATABASE_URL")]))
    joined = introduce(given, common.project, password=password)
    estate = str((common.project / "estate.yaml").resolve())
    following = (
        "`datareeve status` looks at it, `datareeve operations` lists what can be done."
        if joined or estates.load(common.project / estates.ESTATE_FILE).systems
        else NOTHING_YET
    )
    common.screen().show(
        {"estate": estate, "systems": joined}, joined_view(joined), line((estate, "bold"), f"  {following}")
    )
    return 0


@cli.command(group=WORK)
def delegate(  # noqa: PLR0913 - the command's options
    task: Annotated[str, Parameter(allow_leading_hyphen=True)],  # for '-'
    /,
    *,
    plan: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="")] = False,
    approve: str | None = None,
    rehearse: bool = True,
    report: Path | None = None,
    common: Common = COMMON,
) -> int:
    """Hand over a task: it is planned, tried on a copy, shown, carried out where allowed or approved, verified and reported.

    Parameters
    ----------
    task
        A file with the delegation, - for standard input, or the task itself as one sentence.
    plan
        Only show the plan, and keep it for an approval.
    yes
        Approve the plan that is made now, except where it needs a person who has read it.
    approve
        Approve and carry out the kept plan of this fingerprint.
    rehearse
        Try the plan on a disposable copy first.
    report
        Write the report to this file: .md, .json or .html.
    """
    from datareeve.interfaces import delegating  # noqa: PLC0415 - as above

    delegating.check_report_path(report)
    text = delegating.read(task)
    with common.opened(acts=not plan) as (app, screen):
        work = delegating.Delegation(app, screen, text, again=_again(common, "delegate", task))
        planned = work.kept(approve) if approve else work.plan(rehearse=rehearse)
        if plan:
            return work.show_only(planned)
        outcome = work.carry_out(planned, approved=bool(approve) or (yes and not planned.needs_person))
        return work.finish_with(planned, outcome, report)


@cli.command(group=WORK, help_flags=())
def run(  # noqa: PLR0913 - a command's options
    operation: Annotated[str, Parameter(allow_leading_hyphen=True)] = "",
    /,
    *words: Annotated[str, Parameter(allow_leading_hyphen=True)],
    plan: Annotated[bool, Parameter(negative="")] = False,
    yes: Annotated[bool, Parameter(negative="")] = False,
    approve: str | None = None,
    rehearse: bool = True,
    common: Common = COMMON,
) -> int:
    """Carry out one operation: datareeve run OPERATION --field value ...

    Parameters
    ----------
    operation
        Its name; `datareeve operations` lists them.
    words
        Its inputs; `datareeve operations NAME` lists them. --system may be left out where only one fits.
    plan
        Only show the plan, and keep it for an approval.
    yes
        Approve the plan that is made now, except where it needs a person who has read it.
    approve
        Approve and carry out the kept plan of this fingerprint.
    rehearse
        Let an operation that learns on a copy (advice, settings) try it there first.
    """
    from datareeve.interfaces import delegating  # noqa: PLC0415 - as above

    if not operation or {"--help", "-h"} & {operation, *words}:
        return _help_of_run(operation, common)
    with common.opened() as (app, screen):
        work = delegating.SingleOperation(
            app, screen, operation, words, again=_again(common, "run", operation, *words)
        )
        if not plan:
            app.ledger.must_be_writable()
        planned = work.kept(approve) if approve else work.plan(rehearse=rehearse)
        if plan:
            return work.show_only(planned)
        approved = bool(approve) or (yes and not planned.needs_person)
        return work.finish(planned, work.carry_out(planned, approved=approved))


@cli.command(group=WORK)
def approve(fingerprint: str, /, *, common: Common = COMMON) -> int:
    """Approve a kept plan, so that whoever asked may carry it out.

    Parameters
    ----------
    fingerprint
        The whole fingerprint, or its first eight characters or more.
    """
    from datareeve.interfaces import delegating, picking  # noqa: PLC0415 - as above
    from datareeve.interfaces.console import line, plan_view  # noqa: PLC0415 - as above

    with common.opened() as (app, screen):
        planned = picking.kept_plan(app, fingerprint)
        app.approve(planned.fingerprint, by=delegating.person())
        hours = app.estate.authority.approvals_expire_hours
        told = line(
            ("approved", "bold green"),
            f" by {delegating.person()}, for {hours:g} hours. Whoever asked may now carry it out.",
        )
        screen.show(
            {"approved": planned.fingerprint, "by": delegating.person(), "hours": hours},
            plan_view(planned),
            told,
        )
    return 0


@cli.command(group=WORK)
def resume(run: str, /, *, common: Common = COMMON) -> int:
    """Carry on a run that was interrupted; no effect is repeated.

    Parameters
    ----------
    run
        The run, as `datareeve runs` lists it.
    """
    return _again_on(common, run, "resume")


@cli.command(group=WORK)
def undo(run: str, /, *, common: Common = COMMON) -> int:
    """Take a run back, step by step in reverse.

    Parameters
    ----------
    run
        The run, as `datareeve runs` lists it.
    """
    return _again_on(common, run, "undo")


# -- look --------------------------------------------------------------------------------------------------------------------------


@cli.command(group=LOOK)
def operations(name: str | None = None, /, *, common: Common = COMMON) -> int:
    """List what can be done, or one operation's inputs, effect and meaning.

    Parameters
    ----------
    name
        An operation.
    """
    from datareeve.app import catalogue  # noqa: PLC0415 - as above
    from datareeve.interfaces import console, descriptions  # noqa: PLC0415 - as above

    known = catalogue()
    if name:
        operation = known.get(name)
        common.screen().show(descriptions.whole(operation), console.operation_view(operation))
    else:
        every = [known.get(each) for each in known.names()]
        common.screen().show([descriptions.short(each) for each in every], console.operations_view(every))
    return 0


@cli.command(group=LOOK)
def runs(
    run: str | None = None,
    /,
    *,
    verify: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> int:
    """List runs, or show one with what was predicted beside what happened.

    Parameters
    ----------
    run
        A run; the start of its name is enough.
    verify
        Walk the ledger's hash chains: a changed, removed or inserted row is found.
    """
    from datareeve.interfaces import console, picking  # noqa: PLC0415 - as above

    with common.opened() as (app, screen):
        if verify:
            counted = app.verify_ledger()
            told = ", ".join(f"{number:,} {name}" for name, number in counted.items())
            screen.show(counted, console.line(("✓ ", "green"), f"The ledger is whole: {told}."))
        elif run:
            outcome = app.outcome(picking.run_named(app, run))
            halted = [one.run for one in app.runs() if (one.run, one.status) == (outcome.run, "interrupted")]
            beside = map(console.interrupted_view, halted)
            screen.show(outcome, console.outcome_view(outcome, app.stored_plan(outcome.plan)), *beside)
        else:
            screen.show(app.runs(), console.runs_view(app.runs()))
    return 0


@cli.command(group=LOOK)
def evidence(
    run: str, *, recheck: Annotated[bool, Parameter(negative="")] = False, common: Common = COMMON
) -> int:
    """Show what a run's claims rest on; exit status 1 where one does not hold.

    Parameters
    ----------
    run
        A run; the start of its name is enough.
    recheck
        Look again now, and say what holds, what no longer does and what cannot be re-run.
    """
    from datareeve.interfaces import console, picking  # noqa: PLC0415 - as above

    with common.opened() as (app, screen):
        name = picking.run_named(app, run)
        checks = (
            app.recheck(name)
            if recheck
            else tuple(check for part in app.outcome(name).parts for check in part.checks)
        )
        screen.show(checks, console.checks_view(checks, again=recheck))
    return 0 if all(check.verdict == "holds" for check in checks) else 1


@cli.command(group=LOOK)
def status(*, common: Common = COMMON) -> int:
    """Look at every system now, and report; exit status 1 where one is down."""
    from datareeve.agent import standing  # noqa: PLC0415 - as above
    from datareeve.interfaces import console  # noqa: PLC0415 - as above

    with common.opened() as (app, screen):
        looked_at = [name for kind in standing.LOOKS for name in app.systems.names(kind)]
        with screen.progress():
            reports = [
                standing.status(
                    name, estate=app.estate, catalogue=app.catalogue, ledger=app.ledger, preview=app.preview
                )
                for name in looked_at
            ]
            reports += standing.status_elsewhere(app.estate, app.systems)
            reports += standing.pipelines_status(app.catalogue, app.preview)
            reports += standing.api_status(app.estate, app.catalogue, app.preview)
        none = [] if reports else [console.line(console.NOTHING_YET)]
        screen.show(reports, *none, *(console.markdown_view(report.markdown()) for report in reports))
    return (
        1
        if any("down" in (r.figures.get("health"), r.figures.get("api_availability")) for r in reports)
        else 0
    )


@cli.command(group=LOOK)
def slo(*, common: Common = COMMON) -> int:
    """Show the targets beside what the last 30 days measured, and the queries' error budget; exit status 1 where one is missed."""
    from datareeve.agent import standing  # noqa: PLC0415 - as above
    from datareeve.interfaces import console  # noqa: PLC0415 - as above

    with common.opened() as (app, screen):
        with screen.progress():
            levels = standing.levels(app.estate, app.catalogue, app.preview)
        found = standing.objectives(app.estate, app.ledger, levels)
        screen.show(
            [{**objective.model_dump(), "share": objective.share} for objective in found],
            console.objectives_view(found),
        )
    return 0 if all(objective.kept for objective in found) else 1


# -- serve -------------------------------------------------------------------------------------------------------------------------


@cli.command(group=SERVE)
def serve(*, common: Common = COMMON) -> int:
    """Run what estate.yaml schedules, watch, and tell people when it cannot wait; until it is stopped."""
    from datareeve.agent.schedule import Serve  # noqa: PLC0415 - as above
    from datareeve.interfaces.console import line  # noqa: PLC0415 - as above
    from datareeve.interfaces.worker import serving  # noqa: PLC0415 - as above
    from datareeve.systems.notify import Notifier  # noqa: PLC0415 - as above

    with common.opened(acts=True) as (app, screen), serving(app) as more:
        estate = app.estate
        screen.err.print(
            line(
                ("serving ", "bold"),
                f"{len(estate.schedules)} schedules and {len(estate.alerts)} alerts of {app.project}; Ctrl-C stops, what is being done is finished first",
            )
        )
        Serve(app, Notifier(app.project, estate.authority.file_paths), more=more).run()
    return 0


@cli.command(group=SERVE)
def worker(
    *,
    concurrency: int = 1,
    once: Annotated[bool, Parameter(negative="")] = False,
    common: Common = COMMON,
) -> int:
    """Take queued runs of pipelines from the shared ledger, on as many machines as there are; until it is stopped.

    `datareeve serve`, on one of them, decides what is due. A worker that dies has its run carried on by another; one that is stopped finishes its step.

    Parameters
    ----------
    concurrency
        How many runs it carries out at once, each in a process of its own.
    once
        End when nothing is left in the queue.
    """
    from datareeve.core.errors import BadInput  # noqa: PLC0415 - as above
    from datareeve.interfaces import worker as workers  # noqa: PLC0415 - as above
    from datareeve.interfaces.console import line  # noqa: PLC0415 - as above

    if concurrency < 1:
        raise BadInput(
            "worker.concurrency", "A worker carries out one run at least.", "Give --concurrency 1."
        )
    with common.opened(acts=True) as (app, screen):
        queue = app.job_queue()
        if queue is None:
            raise BadInput(
                "worker.needs-shared-ledger",
                "Workers share a ledger on PostgreSQL; this project's is a file of its own.",
                "Give `ledger: postgresql://user@host/database` in estate.yaml. On one machine none is needed: `datareeve serve` runs what is due itself.",
            )
        queue.prepare()
        told = f"up to {concurrency} at once; Ctrl-C stops, what is being done is finished first"
        screen.err.print(line(("working ", "bold"), told))
        workers.work(app.project, queue, concurrency=concurrency, once=once)
    return 0


@cli.command(group=SERVE)
def gateway(
    *, listen: str | None = None, processes: int | None = None, stop: bool = False, common: Common = COMMON
) -> int:
    """Serve AI APIs to applications: they keep their official SDK and change its base URL. Until it is stopped; estate.yaml is taken anew by itself.

    Parameters
    ----------
    listen
        host:port; default: gateway.listen of estate.yaml. Port 0: the system chooses one.
    processes
        How many share the port, a processor each; default: gateway.processes of estate.yaml.
    stop
        End the one that runs for this project, once the requests under way have their answers.
    """
    from datareeve.interfaces import gateway as gateways  # noqa: PLC0415 - as above

    if stop:
        return gateways.stop(common.project.resolve())
    return gateways.run(
        common.project.resolve(),
        listen=listen,
        processes=processes,
        ready=gateways.told(as_json=common.json),
    )


@cli.command(group=SERVE)
def mcp(*, common: Common = COMMON) -> int:
    """Speak MCP over standard input and output, for another agent."""
    from datareeve.interfaces.mcp import serve as speak  # noqa: PLC0415 - as above

    speak(common.project.resolve())
    return 0


# -- shared ------------------------------------------------------------------------------------------------------------------------


def _again_on(common: Common, run: str, verb: str) -> int:
    from datareeve.interfaces import console, delegating, picking  # noqa: PLC0415 - as above

    with common.opened(acts=True) as (app, screen):
        name = picking.run_named(app, run)
        plan = app.stored_plan(app.outcome(name).plan)
        with screen.progress(plan) as progress:
            outcome = getattr(app, verb)(name, by=delegating.person(), progress=progress)
        screen.show(outcome, console.outcome_view(outcome, plan))
    return 0 if outcome.status in (*WELL, "undone") else 1


def _again(common: Common, *words: str) -> str:
    """The command to give again, ready to paste."""
    import shlex  # noqa: PLC0415 - as above

    project = () if common.project == Path() else ("--project", str(common.project))
    return shlex.join(("datareeve", *words, *project))


def _help_of_run(operation: str, common: Common) -> int:
    if operation and not operation.startswith("-"):
        return operations(operation, common=common)
    cli.help_print(["run"])
    return 0


# -- the boundary ------------------------------------------------------------------------------------------------------------------


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; gives the exit status. Nothing is raised: an error is told with its code, what is wrong and what to do."""
    given = list(sys.argv[1:] if words is None else words)
    try:
        return int(cli(given, exit_on_error=False, print_error=False) or 0)
    except CycloptsError as error:
        return _tell(_usage(error, given), given)
    except KeyboardInterrupt:
        sys.stderr.write(
            "\ninterrupted: nothing is lost. `datareeve runs` shows how far it came, `datareeve resume RUN` carries on, `datareeve undo RUN` takes back.\n"
        )
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # whoever read the output has seen enough
        return 0
    except Exception as error:  # noqa: BLE001 - the process boundary: no traceback reaches a person
        return _tell(_known(error, given), given)


def _usage(error: CycloptsError, words: Sequence[str]) -> DatareeveError:
    from datareeve.core.errors import BadInput  # noqa: PLC0415 - as above

    command = f"{words[0]} " if words and words[0] in cli else ""
    return BadInput(
        "command.usage", " ".join(str(error).split()), f"`datareeve {command}--help` shows how it is used."
    )


def _known(error: Exception, words: Sequence[str]) -> DatareeveError:
    """The error itself where it is ours; a file that may not be used; else one that tells where the details were written."""
    from datareeve.core.errors import DatareeveError  # noqa: PLC0415 - as above
    from datareeve.interfaces import crash  # noqa: PLC0415 - as above

    return error if isinstance(error, DatareeveError) else crash.told(error, words)


def _tell(error: DatareeveError, words: Sequence[str]) -> int:
    import json  # noqa: PLC0415 - as above

    if "--json" in words:
        body = {
            **error.as_json(),
            **({"fingerprint": error.fingerprint} if hasattr(error, "fingerprint") else {}),
        }
        sys.stdout.write(json.dumps(body, ensure_ascii=False, indent=2) + "\n")
    else:
        sys.stderr.write(
            "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in f"{error}\n")
        )
    return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
