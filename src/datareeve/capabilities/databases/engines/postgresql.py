"""PostgreSQL: its modules are the rest of this capability."""

from __future__ import annotations

from datareeve.capabilities.databases.health import look
from datareeve.capabilities.databases.rules.health import findings
from datareeve.capabilities.databases.schema import read_schema as schema

__all__ = ("findings", "look", "schema")
