"""Lineage events for whoever collects them: OpenLineage 2-0-2, to a file of JSON lines or to an HTTP endpoint.

https://openlineage.io/spec/2-0-2/OpenLineage.json. What is told is plain data: names, shapes and counts, and never a row's value. Telling never fails a
run and hardly delays one: an event for an endpoint is spooled first, delivered in order, and left in the spool where the endpoint is away.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import logging
import os
import time
import uuid
from typing import TYPE_CHECKING, Any, Final, Literal, TypedDict
from urllib.parse import urlsplit

from datareeve import __version__
from datareeve.core import clock
from datareeve.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from datareeve.core.secrets import Secret

log = logging.getLogger(__name__)

SPEC: Final = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS: Final = "https://openlineage.io/spec/facets"
PRODUCER: Final = f"https://pypi.org/project/datareeve/{__version__}/"
SCHEMAS: Final = {  # facet: its version and its name
    "schema": ("1-1-1", "SchemaDatasetFacet"),
    "columnLineage": ("1-2-0", "ColumnLineageDatasetFacet"),
    "outputStatistics": ("1-0-2", "OutputStatisticsOutputDatasetFacet"),
    "dataQualityMetrics": ("1-0-2", "DataQualityMetricsInputDatasetFacet"),
    "dataQualityAssertions": ("1-0-1", "DataQualityAssertionsDatasetFacet"),
    "errorMessage": ("1-0-1", "ErrorMessageRunFacet"),
    "jobType": ("2-0-3", "JobTypeJobFacet"),
    "processing_engine": ("1-1-1", "ProcessingEngineRunFacet"),
}
NAMESPACE: Final = uuid.UUID("6f0a9f1e-7c53-5d0e-9a35-0d6c3a0f6f51")  # of our runs' ids
SECONDS = 3.0  # for an endpoint to connect, and to answer
AT_MOST_SECONDS = 10.0  # for all that is delivered after one event
PAUSE_SECONDS = 60.0  # an endpoint that was away is left alone for so long
MOST_SPOOLED = 10_000
AGAIN: Final = frozenset({408, 425, 429})
Kind = Literal["START", "RUNNING", "COMPLETE", "FAIL", "ABORT"]


class Dataset(TypedDict, total=False):
    """A table or a set of files, as it is told. `namespace` and `name`: see `naming`."""

    namespace: str
    name: str
    columns: dict[str, str]  # column: type
    lineage: dict[str, list[dict[str, str]]]  # output: column: [{namespace, name, field}]
    rows: int
    bytes: int
    nulls: dict[str, int]  # input: column: how many values are absent
    assertions: list[dict[str, Any]]  # [{assertion, success, column}]


# -- events ------------------------------------------------------------------------------------------------------------------------


def run_event(  # noqa: PLR0913 - what an event is made of
    kind: Kind,
    run: str,
    job: str,
    inputs: Iterable[Dataset] = (),
    outputs: Iterable[Dataset] = (),
    *,
    namespace: str = "datareeve",
    error: str = "",
    at: str = "",
) -> dict[str, Any]:
    """One event. `run`: our run's id; the same run has the same id in every event. `error`: a code, never a text that may hold a value."""
    about = _facet("errorMessage", message=error, programmingLanguage="SQL") if error else {}
    engine = _facet("processing_engine", version=__version__, name="datareeve")
    typed = _facet("jobType", processingType="BATCH", integration="DATAREEVE", jobType="PIPELINE")
    return {
        "eventType": kind,
        "eventTime": at or clock.stamp(),
        "run": {"runId": str(uuid.uuid5(NAMESPACE, run)), "facets": {**engine, **about}},
        "job": {"namespace": namespace, "name": job, "facets": typed},
        "inputs": [_input(one) for one in inputs],
        "outputs": [_output(one) for one in outputs],
        "producer": PRODUCER,
        "schemaURL": SPEC,
    }


def _facet(facet: str, /, **fields: Any) -> dict[str, Any]:
    version, schema = SCHEMAS[facet]
    about = {"_producer": PRODUCER, "_schemaURL": f"{FACETS}/{version}/{schema}.json#/$defs/{schema}"}
    return {facet: {**about, **fields}}


def _dataset(one: Dataset) -> dict[str, Any]:
    facets: dict[str, Any] = {}
    if "columns" in one:
        fields = [{"name": name, "type": type_} for name, type_ in one["columns"].items()]
        facets |= _facet("schema", fields=fields)
    if one.get("lineage"):
        fields_of = {column: {"inputFields": sources} for column, sources in one["lineage"].items()}
        facets |= _facet("columnLineage", fields=fields_of)
    if one.get("assertions"):
        facets |= _facet("dataQualityAssertions", assertions=one["assertions"])
    return {"namespace": one["namespace"], "name": one["name"], "facets": facets}


def _input(one: Dataset) -> dict[str, Any]:
    told = _dataset(one)
    if "rows" in one or "nulls" in one:
        nulls = {column: {"nullCount": count} for column, count in one.get("nulls", {}).items()}
        counted = {name: value for name, value in (("rowCount", one.get("rows")), ("bytes", one.get("bytes"))) if value is not None}  # fmt: skip
        told["inputFacets"] = _facet("dataQualityMetrics", **counted, columnMetrics=nulls)
    return told


def _output(one: Dataset) -> dict[str, Any]:
    told = _dataset(one)
    counted = {name: value for name, value in (("rowCount", one.get("rows")), ("size", one.get("bytes"))) if value is not None}  # fmt: skip
    if counted:
        told["outputFacets"] = _facet("outputStatistics", **counted)
    return told


def naming(kind: str, url: str, table: str) -> tuple[str, str]:
    """Namespace and name of a dataset, as https://openlineage.io/docs/spec/naming asks for: without users and passwords."""
    parts = urlsplit(url)
    port = {"postgresql": 5432, "mysql": 3306}.get(kind, 0)
    if kind in ("postgresql", "mysql"):
        scheme = "postgres" if kind == "postgresql" else "mysql"
        host = parts.hostname or "localhost"
        return f"{scheme}://{host}:{parts.port or port}", f"{parts.path.strip('/')}.{table}"
    if parts.scheme in ("s3", "gs", "abfss", "http", "https"):
        return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}", table
    return ("file", table) if kind in ("folder", "files", "") else (f"{kind}://{url}", table)


# -- telling -----------------------------------------------------------------------------------------------------------------------


class Lineage:
    """Tells events. `where`: a file, or an http(s) URL; `spool`: a folder for what an endpoint has not taken yet.

    Errors: `BadInput` `lineage.url` for a URL that gives credentials away, or is none.
    """

    def __init__(self, where: str, *, project: Path, spool: Path, key: Secret | None = None) -> None:
        self._key, self._spool = key, spool
        self._endpoint = where if "://" in where else ""
        self._file = None if self._endpoint else project / where
        parts = urlsplit(self._endpoint)
        if self._endpoint and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password):  # fmt: skip
            raise BadInput(
                "lineage.url",
                "`pipelines.lineage` is no endpoint, or gives credentials away.",
                "Write https://host/api/v1/lineage, and the key under `lineage_key: env:NAME`.",
            )

    def tell(self, event: Mapping[str, Any]) -> bool:
        """Tell one event; whether it has arrived. Nothing is raised: a run is not to fail for what is told of it."""
        try:
            line = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
            if self._file is not None:
                return _append(self._file, line)
            self._put(line)
            return self._deliver()
        except (OSError, ValueError, TypeError, http.client.HTTPException) as error:
            log.warning("A lineage event was not told (%s).", type(error).__name__)
            return False

    # -- the spool -----------------------------------------------------------------------------------------------------------------

    def waiting(self) -> list[Path]:
        """The events that wait, oldest first."""
        return sorted(self._spool.glob("*.json")) if self._spool.is_dir() else []

    def _put(self, line: str) -> None:
        self._spool.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        written = self._spool / f"{name}.new"
        written.write_text(line, encoding="utf-8")
        written.rename(self._spool / f"{name}.json")
        for oldest in self.waiting()[:-MOST_SPOOLED]:
            oldest.unlink(missing_ok=True)

    def _deliver(self) -> bool:
        """All that waits, oldest first, by one process at a time; until one is not taken, or the time is up."""
        with (self._spool / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False  # another delivers ours too
            if self._paused():
                return False
            deadline = time.monotonic() + AT_MOST_SECONDS
            return all(time.monotonic() < deadline and self._sent(path) for path in self.waiting())

    def _paused(self) -> bool:
        try:
            return time.time() - (self._spool / "away").stat().st_mtime < PAUSE_SECONDS
        except FileNotFoundError:
            return False

    def _sent(self, path: Path) -> bool:
        status = self._post(path.read_bytes())
        if status == 0 or status in AGAIN or status >= 500:  # noqa: PLR2004 - RFC 9110, 15.6
            (self._spool / "away").touch()
            return False
        (self._spool / "away").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        if status >= 300:  # noqa: PLR2004 - it is refused, and would be again
            log.warning("The lineage endpoint refused an event (HTTP %s).", status)
        return True

    def _post(self, data: bytes) -> int:
        """The status of the answer; 0 where there was none."""
        parts = urlsplit(self._endpoint)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname or "", parts.port, timeout=SECONDS)
        headers = {"Content-Type": "application/json", "User-Agent": f"datareeve/{__version__}"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key.reveal()}"
        target = f"{parts.path or '/'}{f'?{parts.query}' if parts.query else ''}"
        try:
            connection.request("POST", target, data, headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def _append(file: Path, line: str) -> bool:
    """One line more, whole, whoever else writes there; one that was cut off before is ended first."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab+") as out:
        fcntl.flock(out, fcntl.LOCK_EX)
        size = out.seek(0, os.SEEK_END)
        cut = size > 0 and _last_byte(out, size) != b"\n"
        out.write(b"\n" * cut + line.encode() + b"\n")
    return True


def _last_byte(out: Any, size: int) -> bytes:
    out.seek(size - 1)
    last: bytes = out.read(1)
    return last
