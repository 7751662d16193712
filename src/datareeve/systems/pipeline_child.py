"""What is started to read a pipeline that is written in Python: it carries the file out, and answers with one line of JSON.

python -I -B -m datareeve.systems.pipeline_child FILE FOLDER ANSWER. A process of its own: the file can neither end ours nor hold it up.
"""

from __future__ import annotations

import json
import linecache
import runpy
import sys
from pathlib import Path
from typing import Any

# Errors whose text is about the code; that of any other may hold whatever the code has read.
ABOUT_CODE = (SyntaxError, NameError, AttributeError, ImportError, TypeError)
MOST_SAID = 200


def main(file: str, folder: str, answer: str) -> None:
    """Write what the file's `pipeline` is, or what is wrong with it."""
    sys.path[:0] = [str(Path(file).parent), folder]
    sys.argv = [file]
    Path(answer).write_text(json.dumps(_answer(file)), encoding="utf-8")


def _answer(file: str) -> dict[str, Any]:
    try:
        made = runpy.run_path(file).get("pipeline")
        if made is None:
            return {"line": 0, "what": "has no `pipeline`: write `pipeline = Pipeline(...)`"}
        if not hasattr(made, "model_dump_json"):
            return {
                "line": _line_of_name(file),
                "what": "`pipeline` is not a Pipeline of datareeve.pipelines",
            }
        return {"pipeline": json.loads(made.model_dump_json(by_alias=True))}
    except BaseException as error:  # noqa: BLE001 - the task's boundary: whatever the file does is told
        return _wrong(error, file)


def _wrong(error: BaseException, file: str) -> dict[str, Any]:
    """Where in the file it went wrong, and what; of a value that does not fit, all that does not."""
    told: dict[str, Any] = {"line": _line(error, file), "what": _said(error)}
    if isinstance(error, SyntaxError):
        return (
            told | {"line": error.lineno or 0, "column": error.offset or 0}
            if _same(error.filename, file)
            else told
        )
    if type(error).__name__ == "ValidationError" and hasattr(error, "errors"):
        kept = ("type", "loc", "msg", "ctx")
        found = error.errors(include_url=False, include_input=False)
        told["model"] = str(getattr(error, "title", ""))
        told["problems"] = [{key: _plain(one[key]) for key in kept if key in one} for one in found[:100]]
    return told


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(one) for one in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _said(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, SystemExit):
        return "it ends the process"
    if isinstance(error, SyntaxError):
        return f"is not Python: {error.msg}"
    said = (str(error).splitlines() or [""])[0][:MOST_SAID]
    return f"{name}: {said}" if isinstance(error, ABOUT_CODE) and said else name


def _line(error: BaseException, file: str) -> int:
    """The last line of the file on the way to the error."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if _same(trace.tb_frame.f_code.co_filename, file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _line_of_name(file: str) -> int:
    lines = linecache.getlines(file)
    return next((number for number, line in enumerate(lines, 1) if line.startswith("pipeline")), 0)


def _same(one: str | None, other: str) -> bool:
    return one is not None and Path(one).resolve() == Path(other).resolve()


if __name__ == "__main__":
    main(*sys.argv[1:4])
