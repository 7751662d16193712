"""One gateway in front of one scripted provider, over both protocols, and the official SDKs as its clients."""

import anthropic
import openai
import pytest

import ai_rig

ROUTES = {
    "gpt": {"targets": ["openai/double-small"]},
    "sonnet": {"targets": ["claude/claude-double"]},
    "gpt-then-sonnet": {"targets": ["openai/double-small", "claude/claude-double"], "retries": 0},
    "sonnet-then-gpt": {"targets": ["claude/claude-double", "openai/double-small"], "retries": 0},
    "once": {"targets": ["openai/double-small"], "retries": 0},
    "once-sonnet": {"targets": ["claude/claude-double"], "retries": 0},
    "embed": {"targets": ["openai/double-embed"]},
}
PRICES = {
    name: {"input": 1, "output": 2}
    for name in ("openai/double-small", "openai/double-embed", "claude/claude-double")
}


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """A running gateway, its provider, and a virtual key."""
    settings = {
        "models": ROUTES,
        "prices": PRICES,
        "breaker": {"failures": 10_000, "failure_share": 1.0},  # each test fails by itself
        "budgets": {"poor": {"usd": 0.000001, "key": "poor"}},
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
