"""Documents that are rendered when they are written: a task's earlier parts may change what they describe.

How a document is made is given by the composition root (`render`), so that systems know no capability.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput
from datareeve.systems.adapter import Adapter, effects, reads

if TYPE_CHECKING:
    from collections.abc import Callable

    from datareeve.core.operation import System, Systems

    Render = Callable[[Systems, str], dict[str, str]]

ESTIMATE = re.compile(
    r"≈(\?|[\d,.]+( [kMGTP]?B\b)?)"
)  # figures that move by themselves and do not make a document out of date


class Documenter(Adapter):
    """Writes and compares the documents of a system: `render` gives them by path, as they would be now."""

    kind = "documenter"

    def __init__(self, systems: Systems, files: System, render: Render) -> None:
        super().__init__("documenter")
        self._systems = systems
        self._files = files
        self._render = render

    @reads
    def schema_document_current(self, system: str, path: str) -> bool:
        """Whether the file says what a fresh rendering would, but for estimates."""
        written = self._files.read("text", path=path)
        return written is not None and lasting(written) == lasting(self._document(system, path))

    @effects
    def write_schema_document(self, system: str, path: str, *, run: str) -> dict[str, Any]:
        """Render the document of the schema as it is now and write it. Gives what `files.write` gives."""
        return self._files.perform("write", run=run, path=path, text=self._document(system, path))

    def _document(self, system: str, path: str) -> str:
        documents = self._render(self._systems, system)
        if path not in documents:
            raise BadInput(
                "documenter.path", f"{path} is not a document of {system}.", f"Use {' or '.join(documents)}."
            )
        return documents[path]


def lasting(text: str) -> str:
    """A document's text without its estimates."""
    return ESTIMATE.sub("≈", text)
