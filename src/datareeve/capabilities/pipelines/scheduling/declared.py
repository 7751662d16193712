"""The schedules that pipelines have in their files, read again where a file has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datareeve.capabilities.pipelines import spec_files
from datareeve.core.errors import DatareeveError

if TYPE_CHECKING:
    from pathlib import Path

    from datareeve.capabilities.pipelines.spec import Schedule
    from datareeve.core.operation import Systems

Mark = tuple[str, int, int]


class Declared:
    """Every pipeline that runs by itself, or what is wrong with its file. Errors: those of `spec_files.paths`."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._read: dict[str, tuple[Mark, Schedule | None]] = {}

    def __call__(self, systems: Systems) -> dict[str, Schedule | DatareeveError]:
        """By name. What is wrong is read again at every look, for it may lie in another file."""
        found: dict[str, Schedule | DatareeveError] = {}
        for name, path in spec_files.paths(systems).items():
            try:
                schedule = self._schedule(systems, name, path)
            except DatareeveError as error:
                found[name] = error
            else:
                if schedule is not None:
                    found[name] = schedule
        return found

    def _schedule(self, systems: Systems, name: str, path: str) -> Schedule | None:
        mark = self._mark(path)
        known = self._read.get(name)
        if known is None or known[0] != mark:
            known = self._read[name] = (mark, spec_files.load(systems, name).pipeline.schedule)
        return known[1]

    def _mark(self, path: str) -> Mark:
        try:
            seen = (self._project / path).stat()
        except OSError:
            return (path, 0, 0)
        return (path, seen.st_size, seen.st_mtime_ns)
