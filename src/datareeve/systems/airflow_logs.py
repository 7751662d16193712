"""What a failed task's log tells, without what it says: the exception's class and the line of the code that raised it.

Messages of exceptions quote rows, so nothing of a message is passed on but an exit status, which is a number of the operating system's.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

CLASS = re.compile(r"^[A-Za-z_][\w.]{0,120}$")
_RAISED = re.compile(r"^([A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Timeout|Failure))(?::|$)")
_AT = re.compile(r"^\s*File \"([^\"]+)\", line (\d+)")
_EXIT = re.compile(r"(?:exit code|return code|exit status) (\d{1,3})\b")
_LIBRARY = re.compile(r"[\\/](?:site-packages|dist-packages|lib[\\/]python[\d.]+)[\\/]")


def reduced(content: Any) -> dict[str, Any]:
    """{error, at, exit_status} of a log as Airflow gives it: a list of events, or of lines, or a text. What is not told there is left out."""
    events = content if isinstance(content, list) else str(content or "").splitlines()
    found: dict[str, Any] = {}
    for event in events:
        found |= _of_event(event) if isinstance(event, dict) else _of_line(str(event))
    return found


def _of_event(event: dict[str, Any]) -> dict[str, Any]:
    details = event.get("error_detail")
    if isinstance(details, list) and details and isinstance(details[0], dict):
        return _of_exception(details[0])
    return {
        key: value
        for line in str(event.get("event") or "").splitlines()
        for key, value in _of_line(line).items()
    }


def _of_exception(told: dict[str, Any]) -> dict[str, Any]:
    name = str(told.get("exc_type") or "")
    found: dict[str, Any] = {"error": name} if CLASS.match(name) else {}
    listed = told.get("frames")
    frames = [frame for frame in listed if isinstance(frame, dict)] if isinstance(listed, list) else []
    own = [frame for frame in frames if not _LIBRARY.search(str(frame.get("filename")))]
    for frame in (own or frames)[-1:]:
        found["at"] = f"{PurePath(str(frame.get('filename'))).name}:{frame.get('lineno')}"
    return found | _exit(str(told.get("exc_value") or ""))


def _of_line(line: str) -> dict[str, Any]:
    raised, place = _RAISED.match(line), _AT.match(line)
    found: dict[str, Any] = {"error": raised[1]} if raised else {}
    if place and not _LIBRARY.search(place[1]):
        found["at"] = f"{PurePath(place[1]).name}:{place[2]}"
    return found | _exit(line)


def _exit(said: str) -> dict[str, Any]:
    status = _EXIT.search(said)
    return {"exit_status": int(status[1])} if status and status[1] != "0" else {}
