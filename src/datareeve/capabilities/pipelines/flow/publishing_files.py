"""Publishing to a folder of files: what was made ready takes its place by being named, and the former files are named again by the undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from datareeve.capabilities.pipelines.flow import names
from datareeve.capabilities.pipelines.flow.publishing import Publishing

if TYPE_CHECKING:
    from datareeve.capabilities.pipelines.flow.merging import Change
    from datareeve.systems.destination import Destination, Held
    from datareeve.systems.destination_dataset import DatasetDestination


class FilePublishing(Publishing):
    """One publication of files, or its undo."""

    def _apply(self, change: Change) -> Change:
        self._files.take_place(change.table, names.next_(change.table))
        for name in filter(None, (change.came, change.gone)):
            self._there.remove(self._schema, name)
        return change

    def _take_back(self, change: Change) -> None:
        self._files.give_back(self._held, change.table)

    def _let_former_go(self, published: dict[str, Any]) -> None:
        """The manifest keeps the files that an undo needs."""

    @property
    def _files(self) -> DatasetDestination:
        return cast("DatasetDestination", self._there)


def publishing(there: Destination, held: Held, schema: str | None) -> Publishing:
    """How a destination is published to."""
    return (FilePublishing if there.published_as == "files" else Publishing)(there, held, schema)
