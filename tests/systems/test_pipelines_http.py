"""An HTTP API as a source, against a server of our own that behaves as badly as they do."""

import base64
import gzip
import json
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from datareeve.core.errors import DatareeveError
from datareeve.core.secrets import Secret
from datareeve.systems.http_client import Client
from datareeve.systems.http_source import open_http
from datareeve.systems.mover import Mover

SECRET = "s3cret-of-the-api"  # noqa: S105 - it is looked for where it must not be


class Api:
    """`answer(path, query, headers, body)` gives (status, headers, bytes), or None: the connection is cut."""

    def __init__(self):
        self.asked, self.connections = [], 0
        self.answer = lambda *_: (200, {}, b"[]")
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                api.connections += 1

            def do_GET(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(parts.query).items()}
                headers = {name.lower(): value for name, value in self.headers.items()}
                api.asked.append((parts.path, query, headers, body))
                found = api.answer(parts.path, query, headers, body)
                if found is None:
                    self.close_connection = True
                    return
                status, more, data = found
                self.send_response(status)
                for name, value in {"Content-Length": str(len(data)), **more}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)
                if "Content-Length" in more:
                    self.close_connection = True

            do_POST = do_GET  # noqa: N815 - the standard library's name

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def api():
    one = Api()
    yield one
    one.close()


@pytest.fixture
def mover():
    with Mover() as one:
        yield one


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self):
        self.now, self.slept = 1_800_000_000.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(round(seconds, 3))
        self.now += seconds


def opened(api, folder, clock=None, cursor=None, **spec):
    clock = clock or Clock()
    made = {"url": f"{api.url}/rows", **spec}
    client = Client(
        made.get("auth"), lambda _: Secret(SECRET), timeout=5, retries=made.get("retries", 3), per_second=made.get("requests_per_second"),
        most_bytes=2**20, clock=clock, sleep=clock.sleep, chance=lambda: 1.0,
    )  # fmt: skip
    return open_http(
        made, secret=lambda _: Secret(SECRET), spool=folder / "spool", cursor=cursor, client=client
    )


def read(mover, source, position=None):
    try:
        reading = source.reading(mover, position, None)
        return [
            row
            for part in reading.parts
            for row in mover.execute(f"SELECT * FROM {source.relation(mover, part)} ORDER BY ALL").fetchall()
        ], reading
    finally:
        source.close()


def refused(mover, source):
    with pytest.raises(DatareeveError) as told:
        read(mover, source)
    assert SECRET not in str(told.value)
    return told.value


def js(value, status=200, **headers):
    return status, headers, json.dumps(value).encode()


ROWS = [{"id": n, "at": f"2026-01-{n + 1:02}T00:00:00Z"} for n in range(7)]


def by_page(size):
    return lambda _, query, *__: js(
        {"data": {"items": ROWS[(int(query["page"]) - 1) * size : int(query["page"]) * size]}}
    )


def by_offset(_, query, *__):
    return js(
        {"data": {"items": ROWS[int(query["offset"]) : int(query["offset"]) + 3]}}
    )  # fewer than were asked for


def by_cursor(_, query, *__):
    start = int(query.get("after", 0))
    return js(
        {
            "data": {"items": ROWS[start : start + 3]},
            "meta": {"next": start + 3 if start + 3 < len(ROWS) else None},
        }
    )


@pytest.mark.parametrize(("answer", "paging"), [
    (by_page(3), {"by": "page", "parameter": "page"}), (by_offset, {"by": "offset", "parameter": "offset", "size_parameter": "limit"}),
    (by_cursor, {"by": "cursor", "parameter": "after", "next": "meta.next"}),
])  # fmt: skip
def test_all_pages_are_read_on_one_connection(api, mover, tmp_path, answer, paging):
    api.answer = answer
    rows, reading = read(mover, opened(api, tmp_path, records="data.items", paging=paging))
    assert [row[0] for row in rows] == list(range(7))
    assert reading.stated["pages"] == 3
    assert api.connections == 1


def test_links_are_followed_on_the_same_host_only(api, mover, tmp_path):
    def answer(_, query, *__):
        page = int(query.get("page", 1))
        more = (
            {"Link": f'<{api.url}/rows?page=0>; rel="prev", </rows?page={page + 1}>; rel="next"'}
            if page < 3
            else {}
        )
        return js([{"id": page}], **more)

    api.answer = answer
    assert read(mover, opened(api, tmp_path, paging={"by": "link"}))[0] == [(1,), (2,), (3,)]
    api.answer = lambda *_: js([{"id": 1}], Link='<http://elsewhere.invalid/rows>; rel="next"')
    assert (
        refused(mover, opened(api, tmp_path / "b", paging={"by": "link"})).code == "pipelines.http-elsewhere"
    )


@pytest.mark.parametrize(
    "paging",
    [
        {"by": "page", "parameter": "page"},
        {"by": "cursor", "parameter": "after", "next": "next"},
        {"by": "offset", "parameter": "o"},
    ],
)
def test_a_page_that_comes_again_for_ever_is_told(api, mover, tmp_path, paging):
    api.answer = lambda *_: js({"items": [{"id": 1}], "next": "same"})
    assert refused(mover, opened(api, tmp_path, records="items", paging=paging)).code == "pipelines.http-loop"
    assert len(api.asked) <= 3


@pytest.mark.parametrize(("auth", "shown"), [
    ({"kind": "bearer"}, lambda query, headers: headers["authorization"] == f"Bearer {SECRET}"),
    ({"kind": "basic", "user": "u"}, lambda query, headers: headers["authorization"] == "Basic " + base64.b64encode(f"u:{SECRET}".encode()).decode()),
    ({"kind": "header", "name": "X-Key"}, lambda query, headers: headers["x-key"] == SECRET),
    ({"kind": "query", "name": "key"}, lambda query, headers: query["key"] == SECRET),
])  # fmt: skip
def test_who_asks_is_shown_and_stays_on_its_host(api, mover, tmp_path, auth, shown):
    other = Api()
    other.answer = lambda *_: js([{"id": 5}])
    elsewhere = other.url.replace("127.0.0.1", "localhost")
    api.answer = lambda *_: (302, {"Location": f"{elsewhere}/there"}, b"")
    rows, _ = read(mover, opened(api, tmp_path, auth={"secret": "env:X", **auth}, headers={"X-Mine": "1"}))
    other.close()
    _, query, headers, _ = api.asked[0]
    assert shown(query, headers)
    assert rows == [(5,)]
    assert SECRET not in str(other.asked)
    assert base64.b64encode(f"u:{SECRET}".encode()).decode() not in str(other.asked)


def test_a_token_that_expires_midway_is_asked_for_anew_once(api, mover, tmp_path):
    tokens = []

    def answer(path, query, headers, body):
        if path == "/token":
            assert SECRET in body.decode()
            tokens.append(f"t{len(tokens)}")
            return js({"access_token": tokens[-1]})
        page = int(query["page"])
        if headers["authorization"] != f"Bearer {tokens[-1]}" or (page == 2 and len(tokens) == 1):
            return 401, {}, b""
        return js([{"id": page}] if page <= 3 else [])

    api.answer = answer
    auth = {
        "kind": "oauth2-client-credentials",
        "secret": "env:X",
        "user": "me",
        "token_url": f"{api.url}/token",
    }
    assert read(mover, opened(api, tmp_path, auth=auth, paging={"by": "page", "parameter": "page"}))[0] == [
        (1,),
        (2,),
        (3,),
    ]
    assert tokens == ["t0", "t1"]
    api.answer = lambda path, *_: js({"access_token": "x"}) if path == "/token" else (401, {}, b"")
    asked = len(api.asked)
    assert refused(mover, opened(api, tmp_path / "b", auth=auth)).code == "pipelines.http-auth"
    assert len(api.asked) - asked == 4  # a token, the page, a token anew, the page


def test_limits_are_waited_for_as_the_api_asks(api, mover, tmp_path):
    clock = Clock()
    answers = [
        (429, {"Retry-After": "7"}, b""),
        (503, {"Retry-After": formatdate(clock.now + 30, usegmt=True)}, b""),
        (500, {}, b""),
        js([{"id": 1}]),
    ]
    api.answer = lambda *_: answers.pop(0)
    assert read(mover, opened(api, tmp_path, clock))[0] == [(1,)]
    assert clock.slept == [7.0, 23.0, 4.0]


def test_waits_grow_and_end(api, mover, tmp_path):
    clock = Clock()
    api.answer = lambda *_: (503, {}, b"")
    assert refused(mover, opened(api, tmp_path, clock, retries=4)).code == "pipelines.http-busy"
    assert clock.slept == [1.0, 2.0, 4.0, 8.0]
    api.answer = lambda *_: (429, {"Retry-After": "86400"}, b"")
    assert refused(mover, opened(api, tmp_path, clock)).code == "pipelines.http-wait"


def test_the_rate_is_kept(api, mover, tmp_path):
    clock = Clock()
    api.answer = by_page(3)
    read(
        mover,
        opened(
            api,
            tmp_path,
            clock,
            records="data.items",
            requests_per_second=2,
            paging={"by": "page", "parameter": "page"},
        ),
    )
    assert clock.slept == [0.5, 0.5, 0.5]


@pytest.mark.parametrize(("answer", "code"), [
    ((200, {"Content-Type": "text/html"}, b"<html>log in</html>"), "pipelines.http-not-json"), ((200, {}, b'[{"id":1},'), "pipelines.http-not-json"),
    ((200, {"Content-Encoding": "gzip"}, gzip.compress(b'[{"id":1}]')[:-9]), "pipelines.http-unreachable"), (None, "pipelines.http-unreachable"),
    ((200, {"Content-Length": "500"}, b'[{"id":1}]'), "pipelines.http-unreachable"), ((200, {}, b"[" + b" " * 2**20 + b"]"), "pipelines.http-too-large"),
    ((200, {"Content-Encoding": "gzip"}, gzip.compress(b"[" + b" " * 2**24 + b"]")), "pipelines.http-too-large"), ((404, {}, b"{}"), "pipelines.http-status"),
    ((403, {}, b"{}"), "pipelines.http-auth"), ((302, {"Location": "/rows"}, b""), "pipelines.http-redirects"), ((302, {"Location": "file:///etc/passwd"}, b""), "pipelines.http-redirects"),
    ((200, {}, b'{"rows": 5}'), "pipelines.json-records"),
])  # fmt: skip
def test_hostile_answers_are_told(api, mover, tmp_path, answer, code):
    api.answer = lambda *_: answer
    error = refused(
        mover,
        opened(
            api,
            tmp_path,
            records="" if code != "pipelines.json-records" else "rows",
            auth={"kind": "query", "name": "key", "secret": "env:X"},
        ),
    )
    assert error.code == code


def test_numbers_and_packed_answers_are_kept_as_they_are(api, mover, tmp_path):
    api.answer = lambda *_: (
        200,
        {"Content-Encoding": "gzip", "Content-Type": "text/plain"},
        gzip.compress(b'[{"id":12345678901234567890,"z":"00123",\n"o":{"a":[1]}}]'),
    )
    assert read(mover, opened(api, tmp_path))[0] == [(12345678901234567890, "00123", '{"a":[1]}')]


def test_the_cursor_is_the_greatest_value_as_its_type(api, mover, tmp_path):
    def answer(_, query, *__):
        since = int(query["since"] or 0)
        return js([{"id": n} for n in (since + 1, since + 9, since + 2)])

    api.answer = answer
    cursor = {"column": "id", "start": "0"}
    rows, reading = read(mover, opened(api, tmp_path, cursor=cursor, parameters={"since": "{cursor}"}))
    assert (rows, reading.position) == ([(1,), (2,), (9,)], {"cursor": "9"})
    _, reading = read(
        mover, opened(api, tmp_path, cursor=cursor, parameters={"since": "{cursor}"}), reading.position
    )
    assert reading.position == {"cursor": "18"}  # as text, '9' would be greater than '18'
    api.answer = lambda *_: js([{"id": 3}])
    _, reading = read(
        mover, opened(api, tmp_path, cursor=cursor, parameters={"since": "{cursor}"}), {"cursor": "18"}
    )
    assert reading.position == {"cursor": "18"}
    assert "backwards" in reading.warnings[0]
    api.answer = lambda *_: js([])
    rows, reading = read(
        mover, opened(api, tmp_path, cursor=cursor, parameters={"since": "{cursor}"}), {"cursor": "19"}
    )
    assert (rows, reading.parts, reading.position) == ([], (), {"cursor": "19"})


def test_moments_are_asked_for_in_iso(api, mover, tmp_path):
    api.answer = lambda *_: js(ROWS)
    _, reading = read(mover, opened(api, tmp_path, cursor={"column": "at"}))
    assert reading.position == {"cursor": "2026-01-07T00:00:00Z"}


def test_fetching_goes_on_after_the_last_whole_page(api, mover, tmp_path):
    pages = by_page(2)
    api.answer = lambda path, query, *rest: pages(path, query, *rest) if int(query["page"]) < 3 else None
    spec = {"records": "data.items", "paging": {"by": "page", "parameter": "page"}, "retries": 0}
    assert refused(mover, opened(api, tmp_path, **spec)).code == "pipelines.http-unreachable"
    api.answer, before = pages, len(api.asked)
    rows, first = read(mover, opened(api, tmp_path, **spec))
    assert [row[0] for row in rows] == list(range(7))
    assert [query["page"] for _, query, *_ in api.asked[before:]] == ["3", "4", "5"]
    again = opened(api, tmp_path, **spec)  # a worker after a crash: the same parts, and nothing asked
    count = len(api.asked)
    assert again.reading(mover, None, None).parts == first.parts
    again.close()
    assert len(api.asked) == count


def test_the_first_page_tells_the_columns(api, mover, tmp_path):
    api.answer = by_page(2)
    source = opened(api, tmp_path, records="data.items", paging={"by": "page", "parameter": "page"})
    assert {one.name: one.type for one in source.columns(mover)} == {
        "id": "BIGINT",
        "at": "TIMESTAMP WITH TIME ZONE",
    }
    source.close()
    assert len(api.asked) == 1


def test_a_total_that_shrinks_is_told(api, mover, tmp_path):
    api.answer = lambda _, query, *__: js(
        {
            "total": 9 - int(query["page"]),
            "items": [{"id": int(query["page"])}] if int(query["page"]) < 3 else [],
        }
    )
    _, reading = read(
        mover, opened(api, tmp_path, records="items", paging={"by": "page", "parameter": "page"})
    )
    assert "shrank" in reading.warnings[0]


def test_a_body_is_posted_with_page_and_cursor(api, mover, tmp_path):
    api.answer = lambda _, __, ___, body: js([{"id": 1}] if json.loads(body)["page"] == "1" else [])
    rows, _ = read(
        mover,
        opened(
            api,
            tmp_path,
            method="POST",
            body={"q": "since {cursor}"},
            cursor={"column": "id", "start": "0"},
            paging={"by": "page", "parameter": "page"},
        ),
    )
    assert rows == [(1,)]
    assert json.loads(api.asked[0][3]) == {"q": "since 0", "page": "1"}
