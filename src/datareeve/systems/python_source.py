"""A project's own generator, or a connector of dlt, as a source: carried out in a process of its own, its rows spooled as Parquet.

Secrets go to the process on its input, never in its arguments. dlt loads nothing here and keeps nothing: its rows are ours to load, and the state
of its incremental resources is part of our position.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput, Failed
from datareeve.systems.spooled import Spooled

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datareeve.core.secrets import Secret
    from datareeve.systems.mover import Mover
    from datareeve.systems.row_source import Part, Reading
    from datareeve.systems.spool import Spool

SECONDS = 6 * 3600.0
FUNCTION = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")
SECRET = re.compile(r"^(env|file|keyring|vault):.+")


class PythonSource(Spooled):
    """A `RowSource` of what a function yields."""

    pattern = "page-*.parquet"
    format = "parquet"

    def __init__(  # noqa: PLR0913 - what it rests on
        self,
        asked: dict[str, Any],
        *,
        project: Path,
        spool: Path,
        cursor: dict[str, Any] | None = None,
        secret: Callable[[str], Secret] | None = None,
        seconds: float = SECONDS,
    ) -> None:
        super().__init__(spool, cursor)
        if not FUNCTION.fullmatch(asked["function"]):
            raise BadInput("pipelines.function", "The function of a source is written module:function.", "Write it so: sources.orders:rows.")  # fmt: skip
        self._asked, self._project, self._secret, self._seconds = asked, project, secret, seconds
        self._state: dict[str, Any] = {}

    def reading(self, mover: Mover, position: dict[str, Any] | None, batch_rows: int | None) -> Reading:
        """See `RowSource`."""
        self._state = dict((position or {}).get("state") or {})
        return super().reading(mover, position, batch_rows)

    def _key(self, cursor: str) -> str:
        return json.dumps([self._asked, cursor, self._state], sort_keys=True, default=str)

    def _fetch(self, spool: Spool, cursor: str, *, first_only: bool) -> list[str]:
        spool.begin_anew()  # a generator cannot go on where it broke off
        told = {**self._asked, "arguments": self._revealed(), "project": str(self._project.resolve()), "cursor": cursor, "state": self._state,
                "folder": str(spool.folder), "first_only": first_only}  # fmt: skip
        answer = self._carried_out(told, spool.folder)
        if "error" in answer:
            raise self._wrong(answer)
        names = sorted(path.name for path in spool.folder.glob(self.pattern))
        if not first_only:
            spool.told = {**spool.told, "pages": names}
            spool.end(at=time.time(), state=answer.get("state") or {})
        else:
            spool.end(at=time.time(), pages=names)
        return []

    def _revealed(self) -> dict[str, Any]:
        """The arguments with the secrets that they refer to."""
        given = self._asked.get("arguments") or {}
        return {name: self._secret(value).reveal() if self._secret and isinstance(value, str) and SECRET.match(value) else value for name, value in given.items()}  # fmt: skip

    def _carried_out(self, told: dict[str, Any], folder: Path) -> dict[str, Any]:
        environment = {**os.environ, "RUNTIME__DLTHUB_TELEMETRY": "false", "DO_NOT_TRACK": "1"}
        started = subprocess.Popen(  # our own module, and what to do on its input
            [sys.executable, "-I", "-B", "-m", "datareeve.systems.rows_child"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self._project, env=environment, start_new_session=True,
        )  # fmt: skip
        try:
            started.communicate(json.dumps(told).encode(), timeout=self._seconds)
        except subprocess.TimeoutExpired:
            raise Failed("pipelines.code-time", f"{self._asked['function']} took longer than {self._seconds:,.0f} seconds.", "Have it yield less at a time, from the cursor on.") from None  # fmt: skip
        finally:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)  # and what it has started
            started.wait()
        try:
            answer: dict[str, Any] = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise Failed("pipelines.code-ended", f"{self._asked['function']} ended its process before it had given all rows.", "Let it return, and mind its memory.") from None  # fmt: skip
        return answer

    def _wrong(self, answer: dict[str, Any]) -> Failed:
        if answer.get("no_rows"):
            return Failed("pipelines.code-rows", f"{self._asked['function']} gives what is no row.", "Yield dicts, lists of dicts, or Arrow tables.")  # fmt: skip
        at = f" at {answer['place']}" if answer.get("place") else ""
        said = f": {answer['said']}" if answer.get("said") else ""
        return Failed("pipelines.code-failed", f"{self._asked['function']} failed with {answer['error']}{at}{said}.", "Mend the code there.")  # fmt: skip

    def _position(self, mover: Mover, parts: tuple[Part, ...], position: dict[str, Any] | None) -> tuple[dict[str, Any], list[str]]:  # fmt: skip
        found, told = super()._position(mover, parts, position)
        state = self._spool.told.get("state") if self._spool else None
        return ({**found, "state": state} if state else found), told


def open_python(function: str, *, project: Path, spool: Path, cursor: dict[str, Any] | None = None, seconds: float = SECONDS) -> PythonSource:  # fmt: skip
    """`function`: module:function below the project, a generator; it is given the cursor's value where it takes `cursor`."""
    return PythonSource({"kind": "python", "function": function}, project=project, spool=spool, cursor=cursor, seconds=seconds)  # fmt: skip
