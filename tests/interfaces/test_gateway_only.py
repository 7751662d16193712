"""Somebody who wants the AI gateway and has no database: what they are told, and what a wrong key leaves behind."""

import re

import pytest

from ai_double import FaultDouble
from ai_rig import free_port
from datareeve.interfaces import cli
from datareeve.systems.gateway_process import GatewayProcess
from datareeve.systems.gateway_store import GatewayStore

RIGHT, WRONG = "sk-right", "sk-wrong"


@pytest.fixture(scope="module")
def double():
    with FaultDouble() as made:
        made.keys = {RIGHT}
        yield made


@pytest.fixture
def datareeve(tmp_path, capsys, monkeypatch):
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("RIGHT_KEY_1", RIGHT)
    monkeypatch.setenv("WRONG_KEY_1", WRONG)
    (tmp_path / "project").mkdir()

    def run(*words):
        status = cli.main([*words, "--project", str(tmp_path / "project")])
        out, err = capsys.readouterr()
        return status, out, err

    run.folder = tmp_path / "project"
    return run


def test_without_an_estate_the_way_to_the_gateway_is_told(datareeve):
    status, _, told = datareeve("run", "ai.set-up-gateway")
    assert (status, told.splitlines()[0].partition(":")[0]) == (2, "estate.missing")
    assert "`datareeve init`, which needs no database" in told
    assert "`datareeve run ai.set-up-gateway`" in " ".join(told.split())


def test_init_without_a_database_makes_an_empty_estate_and_says_what_comes_next(datareeve):
    status, told, _ = datareeve("init")
    assert status == 0
    assert (datareeve.folder / "estate.yaml").exists()
    assert "For the AI gateway: `datareeve run ai.set-up-gateway`" in " ".join(told.split())
    for look in ("status", "slo"):
        status, told, _ = datareeve(look)
        assert status == 0
        assert "`datareeve run ai.set-up-gateway`" in " ".join(told.split())


def test_init_of_an_estate_that_has_something_does_not_call_it_empty(datareeve):
    (datareeve.folder / "estate.yaml").write_text("version: 1\nsystems: {openai: {kind: openai}}\n")
    _, told, _ = datareeve("init")
    assert "nothing to look at" not in told


@pytest.mark.parametrize(
    "more", [("--key", "env:WRONG_KEY_1"), ("--key", "env:WRONG_KEY_1", "--by-reference"), ()]
)
def test_a_wrong_key_leaves_nothing_behind_and_the_right_one_finishes(datareeve, double, more):
    datareeve("init")
    before = (datareeve.folder / "estate.yaml").read_text()
    add = ("run", "ai.add-provider", "--kind", "openai", "--base-url", double.openai_url, "--yes")
    _, told, _ = datareeve(*add, *more)
    assert "401" in told
    assert ("does not take the key at env:WRONG_KEY_1" if more else "asks for a key") in " ".join(
        told.split()
    )
    assert (datareeve.folder / "estate.yaml").read_text() == before
    assert kept(datareeve.folder) == []
    status, told, _ = datareeve(*add, "--key", "env:RIGHT_KEY_1")
    assert (status, kept(datareeve.folder)) == (0, ["active"]), told


@pytest.mark.parametrize("place", ["127.0.0.2", "127.0.0.1"])
def test_a_key_that_turns_wrong_after_the_plan_leaves_nothing_behind(datareeve, double, place, monkeypatch):
    datareeve("init")
    before = (datareeve.folder / "estate.yaml").read_text()
    add = ("run", "ai.add-provider", "--kind", "openai", "--key", "env:RIGHT_KEY_1")
    add = (*add, "--base-url", double.openai_url.replace("127.0.0.1", place))
    _, told, _ = datareeve(*add, "--plan")
    (fingerprint,) = set(re.findall(r"fingerprint ([0-9a-f]{16,})", told))
    monkeypatch.setenv("RIGHT_KEY_1", WRONG)
    status, told, err = datareeve(*add, "--approve", fingerprint)
    assert status != 0, told + err
    assert (datareeve.folder / "estate.yaml").read_text() == before
    assert kept(datareeve.folder) == []


def test_a_gateway_set_up_with_a_wrong_key_is_set_up_by_the_same_command_with_the_right_one(
    datareeve, double, monkeypatch
):
    datareeve("init")
    before = (datareeve.folder / "estate.yaml").read_text()
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setenv("OPENAI_BASE_URL", double.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", WRONG)
    set_up = ("run", "ai.set-up-gateway", "--listen", f"127.0.0.1:{free_port()}", "--yes")
    _, told, _ = datareeve(*set_up)
    assert "`datareeve run ai.set-up-gateway`" in " ".join(told.split())
    assert (datareeve.folder / "estate.yaml").read_text() == before
    process = GatewayProcess(datareeve.folder)
    assert not process.running()
    monkeypatch.setenv("OPENAI_API_KEY", RIGHT)
    try:
        status, told, err = datareeve(*set_up)
        assert (status, process.answers()) == (0, True), told + err
        assert "nothing to do" in datareeve(*set_up)[1]
    finally:
        process.stop()


def test_ids_of_keys_are_shown_so_that_they_can_be_copied(datareeve, double):
    entry = f"{{kind: openai, base_url: '{double.openai_url}', keys: [env:RIGHT_KEY_1]}}"
    (datareeve.folder / "estate.yaml").write_text(f"version: 1\nsystems:\n  openai: {entry}\n")
    status, told, _ = datareeve("run", "ai.check-keys")
    assert status == 0
    assert "estate:env:RIGHT_KEY_1" in told


def kept(folder):
    """The states of the keys in the store."""
    place = folder / ".datareeve" / "gateway.sqlite"
    if not place.exists():
        return []
    store = GatewayStore.open(place)
    try:
        return [key.state for key in store.provider_keys()]
    finally:
        store.close()
