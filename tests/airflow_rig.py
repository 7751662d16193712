"""What Airflow is tried with: a real Airflow 3 in an environment of its own, and a double that answers as it does.

The real one is found in `.venv-airflow` (or where AIRFLOW_ENVIRONMENT says); `python tests/airflow_rig.py` makes it, in a minute or two. The same test
class runs on both, so that the double stays honest: tests/systems/test_pipelines_airflow.py.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

from ai_rig import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
ENVIRONMENT = Path(os.environ.get("AIRFLOW_ENVIRONMENT", ROOT / ".venv-airflow"))
REQUIREMENTS = ("apache-airflow==3.3.2",)
VERSION = "3.3.2"
START_SECONDS = 240
CANARY = "canary7f3a"
USERS = {"admin": "admin-password", "viewer": "viewer-password"}
DAGS = f"""
from datetime import datetime

from airflow.sdk import dag, task


@dag(schedule=None, start_date=datetime(2024, 1, 1), catchup=False, is_paused_upon_creation=False)
def etl_pipeline():
    @task
    def extract():
        print("extracting {CANARY}")
        return 1

    @task
    def load(n):
        return n

    load(extract())


@dag(schedule="0 3 * * *", start_date=datetime(2024, 1, 1), catchup=False, is_paused_upon_creation=True)
def nightly():
    @task
    def nothing():
        pass

    nothing()


@dag(schedule=None, start_date=datetime(2024, 1, 1), catchup=False, is_paused_upon_creation=False)
def failing_pipeline():
    @task
    def breaks():
        raise ValueError("bad row: {CANARY}")

    @task
    def after():
        pass

    breaks() >> after()


@dag(schedule=None, start_date=datetime(2024, 1, 1), catchup=False, is_paused_upon_creation=False)
def slow_pipeline():
    @task
    def sleeps():
        import time

        time.sleep(600)

    sleeps()


etl_pipeline(), nightly(), failing_pipeline(), slow_pipeline()
"""


def installed() -> bool:
    """Whether there is a real Airflow here."""
    return (ENVIRONMENT / "bin" / "airflow").exists()


@dataclass
class Rig:
    """An Airflow to talk to."""

    url: str
    home: Path | None = None
    users: dict[str, str] = field(default_factory=lambda: dict(USERS))
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def real(self) -> bool:
        """Whether it is a real one."""
        return self.home is not None


# -- the real one ------------------------------------------------------------------------------------------------------------------------


def settings(home: Path, port: int, log_port: int) -> dict[str, str]:
    """Airflow's settings: one machine, SQLite, the loopback interface, nothing asked of the network."""
    url = f"http://127.0.0.1:{port}"
    own = {
        "HOME": home,
        "CORE__LOAD_EXAMPLES": False,
        "CORE__DAGS_FOLDER": home / "dags",
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__PARALLELISM": 8,
        "CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,viewer:viewer",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": home / "passwords.json",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "API__HOST": "127.0.0.1",
        "API__PORT": port,
        "API__BASE_URL": url,
        "API__WORKERS": 1,
        "API_AUTH__JWT_SECRET": "0123456789abcdef" * 4,
        "USAGE_DATA_COLLECTION__ENABLED": False,
        "LOGGING__WORKER_LOG_SERVER_PORT": log_port,
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": 0.2,
        "SCHEDULER__ENABLE_HEALTH_CHECK": False,
    }
    given = {
        f"AIRFLOW__{name}" if "__" in name else f"AIRFLOW_{name}": str(value) for name, value in own.items()
    }
    path = f"{ENVIRONMENT / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **given, "PATH": path, "NO_PROXY": "127.0.0.1", "PYTHONWARNINGS": "ignore"}


def airflow(home: Path, *words: str, environment: dict[str, str], seconds: float = START_SECONDS) -> str:
    """What a command of Airflow's prints. A failed assertion with its last words where it fails."""
    command = [str(ENVIRONMENT / "bin" / "airflow"), *words]
    done = subprocess.run(
        command, cwd=home, env=environment, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout + done.stderr


@contextlib.contextmanager
def home(**files: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """A new Airflow's home with its database, and the environment of its commands."""
    folder = Path(tempfile.mkdtemp(prefix="datareeve-airflow-"))
    try:
        (folder / "dags").mkdir()
        for name, text in files.items():
            (folder / "dags" / f"{name}.py").write_text(text)
        (folder / "passwords.json").write_text(json.dumps(USERS))
        environment = settings(folder, free_port(), free_port())
        airflow(folder, "db", "migrate", environment=environment)
        yield folder, environment
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def real() -> Iterator[Rig]:
    """A real Airflow with its API server, scheduler and DAG processor, ended at the end."""
    with home(rig=DAGS) as (folder, environment):
        rig = Rig(environment["AIRFLOW__API__BASE_URL"], folder)
        try:
            for name in ("api-server", "scheduler", "dag-processor"):
                rig.processes.append(_started(folder, name, environment))
            _wait(rig, folder)
            yield rig
        finally:
            for process in rig.processes:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _started(folder: Path, name: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    command = ["setpriv", "--pdeathsig", "KILL", str(ENVIRONMENT / "bin" / "airflow"), name]
    with (folder / f"{name}.log").open("wb") as log:
        return subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )


def _wait(rig: Rig, folder: Path) -> None:
    """Until every DAG of the file is known."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException, KeyError, ValueError):
            token = asked(rig.url, "POST", "/auth/token", {"username": "admin", "password": USERS["admin"]})[
                "access_token"
            ]
            if asked(rig.url, "GET", "/api/v2/dags", token=token)["total_entries"] == 4:
                return
        dead = [process for process in rig.processes if process.poll() is not None]
        last = "\n".join(path.read_text(errors="replace")[-1000:] for path in folder.glob("*.log"))
        assert not dead, last
        assert time.monotonic() < deadline, last
        time.sleep(0.2)


def asked(url: str, method: str, path: str, body: Any = None, token: str = "") -> Any:
    """What Airflow answers, in the tests' own words."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    with contextlib.closing(connection):
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {token}"} if token else {}
        )
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        return json.loads(connection.getresponse().read() or b"null")


# -- the double --------------------------------------------------------------------------------------------------------------------------


@dataclass
class Double:
    """Answers as Airflow 3 does, about the DAGs of `DAGS`. A run is a state further each time that it is looked at.

    `faults`: what happens to the next requests, in order: a status, 'drop' (no answer), 'lose' (done, and no answer), or a text that is answered.
    """

    runs: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    paused: dict[str, bool] = field(default_factory=lambda: {"etl_pipeline": False, "nightly": True, "failing_pipeline": False, "slow_pipeline": False})  # fmt: skip
    faults: list[Any] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    seen: list[tuple[str, str]] = field(default_factory=list)
    version: str = VERSION
    logins: int = 0

    def login(self, body: dict[str, Any]) -> tuple[int, Any]:
        if USERS.get(body.get("username", "")) != body.get("password"):
            return 401, {"detail": "Invalid credentials"}
        self.logins += 1
        token = f"{body['username']}.{self.logins}"
        self.tokens.add(token)
        return 201, {"access_token": token}

    def answer(self, method: str, target: str, body: Any, token: str) -> tuple[int, Any]:  # noqa: PLR0911 - a way out an answer
        path, query = unquote_parts(target)
        self.seen.append((method, target))
        if path == ("auth", "token"):
            return self.login(body)
        if path[2:] == ("version",):
            return 200, {"version": self.version, "git_version": ".release"}
        if not token:
            return 401, {"detail": "Not authenticated"}
        if token not in self.tokens:
            return 403, {"detail": "Invalid JWT token"}
        if path[:2] != ("api", "v2"):
            return 404, None
        if method == "POST" and token.startswith("viewer"):
            return 403, {"detail": "Forbidden"}
        return self.about(method, path[2:], query, body)

    def about(self, method: str, path: tuple[str, ...], query: dict[str, str], body: Any) -> tuple[int, Any]:  # noqa: PLR0911 - as above
        if path == ("dags",):
            names = sorted(self.paused)
            page = names[int(query.get("offset", 0)) :][: int(query.get("limit", 50))]
            return 200, {"dags": [self.dag(name) for name in page], "total_entries": len(names)}
        if path == ("assets",):
            return 200, {"assets": [], "total_entries": 0}
        if path[1] not in self.paused:
            return 404, {"detail": f"The Dag with ID: `{path[1]}` was not found"}
        if path[2:] == ():
            return 200, self.dag(path[1])
        if path[2:] == ("tasks",):
            return 200, {"tasks": [{"task_id": t, "operator_name": "@task", "downstream_task_ids": d} for t, d in TASKS[path[1]].items()]}  # fmt: skip
        if path[2:] == ("dagRuns",):
            return self.trigger(path[1], body) if method == "POST" else self.list_runs(path[1], query)
        return self.of_run(path, query)

    def dag(self, name: str) -> dict[str, Any]:
        schedule = "0 3 * * *" if name == "nightly" else None
        told = "At 03:00" if schedule else "Never, external triggers only"
        return {"dag_id": name, "is_paused": self.paused[name], "is_stale": False, "timetable_summary": schedule, "timetable_description": told,
                "max_active_runs": 16, "has_import_errors": False, "next_dagrun_run_after": None, "owners": ["airflow"]}  # fmt: skip

    def trigger(self, dag: str, body: dict[str, Any]) -> tuple[int, Any]:
        wrong = [
            {"type": "wrong", "loc": ["body", name], "msg": "Input should be valid", "input": body.get(name)}
            for name, right in (("conf", dict), ("logical_date", (str, type(None))))
            if not isinstance(body.get(name), right)
        ]
        if wrong:
            return 422, {"detail": wrong}
        same = [
            r
            for r in self.runs.values()
            if r["dag_id"] == dag and r["logical_date"] == _zulu(body["logical_date"]) is not None
        ]
        if (dag, body["dag_run_id"]) in self.runs or same:
            return 409, {"detail": {"reason": "Unique constraint violation", "message": CANARY}}
        run = {"dag_run_id": body["dag_run_id"], "dag_id": dag, "logical_date": _zulu(body["logical_date"]), "state": "queued", "run_type": "manual",
               "start_date": None, "end_date": None, "duration": None, "conf": body["conf"]}  # fmt: skip
        self.runs[dag, body["dag_run_id"]] = run
        return 200, run

    def list_runs(self, dag: str, query: dict[str, str]) -> tuple[int, Any]:
        found = [run for (name, _), run in self.runs.items() if name == dag]
        if wanted := query.get("logical_date_gte"):
            found = [run for run in found if run["logical_date"] == _zulu(wanted)]
        return 200, {"dag_runs": found[::-1][: int(query.get("limit", 50))], "total_entries": len(found)}

    def of_run(self, path: tuple[str, ...], query: dict[str, str]) -> tuple[int, Any]:
        run = self.runs.get((path[1], path[3]))
        if run is None:
            return 404, {
                "detail": f"The DagRun with dag_id: `{path[1]}` and run_id: `{path[3]}` was not found"
            }
        if path[4:] == ():
            return 200, dict(self.further(run))
        if path[4:] == ("taskInstances",):
            found = self.instances(run)
            return 200, {"task_instances": found[int(query.get("offset", 0)) :], "total_entries": len(found)}
        return 200, {"content": log(), "continuation_token": None}

    def further(self, run: dict[str, Any]) -> dict[str, Any]:
        end = "failed" if run["dag_id"] == "failing_pipeline" else "success"
        following = {"queued": "running", "running": "running" if run["dag_id"] == "slow_pipeline" else end}
        run["state"] = following.get(run["state"], run["state"])
        if run["state"] == end:
            run |= {
                "start_date": "2026-05-01T03:00:00Z",
                "end_date": "2026-05-01T03:00:11Z",
                "duration": 11.4,
            }
        return run

    def instances(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        states = {"success": "success", "failed": "failed"}
        made = []
        for n, name in enumerate(TASKS[run["dag_id"]]):
            state = states.get(run["state"], "running")
            state = "upstream_failed" if state == "failed" and n else state
            made.append({"task_id": name, "map_index": -1, "state": state, "duration": 1.5, "try_number": 1, "operator_name": "@task", "start_date": f"2026-05-01T03:00:0{n}Z"})  # fmt: skip
        return made


TASKS = {
    "etl_pipeline": {"extract": ["load"], "load": []},
    "nightly": {"nothing": []},
    "failing_pipeline": {"breaks": ["after"], "after": []},
    "slow_pipeline": {"sleeps": []},
}


def log() -> list[dict[str, Any]]:
    """A failed task's log, as Airflow 3.3.2 gave it."""
    library = "/venv/lib/python3.11/site-packages/airflow/sdk/execution_time/task_runner.py"
    line = DAGS.splitlines().index(f'        raise ValueError("bad row: {CANARY}")') + 1
    return [
        {"event": "::group::Log message source details"},
        {"timestamp": "2026-05-01T03:00:01Z", "event": "Worker startup parse complete", "level": "info"},
        {
            "timestamp": "2026-05-01T03:00:02Z", "event": "Task failed with exception", "level": "error", "filename": "task_runner.py", "lineno": 1676,
            "error_detail": [
                {
                    "exc_type": "ValueError", "exc_value": f"bad row: {CANARY}", "exc_notes": [], "is_cause": False,
                    "frames": [
                        {"filename": library, "lineno": 1579, "name": "_run_task"},
                        {"filename": "/dags/rig.py", "lineno": line, "name": "breaks"},
                    ],
                }
            ],
        },
        {"timestamp": "2026-05-01T03:00:02Z", "event": "::endgroup::", "level": "info"},
    ]  # fmt: skip


def unquote_parts(target: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """(the parts of a path, its query)."""
    parts = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    return tuple(unquote(part) for part in parts.path.strip("/").split("/")), query


def _zulu(moment: str | None) -> str | None:
    return re.sub(r"\+00:00$", "Z", moment) if moment else None


@contextlib.contextmanager
def double() -> Iterator[tuple[Rig, Double]]:
    """The double, listening."""
    made = Double()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"null") if length else None
            token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            fault = made.faults.pop(0) if made.faults else None
            if fault == "drop":
                self.close_connection = True
                return
            status, said = made.answer(self.command, self.path, body, token)
            if fault == "lose":
                self.close_connection = True
                return
            if isinstance(fault, int):
                status, said = fault, {"detail": f"fault {CANARY}"}
            text = (
                fault
                if isinstance(fault, str)
                else json.dumps(said)
                if said is not None
                else "<html>not found</html>"
            )
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            if 300 <= status < 400:
                self.send_header("Location", "http://127.0.0.1:1/stolen")
            self.end_headers()
            self.wfile.write(text.encode())

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield Rig(f"http://127.0.0.1:{server.server_address[1]}"), made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def install(environment: Path = ENVIRONMENT, requirements: tuple[str, ...] = REQUIREMENTS) -> None:
    """Make the environment, where it is not there."""
    if not (environment / "bin" / "airflow").exists():
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        pip = [
            str(environment / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, *requirements], check=True)


if __name__ == "__main__":
    install()
