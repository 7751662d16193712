"""What people orchestrate with already, as the estate declares it: dbt projects and Airflow."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from datareeve.core.estate_gateway import SecretReference  # noqa: TC001 - the type of a field, which pydantic reads
from datareeve.core.value import Value

Variable = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*$")]


class DbtSystem(Value):
    """A dbt project, run by the dbt that is installed for it."""

    kind: Literal["dbt"]
    project: str = Field(
        min_length=1,
        description="the folder that holds dbt_project.yml, relative to this project or absolute",
    )
    profiles: str | None = Field(
        None, description="the folder that holds profiles.yml; default: dbt's own: the project's, then ~/.dbt"
    )
    target: str | None = Field(None, description="the target of the profile; default: the profile's own")
    executable: str | None = Field(
        None,
        description="the dbt program; default: the one on PATH, else the one installed beside Datareeve",
    )
    environment: dict[Variable, SecretReference] = Field(
        default_factory=dict,
        description="variables that profiles.yml reads by env_var(), by reference: {DBT_PASSWORD: env:WAREHOUSE_PASSWORD}; no others but PATH, HOME, DBT_* and locale are passed on",
    )
    timeout_seconds: float = Field(6 * 3600.0, gt=0, description="the longest that one dbt command may run")
    read_timeout_seconds: float = Field(
        300.0, gt=0, description="the longest that dbt may take to parse the project"
    )


class AirflowSystem(Value):
    """An Airflow 3, by its REST API v2."""

    kind: Literal["airflow"]
    url: str = Field(description="where its API server answers: https://airflow.example.org")
    user: str | None = Field(None, description="who logs in; with `password`")
    password: SecretReference | None = None
    token: SecretReference | None = Field(
        None, description="a bearer token in place of user and password: of a service, or a hosted Airflow"
    )
    certificates: str | None = Field(
        None, description="a PEM file of authorities to trust, beside the system's own"
    )
    timeout_seconds: float = Field(30.0, gt=0, description="of one request")

    @field_validator("url")
    @classmethod
    def _a_plain_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("an Airflow URL is https://host, with the path that it is served under, if any")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError(
                "the URL holds more than an address: give `user` and `password: env:NAME`, or `token: env:NAME`"
            )
        return url.rstrip("/").removesuffix("/api/v2")

    @model_validator(mode="after")
    def _one_way_in(self) -> AirflowSystem:
        if bool(self.token) == bool(self.user or self.password) or bool(self.user) != bool(self.password):
            raise ValueError("give `user` and `password`, or `token`")
        return self
