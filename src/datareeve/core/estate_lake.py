"""Lakes of the estate: DuckLake, and Iceberg, which can be named."""

from __future__ import annotations

from typing import Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import Field, field_validator, model_validator

from datareeve.core.estate_gateway import SecretReference  # noqa: TC001 - the type of a field, which pydantic reads
from datareeve.core.value import Value


class ObjectAccess(Value):
    """How an object store is reached."""

    endpoint: str | None = Field(
        None, pattern=r"^https?://[^@/]+$", description="http://127.0.0.1:8333, of a store that is not AWS"
    )
    region: str = "us-east-1"
    key: SecretReference | None = Field(None, description="the access key's id, by reference")
    secret: SecretReference | None = Field(None, description="the secret access key, by reference")

    @model_validator(mode="after")
    def _both(self) -> ObjectAccess:
        if (self.key is None) != (self.secret is None):
            raise ValueError("give `key` and `secret`, or neither")
        return self


class DucklakeSystem(ObjectAccess):
    """A DuckLake: its catalog in a DuckDB or SQLite file or in PostgreSQL, its data in a folder or a bucket."""

    kind: Literal["ducklake"]
    catalog: str = Field(
        min_length=1,
        description="lake.ducklake (DuckDB), lake.sqlite (SQLite), or postgresql://user@host/database",
    )
    data: str = Field(min_length=1, description="a folder, or s3://bucket/prefix")
    password: SecretReference | None = Field(None, description="of a catalog in PostgreSQL")
    schemas: tuple[str, ...] = ()
    read_timeout_seconds: float = Field(60.0, gt=0)

    @field_validator("catalog")
    @classmethod
    def _no_password(cls, given: str) -> str:
        parts = urlsplit(given)
        if parts.scheme in ("postgresql", "postgres") and (
            parts.password or "password" in {name.lower() for name, _ in parse_qsl(parts.query)}
        ):
            raise ValueError(
                "the URL holds a password: take it out and give `password: env:NAME` or file:path"
            )
        return given

    @property
    def path(self) -> str:
        """What an error names."""
        return self.catalog

    @property
    def engine(self) -> Literal["duckdb", "sqlite", "postgres"]:
        """What keeps the catalog."""
        if urlsplit(self.catalog).scheme in ("postgresql", "postgres"):
            return "postgres"
        return "sqlite" if self.catalog.endswith((".sqlite", ".sqlite3", ".db")) else "duckdb"


class IcebergSystem(Value):
    """An Iceberg catalog. It can be named, and is told to be no target yet, with the reason."""

    kind: Literal["iceberg"]
    catalog: str = Field(min_length=1, description="the catalog's URL")
