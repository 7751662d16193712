"""What a pipeline is, as a person writes it: `etl/NAME.yaml`, or the same in Python.

`Pipeline.model_json_schema()` is published as `docs/reference/pipeline.schema.json` for editors. Reading a file is in `spec_files`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from datareeve.core.value import Value

Name = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[^\W\d]\w*$")]
PipelineName = Annotated[
    str, Field(min_length=1, max_length=120, pattern=r"^\w[\w-]*$")
]  # its file's, without the ending
TableName = Annotated[
    str, Field(min_length=1, max_length=250, description="table, or schema.table, as the engine names it")
]
Duration = Annotated[str, Field(pattern=r"^\d+ ?(s|m|h|d|w)$", description="30s, 10m, 6h, 1d, 2w")]
Mode = Literal["full", "append", "upsert", "scd2", "snapshot"]


# -- sources -----------------------------------------------------------------------------------------------------------------------------


class FileFormat(Value):
    """How files are read; what is absent is detected, and what was detected is stated in the run."""

    format: Literal["csv", "jsonl", "json", "parquet", "excel", "fixed"] | None = Field(
        None, description="default: by the name, then by the first bytes"
    )
    encoding: str | None = Field(None, description="utf-8, latin-1, cp1252, utf-16; default: detected")
    delimiter: str | None = Field(None, min_length=1, max_length=4)
    quote: str | None = Field(None, max_length=1)
    escape: str | None = Field(None, max_length=1)
    header: bool | None = None
    null: tuple[str, ...] = Field((), description="texts that stand for no value: NA, NULL, -")
    decimal: Literal[".", ","] | None = None
    date_format: str | None = Field(None, description="as strptime: %d.%m.%Y")
    timestamp_format: str | None = None
    skip: int = Field(0, ge=0, description="lines before the header")
    sheet: str | None = Field(None, description="of an Excel file; default: the first")
    cells: str | None = Field(None, description="of an Excel sheet: A1:F200; default: all that is filled")
    widths: dict[Name, Annotated[int, Field(gt=0)]] = Field(
        default_factory=dict, description="of a fixed-width file: column: characters"
    )
    records: str | None = Field(None, description="of a JSON document: where its rows are, data.items")
    longest_line: int = Field(
        16 * 2**20, gt=0, description="bytes; a longer line is rejected, and never held in memory"
    )


class Paging(Value):
    """How an HTTP API is asked for the next page."""

    by: Literal["link", "cursor", "page", "offset", "none"] = "none"
    parameter: str = Field("", description="the query parameter that carries page, offset or cursor")
    next: str = Field("", description="by cursor: where the answer says the next one, meta.next")
    size_parameter: str = Field("", description="the query parameter of the page's size")
    size: int = Field(100, gt=0)
    first: int = Field(1, ge=0, description="by page: the first page's number")
    most_pages: int = Field(100_000, gt=0)


class HttpAuth(Value):
    """How a request shows who asks."""

    kind: Literal["bearer", "basic", "header", "query", "oauth2-client-credentials"]
    secret: str = Field(
        pattern=r"^(env|file|keyring|vault):.+", description="the token, password or client secret"
    )
    user: str = Field("", description="basic: the user; oauth2: the client id")
    name: str = Field("", description="header, query: its name")
    token_url: str = Field(
        "", description="oauth2: where a token is had; it is asked for again when it expires"
    )
    scope: str = ""


class HttpSource(Value):
    """An HTTP API that answers rows as JSON, or files."""

    url: str = Field(pattern=r"^https?://")
    method: Literal["GET", "POST"] = "GET"
    parameters: dict[str, str] = Field(
        default_factory=dict, description="of the query; {cursor} is where the last load came to"
    )
    headers: dict[str, str] = Field(default_factory=dict)
    body: dict[str, Any] | None = None
    records: str = Field(
        "", description="where the rows are in the answer: data.items; default: the answer is a list"
    )
    paging: Paging = Paging()
    auth: HttpAuth | None = None
    requests_per_second: float | None = Field(None, gt=0)
    timeout_seconds: float = Field(60.0, gt=0)
    retries: int = Field(5, ge=0, description="of 429, 5xx and lost connections, with Retry-After")


class DltSource(Value):
    """A connector of dlt, as a source of rows only: what is loaded how, and the cursor, are ours."""

    source: str = Field(
        description="module:function that makes a dlt source or resource: dlt_sources.github:github_issues"
    )
    resource: str | None = None
    arguments: dict[str, Any] = Field(
        default_factory=dict, description="a value env:NAME or file:path is a secret"
    )


class Source(Value):
    """Where rows come from: exactly one of `table`, `query`, `files`, `http`, `python`, `dlt`."""

    system: str | None = Field(None, description="a system of the estate: a database, a folder, a bucket")
    table: TableName | None = None
    query: str | None = Field(None, description="one SELECT in the system's own SQL")
    files: tuple[str, ...] | None = Field(
        None, description="paths or patterns below the system's folder (or the project): flights/*.csv.gz"
    )
    read_as: FileFormat = FileFormat()
    http: HttpSource | None = None
    python: str | None = Field(
        None,
        description="module:function below the project; a generator of dicts or Arrow tables, given the cursor",
    )
    dlt: DltSource | None = None

    @field_validator("files", mode="before")
    @classmethod
    def _one_or_several(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @property
    def kind(self) -> str:
        """Which of the ways it is."""
        return next(name for name in KINDS if getattr(self, name) is not None)

    @model_validator(mode="after")
    def _exactly_one(self) -> Source:
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"give exactly one of {', '.join(KINDS)}: there {'are' if given else 'is'} {', '.join(given) or 'none'}"
            )
        if given[0] in ("table", "query") and not self.system:
            raise ValueError(f"{given[0]} needs `system`: a database of the estate")
        return self


KINDS = ("table", "query", "files", "http", "python", "dlt")


# -- loads -------------------------------------------------------------------------------------------------------------------------------


class Cursor(Value):
    """How a load knows what is new."""

    column: str = Field(min_length=1, description="a column that only grows: updated_at, id")
    start: str | None = Field(None, description="where the first load begins; default: everything")
    lag: Duration | None = Field(
        None,
        description="how long rows may come late: so much is read again each time (upsert and scd2 only)",
    )


class Column(Value):
    """What is said of one column; everything else is as the source has it."""

    type: str | None = Field(
        None, description="decimal(12,2), timestamptz, text, bigint …; default: the source's own"
    )
    source: str | None = Field(None, description="its name at the source, where it is another")
    drop: bool = False
    timezone: str | None = Field(None, description="of timestamps that say none: Europe/Berlin")


class Evolution(Value):
    """What happens when the source's columns are no longer those of the target."""

    new_column: Literal["add", "ignore", "refuse"] = "add"
    wider_type: Literal["widen", "refuse", "quarantine"] = "widen"
    missing_column: Literal["null", "refuse"] = "refuse"


class Rejects(Value):
    """How many rows may be put in quarantine before the load is refused. Default: none."""

    at_most_rows: int = Field(0, ge=0)
    at_most_percent: float = Field(0.0, ge=0, le=100)


class History(Value):
    """The columns of mode scd2, and which columns' changes make a new version."""

    valid_from: Name = "valid_from"
    valid_to: Name = "valid_to"
    current: Name = "is_current"
    track: tuple[str, ...] = Field((), description="default: every column but the keys and the cursor's")
    changed_at: str | None = Field(
        None, description="the column that says when; default: the moment of the load"
    )


class Load(Value):
    """One table, loaded from one source."""

    source: Source
    mode: Mode = "full"
    keys: tuple[str, ...] = Field((), description="what tells one row from another; upsert and scd2 need it")
    cursor: Cursor | None = None
    to: TableName | None = Field(None, description="the table of the target; default: the load's name")
    columns: dict[str, Column] = Field(default_factory=dict)
    evolution: Evolution = Evolution()
    rejects: Rejects = Rejects()
    history: History = History()
    deletes: Literal["keep", "remove", "mark"] = Field(
        "keep",
        description="what becomes of rows that the source no longer has; not `keep`: all its keys are read",
    )
    deleted_column: Name = Field("is_deleted", description="deletes: mark")
    batch_rows: int | None = Field(None, gt=0, description="rows that commit together; default: by time")
    parallel: int | None = Field(
        None,
        gt=0,
        le=64,
        description="threads, and connections to the source's database, that read at once; default: one for each core",
    )
    rows_per_second: float | None = Field(
        None, gt=0, description="a throttle, for a source that others work on"
    )

    @field_validator("cursor", mode="before")
    @classmethod
    def _a_column(cls, given: object) -> object:
        return {"column": given} if isinstance(given, str) else given

    @field_validator("columns", mode="before")
    @classmethod
    def _types(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        return {name: {"type": one} if isinstance(one, str) else one for name, one in given.items()}

    @model_validator(mode="after")
    def _fits(self) -> Load:
        if self.mode in ("upsert", "scd2") and not self.keys:
            raise ValueError(f"mode {self.mode} needs `keys`")
        if self.deletes != "keep" and self.mode not in ("upsert", "scd2"):
            raise ValueError(f"deletes: {self.deletes} needs mode upsert or scd2")
        if self.cursor and self.mode in ("full", "snapshot"):
            raise ValueError(f"mode {self.mode} reads everything: it has no cursor")
        if self.cursor and self.cursor.lag and self.mode == "append":
            raise ValueError(
                "a lag reads rows twice: with mode append they would be doubled; give keys and mode upsert"
            )
        return self


# -- models ------------------------------------------------------------------------------------------------------------------------------


class Incremental(Value):
    """How a model is built without building all of it."""

    by: Literal["time", "key"]
    column: Name | None = Field(None, description="by time: the model's column whose intervals are replaced")
    interval: Literal["hour", "day", "week", "month"] = "day"
    lag: int = Field(0, ge=0, description="intervals that are built again, for rows that come late")
    start: str | None = Field(None, description="by time: the first interval, 2026-01-01")

    @model_validator(mode="after")
    def _column_by_time(self) -> Incremental:
        if self.by == "time" and not self.column:
            raise ValueError("incremental by time needs `column`")
        return self


class UnitTest(Value):
    """Rows given, and the rows that the model makes of them."""

    name: str = Field(min_length=1)
    given: dict[str, tuple[dict[str, Any], ...]] = Field(
        description="by table: its rows; absent tables are empty"
    )
    expect: tuple[dict[str, Any], ...]


class Model(Value):
    """A table made by a SELECT. Written in `dialect`, and run as each engine writes the same."""

    sql: str | None = Field(None, description="a file beside the pipeline's, daily.sql")
    query: str | None = Field(None, description="the SELECT itself")
    dialect: Literal["duckdb", "postgres", "spark"] = "duckdb"
    materialized: Literal["table", "view", "incremental"] = "table"
    incremental: Incremental | None = None
    keys: tuple[str, ...] = ()
    to: TableName | None = None
    engine: str | None = Field(
        None,
        description="a Spark system of the estate that builds it, or the target's name; default: the pipeline's `engine`",
    )
    unit_tests: tuple[UnitTest, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Model:
        if (self.sql is None) == (self.query is None):
            raise ValueError("give `sql` (a file) or `query` (the SELECT), not both")
        if (self.materialized == "incremental") != (self.incremental is not None):
            raise ValueError("materialized: incremental and `incremental` go together")
        if self.incremental and self.incremental.by == "key" and not self.keys:
            raise ValueError("incremental by key needs `keys`")
        return self


# -- publishing and running --------------------------------------------------------------------------------------------------------------


class ChangeBudget(Value):
    """What a publication may change by itself; more is held until it is released. None: any."""

    removed_rows: int | None = Field(None, ge=0)
    removed_percent: float | None = Field(None, ge=0)
    changed_rows: int | None = Field(None, ge=0)
    changed_percent: float | None = Field(None, ge=0)
    added_percent: float | None = Field(None, ge=0)


class Schedule(Value):
    """When it runs by itself: by the clock, when a file arrives, or after another pipeline."""

    cron: str | None = Field(None, description="five fields, in `timezone`")
    timezone: str = "UTC"
    on_file: str | None = Field(
        None, description="a pattern: runs when a file that it names is new or has changed"
    )
    after: tuple[PipelineName, ...] = Field(
        (), description="pipelines: runs when each of them has published anew"
    )
    skip_days: tuple[str, ...] = Field((), description="2026-12-25, Sat, Sun, or holidays:DE")
    catch_up: Literal["none", "latest", "all"] = Field(
        "latest", description="what becomes of runs that were missed"
    )
    retries: int = Field(3, ge=0, description="of a run that failed for the source, the target or capacity")
    retry_seconds: float = Field(
        60.0, gt=0, description="before the first retry; each waits twice as long as the one before"
    )
    timeout: Duration | None = None
    pool: Name | None = Field(None, description="of the estate's `pipelines.pools`: so many at once")


class Environment(Value):
    """The same pipeline elsewhere: what it does not change is shared."""

    system: str | None = None
    schema_: str | None = Field(None, alias="schema")


class Target(Value):
    """Where it is published: a system of the estate."""

    system: str
    schema_: str | None = Field(None, alias="schema", description="of a database; default: the engine's own")


class Pipeline(Value):
    """One pipeline."""

    version: Literal[1] = 1
    description: str = ""
    owner: str = ""
    target: Target
    loads: dict[Name, Load] = Field(default_factory=dict)
    models: dict[Name, Model] = Field(default_factory=dict)
    engine: str | None = Field(
        None,
        description="a Spark system of the estate that builds all models but views; default: the target itself",
    )
    contract: tuple[str, ...] = Field(
        (), description="data contracts that what is built must keep before it is published"
    )
    change_budget: ChangeBudget = ChangeBudget()
    schedule: Schedule | None = None
    environments: dict[Name, Environment] = Field(default_factory=dict)

    def engine_of(self, name: str) -> str | None:
        """The system that builds a model, where it is another than the target. A view is read where it lies, so it is built there."""
        model = self.models[name]
        engine = model.engine or (None if model.materialized == "view" else self.engine)
        return None if engine == self.target.system else engine

    @field_validator("contract", mode="before")
    @classmethod
    def _one_or_several(cls, given: object) -> object:
        return (given,) if isinstance(given, str) else given

    @field_validator("target", mode="before")
    @classmethod
    def _a_system(cls, given: object) -> object:
        return {"system": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _tables_differ(self) -> Pipeline:
        if not self.loads and not self.models:
            raise ValueError("a pipeline has `loads`, `models`, or both")
        tables: dict[str, str] = {}
        for kind, parts in (("loads", self.loads), ("models", self.models)):
            for name, part in parts.items():
                table = (part.to or name).casefold()
                if table in tables:
                    raise ValueError(
                        f"{kind}.{name} and {tables[table]} are both published as {part.to or name}"
                    )
                tables[table] = f"{kind}.{name}"
        return self
