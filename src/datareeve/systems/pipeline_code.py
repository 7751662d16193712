"""The project's pipelines as they are written: settings, the SQL beside them, and what a Python file says.

A Python file is carried out in a process of its own, within a time, with no environment but a path: a secret of ours is never in its reach,
what it prints goes nowhere, and what it starts ends with it.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from datareeve.core.errors import BadInput, Failed
from datareeve.systems.adapter import Adapter, reads

if TYPE_CHECKING:
    from datareeve.core.estate import Estate

SECONDS = 20.0
MOST_BYTES = 4 * 2**20


class PipelineCode(Adapter):
    """What pipelines are written in, in the folder that holds `estate.yaml`."""

    kind = "pipeline-code"

    def __init__(self, project: Path, estate: Estate, seconds: float = SECONDS) -> None:
        super().__init__("pipeline-code")
        self._root = project.resolve()
        self._estate = estate
        self._seconds = seconds

    @reads
    def settings(self) -> dict[str, Any]:
        """How pipelines are found and run (estate.yaml `pipelines`); `systems`: each with its kind; `contracts`: where they lie."""
        return {
            **self._estate.pipelines.model_dump(mode="json"),
            "systems": {name: one.kind for name, one in self._estate.systems.items()},
            "contracts": list(self._estate.quality.contracts),
        }

    @reads
    def text(self, path: str) -> str | None:
        """A file below the project, as UTF-8; None where there is none. No link is followed.

        Errors: `BadInput` `pipelines.path`, `pipelines.not-text`, `pipelines.too-long`.
        """
        where = self._file(path)
        if where is None:
            return None
        try:
            if where.stat().st_size > MOST_BYTES:
                raise BadInput("pipelines.too-long", f"{path} is longer than {MOST_BYTES // 2**20} MB.", "Look whether it is the right file.")  # fmt: skip
            return where.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadInput("pipelines.not-text", f"{path} is not UTF-8: byte {error.start + 1} is no part of it.", "Save it as UTF-8.") from None  # fmt: skip
        except FileNotFoundError:
            return None
        except OSError as error:
            raise BadInput("pipelines.unreadable", f"{path} cannot be read: {error.strerror}.", "Mend the file's rights.") from None  # fmt: skip

    @reads
    def made(self, path: str) -> dict[str, Any]:
        """What a Python file's `pipeline` is, {pipeline: …}; or what is wrong, {line, what, model, problems}.

        Errors: `Failed` `pipelines.python-time`; `BadInput` `pipelines.python`, as of `text`.
        """
        where = self._file(path)
        if where is None:
            raise BadInput("pipelines.unknown", f"{path} has vanished.", "Look whether something is at work in that folder.")  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="datareeve-pipeline-") as folder:
            answer = Path(folder) / "answer.json"
            self._carry_out(where, answer, path)
            if not answer.is_file():
                raise BadInput("pipelines.python", f"{path} ends the process that reads it.", "Take that out: it is to say what the pipeline is, and nothing else.")  # fmt: skip
            if answer.stat().st_size > MOST_BYTES:
                raise BadInput("pipelines.too-long", f"{path} makes a pipeline of more than {MOST_BYTES // 2**20} MB.", "Split it.")  # fmt: skip
            told: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
            return told

    @reads
    def files_seen(self, system: str | None, pattern: str) -> dict[str, Any]:
        """What files of a folder (None: of the project) are: {format, files, bytes, columns, options, why_not, rows}.

        Errors: `BadInput` `folder.outside` for a pattern that leads out; `Unreachable` `folder.missing`.
        """
        folder = self._folder(system, pattern)
        seen: dict[str, Any] = folder.read("detected")["rows"]
        rows = None
        if seen["files"] and not seen["why_not"]:
            rows = folder.read("query", sql="SELECT count(*) FROM rows", shape="scalar")
        return {**seen, "rows": rows}

    @reads
    def files_asked(self, system: str | None, pattern: str, sql: str) -> dict[str, Any] | None:
        """The first row of a question about those files; they are the table `rows`."""
        row: dict[str, Any] | None = self._folder(system, pattern).read("query", sql=sql, shape="row")
        return row

    @reads
    def url_seen(self, url: str) -> dict[str, Any]:
        """One page of an HTTP address, as `url_look.look` tells it."""
        from datareeve.systems.url_look import look  # noqa: PLC0415 - of new pipelines only

        return look(url)

    def _folder(self, system: str | None, pattern: str) -> Adapter:
        from datareeve.core.estate_data import FolderSystem  # noqa: PLC0415 - of new pipelines only
        from datareeve.systems.folder import Folder  # noqa: PLC0415 - as above

        entry = self._estate.systems.get(system) if system else None
        path = entry.path if isinstance(entry, FolderSystem) else "."
        return Folder(system or "the project", FolderSystem(kind="folder", path=path, tables={"rows": pattern}), self._root)  # fmt: skip

    def _carry_out(self, where: Path, answer: Path, path: str) -> None:
        command = [sys.executable, "-I", "-B", "-m", "datareeve.systems.pipeline_child", str(where), str(self._root), str(answer)]  # fmt: skip
        started = subprocess.Popen(  # noqa: S603 - our own interpreter, with a file of the project
            command,
            cwd=self._root,
            env={"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            started.wait(self._seconds)
        except subprocess.TimeoutExpired:
            raise Failed("pipelines.python-time", f"{path} does not come to an end within {self._seconds:g} seconds.", "It is to say what the pipeline is, and to read nothing.") from None  # fmt: skip
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()

    def _file(self, path: str) -> Path | None:
        """The file of a plain path. Errors: `BadInput` `pipelines.path`."""
        parts = PurePosixPath(path).parts
        plain = path and not path.startswith("/") and ".." not in parts and all(ord(one) > 31 for one in path) and "\\" not in path  # noqa: PLR2004 - control characters  # fmt: skip
        if not plain:
            raise BadInput("pipelines.path", f"{path!r} is not a plain path inside the project.", "Give one without `..`, from the pipeline's folder.")  # fmt: skip
        where = self._root
        for part in parts:
            where /= part
            try:
                mode = where.lstat().st_mode
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                raise BadInput("pipelines.path", f"{path[:100]!r} cannot be looked at: {error.strerror}.", "Give a plain path.") from None  # fmt: skip
            if stat.S_ISLNK(mode):
                raise BadInput("pipelines.path", f"{path} is, or lies behind, a link.", "Put the file itself there.")  # fmt: skip
        return where if where.is_file() else None
