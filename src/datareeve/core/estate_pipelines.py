"""The pipelines' part of the estate: where they are written, how many run at once, and what one may take."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from datareeve.core.value import Value

Name = Annotated[str, Field(min_length=1, max_length=120)]


class PipelineSettings(Value):
    """How pipelines are found and run."""

    files: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        ("etl/*.yaml", "etl/*.yml", "etl/*.py"), description="where the pipelines lie, in the project"
    )
    pools: dict[Name, Annotated[int, Field(gt=0)]] = Field(
        default_factory=dict, description="how many runs of a pool go on at once: {warehouse: 2}"
    )
    environment: Name | None = Field(
        None,
        description="the environment that is run where none is named: dev; default: the targets themselves",
    )
    memory_mb: int = Field(320, ge=64, description="what rows may take on their way, whatever their number")
    spool: str | None = Field(
        None,
        description="a folder for what does not fit into memory; default: .datareeve/spool in the project",
    )
    lineage: str | None = Field(
        None,
        description="where OpenLineage events go: a file below the project (data/lineage.jsonl), or an endpoint: https://marquez/api/v1/lineage",
    )
    lineage_key: str | None = Field(
        None,
        pattern=r"^(env|file|keyring|vault):.+",
        description="the endpoint's API key, sent as a bearer token",
    )
    otlp: str | None = Field(
        None,
        pattern=r"^https?://",
        description="http://collector:4318: a trace of every run, with a span for each of its steps",
    )
