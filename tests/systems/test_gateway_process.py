"""The gateway as a process of this machine: started, asked, followed, ended; several that share a port."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from datareeve.core.errors import BadInput, Failed, Unreachable
from datareeve.core.estate import parse
from datareeve.systems.gateway_process import GatewayProcess, estate_digest

DATAREEVE = Path(sys.executable).with_name("datareeve")
ESTATE = "version: 1\ngateway: {{listen: '127.0.0.1:0', processes: {processes}}}\n"


def wait_until(condition, seconds=15.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def process(tmp_path):
    """A project with a gateway that is not started yet; stopped at the end."""
    (tmp_path / "estate.yaml").write_text(ESTATE.format(processes=1))
    made = GatewayProcess(tmp_path)
    yield made
    made.perform("stop", run="test")


def start(process):
    return process.perform("start", run="test")


def test_it_starts_answers_is_quiet_twice_and_ends(process):
    assert process.read("state") == {
        "running": False,
        "pid": None,
        "address": None,
        "processes": None,
        "started_at": None,
    }
    assert process.read("answers") is False
    with pytest.raises(Unreachable, match="does not run"):
        process.read("ask", path="/status")
    started = start(process)
    assert process.read("answers") is True
    assert start(process) == started
    assert process.read("state")["address"] == ["127.0.0.1", started["port"]]
    status = process.read("status")
    assert [one["pid"] for one in status["processes"]] == [started["pid"]]
    assert b"datareeve_gateway_start_time_seconds" in process.read("ask", path="/metrics")["body"].encode()
    process.perform("stop", run="test")
    process.perform("stop", run="test")
    assert not process.read("running")
    assert not psutil.pid_exists(started["pid"])
    assert process.read("status") is None


def test_it_outlives_whoever_started_it(process):
    code = f"from pathlib import Path; from datareeve.systems.gateway_process import GatewayProcess; GatewayProcess(Path({str(process.project)!r})).perform('start', run='x')"
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    assert process.read("answers")


def test_a_change_of_the_estate_is_followed_and_a_file_that_means_the_same_is_none(process):
    start(process)
    place = process.project / "estate.yaml"
    place.write_text("# a comment\n" + place.read_text())
    assert process.read("works_by_the_estate")
    place.write_text("version: 1\ngateway: {listen: '127.0.0.1:0', max_body_mb: 8}\n")
    assert process.read("works_by_the_estate")
    assert process.perform("reload", run="test") == {}
    assert process.read("status")["processes"][0]["estate"] == estate_digest(parse(place.read_text()))


def test_the_digest_is_of_what_a_gateway_takes_from_the_estate():
    plain = parse("version: 1\nsystems: {o: {kind: openai}}\ngateway: {}\n")
    same = parse("version: 1\nname: other\nsystems: {o: {kind: openai, base_url: 'https://api.openai.com/v1/'}, d: {kind: duckdb, path: x}}\ngateway: {processes: 1}\n")  # fmt: skip
    other = parse("version: 1\nsystems: {o: {kind: openai, tokens_per_minute: 5}}\ngateway: {}\n")
    assert estate_digest(plain) == estate_digest(same) != estate_digest(other)


def test_what_keeps_it_from_starting_is_said_in_one_line(process):
    (process.project / "estate.yaml").write_text("version: 1\n")
    with pytest.raises(Failed, match=r"did not start. It said: gateway.none: estate.yaml has no `gateway`."):
        start(process)


def test_only_its_own_pages_are_asked_and_no_variable_s_text_is_told(process, monkeypatch):
    with pytest.raises(BadInput):
        process.read("ask", path="/v1/models")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary7f3a")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://user:canary7f3a@proxy.example/v1")
    assert process.read("variables", names=["OPENAI_API_KEY", "NOT_SET"]) == {
        "OPENAI_API_KEY": True,
        "NOT_SET": False,
    }
    names = ["OPENAI_BASE_URL", "OPENAI_API_KEY"]
    assert process.read("addresses", names=names) == {"OPENAI_BASE_URL": "http://proxy.example/v1"}


def test_a_port_is_free_or_taken(process):
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        assert not process.read("free", listen=place)
    assert process.read("free", listen=place)


def test_after_a_kill_it_is_seen_as_gone_and_starts_again(process):
    pid = start(process)["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not process.read("running"))
    assert process.read("state")["pid"] is None
    assert start(process)["pid"] != pid


# -- several processes -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    (folder / "estate.yaml").write_text(ESTATE.format(processes=2))
    made = GatewayProcess(folder)
    yield made
    made.perform("stop", run="test")


@pytest.fixture
def several(shared):
    """Two processes on one port; those of the test before, where they still run."""
    start(shared)
    return shared


def workers(process):
    return psutil.Process(process.read("state")["pid"]).children()


def told(process):
    return {one["pid"] for one in process.read("status")["processes"]}


def test_several_share_a_port_and_tell_of_each_other(several):
    wait_until(lambda: told(several) == {worker.pid for worker in workers(several)})
    assert len(workers(several)) == 2
    assert several.read("works_by_the_estate")
    numbers = {line.rpartition('process="')[2][0] for line in several.read("ask", path="/metrics")["body"].splitlines() if "start_time_seconds{" in line}  # fmt: skip
    assert numbers == {"0", "1"}


def test_one_that_dies_is_started_again(several):
    first, second = workers(several)
    first.kill()
    wait_until(lambda: len([w for w in workers(several) if w != first]) == 2)
    assert second.is_running()
    assert several.read("answers")


def test_they_end_with_their_parent_however_it_ended(several):
    alive = workers(several)
    os.kill(several.read("state")["pid"], signal.SIGKILL)
    gone, left = psutil.wait_procs(alive, timeout=15)
    assert (len(gone), left) == (2, [])


# -- the command -------------------------------------------------------------------------------------------------------------------


def command(project, *words):
    return subprocess.run(
        [DATAREEVE, "gateway", "--project", project, *words],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_a_second_gateway_of_one_project_is_refused(process):
    start(process)
    done = command(process.project)
    assert done.returncode == 2
    assert done.stderr.startswith("gateway.running:")


def test_an_address_that_is_taken_is_told_with_what_to_do(process):
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        for more in ((), ("--processes", "2")):
            done = command(process.project, "--listen", f"127.0.0.1:{taken.getsockname()[1]}", *more)
            assert done.returncode == 1
            assert done.stderr.startswith("gateway.port:")
            assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--listen", "nowhere"), "gateway.listen"),
        (("--listen", "127.0.0.1:99999"), "gateway.listen"),
        (("--processes", "0"), "gateway.processes"),
        (("--processes", "65"), "gateway.processes"),
    ],
)
def test_words_that_make_no_sense_are_refused(process, words, code):
    done = command(process.project, *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{code}:")


def test_it_says_where_it_listens_and_ends_on_a_signal(process):
    with subprocess.Popen(
        [DATAREEVE, "gateway", "--project", process.project, "--json"], stdout=subprocess.PIPE, text=True
    ) as running:
        told = json.loads(running.stdout.readline())
        assert told["pid"] == running.pid
        assert told["listening"] == f"http://127.0.0.1:{process.read('state')['address'][1]}"
        running.send_signal(signal.SIGTERM)
        assert running.wait(15) == 0


def test_it_is_stopped_from_the_command_line_and_stopping_nothing_is_quiet(process):
    process.start()
    for words in ("stopped", "no gateway of this project runs"):
        done = command(process.project, "--stop")
        assert done.returncode == 0
        assert words in done.stderr
        assert not process.read("running")
