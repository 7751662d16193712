"""The estate's systems by name, opened when first asked for."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, cast

from datareeve.core.errors import BadInput
from datareeve.core.estate import (
    ESTATE_FILE,
    DuckdbSystem,
    Estate,
    MysqlSystem,
    PgbouncerSystem,
    PostgresqlSystem,
    SqliteSystem,
)
from datareeve.core.estate_data import FolderSystem, SparkSystem
from datareeve.core.estate_gateway import AnthropicSystem, OpenaiSystem
from datareeve.core.estate_lake import DucklakeSystem, IcebergSystem
from datareeve.core.estate_orchestration import AirflowSystem, DbtSystem
from datareeve.systems.estate_file import EstateFile
from datareeve.systems.files import Files
from datareeve.systems.host import Host
from datareeve.systems.secret_references import resolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.core.secrets import Secret
    from datareeve.systems.adapter import Adapter
    from datareeve.systems.gateway_control import GatewayControl


class Registry:
    """Every system of an estate, and the built-in `files`, `host`, `estate`, `gateway-process` (and `ledger`, given with `add`)."""

    def __init__(self, estate: Estate, project: Path) -> None:
        self.estate = estate
        self.project = project.resolve()
        self._lazy: dict[str, Callable[[], Adapter]] = {}
        self._open: dict[str, Adapter] = {
            "files": Files(self.project, estate.authority.file_paths),
            "host": Host(),
            "estate": EstateFile(self.project / ESTATE_FILE),
        }
        self.add_lazily("gateway", self._gateway)
        self.add_lazily("gateway-process", self._gateway_process)
        self.add_lazily("contract-tool", self._contract_tool)
        self.add_lazily("pipeline-code", self._pipeline_code)

    def add(self, system: Adapter) -> None:
        """Add a built-in system, or replace one (a copy, during rehearsal)."""
        self._open[system.name] = system

    def add_lazily(self, name: str, make: Callable[[], Adapter]) -> None:
        """Add a built-in system that is made when first asked for."""
        self._lazy[name] = make

    def __getitem__(self, name: str) -> Adapter:
        """The system of that name. Errors: `BadInput` `system.unknown`, with the nearest name."""
        if name not in self._open:
            self._open[name] = self._lazy[name]() if name in self._lazy else self._make(name)
        return self._open[name]

    def names(self, kind: str | None = None) -> tuple[str, ...]:
        """The estate's system names, of one kind or all."""
        return tuple(name for name, entry in self.estate.systems.items() if kind in (None, entry.kind))

    def close(self) -> None:
        """Let go of every connection."""
        for system in self._open.values():
            system.close()

    def _make(self, name: str) -> Adapter:
        entry = self.estate.systems.get(name) or self._pool(name)
        if entry is None:
            near = difflib.get_close_matches(name, list(self.estate.systems), n=1, cutoff=0.4)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise BadInput(
                "system.unknown",
                f"The estate has no system {name!r}.{hint}",
                f"It has: {', '.join(self.estate.systems) or 'none yet; run `datareeve init URL`'}.",
            )
        if isinstance(entry, PostgresqlSystem):
            return self._postgres(name, entry)
        if isinstance(entry, PgbouncerSystem):
            from datareeve.systems.pgbouncer import Pgbouncer  # noqa: PLC0415 - loaded when the estate has one

            return Pgbouncer(name, entry, self.project, self[entry.database])  # type: ignore[arg-type]
        if isinstance(entry, (DbtSystem, AirflowSystem)):
            return self._orchestrator(name, entry)
        if isinstance(entry, (DucklakeSystem, IcebergSystem)):
            return self._lake(name, entry)
        return self._elsewhere(name, entry)

    def _orchestrator(self, name: str, entry: DbtSystem | AirflowSystem) -> Adapter:
        if isinstance(entry, DbtSystem):
            from datareeve.systems.dbt import Dbt  # noqa: PLC0415 - loaded when the estate has one

            return Dbt(name, entry, self.project)
        from datareeve.systems.airflow import Airflow  # noqa: PLC0415 - as above

        return Airflow(name, entry, self.project)

    def _lake(self, name: str, entry: DucklakeSystem | IcebergSystem) -> Adapter:
        if isinstance(entry, DucklakeSystem):
            from datareeve.systems.ducklake import Ducklake  # noqa: PLC0415 - as above

            return Ducklake(name, entry, self.project, self._secret)
        from datareeve.systems.destination_iceberg import Iceberg  # noqa: PLC0415 - as above

        return Iceberg(name)

    def _gateway_process(self) -> Adapter:
        from datareeve.systems.gateway_process import GatewayProcess  # noqa: PLC0415 - loaded when first asked for

        return GatewayProcess(self.project)

    def _contract_tool(self) -> Adapter:
        from datareeve.systems.contract_tool import ContractTool  # noqa: PLC0415 - loaded when a contract goes in or out

        return ContractTool()

    def _pipeline_code(self) -> Adapter:
        from datareeve.systems.pipeline_code import PipelineCode  # noqa: PLC0415 - loaded when pipelines are read

        return PipelineCode(self.project, self.estate)

    def _elsewhere(
        self,
        name: str,
        entry: MysqlSystem
        | SqliteSystem
        | DuckdbSystem
        | FolderSystem
        | SparkSystem
        | OpenaiSystem
        | AnthropicSystem,
    ) -> Adapter:
        if isinstance(entry, (OpenaiSystem, AnthropicSystem)):
            return self._provider(name, entry)
        if isinstance(entry, MysqlSystem):
            from datareeve.systems.mysql import Mysql  # noqa: PLC0415 - loaded when the estate has one

            return Mysql(name, entry, self._secret(entry.password), self.project)
        if isinstance(entry, SqliteSystem):
            from datareeve.systems.sqlite import Sqlite  # noqa: PLC0415 - as above

            return Sqlite(name, entry, self.project)
        if isinstance(entry, FolderSystem):
            from datareeve.systems.folder import Folder  # noqa: PLC0415 - as above

            return Folder(name, entry, self.project)
        if isinstance(entry, SparkSystem):
            from datareeve.systems.spark import Spark  # noqa: PLC0415 - as above

            return Spark(name, entry, self.project)
        from datareeve.systems.duckdb import Duckdb  # noqa: PLC0415 - as above

        return Duckdb(name, entry, self.project)

    def _gateway(self) -> GatewayControl:
        from datareeve.systems.gateway_control import GatewayControl  # noqa: PLC0415 - loaded when AI is worked on

        return GatewayControl(self.project, resolver(self.project))

    def _provider(self, name: str, entry: OpenaiSystem | AnthropicSystem) -> Adapter:
        from datareeve.systems.ai_provider import provider_of  # noqa: PLC0415 - as above

        gateway = cast("GatewayControl", self["gateway"])
        return provider_of(name, entry, lambda key: gateway.secret_for(name, key))

    def _pool(self, name: str) -> PgbouncerSystem | None:
        # `app-pool` can be asked for before it is declared: a plan that declares it also starts it, and looks first.
        database = name.removesuffix("-pool")
        front = isinstance(self.estate.systems.get(database), PostgresqlSystem)
        return PgbouncerSystem(kind="pgbouncer", database=database) if front and database != name else None

    def _postgres(self, name: str, entry: PostgresqlSystem) -> Adapter:
        from datareeve.systems.pg_server import LocalServer, find_binaries  # noqa: PLC0415 - loaded when the estate has one
        from datareeve.systems.postgres import Postgres  # noqa: PLC0415

        server = None
        if entry.server is not None:
            binaries = Path(entry.server.bin) if entry.server.bin else find_binaries()
            if binaries is None:
                raise BadInput(
                    "postgres.no-binaries",
                    f"No PostgreSQL binaries are found for {name}.",
                    f"Give systems.{name}.server.bin.",
                )
            log = Path(entry.server.log) if entry.server.log else None
            server = LocalServer(
                data=Path(entry.server.data), bin=binaries, os_user=entry.server.os_user, log=log
            )
        return Postgres(name, entry, self._secret(entry.password), server, self.project)

    def _secret(self, reference: str | None) -> Secret | None:
        return resolver(self.project)(reference) if reference else None
