"""Iceberg: a catalog can be named in the estate, and that nothing is written there yet is said before anything is done."""

from __future__ import annotations

from datareeve.core.errors import Refused
from datareeve.systems.adapter import Adapter


class Iceberg(Adapter):
    """An Iceberg catalog, which no pipeline writes to."""

    kind = "iceberg"


def refused(name: str) -> Refused:
    """Why an Iceberg catalog is no target."""
    return Refused(
        "pipelines.iceberg",
        f"{name}: pipelines do not write to Iceberg yet.",
        "Write to a system of kind ducklake: it keeps Parquet files and publishes all tables at once.",
    )
