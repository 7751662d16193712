"""The data part of the estate: which datasets there are, what in them is personal, why they are processed, and how long they are kept.

It is what masking, checks, erasure and the register of processing all rest on: one place, so that they cannot disagree.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from datareeve.core.value import Value

DAY = re.compile(r"^\d{4}-\d{2}-\d{2}$")
Name = Annotated[str, Field(min_length=1, max_length=200)]


class FolderSystem(Value):
    """A folder of data files (Parquet, CSV, JSON lines): each file, or each folder of files, is a table.

    Opened for reading only; with `writable`, pipelines publish tables to it as Parquet, and its tables are what they published.
    """

    kind: Literal["folder"]
    path: str = Field(min_length=1, description="the folder, relative to the project or absolute")
    tables: dict[Name, str] = Field(
        default_factory=dict,
        description="tables by name, as a file or pattern below the folder: {flights: flights/*.parquet}; default: one for each file and folder",
    )
    writable: bool = Field(
        default=False,
        description="pipelines publish Parquet here; its tables are then those that its newest manifest names",
    )
    read_timeout_seconds: float = Field(300.0, gt=0)

    @model_validator(mode="after")
    def _of_one_mind(self) -> FolderSystem:
        if self.writable and self.tables:
            raise ValueError(
                "give `writable` or `tables`: what is published says itself which files its tables are"
            )
        return self


class SparkSystem(Value):
    """A Spark cluster, by its master or by Spark Connect."""

    kind: Literal["spark"]
    url: str = Field(
        pattern=r"^(spark://|sc://|local\b)", description="spark://host:7077, sc://host:15002 or local[2]"
    )
    tables: dict[Name, str] = Field(
        default_factory=dict,
        description="tables by name, as files that every worker sees: {flights: /data/flights/*.parquet}; others are found in its catalog",
    )
    settings: dict[str, str] = Field(default_factory=dict, description="spark.* settings of the session")
    read_timeout_seconds: float = Field(600.0, gt=0)
    folder: str | None = Field(
        None,
        min_length=1,
        description="a folder that this machine and every worker see, for what pipelines' models read and make: /mnt/shared/datareeve;"
        " default: .datareeve/spark of the project, where Spark runs on this machine alone",
    )
    build_timeout_seconds: float = Field(
        21_600.0, gt=0, description="a pipeline's model that is built for longer is ended"
    )


class Dataset(Value):
    """A table, or a set of files, as something that people answer for."""

    system: Name
    table: Name = Field(description="as the engine names it: public.customers, customers, events/*.parquet")
    owner: str = ""
    personal: dict[Name, str] = Field(
        default_factory=dict,
        description="column: category: {email: email, notes: free-text}; no: looked at, and not personal",
    )
    subject: str | None = Field(None, description="whose data it is: customer, employee")
    subject_key: str | None = Field(None, description="the column that says which one: customer_id")
    derived_from: tuple[Name, ...] = Field((), description="datasets that it is made of")
    retention_days: int | None = Field(None, gt=0, description="rows older than this are to go")
    retention_column: str | None = Field(None, description="the moment that a row's age is counted from")
    location: str | None = Field(None, description="where it lies: EU, DE, US")
    encrypted: Literal["at rest", "by column", "no"] | None = None
    erasure: Literal["delete", "anonymise", "keep"] | None = Field(
        None,
        description="what an erasure does to a subject's rows; default: delete, and redact within lines of text",
    )
    anonymise: dict[Name, Annotated[str, Field(pattern=r"^(null|token|text:.*)$")]] = Field(
        default_factory=dict,
        description="what takes a value's place, by column: null, token, text:…; default: every personal column, null where it may be",
    )
    kept_because: str = Field(
        "", description="the law that has rows kept where erasure is `keep`: tax law, ten years"
    )

    @model_validator(mode="after")
    def _kept_for_a_reason(self) -> Dataset:
        if self.erasure == "keep" and not self.kept_because:
            raise ValueError("erasure: keep needs kept_because: the law that has it kept")
        return self


class Processing(Value):
    """An entry of the register of processing (GDPR article 30)."""

    purpose: str = Field(min_length=1)
    basis: Literal[
        "consent", "contract", "legal obligation", "vital interests", "public task", "legitimate interests"
    ]
    datasets: tuple[Name, ...] = Field(min_length=1)
    subjects: tuple[str, ...] = ()
    categories: tuple[str, ...] = Field((), description="of personal data; default: those of its datasets")
    recipients: tuple[str, ...] = ()
    controller: str = ""
    owner: str = ""
    retention_days: int | None = Field(None, gt=0)
    locations: tuple[str, ...] = Field((), description="where it may lie; elsewhere is a violation")
    transfers: tuple[str, ...] = Field(
        (), description="third countries, with the safeguard: 'US: standard contractual clauses'"
    )


class LegalHold(Value):
    """What must not be erased, whoever asks."""

    subject: str | None = Field(None, description="whose data: customer")
    keys: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")], ...] = Field(
        (), description="digests of subject keys, as compliance.hold-subject prints them; none: everyone's"
    )
    datasets: tuple[Name, ...] = ()
    why: str = Field(min_length=1)
    until: str | None = Field(None, description="its last day, 2027-12-31; none: until it is taken out here")

    @field_validator("until", mode="before")
    @classmethod
    def _a_day(cls, given: object) -> object:
        # Another spelling would be compared as text, and 12/31/2030 would have ended long ago.
        if given is None or type(given) is date:
            return None if given is None else str(given)
        if not isinstance(given, str) or not DAY.match(given):
            raise ValueError("until is a day as 2027-12-31")
        return date.fromisoformat(given).isoformat()


class QualitySettings(Value):
    """How contracts are executed, and what they are held to."""

    contracts: tuple[str, ...] = Field(
        ("contracts/*.yaml", "contracts/*.yml"), description="where the contracts lie, in the project"
    )
    store: str | None = Field(
        None,
        description="postgresql://… to share verdicts and their history; default: SQLite, .datareeve/quality.sqlite",
    )
    store_password: str | None = Field(None, pattern=r"^(env|file|keyring|vault):.+")
    statement_seconds: float = Field(
        300.0, gt=0, description="the longest that one statement of a check may run"
    )
    snapshot_seconds: float = Field(
        1800.0, gt=0, description="the longest that a check holds one snapshot of a database"
    )
    busy_share: float = Field(
        1.0,
        gt=0,
        le=1,
        description="of the time that a check may keep a database at work: 0.25 waits three times as long as it works",
    )
    replicas: dict[Name, Name] = Field(
        default_factory=dict, description="systems that are read in place of others: {app: app-replica}"
    )
    keep_days: int = Field(400, gt=0)


class DataSettings(Value):
    """What `Estate` holds of data."""

    datasets: dict[Name, Dataset] = Field(default_factory=dict)
    processing: dict[Name, Processing] = Field(default_factory=dict, description="the register of processing")
    holds: dict[Name, LegalHold] = Field(default_factory=dict, description="legal holds")
    packs: tuple[Literal["gdpr", "ccpa", "pci", "hipaa"], ...] = Field(
        (), description="rules that this estate is held to"
    )

    @model_validator(mode="after")
    def _datasets_are_known(self) -> DataSettings:
        for where, names in (
            *((f"processing.{name}.datasets", one.datasets) for name, one in self.processing.items()),
            *((f"holds.{name}.datasets", one.datasets) for name, one in self.holds.items()),
            *((f"datasets.{name}.derived_from", one.derived_from) for name, one in self.datasets.items()),
        ):
            for named in names:
                if named not in self.datasets:
                    raise ValueError(f"{where}: there is no dataset {named!r}")
        return self
