"""What the two tables are, read from each engine's own catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.quality.catalog import CatalogTable  # noqa: TC001 - pydantic reads it
from datareeve.capabilities.quality.engines import catalog_of
from datareeve.capabilities.quality.reconcile.forms import ENGINES
from datareeve.core.errors import BadInput, Unreachable
from datareeve.core.value import Value

if TYPE_CHECKING:
    from datareeve.core.operation import Reader


class Table(Value):
    """A table of one side."""

    system: str
    kind: str
    table: CatalogTable
    encoding: str = "UTF8"
    version: str = ""  # an engine's own hash is the same within one version only

    @property
    def label(self) -> str:
        """'app: public.orders'."""
        return f"{self.system}: {self.table.name}"


def read(reader: Reader, name: str) -> Table:
    """The table as its engine has it. Errors: `BadInput` `engine.cannot`, `reconcile.table`; `Unreachable`."""
    if reader.kind not in ENGINES:
        raise BadInput("engine.cannot", f"quality.reconcile works on {', '.join(ENGINES)}; {reader.name} is {reader.kind}.", "Give another system.")  # fmt: skip
    catalog = catalog_of(reader, [name])
    if catalog.down:
        raise Unreachable("reconcile.down", f"{reader.name} does not answer: {catalog.down}", "Try again when it does.")  # fmt: skip
    found = catalog.tables.get(name)
    if found is None or found.why_not:
        why = found.why_not if found else "it is not there, or its account may not see it"
        raise BadInput("reconcile.table", f"{reader.name} has no table {name!r} to read: {why}.", "Write it as schema.table, and GRANT SELECT on it.")  # fmt: skip
    server = reader.read("server") if reader.kind == "postgresql" else {}
    version = str(server.get("version", "")).split(".")[0]
    return Table(system=reader.name, kind=reader.kind, table=found, encoding=server.get("encoding", "UTF8"), version=version)  # fmt: skip
