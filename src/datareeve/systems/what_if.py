"""A twin that is kept while somebody asks it: what would be planned with these indexes, with those, with none.

A twin takes seconds to make and milliseconds to ask, and its candidates are fixed when it is made. So it is kept until other candidates are asked
about, or the system is closed. A twin itself holds no rows to take sizes from: its original is asked instead.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from datareeve.core.estate import STATE_FOLDER
from datareeve.systems.pg_twin import Hypothetical, Twin, twin_of

if TYPE_CHECKING:
    from datareeve.systems.postgres import Postgres


class WhatIf:
    """The twin of a database, with the candidates that were asked about last."""

    def __init__(self, system: Postgres) -> None:
        self._system = system.original if isinstance(system, Twin) and system.original is not None else system
        self._stack = ExitStack()
        self._indexes: tuple[Hypothetical, ...] = ()
        self._twin: Twin | None = None

    def twin(self, indexes: list[dict[str, str]]) -> Twin:
        """The twin with these candidates. Errors: those of `pg_twin.twin_of`."""
        wanted = tuple(Hypothetical(one["name"], one["ddl"]) for one in indexes)
        if self._twin is None or wanted != self._indexes:
            self.close()
            folder = self._system.entry.copies.folder
            place = self._system.project / (folder or f"{STATE_FOLDER}/copies")
            self._twin = self._stack.enter_context(twin_of(self._system, place, indexes=wanted))
            self._indexes = wanted
        return self._twin

    def costs(
        self, indexes: list[dict[str, str]], visible: list[list[str]], fingerprints: list[str] | None
    ) -> list[dict[str, Any]]:
        """How the workload would be planned with each set of candidates; see `Twin.costs`."""
        answer: list[dict[str, Any]] = self.twin(indexes).read(
            "costs", visible=visible, fingerprints=fingerprints
        )
        return answer

    def close(self) -> None:
        """Remove the twin."""
        self._stack.close()
        self._stack, self._twin = ExitStack(), None
