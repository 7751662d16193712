"""A connector of dlt as a source of rows: how they are loaded, and the cursor, are ours."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from datareeve.systems.answers import missing_driver
from datareeve.systems.python_source import SECONDS, PythonSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datareeve.core.secrets import Secret


def open_dlt(  # noqa: PLR0913 - what it rests on
    spec: dict[str, Any],
    *,
    project: Path,
    spool: Path,
    secret: Callable[[str], Secret],
    cursor: dict[str, Any] | None = None,
    seconds: float = SECONDS,
) -> PythonSource:
    """`spec`: the JSON of `spec.DltSource`. Errors: `BadInput` where dlt is not installed."""
    if find_spec("dlt") is None:
        raise missing_driver("dlt", "connectors of dlt", "dlt")
    asked = {
        "kind": "dlt",
        "function": spec["source"],
        "resource": spec.get("resource"),
        "arguments": spec.get("arguments") or {},
    }
    return PythonSource(asked, project=project, spool=spool, cursor=cursor, secret=secret, seconds=seconds)
