"""A dbt project: what is in it, what a command would do, running that command once, and what came of it.

dbt itself says what a selection means (`dbt ls`), in a folder of our own, so that the project's `target/` stays as its people left it. A run writes there
as dbt always does, and is known again by a mark that dbt copies into `run_results.json`. What came of it is kept below `.datareeve/dbt/`, without
what may quote a row.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput, DatareeveError, Failed
from datareeve.core.estate import STATE_FOLDER
from datareeve.core.value import fingerprint
from datareeve.core.yaml_text import parse
from datareeve.systems import dbt_process
from datareeve.systems.adapter import Adapter, effects, reads
from datareeve.systems.dbt_artifacts import (
    Logged,
    Manifest,
    Node,
    NodeResult,
    Results,
    downstream,
    in_order,
    lineage,
    logged,
    manifest,
    results,
)
from datareeve.systems.dbt_findings import findings
from datareeve.systems.files import replace_file
from datareeve.systems.secret_references import resolver

if TYPE_CHECKING:
    from datareeve.core.estate_orchestration import DbtSystem

TYPES = {
    "run": ("model",),
    "test": ("test", "unit_test"),
    "build": ("model", "seed", "snapshot", "test", "unit_test"),
}
ENDED = "ended.json"
LOG = "events.jsonl"
INTERRUPTED = "interrupted"


class Dbt(Adapter):
    """One dbt project."""

    kind = "dbt"

    def __init__(self, name: str, entry: DbtSystem, project: Path) -> None:
        super().__init__(name)
        self.entry, self.base = entry, project
        self.folder = (project / Path(entry.project).expanduser()).resolve()
        self._state = project / STATE_FOLDER / "dbt" / re.sub(r"[^\w.-]", "_", name)

    def identity(self) -> str:
        """Where it lies."""
        return f"dbt:{self.folder}"

    def settle(self, run: str) -> None:
        """End the dbt of that run, so that what it was at is known; and remember that it did not end by itself."""
        running = dbt_process.of_run(run)
        for process in running:
            dbt_process.end(process)
        for folder in self._state.glob(f"runs/{run}-*") if running else ():
            (folder / INTERRUPTED).touch()

    # -- reads ---------------------------------------------------------------------------------------------------------------------

    @reads
    def selection(self, **asked: Any) -> dict[str, Any]:
        """What a command would do: {project, adapter, dbt_version, nodes, downstream, exposures, seconds, seconds_of, digest}.

        `nodes` are in the order of their dependencies. Errors: `BadInput` `dbt.no-project`, `dbt.missing`, `dbt.selection`; `Failed` `dbt.failed`, `dbt.timeout`.
        """
        project, selected = self._selected(**asked)
        order = in_order(project, selected, gated=asked["command"] == "build")
        writing = [id_ for id_ in order if project.nodes[id_].writes]
        last = self._last_seconds()
        known = [last[id_] for id_ in order if id_ in last]
        return {
            "project": project.project,
            "adapter": project.adapter,
            "dbt_version": project.dbt_version,
            "nodes": [_shown(project.nodes[id_]) for id_ in order],
            "downstream": [_named(project, id_) for id_ in downstream(project, writing, ("model", "snapshot")) if id_ not in selected],
            "exposures": [_named(project, id_) for id_ in downstream(project, writing, ("exposure",))],
            "seconds": round(sum(known), 2) if known else None,
            "seconds_of": len(known),
            "digest": _digest(project, order),
        }  # fmt: skip

    @reads
    def digest(self, **asked: Any) -> str:
        """A digest of what a command would do: of the nodes, their code and their configuration."""
        project, selected = self._selected(**asked)
        return _digest(project, selected)

    @reads
    def lineage(self) -> dict[str, Any]:
        """{nodes: [{id, kind, name, relation, columns}], edges: [[from, to]]} of the whole project."""
        return lineage(self._parsed([]))

    @reads
    def ran(self, run: str, key: str) -> bool:
        """Whether the dbt command of a run has ended by itself."""
        return self._ended(run, key) is not None

    @reads
    def outcome(self, run: str, key: str) -> dict[str, Any] | None:
        """What came of it, node by node, without what may quote rows; None where it did not end."""
        found = self._ended(run, key)
        return found.model_dump(mode="json") if found else None

    @reads
    def not_good(self, run: str, key: str) -> int | None:
        """How many nodes failed or were left out because another had failed; None where it did not end."""
        found = self._ended(run, key)
        return sum(not node.good for node in found.nodes) if found else None

    # -- effects -------------------------------------------------------------------------------------------------------------------

    @effects
    def command(
        self, key: str, asked: dict[str, Any], *, run: str, full_refresh: bool = False
    ) -> dict[str, Any]:
        """Run a dbt command and wait until it ended. Where an earlier worker's attempt was cut off, only the nodes that it had not finished are run.

        Errors: `Failed` `dbt.timeout`, `dbt.failed`; `dbt.in-doubt` where an append was under way, which must not be done twice.
        """
        if self._ended(run, key) is None:
            folder = self._folder(run, key)
            before = self._before(folder)
            if before.begun:
                asked = self._rest(asked, before, full_refresh=full_refresh)
            if asked["select"] or not before.begun:
                self._carry_out(asked, key, run, full_refresh=full_refresh)
            self._keep(run, key, before)
        return {}

    @effects
    def told(self, key: str, *, run: str) -> dict[str, Any]:
        """The figures of a command that ended, and a finding for each node that failed."""
        found = self._ended(run, key)
        if found is None:
            raise Failed("dbt.no-results", f"Nothing is kept of what dbt did in {run}.", "Its own target/run_results.json may still tell.")  # fmt: skip
        project = self._kept_manifest() or self._own_manifest()
        rows = [node.rows for node in found.nodes if node.rows is not None]
        return {
            "nodes_ok": sum(node.good for node in found.nodes),
            "nodes_failed": found.count("error", "fail", "runtime error"),
            "nodes_warned": found.count("warn"),
            "nodes_skipped": found.count("skipped"),
            "nodes_finished_before": len(found.before),
            "rows_affected": sum(rows) if rows else None,
            "dbt_seconds": found.seconds,
            "invocation": found.invocation,
            "findings": findings(self.name, found, project),
        }

    # -- looking -------------------------------------------------------------------------------------------------------------------

    def _program(self, *, secrets: bool = True) -> dbt_process.Program:
        if not (self.folder / "dbt_project.yml").is_file():
            raise BadInput("dbt.no-project", f"There is no dbt_project.yml in {self.entry.project}.", "Give `project` the folder of the dbt project.")  # fmt: skip
        secret = resolver(self.base)
        profiles = (
            (self.base / Path(self.entry.profiles).expanduser()).resolve() if self.entry.profiles else None
        )
        return dbt_process.Program(
            executable=dbt_process.executable(self.entry.executable, self.base),
            project=self.folder,
            profiles=profiles,
            target=self.entry.target,
            environment={name: secret(one).reveal() for name, one in self.entry.environment.items()} if secrets else {},
        )  # fmt: skip

    def _selected(
        self,
        command: str,
        select: list[str] | None = None,
        exclude: list[str] | None = None,
        vars: dict[str, Any] | None = None,  # noqa: A002 - dbt's word
    ) -> tuple[Manifest, list[str]]:
        arguments = [
            *_chosen(select, exclude),
            *_given(vars),
            "--output",
            "json",
            "--output-keys",
            "unique_id",
        ]
        arguments += [word for one in TYPES[command] for word in ("--resource-type", one)]
        lines = self._ls(arguments)
        project = self._kept_manifest()
        if project is None:
            raise Failed("dbt.manifest", "dbt has parsed the project, and left no manifest.", "Look whether the disk is full.")  # fmt: skip
        return project, [one for one in _listed(lines) if one in project.nodes]

    def _parsed(self, arguments: list[str]) -> Manifest:
        """The project as it is; where there is no dbt, as the project's own target/ has it."""
        try:
            self._ls([*arguments, "--output", "json", "--output-keys", "unique_id"])
        except BadInput:
            if own := self._own_manifest():
                return own
            raise
        return self._kept_manifest() or manifest("")

    def _ls(self, arguments: list[str]) -> list[str]:
        program = self._program()
        words = program.words("ls", "--target-path", str(self._state / "target"), *arguments)
        return dbt_process.output(program, words, self._state / "ls.jsonl", self.entry.read_timeout_seconds)

    def _kept_manifest(self) -> Manifest | None:
        path = self._state / "target" / "manifest.json"
        return manifest(_text(path)) if path.is_file() else None

    def _own_manifest(self) -> Manifest | None:
        path = self.folder / self._target_path() / "manifest.json"
        return manifest(_text(path)) if path.is_file() else None

    def _target_path(self) -> str:
        """Where the project has its artifacts."""
        try:
            told = parse(_text(self.folder / "dbt_project.yml"), "dbt_project.yml").data
        except DatareeveError:
            return "target"
        return str(told.get("target-path") or "target") if isinstance(told, dict) else "target"

    def _own_results(self) -> Results | None:
        path = self.folder / self._target_path() / "run_results.json"
        try:
            return results(_text(path)) if path.is_file() else None
        except DatareeveError:
            return None  # of a version that is not known: nothing of ours

    def _last_seconds(self) -> dict[str, float]:
        """How long each node took the last time that it was run, by the project's own results and by ours."""
        kept = sorted(self._state.glob(f"runs/*/{ENDED}"), key=lambda path: path.stat().st_mtime)[-10:]
        every = [Results.model_validate_json(_text(path)) for path in kept]
        own = self._own_results()
        return {
            node.id: node.seconds
            for one in (*every, *([own] if own else []))
            for node in one.nodes
            if node.seconds is not None and node.status != "skipped"
        }

    # -- running -------------------------------------------------------------------------------------------------------------------

    def _folder(self, run: str, key: str) -> Path:
        return self._state / "runs" / re.sub(r"[^\w.-]", "_", f"{run}-{key}")

    def _carry_out(self, asked: dict[str, Any], key: str, run: str, *, full_refresh: bool) -> None:
        program, log = self._program(), self._folder(run, key) / LOG
        arguments = [*_chosen(asked.get("select"), asked.get("exclude")), *_given(asked.get("vars"))]
        arguments += ["--full-refresh"] if full_refresh and asked["command"] != "test" else []
        words = program.words(
            asked["command"], "--target-path", str(self.folder / self._target_path()), *arguments
        )
        earlier = self._own_results()
        process = program.start(words, log, run, key)
        status = dbt_process.wait(process, self.entry.timeout_seconds)
        own = self._own_results()
        new = own is not None and (earlier is None or own.invocation != earlier.invocation)
        if own is None or not new or (own.run, own.key) != (run, key):
            error = dbt_process.failure(status, _text(log).splitlines())
            log.unlink(missing_ok=True)
            raise error

    def _ended(self, run: str, key: str) -> Results | None:
        """What is kept of a command; else what the project's own results tell, where they are of this command and it was not cut off."""
        folder = self._folder(run, key)
        if (folder / ENDED).is_file():
            return Results.model_validate_json(_text(folder / ENDED))
        own = self._own_results()
        cut_off = (folder / INTERRUPTED).exists() or any(dbt_process.of_run(run))
        return own if own and (own.run, own.key) == (run, key) and not cut_off else None

    def _before(self, folder: Path) -> Logged:
        """What earlier attempts of this very command did."""
        log = folder / LOG
        return logged(_text(log).splitlines()) if log.is_file() else Logged()

    def _rest(self, asked: dict[str, Any], before: Logged, *, full_refresh: bool) -> dict[str, Any]:
        """What is left of a command that was cut off. Errors: `Failed` `dbt.in-doubt`."""
        project, selected = self._selected(**asked)
        open_ = [
            project.nodes[id_] for id_ in before.begun if id_ in project.nodes and id_ not in before.finished
        ]
        doubtful = [node.name for node in open_ if node.appends]
        if doubtful and not full_refresh:
            raise Failed(
                "dbt.in-doubt",
                f"It cannot be told whether {', '.join(doubtful)} has this run's rows: dbt was ended while it appended to it, and done again they may stand twice.",
                "Look there; then take this run back with `datareeve undo`, and run what is left with --select.",
            )
        done = {id_ for id_, status in before.finished.items() if status in ("success", "pass", "warn")}
        left = [project.nodes[id_].selector for id_ in selected if id_ not in done]
        return {**asked, "select": left, "exclude": []}

    def _keep(self, run: str, key: str, before: Logged) -> None:
        folder = self._folder(run, key)
        own = self._own_results()
        ours = own if own and (own.run, own.key) == (run, key) else Results(run=run, key=key)
        known = {node.id for node in ours.nodes}
        earlier = [id_ for id_, status in before.finished.items() if id_ not in known and status in ("success", "pass", "warn")]  # fmt: skip
        nodes = [NodeResult(id=id_, status=before.finished[id_]) for id_ in earlier]
        whole = ours.model_copy(update={"nodes": (*nodes, *ours.nodes), "before": tuple(earlier)})
        folder.mkdir(parents=True, exist_ok=True)
        replace_file(folder / ENDED, whole.model_dump_json().encode(), 0o600)
        for gone in (LOG, INTERRUPTED):
            (folder / gone).unlink(missing_ok=True)


# -- small things ------------------------------------------------------------------------------------------------------------------------


def _chosen(select: list[str] | None, exclude: list[str] | None) -> list[str]:
    """Selection as dbt's arguments. A word that begins with '-' would be an option of dbt's, and is refused. Errors: `BadInput` `dbt.selection`."""
    for word in (*(select or ()), *(exclude or ())):
        if not word.strip() or word.lstrip().startswith("-") or not word.isprintable():
            raise BadInput("dbt.selection", "A selection is words as dbt has them: orders, +orders, tag:nightly.", "Give such words.")  # fmt: skip
    return [
        *(["--select", *select] if select else []),
        *(["--exclude", *exclude] if exclude else []),
    ]


def _given(variables: dict[str, Any] | None) -> list[str]:
    return ["--vars", json.dumps(variables, sort_keys=True)] if variables else []


def _listed(lines: list[str]) -> list[str]:
    """The nodes that `dbt ls` lists, among the events that it logs."""
    found = []
    for line in lines:
        try:
            event = json.loads(line)
            told = (
                json.loads(event["data"]["msg"])
                if event["info"]["name"] in ("PrintEvent", "ListCmdOut")
                else {}
            )
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(told, dict) and isinstance(told.get("unique_id"), str):
            found.append(told["unique_id"])
    return found


def _shown(node: Node) -> dict[str, Any]:
    return {
        "id": node.id,
        "kind": node.kind,
        "name": node.name,
        "relation": node.relation,
        "schema_name": node.schema_name,
        "materialized": node.materialized,
        "appends": node.appends,
        "writes": node.writes,
        "file": node.file,
    }


def _named(project: Manifest, id_: str) -> str:
    return project.nodes[id_].name


def _digest(project: Manifest, nodes: list[str]) -> str:
    return fingerprint(
        [[id_, project.nodes[id_].checksum, project.nodes[id_].relation] for id_ in sorted(nodes)]
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise Failed("dbt.read", f"{path.name} cannot be read: {error.strerror}.", "Mend the file's rights.") from None  # fmt: skip
