"""A server of its own with a project beside it, and a runner over the backup operations whose authority lets everything through."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import servers
from datareeve.capabilities.databases.operations.back_up import BackUp
from datareeve.capabilities.databases.operations.drill_restore import DrillRestore
from datareeve.capabilities.databases.operations.prune_backups import PruneBackups
from datareeve.capabilities.databases.operations.restore import Restore
from datareeve.capabilities.databases.operations.schedule_backups import ScheduleBackups
from datareeve.capabilities.databases.operations.set_up_backups import SetUpBackups
from datareeve.core.authority import Gate
from datareeve.core.catalogue import Catalogue
from datareeve.core.estate import Authority, Rule
from datareeve.core.ledger import open_ledger
from datareeve.core.runner import Runner

if TYPE_CHECKING:
    from datareeve.systems.registry import Registry

OPERATIONS = (BackUp, DrillRestore, PruneBackups, Restore, ScheduleBackups, SetUpBackups)
DEBIAN = Path("/usr/lib/postgresql/15/bin")


@dataclass
class Place:
    """A server, the project that looks after it, and the runner."""

    server: servers.Server
    project: Path
    registry: Registry
    runner: Runner

    @property
    def app(self) -> Any:
        return self.registry["app"]

    @property
    def folder(self) -> Path:
        """Where its backups are."""
        return backup_folder(self.project)

    @property
    def wal(self) -> Path:
        """Its archived WAL."""
        return next((self.folder / "wal").iterdir())

    def sql(self, *statements: str) -> list[dict[str, Any]]:
        with self.server.connect() as connection:
            answers = [connection.execute(statement) for statement in statements]
            return answers[-1].fetchall() if answers[-1].description else []

    def plan(self, operation):
        return self.runner.preview(operation)

    def do(self, operation):
        return self.runner.apply(self.plan(operation), by="test")

    def archiving(self) -> None:
        """WAL archiving as back-up sets it up, with a backup `b1` taken under it."""
        command = self.app.read("backup_folder")["archive_command"]
        self.app.perform(
            "configure",
            run="b1",
            settings={"archive_mode": "on", "archive_command": command, "archive_timeout": "60s"},
        )
        self.app.perform("base_backup", run="b1", label="b1")


def backup_folder(project: Path) -> Path:
    """Where a project's backups of `app` are."""
    return project / ".datareeve" / "backups" / "app"


@contextlib.contextmanager
def place(binaries: Path | None = None, *, control: bool = True, url: str | None = None, **settings: str):
    """A new server with 1,000 rows in table t, and its project; both are gone afterwards."""
    project = Path(tempfile.mkdtemp(prefix="datareeve-backups-"))
    project.chmod(0o755)
    try:
        with servers.server(binaries, **settings) as server, server.connect() as connection:
            connection.execute(
                "CREATE TABLE t AS SELECT g AS n, 'value ' || g AS v FROM generate_series(1, 1000) AS g"
            )
            connection.close()
            registry = servers.registry(project, url or server.url, server.local if control else None)
            ledger = open_ledger(f"sqlite:///{project / 'ledger.db'}")
            gate = Gate(Authority(rules=(Rule(decision="allow"),)), ledger)
            try:
                yield Place(server, project, registry, Runner(ledger, registry, Catalogue(OPERATIONS), gate))
            finally:
                for left in (
                    *backup_folder(project).glob("restored/*"),
                    *backup_folder(project).glob("drills/*/"),
                ):
                    registry["app"].perform("remove_restored", run="end", target=str(left))
                registry.close()
                ledger.close()
    finally:
        shutil.rmtree(project)


@contextlib.contextmanager
def instead(path: Path, content: bytes | None):
    """A file with other content, or (None) without it, for a while."""
    before = path.read_bytes()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    try:
        yield
    finally:
        path.write_bytes(before)
