"""Rows that were rejected, as a source: they lie in quarantine in the destination itself, each as the JSON of what the source had."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datareeve.core.errors import Refused
from datareeve.systems.destination import STATE
from datareeve.systems.mover import identifier, literal
from datareeve.systems.mover_errors import translated
from datareeve.systems.row_source import Part, Reading, RowSource, SourceColumn

if TYPE_CHECKING:
    from datareeve.systems.destination import Destination
    from datareeve.systems.mover import Mover


class RejectedRows(RowSource):
    """What a load of a pipeline has in quarantine. Rows that were never read as columns (a broken line of a file) stay there."""

    kind = "rejected"

    def __init__(self, there: Destination, pipeline: str, load: str, until: str) -> None:
        there.ready()
        self._from = f"{there.moved(STATE, 'rejected')} WHERE pipeline = {literal(pipeline)} AND load = {literal(load)} AND moment <= {literal(until)} AND json_valid(source_row)"
        self._load = load
        self._columns: list[SourceColumn] = []

    def columns(self, mover: Mover) -> list[SourceColumn]:
        """See `RowSource`: all of them texts, which the loader makes what the target has."""
        if not self._columns:
            with translated("quarantine"):
                found = mover.execute(
                    f"SELECT DISTINCT unnest(json_keys(source_row)) AS name FROM {self._from} ORDER BY 1"
                ).fetchall()
            self._columns = [SourceColumn(str(row[0]), "VARCHAR", "text") for row in found]
        if not self._columns:
            raise Refused(
                "pipelines.nothing-rejected",
                f"{self._load} has no row in quarantine that could be taken.",
                "`datareeve run pipelines.status` counts them.",
            )
        return self._columns

    def reading(self, mover: Mover, position: dict[str, Any] | None, batch_rows: int | None) -> Reading:
        """See `RowSource`."""
        del position, batch_rows
        self.columns(mover)
        with translated("quarantine"):
            rows = int(mover.row(f"SELECT count(*) FROM {self._from}")[0])
        return Reading((Part("rejected", rows, None, "what was rejected"),), {}, rows)

    def relation(self, mover: Mover, part: Part) -> str:
        """See `RowSource`."""
        del part
        values = ", ".join(
            f"json_extract_string(source_row, {literal(_pointer(one.name))}) AS {identifier(one.name)}"
            for one in self.columns(mover)
        )
        return f"(SELECT {values} FROM {self._from})"

    def carefully(self, mover: Mover, part: Part) -> tuple[str, str]:
        """See `RowSource`."""
        return self.relation(mover, part), ""

    def keys_relation(self, mover: Mover, keys: tuple[str, ...]) -> str:
        """See `RowSource`: what else the source has is not known here."""
        del mover, keys
        return ""

    def still(self, part: Part) -> None:
        """See `RowSource`: they lie in the transaction's own database."""

    def close(self) -> None:
        """See `RowSource`: the connection is the destination's."""


def _pointer(name: str) -> str:
    """A JSON pointer: a path would take dots and quotes of a name for its own."""
    return "/" + name.replace("~", "~0").replace("/", "~1")
