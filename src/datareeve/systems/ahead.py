"""Systems as they will be once some plans were carried out, for planning what comes after them: nothing is carried out yet.

Only the project's files and `estate.yaml` are looked at ahead: the steps on them are done on a scratch copy. All else is as it stands.
"""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import DatareeveError
from datareeve.core.estate import ESTATE_FILE
from datareeve.systems.adapter import reads
from datareeve.systems.estate_file import EstateFile
from datareeve.systems.files import Files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from datareeve.core.operation import Plan, Reader, Systems


class FilesAhead(Files):
    """The project's files with some that are written elsewhere for now."""

    def __init__(self, root: Path, scratch: Path) -> None:
        super().__init__(root, ())
        self._written = Files(scratch, ("**",))

    @reads
    def digest(self, path: str) -> str | None:
        """As `Files.digest`."""
        return self._written.digest(path) or super().digest(path)

    @reads
    def text(self, path: str) -> str | None:
        """As `Files.text`."""
        return super().text(path) if self._written.digest(path) is None else self._written.text(path)

    @reads
    def named(self, patterns: list[str]) -> list[str]:
        """As `Files.named`."""
        return sorted({*super().named(patterns), *self._written.named(patterns)})

    @reads
    def exists(self, path: str) -> bool:
        """As `Files.exists`."""
        return self._written.exists(path) or super().exists(path)

    def put(self, action: str, arguments: dict[str, Any]) -> None:
        """Do a step's effect on the scratch copy."""
        self._written.perform(action, run="ahead", **arguments)


class Ahead:
    """A registry whose `files` and `estate` are ahead."""

    def __init__(self, systems: Systems, files: FilesAhead, estate: EstateFile) -> None:
        self._systems = systems
        self._own: dict[str, Reader] = {"files": files, "estate": estate}

    def __getitem__(self, name: str) -> Reader:
        """The system of that name."""
        return self._own[name] if name in self._own else self._systems[name]

    def names(self, kind: str | None = None) -> tuple[str, ...]:
        """The estate's system names, of one kind or all."""
        return self._systems.names(kind)


@contextmanager
def ahead(systems: Systems, project: Path, plans: Iterable[Plan]) -> Iterator[Ahead]:
    """The systems after those plans. A step that cannot be done on the copy is left out: its own part will tell."""
    with tempfile.TemporaryDirectory(prefix="datareeve-") as folder:
        scratch = Path(folder)
        files = FilesAhead(project, scratch)
        estate = EstateFile(scratch / ESTATE_FILE)
        estate.path.write_bytes((project / ESTATE_FILE).read_bytes())
        for step in (step for plan in plans for step in plan.all_steps()):
            try:
                if step.call.system == "files":
                    files.put(step.call.action, step.call.arguments)
                elif step.call.system == "estate":
                    estate.perform(step.call.action, run="ahead", **step.call.arguments)
            except DatareeveError:
                continue
        yield Ahead(systems, files, estate)
