"""Lineage events: their shape as the specification has it, and telling that never fails, loses nothing and waits for nobody."""

import json
import socketserver
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from datareeve.core.errors import BadInput
from datareeve.core.secrets import Secret
from datareeve.systems import openlineage
from datareeve.systems.openlineage import Lineage, naming, run_event

# The part of https://openlineage.io/spec/2-0-2/OpenLineage.json that events of runs are held to, and of the facets' own schemas.
TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
FACET = {
    "type": "object",
    "required": ["_producer", "_schemaURL"],
    "properties": {"_producer": TEXT, "_schemaURL": {"type": "string", "starts": "https://openlineage.io/spec/facets/"}},
}  # fmt: skip


def facet(required=(), **properties):
    return {
        **FACET,
        "required": [*FACET["required"], *required],
        "properties": {**FACET["properties"], **properties},
    }


FIELD = {"type": "object", "required": ["name"], "properties": {"name": TEXT, "type": TEXT}}
INPUT_FIELD = {"type": "object", "required": ["namespace", "name", "field"], "properties": dict.fromkeys(("namespace", "name", "field"), TEXT)}  # fmt: skip
LINEAGE = {"type": "object", "required": ["inputFields"], "properties": {"inputFields": {"type": "array", "items": INPUT_FIELD}}}  # fmt: skip
ASSERTION = {"type": "object", "required": ["assertion", "success"], "properties": {"assertion": TEXT, "success": {"type": "boolean"}, "column": TEXT}}  # fmt: skip
DATASET_FACETS = {
    "schema": facet(fields={"type": "array", "items": FIELD}),
    "columnLineage": facet(["fields"], fields={"type": "object", "values": LINEAGE}),
    "dataQualityAssertions": facet(["assertions"], assertions={"type": "array", "items": ASSERTION}),
}
METRICS = facet(["columnMetrics"], rowCount=NUMBER, bytes=NUMBER, columnMetrics={"type": "object", "values": {"type": "object", "properties": {"nullCount": NUMBER}}})  # fmt: skip


def dataset(**more):
    properties = {
        "namespace": TEXT,
        "name": TEXT,
        "facets": {"type": "object", "properties": DATASET_FACETS},
        **more,
    }
    return {"type": "object", "required": ["namespace", "name"], "properties": properties}


EVENT = {
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL", "run", "job", "eventType"],
    "properties": {
        "eventTime": TEXT,
        "producer": TEXT,
        "schemaURL": {"type": "string", "starts": "https://openlineage.io/spec/2-0-2/"},
        "eventType": {"type": "string", "of": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "run": {"type": "object", "required": ["runId"], "properties": {"runId": TEXT, "facets": {"type": "object", "properties": {
            "errorMessage": facet(["message", "programmingLanguage"], message=TEXT, programmingLanguage=TEXT),
            "processing_engine": facet(["version"], version=TEXT, name=TEXT)}}}},
        "job": {"type": "object", "required": ["namespace", "name"], "properties": {"namespace": TEXT, "name": TEXT, "facets": {"type": "object", "properties": {
            "jobType": facet(["processingType", "integration"], processingType=TEXT, integration=TEXT, jobType=TEXT)}}}},
        "inputs": {"type": "array", "items": dataset(inputFacets={"type": "object", "properties": {"dataQualityMetrics": METRICS}})},
        "outputs": {"type": "array", "items": dataset(outputFacets={"type": "object", "properties": {"outputStatistics": facet(rowCount=NUMBER, size=NUMBER)}})},
    },
}  # fmt: skip
TYPES = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}


def check(value, schema, where="event"):
    """Hold a value against a schema, and refuse whatever it does not name."""
    assert isinstance(value, TYPES[schema["type"]]), where
    if "starts" in schema:
        assert value.startswith(schema["starts"]), where
    if "of" in schema:
        assert value in schema["of"], where
    for item in value if schema["type"] == "array" else ():
        check(item, schema["items"], f"{where}[]")
    if schema["type"] == "object":
        assert set(schema.get("required", ())) <= set(value), where
        for name, one in value.items():
            check(
                one, schema["values"] if "values" in schema else schema["properties"][name], f"{where}.{name}"
            )


SOURCE = {"namespace": "postgres://db:5432", "name": "shop.public.orders", "columns": {"id": "int8", 'Prix "€"': "numeric"}, "rows": 10, "bytes": 100, "nulls": {"id": 0}}  # fmt: skip
TARGET = {
    "namespace": "duckdb://w.duckdb",
    "name": "main.orders",
    "columns": {"id": "BIGINT"},
    "lineage": {"id": [{"namespace": SOURCE["namespace"], "name": SOURCE["name"], "field": "id"}]},
    "rows": 9,
    "bytes": 90,
    "assertions": [{"assertion": "not-null", "success": True, "column": "id"}],
}


@pytest.mark.parametrize("kind", ["START", "COMPLETE", "FAIL", "ABORT"])
def test_events_have_the_shape_of_the_specification(kind):
    event = run_event(
        kind, "20260720-1", "orders", [SOURCE], [TARGET], error="pipelines.no-table" if kind == "FAIL" else ""
    )
    check(event, EVENT)
    assert ("errorMessage" in event["run"]["facets"]) == (kind == "FAIL")
    check(run_event(kind, "r", "j"), EVENT)


def test_what_was_counted_is_told_where_the_specification_has_it():
    event = run_event("COMPLETE", "r", "orders", [SOURCE], [TARGET])
    assert event["inputs"][0]["inputFacets"]["dataQualityMetrics"]["columnMetrics"] == {
        "id": {"nullCount": 0}
    }
    assert event["outputs"][0]["outputFacets"]["outputStatistics"]["rowCount"] == 9
    assert event["outputs"][0]["facets"]["columnLineage"]["fields"]["id"]["inputFields"][0]["field"] == "id"


def test_events_of_one_run_name_the_same_run_and_of_another_another():
    ids = [run_event("START", run, "j")["run"]["runId"] for run in ("a", "a", "b")]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("kind", "url", "table", "expected"),
    [
        ("postgresql", "postgresql://ann:secret@db/shop", "public.orders", ("postgres://db:5432", "shop.public.orders")),
        ("postgresql", "postgresql://db:5433/shop", "public.orders", ("postgres://db:5433", "shop.public.orders")),
        ("mysql", "mysql://ann@db/shop", "orders", ("mysql://db:3306", "shop.orders")),
        ("duckdb", "w.duckdb", "main.orders", ("duckdb://w.duckdb", "main.orders")),
        ("bucket", "s3://lake/raw", "raw/orders", ("s3://lake", "raw/orders")),
        ("http", "https://u:p@api.example/v1", "v1/orders", ("https://api.example", "v1/orders")),
        ("folder", "landing", "landing/a.csv", ("file", "landing/a.csv")),
    ],
)  # fmt: skip
def test_datasets_are_named_as_the_specification_names_them(kind, url, table, expected):
    assert naming(kind, url, table) == expected


# -- a file ------------------------------------------------------------------------------------------------------------------------


def lineage(tmp_path, where, **also):
    return Lineage(where, project=tmp_path, spool=tmp_path / "spool", **also)


def test_a_file_gets_a_line_for_each_event_whoever_writes(tmp_path):
    def tell(number):
        for _ in range(20):
            lineage(tmp_path, "data/lineage.jsonl").tell(run_event("START", f"r{number}", "ü'j\n"))

    threads = [threading.Thread(target=tell, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [json.loads(line) for line in (tmp_path / "data/lineage.jsonl").read_text().splitlines()]
    assert len(events) == 80
    assert {event["job"]["name"] for event in events} == {"ü'j\n"}


def test_a_line_that_was_cut_off_does_not_spoil_the_next(tmp_path):
    (tmp_path / "l.jsonl").write_text('{"half')
    assert lineage(tmp_path, "l.jsonl").tell({"a": 1})
    assert (tmp_path / "l.jsonl").read_text() == '{"half\n{"a":1}\n'


def test_a_file_that_cannot_be_written_fails_nothing(tmp_path):
    (tmp_path / "l.jsonl").mkdir()
    assert not lineage(tmp_path, "l.jsonl").tell({"a": 1})
    assert not lineage(tmp_path, "m.jsonl").tell({"a": {1, 2}})


# -- an endpoint -------------------------------------------------------------------------------------------------------------------


class Collector(ThreadingHTTPServer):
    """Takes events, or answers as it is told."""

    daemon_threads = True

    def __init__(self):
        self.taken, self.status, self.headers = [], 201, []
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/api/v1/lineage"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.headers.append(dict(self.headers))
        if self.server.status < 300:
            self.server.taken.append(body)
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def collector():
    with Collector() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(openlineage, "PAUSE_SECONDS", 0.0)


def test_an_endpoint_gets_events_in_order_with_its_key(tmp_path, collector):
    telling = lineage(tmp_path, collector.url, key=Secret("s3cret"))
    assert all(telling.tell({"n": n}) for n in range(5))
    assert [one["n"] for one in collector.taken] == list(range(5))
    assert collector.headers[0]["Authorization"] == "Bearer s3cret"
    assert telling.waiting() == []


@pytest.mark.parametrize("status", [500, 503, 429])
def test_what_was_not_taken_waits_and_comes_first_when_the_endpoint_is_back(
    tmp_path, collector, at_once, status
):
    collector.status = status
    assert not any(lineage(tmp_path, collector.url).tell({"n": n}) for n in range(3))
    collector.status = 200
    assert lineage(tmp_path, collector.url).tell({"n": 3})  # as after a restart
    assert [one["n"] for one in collector.taken] == [0, 1, 2, 3]


def test_what_is_refused_is_not_sent_again(tmp_path, collector):
    collector.status = 422
    telling = lineage(tmp_path, collector.url)
    telling.tell({"n": 0})
    collector.status = 200
    telling.tell({"n": 1})
    assert [one["n"] for one in collector.taken] == [1]


def test_an_endpoint_that_is_away_is_left_alone_for_a_while(tmp_path, collector):
    collector.status = 500
    telling = lineage(tmp_path, collector.url)
    for n in range(5):
        telling.tell({"n": n})
    assert len(collector.headers) == 1
    assert len(telling.waiting()) == 5


def test_an_endpoint_that_says_nothing_delays_a_run_for_a_moment_only(tmp_path, monkeypatch):
    monkeypatch.setattr(openlineage, "SECONDS", 0.2)
    with socketserver.TCPServer(
        ("127.0.0.1", 0), socketserver.BaseRequestHandler, bind_and_activate=True
    ) as silent:
        telling = lineage(tmp_path, f"http://127.0.0.1:{silent.server_address[1]}/")
        began = time.monotonic()
        assert not telling.tell({"n": 0})
        assert not telling.tell({"n": 1})
        assert time.monotonic() - began < 5
    assert len(telling.waiting()) == 2


def test_the_spool_has_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr(openlineage, "MOST_SPOOLED", 3)
    telling = lineage(tmp_path, "http://127.0.0.1:1/")
    for n in range(6):
        telling.tell({"n": n})
    assert [json.loads(path.read_text())["n"] for path in telling.waiting()] == [3, 4, 5]


@pytest.mark.parametrize("where", ["http://ann:pw@host/x", "ftp://host/x", "http:///x"])
def test_what_is_no_endpoint_is_bad_input_without_its_password(tmp_path, where):
    with pytest.raises(BadInput) as caught:
        lineage(tmp_path, where)
    assert caught.value.code == "lineage.url"
    assert "pw" not in str(caught.value)
