"""A project with one real database, and the command line called as a shell would; and one gateway in front of one scripted provider, over both
protocols, with the official SDKs as its clients.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import anthropic
import openai
import psycopg
import pytest

import ai_rig
from datareeve.interfaces import cli
from datareeve.systems.introduce import introduce

TABLE = "CREATE TABLE trips (id int PRIMARY KEY, plane text)"

ROUTES = {
    "gpt": {"targets": ["openai/double-small"]},
    "sonnet": {"targets": ["claude/claude-double"]},
    "embed": {"targets": ["openai/double-embed"]},
}
FRESH = {
    "openai": ("openai",),
    "claude": ("claude",),
    "openai-claude": ("openai", "claude"),
    "claude-openai": ("claude", "openai"),
}
ROUTES |= {
    f"{kind}-{number}": {"targets": [f"{name}/{kind}-{number}" for name in providers], "retries": 0}
    for kind, providers in FRESH.items()
    for number in range(40)
}
ROUTES |= {
    f"stubborn-{kind}": {"targets": [f"{kind}/stubborn-{kind}"], "retries": 3}
    for kind in ("openai", "claude")
}
PRICES = {target: {"input": 1, "output": 2} for route in ROUTES.values() for target in route["targets"]}


@pytest.fixture(scope="session")
def unused():
    """For `fresh`: the numbers of routes that no test has used."""
    return {kind: iter(range(40)) for kind in FRESH}


@pytest.fixture
def fresh(unused):
    """Names of a route to providers of these kinds, in order, which tries each once and has not failed yet: failures are remembered."""
    return lambda kind: f"{kind}-{next(unused[kind])}"


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A running gateway, its provider, and a virtual key."""
    settings = {
        "models": ROUTES,
        "prices": PRICES,
        "budgets": {name: {"usd": 0.000001, "key": name} for name in ("poor", "poor too")},
    }
    with ai_rig.FaultDouble(models=("double-small", "claude-double", "double-embed")) as double:
        wanted = ai_rig.estate(double, gateway=settings)
        with ai_rig.gateway(tmp_path_factory.mktemp("gateway"), wanted) as running:
            running.issue("app")
            yield running, double


@pytest.fixture
def running(shared):
    """The gateway."""
    return shared[0]


@pytest.fixture
def provider(shared):
    """The scripted provider behind it, which does well and has seen nothing."""
    double = shared[1]
    double.well()
    double.seen.clear()
    yield double
    double.well()
    double.let_go()


@pytest.fixture
def oai(running, provider):
    """OpenAI's SDK."""
    with openai.OpenAI(
        base_url=running.openai_url, api_key=running.keys["app"], max_retries=0, timeout=10
    ) as client:
        yield client


@pytest.fixture
def ant(running, provider):
    """Anthropic's SDK."""
    with anthropic.Anthropic(
        base_url=running.url, api_key=running.keys["app"], max_retries=0, timeout=10
    ) as client:
        yield client


@dataclass
class Answer:
    status: int
    out: str
    err: str

    @property
    def json(self):
        return json.loads(self.out)


@pytest.fixture
def project(tmp_path, database):
    """A folder with an estate of one database, `app`, that holds one table."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(TABLE)
    introduce([database], tmp_path)
    estate = tmp_path / "estate.yaml"
    estate.write_text(estate.read_text().replace(f"  {database.rsplit('/', 1)[1]}:\n", "  app:\n"))
    return tmp_path


@pytest.fixture
def datareeve(capfd, project):
    """The command line on that project."""

    def call(*words):
        status = cli.main([*words, "--project", str(project)])
        return Answer(status, *capfd.readouterr())

    return call
