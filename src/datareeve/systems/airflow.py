"""Airflow 3, by its REST API v2: what a DAG is and how it ran, triggering it once, and watching until it has ended.

A DAG run that is triggered has an id made of our run's: given again after a crash or a lost answer it is the same run, which Airflow refuses
to make twice. A task's log is read for the class of its error and the line that raised it, and nothing of it is passed on.
"""

from __future__ import annotations

import difflib
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from datareeve.core.errors import BadInput, DatareeveError, Failed
from datareeve.systems import airflow_logs
from datareeve.systems.adapter import Adapter, effects, reads
from datareeve.systems.airflow_http import AirflowHttp
from datareeve.systems.secret_references import resolver

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datareeve.core.estate_orchestration import AirflowSystem

PAGE = 100
MOST_TASKS = 5000
MOST_DAGS = 5000
LOGS_READ = 10  # of tasks that failed
ENDED = frozenset(("success", "failed"))
BAD = ("failed", "upstream_failed", "removed")
FIRST_LOOK, LONGEST_LOOK = 0.5, 15.0  # seconds between two looks at a run that goes on
NO_TASK = -1  # map index of a task that is not mapped


class Airflow(Adapter):
    """One Airflow."""

    kind = "airflow"

    def __init__(
        self,
        name: str,
        entry: AirflowSystem,
        project: Path,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name)
        self.entry = entry
        certificates = str(project / entry.certificates) if entry.certificates else None
        self._api = AirflowHttp(entry, resolver(project), certificates, pause)
        self._pause, self._clock = pause, clock

    def identity(self) -> str:
        """Its address."""
        return f"airflow:{self.entry.url}"

    # -- reads ---------------------------------------------------------------------------------------------------------------------

    @reads
    def about(self) -> dict[str, Any]:
        """{version}. Errors: `Failed` `airflow.version` where it is no Airflow 3."""
        version = str(_mapping(self._api.get("version").body).get("version") or "")
        if not version.startswith("3."):
            raise Failed("airflow.version", f"Airflow at {self.entry.url} is not an Airflow 3.", "Its API v2 came with Airflow 3: upgrade it.")  # fmt: skip
        return {"version": version}

    @reads
    def dags(self) -> list[str]:
        """The names of its DAGs, at most 5,000."""
        return [str(one.get("dag_id")) for one in self._all("dags", "dags", MOST_DAGS, order_by="dag_id")]

    @reads
    def dag(self, dag: str) -> dict[str, Any]:
        """What a DAG is: {dag, paused, schedule, next_run, max_active_runs, import_errors, stale, owners}.

        Errors: `BadInput` `airflow.no-dag`, with the nearest name.
        """
        answer = self._api.get(f"dags/{_path(dag)}")
        if answer.status == 404:  # noqa: PLR2004 - HTTP's own number
            raise self._no_dag(dag)
        told = _mapping(answer.body)
        return {
            "dag": str(told.get("dag_id") or dag),
            "paused": bool(told.get("is_paused")),
            "schedule": str(told.get("timetable_summary") or told.get("timetable_description") or ""),
            "next_run": told.get("next_dagrun_run_after"),
            "max_active_runs": _whole(told.get("max_active_runs")),
            "import_errors": bool(told.get("has_import_errors")),
            "stale": bool(told.get("is_stale")),
            "owners": sorted(map(str, _listed(told.get("owners")))),
        }

    @reads
    def takes_runs(self, dag: str) -> bool:
        """Whether a run of a DAG begins when it is triggered: it is neither paused nor gone from its file."""
        told = self.dag(dag)
        return not (told["paused"] or told["stale"])

    @reads
    def last_runs(self, dag: str, most: int = 10) -> list[dict[str, Any]]:
        """The newest runs of a DAG: [{dag_run, state, type, logical_date, started, ended, seconds}]."""
        found = self._api.get(f"dags/{_path(dag)}/dagRuns", limit=most, order_by="-run_after")
        if found.status == 404:  # noqa: PLR2004 - as above
            raise self._no_dag(dag)
        return [_run(one) for one in _items(found.body, "dag_runs")]

    @reads
    def run_of_date(self, dag: str, logical_date: str) -> dict[str, Any] | None:
        """The run of a DAG that has this logical date; Airflow has at most one. None where there is none."""
        asked = {"logical_date_gte": logical_date, "logical_date_lte": logical_date, "limit": 1}
        found = _items(self._api.get(f"dags/{_path(dag)}/dagRuns", **asked).body, "dag_runs")
        return _run(found[0]) if found else None

    @reads
    def dag_run(self, dag: str, dag_run: str) -> dict[str, Any] | None:
        """One run of a DAG, as in `last_runs`; None where there is none of that id."""
        answer = self._api.get(f"dags/{_path(dag)}/dagRuns/{_path(dag_run)}")
        return None if answer.status == 404 else _run(_mapping(answer.body))  # noqa: PLR2004 - as above

    @reads
    def has_run(self, dag: str, dag_run: str) -> bool:
        """Whether there is a run of that id."""
        return self.dag_run(dag, dag_run) is not None

    @reads
    def state(self, dag: str, dag_run: str) -> str | None:
        """How a run stands: queued, running, success, failed; None where there is none of that id."""
        found = self.dag_run(dag, dag_run)
        return str(found["state"]) if found else None

    @reads
    def tasks(self, dag: str, dag_run: str) -> list[dict[str, Any]]:
        """What became of the tasks of a run: [{task, index, state, seconds, tries, operator}], in the order they began."""
        told = self._all(
            f"dags/{_path(dag)}/dagRuns/{_path(dag_run)}/taskInstances", "task_instances", MOST_TASKS
        )
        return [_task(one) for one in sorted(told, key=lambda one: str(one.get("start_date") or "~"))]

    @reads
    def structure(self, dag: str) -> dict[str, Any]:
        """{tasks: [{task, operator, downstream}], assets: [{name, uri, producers, consumers}]}: what its lineage is made of."""
        told = self._api.get(f"dags/{_path(dag)}/tasks")
        if told.status == 404:  # noqa: PLR2004 - as above
            raise self._no_dag(dag)
        assets = self._all("assets", "assets", MOST_TASKS, dag_ids=dag)
        return {
            "tasks": [
                {
                    "task": str(one.get("task_id")),
                    "operator": str(one.get("operator_name") or ""),
                    "downstream": sorted(map(str, _listed(one.get("downstream_task_ids")))),
                }
                for one in _items(told.body, "tasks")
            ],
            "assets": [_asset(one) for one in assets],
        }

    # -- effects -------------------------------------------------------------------------------------------------------------------

    @effects
    def trigger(
        self, dag: str, dag_run: str, conf: dict[str, Any], logical_date: str | None = None
    ) -> dict[str, Any]:
        """Trigger a DAG under an id of ours; where that run is there already, it is the one that was meant. Gives {dag_run}.

        Errors: `BadInput` `airflow.no-dag`; `Failed` `airflow.conflict` where another run has the logical date.
        """
        body = {"dag_run_id": dag_run, "logical_date": logical_date, "conf": conf}
        answer = self._api.ask("POST", f"dags/{_path(dag)}/dagRuns", body=body)
        if answer.status == 404:  # noqa: PLR2004 - as above
            raise self._no_dag(dag)
        if answer.status == 409 and not self.has_run(dag, dag_run):  # noqa: PLR2004 - as above
            raise Failed(
                "airflow.conflict",
                f"Airflow has a run of {dag} of that logical date already.",
                "Clear that run in Airflow, or give another date.",
            )
        return {"dag_run": dag_run}

    @effects
    def watch(self, dag: str, dag_run: str, wait_seconds: float) -> dict[str, Any]:
        """Look at a run until it has ended, or that long. Gives its figures, and a finding for each task that failed."""
        until, between = self._clock() + wait_seconds, FIRST_LOOK
        while True:
            run = self.dag_run(dag, dag_run)
            if run is None:
                raise Failed("airflow.no-run", f"Airflow no longer has the run {dag_run} of {dag}.", "Somebody deleted it there.")  # fmt: skip
            left = until - self._clock()
            if run["state"] in ENDED or left <= 0:
                return self._told(dag, run)
            self._pause(min(between, left))
            between = min(between * 1.5, LONGEST_LOOK)

    # -- small things --------------------------------------------------------------------------------------------------------------

    def _told(self, dag: str, run: dict[str, Any]) -> dict[str, Any]:
        tasks = self.tasks(dag, run["dag_run"])
        failed = [one for one in tasks if one["state"] == "failed"]
        return {
            "dag_run": run["dag_run"],
            "state": run["state"],
            "dag_seconds": run["seconds"],
            "tasks": len(tasks),
            "tasks_ok": sum(one["state"] == "success" for one in tasks),
            "tasks_failed": len(failed),
            "tasks_not_run": sum(one["state"] in (*BAD[1:], "skipped") for one in tasks),
            "task_seconds": round(sum(one["seconds"] or 0.0 for one in tasks), 3),
            "findings": [
                self._finding(dag, run, one, log_is_read=n < LOGS_READ) for n, one in enumerate(failed)
            ],
        }

    def _finding(
        self, dag: str, run: dict[str, Any], task: dict[str, Any], *, log_is_read: bool
    ) -> dict[str, Any]:
        told = self._log(dag, run["dag_run"], task) if log_is_read else {}
        name = task["task"] if task["index"] == NO_TASK else f"{task['task']} [{task['index']}]"
        why = f"{told['error']}" if told.get("error") else "its log names no exception"
        why += f" at {told['at']}" if told.get("at") else ""
        why += f", exit status {told['exit_status']}" if told.get("exit_status") else ""
        return {
            "rule": "dag-task-failed",
            "subject": f"{self.name}: {dag}.{name}",
            "what": f"Task {name} failed at try {task['tries']}: {why}.",
            "why": "What it says beside that may quote rows, and stays in Airflow.",
            "instead": f"Read its log in Airflow, mend the cause, and clear the task in {run['dag_run']}.",
            "severity": "critical",
            "figures": {"tries": task["tries"], "seconds": task["seconds"], **told},
        }

    def _log(self, dag: str, dag_run: str, task: dict[str, Any]) -> dict[str, Any]:
        """What a task's last log tells; nothing where it cannot be had: that must not hide that the task failed."""
        where = f"dags/{_path(dag)}/dagRuns/{_path(dag_run)}/taskInstances/{_path(task['task'])}/logs/{task['tries']}"
        try:
            answer = self._api.get(where, map_index=task["index"], full_content="true")
        except DatareeveError:
            return {}
        return airflow_logs.reduced(_mapping(answer.body).get("content"))

    def _all(self, path: str, name: str, most: int, **query: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < most:
            page = _items(self._api.get(path, limit=PAGE, offset=len(found), **query).body, name)
            found += page
            if len(page) < PAGE:
                break
        return found

    def _no_dag(self, dag: str) -> BadInput:
        names = self.dags()
        near = difflib.get_close_matches(dag, names, n=1, cutoff=0.4)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        return BadInput(
            "airflow.no-dag",
            f"Airflow at {self.entry.url} has no DAG {dag!r}.{hint}",
            f"It has: {', '.join(names[:20])}." if names else "It has none: look at its import errors.",
        )


def _path(name: str) -> str:
    # An id of ours or of Airflow's is one part of the path, whatever is in it.
    return quote(name, safe="")


def _mapping(body: Any) -> dict[str, Any]:
    return body if isinstance(body, dict) else {}


def _items(body: Any, name: str) -> list[dict[str, Any]]:
    return [one for one in _listed(_mapping(body).get(name)) if isinstance(one, dict)]


def _listed(told: Any) -> list[Any]:
    return told if isinstance(told, list) else []


def _whole(told: Any) -> int:
    return told if isinstance(told, int) else 0


def _run(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "dag_run": str(told.get("dag_run_id")),
        "state": str(told.get("state")),
        "type": str(told.get("run_type") or ""),
        "logical_date": told.get("logical_date"),
        "started": told.get("start_date"),
        "ended": told.get("end_date"),
        "seconds": _rounded(told.get("duration")),
    }


def _task(told: dict[str, Any]) -> dict[str, Any]:
    index = told.get("map_index")
    return {
        "task": str(told.get("task_id")),
        "index": index if isinstance(index, int) else NO_TASK,
        "state": str(told.get("state") or "none"),
        "seconds": _rounded(told.get("duration")),
        "tries": _whole(told.get("try_number")),
        "operator": str(told.get("operator_name") or told.get("operator") or ""),
    }


def _asset(told: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": str(told.get("name") or ""),
        "uri": str(told.get("uri") or ""),
        "producers": [
            {"dag": str(one.get("dag_id")), "task": str(one.get("task_id"))}
            for one in _items(told, "producing_tasks")
        ],
        "consumers": sorted(str(one.get("dag_id")) for one in _items(told, "scheduled_dags")),
    }


def _rounded(seconds: Any) -> float | None:
    return round(float(seconds), 3) if isinstance(seconds, (int, float)) else None
