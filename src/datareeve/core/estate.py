"""The estate: what the owner declared, in one file, `estate.yaml`. Secrets stand in it by reference only.

`Estate.model_json_schema()` is published as `docs/reference/estate.schema.json` for editors.
"""

from __future__ import annotations

import difflib
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from datareeve.core.errors import BadInput
from datareeve.core.estate_data import DataSettings, FolderSystem, QualitySettings, SparkSystem
from datareeve.core.estate_gateway import AnthropicSystem, GatewaySettings, OpenaiSystem, SecretReference
from datareeve.core.estate_lake import DucklakeSystem, IcebergSystem
from datareeve.core.estate_orchestration import AirflowSystem, DbtSystem
from datareeve.core.estate_pipelines import PipelineSettings
from datareeve.core.operation import Effect, Severity
from datareeve.core.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def holds_password(url: str) -> bool:
    """Whether a URL gives a password away, before the host or, as libpq also takes it, among the parameters."""
    parts = urlsplit(url)
    named = {name.lower() for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    return bool(parts.password or named & {"password", "sslpassword"})


class ServerControl(Value):
    """How Datareeve may start and stop this server: only for a server whose files are on this machine."""

    data: str = Field(description="the server's data directory")
    bin: str | None = Field(
        None, description="folder of pg_ctl, pg_basebackup, ...; found by itself where absent"
    )
    os_user: str | None = Field(None, description="the operating system user that the server runs as")
    log: str | None = Field(None, description="the server's log file, for starting it")


class HostSize(Value):
    """The machine that the server runs on, where Datareeve cannot see it."""

    memory_bytes: int = Field(gt=0)
    cores: int = Field(gt=0)
    storage: Literal["ssd", "disk", "network"] = "ssd"


class WorkloadSource(Value):
    """Where the statements come from that advice is measured on."""

    kind: Literal["pg_stat_statements", "activity", "trace", "log", "sql"] = Field(
        description="pg_stat_statements: what the server counts; activity: samples of what is running; trace: JSON lines an application recorded; log: the server's csvlog or jsonlog (MariaDB, MySQL: slow query log); sql: a file of statements"
    )
    path: str | None = None


class BackupSettings(Value):
    """Where backups go and how long they are kept."""

    directory: str = Field(
        description="base backups and archived WAL; not on the database's own disk in production"
    )
    keep: int = Field(7, ge=1, description="how many base backups are kept")


class CopySettings(Value):
    """What a disposable copy of a database may take, on which advice and plans are tried."""

    max_gb: float = Field(20.0, gt=0, description="disk; a database that needs more is copied in part")
    max_seconds: float = Field(900.0, gt=0, description="how long the copying may read from the database")
    folder: str | None = Field(
        None,
        description="where copies are made, relative to the project or absolute; default: .datareeve/copies",
    )


class PostgresqlSystem(Value):
    """A PostgreSQL database, 13 or newer."""

    kind: Literal["postgresql"]
    url: str = Field(description="postgresql://user@host:port/database, without the password")
    password: SecretReference | None = None
    read_role: str | None = Field(
        None, description="role that reading is done under (SET ROLE); give it no write grants"
    )
    schemas: tuple[str, ...] = Field((), description="which schemas are ours; empty: all but the system's")
    server: ServerControl | None = None
    host: HostSize | None = None
    workload: WorkloadSource | None = None
    backups: BackupSettings | None = None
    copies: CopySettings = CopySettings()
    read_timeout_seconds: float = 60.0

    @field_validator("url")
    @classmethod
    def _no_password_in_url(cls, url: str) -> str:
        if urlsplit(url).scheme not in ("postgresql", "postgres"):
            raise ValueError("a PostgreSQL URL starts with postgresql://")
        if holds_password(url):
            raise ValueError(
                "the URL holds a password: take it out and give `password: env:NAME` or file:path"
            )
        return url


class PgbouncerSystem(Value):
    """A PgBouncer in front of a PostgreSQL database of this estate."""

    kind: Literal["pgbouncer"]
    database: str = Field(description="the system it stands in front of")
    port: int = 6432
    directory: str = "data/pgbouncer"


class MysqlSystem(Value):
    """A MariaDB (10.5 or newer) or MySQL (8.0 or newer) database."""

    kind: Literal["mysql"]
    url: str = Field(description="mysql://user@host:3306/database (or mariadb://), without the password")
    password: SecretReference | None = None
    schemas: tuple[str, ...] = Field((), description="which databases are ours; empty: the one in the URL")
    workload: WorkloadSource | None = None
    read_timeout_seconds: float = Field(60.0, gt=0)

    @field_validator("url")
    @classmethod
    def _a_url_without_password(cls, url: str) -> str:
        if urlsplit(url).scheme not in ("mysql", "mariadb"):
            raise ValueError("a MariaDB or MySQL URL starts with mysql:// or mariadb://")
        if not urlsplit(url).path.strip("/"):
            raise ValueError("the URL names no database: write mysql://user@host:3306/database")
        if holds_password(url):
            raise ValueError(
                "the URL holds a password: take it out and give `password: env:NAME` or file:path"
            )
        return url


class SqliteSystem(Value):
    """An SQLite database: one file. It is opened for reading only."""

    kind: Literal["sqlite"]
    path: str = Field(min_length=1, description="the database file, relative to the project or absolute")
    workload: WorkloadSource | None = None
    read_timeout_seconds: float = Field(60.0, gt=0)


class DuckdbSystem(Value):
    """A DuckDB database: one file. It is opened for reading only, and let go after each look."""

    kind: Literal["duckdb"]
    path: str = Field(min_length=1, description="the database file, relative to the project or absolute")
    schemas: tuple[str, ...] = Field((), description="which schemas are ours; empty: all of the file")
    workload: WorkloadSource | None = None
    read_timeout_seconds: float = Field(60.0, gt=0)


SystemEntry = Annotated[
    PostgresqlSystem
    | PgbouncerSystem
    | MysqlSystem
    | SqliteSystem
    | DuckdbSystem
    | FolderSystem
    | DucklakeSystem
    | IcebergSystem
    | SparkSystem
    | OpenaiSystem
    | AnthropicSystem
    | DbtSystem
    | AirflowSystem,
    Field(discriminator="kind"),
]


class Rule(Value):
    """One sentence of authority. Every condition given must match; `never` wins over everything, else the first match decides."""

    decision: Literal["allow", "approve", "never"]
    effects: tuple[Effect, ...] = ()
    systems: tuple[str, ...] = ()
    schemas: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    operations: tuple[str, ...] = Field((), description="operation names; * at the end matches the rest")
    window: str | None = Field(
        None, description="'Mon-Fri 22:00-06:00 Europe/Berlin': the rule holds only then"
    )
    why: str = ""


class Budget(Value):
    """What may be spent unattended."""

    usd_per_month: float = 0.0


class Authority(Value):
    """What may be done unattended, what needs an approval, what never. Default: read; everything else needs an approval."""

    rules: tuple[Rule, ...] = ()
    file_paths: tuple[str, ...] = ("**/data/**", "**/etl/**", "**/migrations/**", "**/contracts/**")
    approvals_expire_hours: float = 24.0
    four_eyes: bool = Field(default=False, description="an approval cannot be given by the party that asked")
    budget: Budget = Budget()


class Schedule(Value):
    """An operation that `datareeve serve` runs by itself, within the authority."""

    operation: str
    inputs: dict[str, Any] = Field(default_factory=dict)
    cron: str = Field(description="five fields, in `timezone`")
    timezone: str = "UTC"


class AlertRule(Value):
    """When a watched figure is worth a person's attention.

    Hysteresis: it fires after `for_samples` in a row beyond the threshold, and ends after as many that have come back to `clear`.
    """

    name: str
    system: str
    sample: str = Field(description="the name of the sample: connections_used_percent")
    above: float | None = None
    below: float | None = None
    clear: float | None = Field(None, description="the level at which it ends; default: the threshold itself")
    for_samples: int = Field(
        2, ge=1, description="samples in a row that it takes to fire, and as many to end"
    )
    silent_seconds: float | None = Field(
        None, gt=0, description="fires when there has been no sample for so long; no samples are no good news"
    )
    tells: tuple[str, ...] = Field(
        (), description="other samples told with it: blocking_root_pid, which names the session to blame"
    )
    severity: Severity = Severity.WARNING
    escalates_as: str | None = Field(
        None,
        description="data-loss-risk, ai-outage, severe-slowdown, security-incident, compliance-violation",
    )
    advice: str = Field("", description="what to do when it fires, in one sentence")
    notify: tuple[str, ...] = Field(
        (), description="who is told: file:path, exec:program, webhook:https://… or webhook:env:NAME"
    )


class Targets(Value):
    """The service levels this estate is held to."""

    query_ms_p95: float = 100.0
    query_share: float = Field(
        0.95, gt=0, lt=1, description="the share of queries that shall take at most query_ms_p95"
    )
    backup_age_hours: float = 26.0
    restore_point_seconds: float = 300.0
    restore_time_seconds: float = 3600.0
    api_uptime_percent: float = Field(99.9, gt=0, lt=100, description="requests that the gateway answered")
    ai_cost_growth_percent: float = Field(10.0, ge=0, description="month over month, at most")
    validation_pass_percent: float = Field(
        99.0,
        gt=0,
        le=100,
        description="verdicts of data contracts that passed, of those that passed or failed",
    )
    pipeline_success_percent: float = Field(
        99.0, gt=0, le=100, description="runs of pipelines that were done, of those that ended"
    )


class Estate(DataSettings):
    """Everything the owner declared."""

    version: Literal[1] = 1
    name: str = "estate"
    ledger: str | None = Field(
        None, description="postgresql://… to share the ledger; default: SQLite in .datareeve/"
    )
    ledger_password: SecretReference | None = None
    systems: dict[str, SystemEntry] = Field(default_factory=dict)
    gateway: GatewaySettings | None = Field(None, description="the AI gateway; none: there is none")
    authority: Authority = Authority()
    schedules: dict[str, Schedule] = Field(default_factory=dict)
    alerts: tuple[AlertRule, ...] = ()
    targets: Targets = Targets()
    quality: QualitySettings = QualitySettings()
    pipelines: PipelineSettings = PipelineSettings()

    @model_validator(mode="after")
    def _targets_are_providers(self) -> Estate:
        for name, route in (self.gateway.models if self.gateway else {}).items():
            for target in route.targets:
                if self.systems.get(target.partition("/")[0], None).__class__ not in (
                    OpenaiSystem,
                    AnthropicSystem,
                ):
                    raise ValueError(
                        f"gateway.models.{name}: {target!r} names no provider of `systems` (kind openai or anthropic)"
                    )
        return self

    @field_validator("ledger")
    @classmethod
    def _no_password_in_ledger(cls, url: str | None) -> str | None:
        if url is not None and holds_password(url):
            raise ValueError(
                "the URL holds a password: take it out and give `ledger_password: env:NAME` or file:path"
            )
        return url


STATE_FOLDER = ".datareeve"
ESTATE_FILE = "estate.yaml"


def load(path: Path) -> Estate:
    """The estate of a file.

    Errors: `BadInput`: `estate.missing`, `estate.syntax` (line and column), `estate.invalid` (the key, and the nearest known one).
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadInput(
            "estate.missing",
            f"There is no {path.name} in {path.parent}.",
            "Make one: `datareeve init`, which needs no database (the AI gateway is set up next: `datareeve run ai.set-up-gateway`), or with one: "
            "`datareeve init postgresql://user@host/database`. Or name another folder with --project.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            "estate.unreadable", f"{path} cannot be read: {error}.", "It must be a UTF-8 text file."
        ) from None
    return parse(text)


# As it is, and as a step is about to write it: one command asks many times, and reading YAML is slow.
@lru_cache(maxsize=2)
def parse(text: str) -> Estate:
    """The estate of a YAML text; of the same text, the same value. Errors as `load`."""
    try:
        data = YAML(typ="safe").load(text) or {}
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise BadInput("estate.syntax", f"estate.yaml is not valid YAML{where}.", "Mend that line.") from None
    if not isinstance(data, dict):
        raise BadInput(
            "estate.invalid", "estate.yaml must be a mapping of keys.", "Start it with `version: 1`."
        )
    try:
        return Estate.model_validate(data)
    except ValidationError as error:
        problems = "; ".join(_explain(problem) for problem in error.errors()[:5])
        raise BadInput(
            "estate.invalid", f"estate.yaml: {problems}.", "The schema is docs/reference/estate.schema.json."
        ) from None


def _explain(problem: Any) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "the file"
    if problem["type"] == "extra_forbidden":
        key = str(problem["loc"][-1])
        known = set(_known_keys(Estate))
        if key in known:
            return f"unknown key {where!r} (there is such a key, in another place)"
        near = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.5)
        return f"unknown key {where!r}" + (f" (did you mean {near[0]!r}?)" if near else "")
    return f"{where}: {problem['msg'].removeprefix('Value error, ')}"


def _known_keys(model: type[BaseModel]) -> Iterator[str]:
    """Every key the schema knows anywhere: the nearest of them is offered for an unknown one."""
    schema = model.model_json_schema()
    for part in (schema, *schema.get("$defs", {}).values()):
        yield from part.get("properties", {})
