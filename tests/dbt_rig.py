"""A small dbt project, and a real dbt to run it: DuckDB's adapter and PostgreSQL's, in an environment of its own.

dbt is found in `.venv-dbt` (or where DBT_ENVIRONMENT says); `python tests/dbt_rig.py` makes it, in half a minute.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import duckdb

from datareeve.core.estate_orchestration import DbtSystem
from datareeve.systems.dbt import Dbt

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parents[1]
ENVIRONMENT = Path(os.environ.get("DBT_ENVIRONMENT", ROOT / ".venv-dbt"))
REQUIREMENTS = ("dbt-core<1.12", "dbt-duckdb", "dbt-postgres", "duckdb==1.5.5")
PROGRAM = ENVIRONMENT / "bin" / "dbt"
RECORDED = Path(__file__).parent / "data" / "dbt"
CANARY = "canary7f3a"
SECRET = "s3cret-canary-9b1d"  # noqa: S105 - looked for in what is told
FILES = {
    "dbt_project.yml": "name: shop\nversion: '1.0'\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n",
    "models/schema.yml": """version: 2
sources:
  - name: raw
    schema: main
    tables: [{name: orders}]
models:
  - name: stg_orders
    columns:
      - {name: id, data_type: integer, data_tests: [unique, not_null]}
      - name: status
        data_tests:
          - accepted_values: {arguments: {values: [paid, open]}}
  - name: orders_by_day
    columns: [{name: day, data_type: date}, {name: revenue, data_type: decimal}]
exposures:
  - name: revenue_board
    type: dashboard
    owner: {name: Finance, email: finance@example.org}
    depends_on: [ref('orders_by_day')]
""",
    "models/stg_orders.sql": "select id, status, amount, day from {{ source('raw', 'orders') }}",
    "models/orders_by_day.sql": "{{ config(materialized='table') }} select day, sum(amount) as revenue from {{ ref('stg_orders') }} group by day",
    "models/order_log.sql": "{{ config(materialized='incremental') }} select id, status, current_timestamp as seen from {{ ref('stg_orders') }}",
}


def installed() -> bool:
    """Whether there is a real dbt here."""
    return PROGRAM.exists()


@dataclass
class Project:
    """A project on disk, of whose estate it is the system `shop`."""

    folder: Path  # of the estate
    dbt: Path  # of the project
    database: Path | None = None

    def system(self, **more: Any) -> Dbt:
        """The adapter."""
        return Dbt("shop", self.entry(**more), self.folder)

    def entry(self, **more: Any) -> DbtSystem:
        """Its entry in the estate."""
        given = {"executable": str(PROGRAM), "profiles": "dbt"}
        return DbtSystem(kind="dbt", project="dbt", **{**given, **more})

    def write(self, *several: dict[str, str], **files: str) -> None:
        """Write files of the project by their paths; of two of one path, the later."""
        for path, text in {name: text for one in (*several, files) for name, text in one.items()}.items():
            where = self.dbt / path
            where.parent.mkdir(parents=True, exist_ok=True)
            where.write_text(text)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What DuckDB answers."""
        with duckdb.connect(str(self.database)) as connection:
            return connection.execute(sql).fetchall()


def on_duckdb(folder: Path, orders: int = 20, bad: bool = True, **files: str) -> Project:  # noqa: FBT001, FBT002 - of tests
    """The project on a DuckDB with some orders, one of which has a status that its test does not allow, where `bad`."""
    project = Project(folder, folder / "dbt", folder / "shop.duckdb")
    profile = {"type": "duckdb", "path": str(project.database), "threads": 1}
    project.write(
        {"profiles.yml": json.dumps({"shop": {"target": "dev", "outputs": {"dev": profile}}})}, FILES, files
    )
    status = f"CASE WHEN n = 7 THEN '{CANARY}' ELSE 'paid' END" if bad else "'paid'"
    with duckdb.connect(str(project.database)) as connection:
        connection.execute(
            f"CREATE TABLE orders AS SELECT n AS id, {status} AS status, n * 1.5 AS amount, DATE '2026-01-01' + (n % 3)::INT AS day FROM range({orders}) AS t (n)"
        )
    return project


def on_postgres(folder: Path, url: str, **files: str) -> Project:
    """The project on a PostgreSQL; its profile reads a password by env_var."""
    parts = urlsplit(url)
    project = Project(folder, folder / "dbt")
    profile = {"type": "postgres", "host": parts.hostname, "port": parts.port, "user": parts.username, "password": "{{ env_var('DBT_ENV_SECRET_PASSWORD') }}",
               "dbname": parts.path[1:], "schema": "main", "threads": 1}  # fmt: skip
    project.write(
        {"profiles.yml": json.dumps({"shop": {"target": "dev", "outputs": {"dev": profile}}})}, FILES, files
    )
    return project


def asked(command: str = "build", **more: Any) -> dict[str, Any]:
    """What a command is asked as."""
    return {"command": command, "select": [], "exclude": [], "vars": {}, **more}


def recorded(name: str) -> str:
    """An artifact that a real dbt made of this project (`python tests/dbt_rig.py --record`)."""
    return (RECORDED / f"{name}.json").read_text()


def record(folder: Path) -> None:
    """Make the recorded artifacts anew, without what dbt itself brings along and without moments."""
    project = on_duckdb(folder)
    environment = {
        **os.environ,
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "0",
        "DBT_ENV_CUSTOM_ENV_DATAREEVE_RUN": "run1",
        "DBT_ENV_CUSTOM_ENV_DATAREEVE_KEY": "key1",
    }
    with (folder / "events.jsonl").open("wb") as out:
        subprocess.run(
            [PROGRAM, "build", "--log-format", "json"],
            cwd=project.dbt,
            env=environment,
            stdout=out,
            check=False,
        )
    RECORDED.mkdir(parents=True, exist_ok=True)
    for name in ("manifest", "run_results"):
        data = json.loads((project.dbt / "target" / f"{name}.json").read_text())
        for gone in ("macros", "docs", "disabled", "parent_map", "child_map", "args"):
            data.pop(gone, None)
        text = json.dumps(data, indent=1, sort_keys=True).replace(str(folder), "/project")
        (RECORDED / f"{name}.json").write_text(text + "\n")
    (RECORDED / "events.jsonl").write_text(
        (folder / "events.jsonl").read_text().replace(str(folder), "/project")
    )


def skip_without(request: pytest.FixtureRequest) -> None:
    """Skip a test where there is no dbt, saying how it is had."""
    import pytest  # noqa: PLC0415 - the rig is also run by itself

    del request
    if not installed():
        pytest.skip("there is no dbt in .venv-dbt: python tests/dbt_rig.py makes it")


def install() -> None:
    """Make the environment, where it is not there."""
    if not installed():
        subprocess.run([sys.executable, "-m", "venv", str(ENVIRONMENT)], check=True)
        pip = [
            str(ENVIRONMENT / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        subprocess.run([*pip, *REQUIREMENTS], check=True)


if __name__ == "__main__":
    install()
    if "--record" in sys.argv:
        import tempfile

        with tempfile.TemporaryDirectory() as temporary:
            record(Path(temporary))
